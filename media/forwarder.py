"""One source to one receiver: packets rewritten so that the receiver sees one unbroken stream.

The receiver knows one SSRC with its own payload type and extension ids. Behind it the source may
pause, come back, or be replaced by another connection; sequence numbers go on without a gap and
timestamps with the time that passed (RFC 3550 §5.1). Video comes in at a VP8 keyframe only.

An index is never sent twice with different bytes, because AEAD-GCM would then leak its
authentication key (RFC 7714 §8.1): what is older than the stream's start is dropped, duplicates
never get here (SRTP replay protection, and only missing packets are taken from RTX), and a plain
retransmission is the stored packet itself.
"""

from dataclasses import dataclass

from media.history import History
from media.rtp import ExtensionMap, payload_bytes, starts_vp8_keyframe, wrap_rtx, write_header


@dataclass(frozen=True, slots=True)
class OutgoingStream:
    """How the receiver knows the stream; `rtx_*` and `red_*` are None where not negotiated.

    `first_sequence` should be below 2**15 (RFC 3711 §3.3.1), both `first_*` random (RFC 3550 §5.1).
    """

    kind: str
    ssrc: int
    payload_type: int
    clock_rate: int
    rtx_ssrc: int | None = None
    rtx_payload_type: int | None = None
    red_payload_type: int | None = None
    keeps_history: bool = False
    first_sequence: int = 0
    first_timestamp: int = 0


class Forwarder:
    """Rewrites the packets of a source for one receiver.

    Call `attach` when the source is known or changes, `start` when delivery begins or resumes, and
    `forward` for each packet of the source in order of arrival while it is to be delivered.

    Attributes:
        began_ms: When the stream last began, for video with a keyframe; None before.
        waiting: The next packet that may begin the stream has not come yet. For video that is a
            keyframe: ask the source for one.
        packets, octets: Sent so far, for sender reports (RFC 3550 §6.4.1).
        frames: Packets with the marker sent so far; one ends each picture (RFC 7741 §4.1).
        timestamp_offset: Add to a source timestamp to get the receiver's, modulo 2**32.
    """

    __slots__ = (
        "_advanced",
        "_delay",
        "_extensions",
        "_highest",
        "_history",
        "_is_video",
        "_last_ms",
        "_last_timestamp",
        "_payload_type",
        "_rebase_timestamp",
        "_rtx_sequence",
        "_sequence_offset",
        "_ssrc",
        "began_ms",
        "frames",
        "octets",
        "packets",
        "stream",
        "timestamp_offset",
        "waiting",
    )

    def __init__(self, stream: OutgoingStream) -> None:
        self.stream = stream
        self.waiting = True
        self.began_ms: int | None = None
        self.packets = 0
        self.octets = 0
        self.frames = 0
        self.timestamp_offset = 0
        self._is_video = stream.kind == "video"
        self._payload_type = stream.payload_type
        self._ssrc = stream.ssrc
        self._extensions: ExtensionMap | None = None  # None: nothing to rewrite
        self._delay: ExtensionMap | None = None
        self._highest = stream.first_sequence - 1  # highest source sequence number forwarded
        self._sequence_offset = 0
        self._advanced = 0  # by how much the highest has grown since the stream began
        self._last_timestamp = stream.first_timestamp  # of the source, as `_highest`
        self._last_ms: int | None = None
        self._rebase_timestamp = True
        self._rtx_sequence = stream.first_sequence
        self._history = History(stream.first_sequence) if stream.keeps_history else None

    def attach(self, extensions: ExtensionMap) -> None:
        """Take the packets of another source from now on; the stream begins anew with it."""
        self._delay = extensions
        self._extensions = None if extensions.is_identity else extensions
        self._rebase_timestamp = True
        self.waiting = True

    def start(self) -> None:
        """Deliver again, from the next packet that may begin the stream."""
        self.waiting = True

    def forward(
        self, data: bytearray, length: int, header: int, fields: tuple[int, int, int], now_ms: int
    ) -> bool:
        """Rewrite a packet of the source in place.

        The source's packets come once each: a sequence number is never forwarded twice.

        Args:
            data: The packet in its first `length` bytes.
            header: Its `header_bytes`, not 0.
            fields: Its sequence number, timestamp and SSRC.
        Returns:
            Whether to send it. If not, `data` is unchanged.
        """
        sequence, timestamp, _ = fields
        if self.waiting:
            if self._is_video and not starts_vp8_keyframe(data, header, length):
                return False
            self._begin(data, sequence, timestamp, now_ms)
        else:
            ahead = sequence - self._highest & 0xFFFF
            if ahead < 0x8000:
                self._highest = sequence
                self._last_timestamp = timestamp
                self._advanced += ahead
            elif 0x10000 - ahead > self._advanced:
                return False  # from before the stream began: its number is taken
        out = sequence + self._sequence_offset & 0xFFFF
        stamp = timestamp + self.timestamp_offset & 0xFFFFFFFF
        write_header(data, 1, data[1] & 0x80 | self._payload_type, out, stamp, self._ssrc)
        if self._extensions is not None and data[0] & 0x10:
            self._extensions.rewrite(data, header)
        if self._history is not None:
            self._history.put(out, data[:length], now_ms)
        self.packets += 1
        self.octets += length - header
        self.frames += data[1] >> 7
        self._last_ms = now_ms
        return True

    def _begin(self, data: bytearray, sequence: int, timestamp: int, now_ms: int) -> None:
        """Continue the receiver's numbering with this packet of the source."""
        self._sequence_offset += self._highest + 1 - sequence
        if self._rebase_timestamp:
            passed = 0
            if self._last_ms is not None:
                passed = max(1, (now_ms - self._last_ms) * self.stream.clock_rate // 1000)
            self.timestamp_offset += self._last_timestamp + passed - timestamp
            self._rebase_timestamp = False
        self._highest = sequence
        self._last_timestamp = timestamp
        self._advanced = 0
        self.began_ms = now_ms
        self.waiting = False
        if not self._is_video:
            data[1] |= 0x80  # a talkspurt begins (RFC 3551 §4.1)

    def forward_probe(
        self, data: bytearray, length: int, header: int, fields: tuple[int, int, int]
    ) -> bool:
        """Rewrite in place an RTX packet that repairs nothing, as senders use to probe bandwidth.

        The receiver's estimate covers the whole path, so it must see the probes too. They get
        numbers of the receiver's RTX stream.

        Returns:
            Whether to send it.
        """
        stream = self.stream
        if self.waiting or stream.rtx_ssrc is None or stream.rtx_payload_type is None:
            return False
        if payload_bytes(data, length, header) >= 2:
            original = (data[header] << 8 | data[header + 1]) + self._sequence_offset & 0xFFFF
            data[header : header + 2] = original.to_bytes(2, "big")
        _, timestamp, _ = fields
        stamp = timestamp + self.timestamp_offset & 0xFFFFFFFF
        write_header(
            data,
            1,
            data[1] & 0x80 | stream.rtx_payload_type,
            self._next_rtx_sequence(),
            stamp,
            stream.rtx_ssrc,
        )
        if self._extensions is not None and data[0] & 0x10:
            self._extensions.rewrite(data, header)
        return True

    def expire(self, now_ms: int, round_trip_ms: int | None = None) -> None:
        """Forget the packets that nobody will ask for any more. Call it each 100 ms or so."""
        if self._last_ms is not None and self._history is not None:
            end = self._highest + self._sequence_offset + 1 & 0xFFFF
            self._history.expire(end, now_ms, round_trip_ms)

    def resend(self, sequence: int, now_ms: int, round_trip_ms: int = 0) -> bytes | None:
        """Answer a NACK for one of the receiver's sequence numbers (RFC 4585 §6.2.1).

        Returns:
            The packet, as RTX if that was negotiated; None if it is not to be sent again now
            (`History.take`).
        """
        if self._history is None:
            return None
        found = self._history.take(sequence, now_ms, round_trip_ms)
        return None if found is None else self._again(*found)

    def repeat(self, sequence: int, now_ms: int) -> bytes | None:
        """Another copy of what `resend` has just given; None without RTX, whose numbers differ."""
        if self._history is None or self.stream.rtx_ssrc is None:
            return None
        found = self._history.find(sequence, now_ms)
        return None if found is None else self._again(*found)

    def is_lost(self, sequence: int, now_ms: int, patience_ms: int) -> bool:
        """As `History.is_lost`, for one of the receiver's sequence numbers."""
        return self._history is not None and self._history.is_lost(sequence, now_ms, patience_ms)

    def keyframe_since(self, since_ms: int) -> list[int]:
        """As `History.keyframe_since`, of all that was sent."""
        if self._history is None:
            return []
        end = self._highest + self._sequence_offset + 1
        return self._history.keyframe_since(end, since_ms)

    def _again(self, packet: bytearray, elapsed_ms: int) -> bytes:
        stream = self.stream
        if stream.rtx_ssrc is None or stream.rtx_payload_type is None:
            return bytes(packet)
        rtx = wrap_rtx(packet, stream.rtx_payload_type, self._next_rtx_sequence(), stream.rtx_ssrc)
        if self._delay is not None:
            self._delay.delay_abs_send_time(rtx, elapsed_ms)
        return bytes(rtx)

    def _next_rtx_sequence(self) -> int:
        self._rtx_sequence = self._rtx_sequence + 1 & 0xFFFF
        return self._rtx_sequence
