"""What arrives from a participant and what is sent to one, m-line by m-line."""

import secrets
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from media.dtls import PacketBuffer
from media.estimates import Estimates
from media.feedback import (
    KEYFRAME_INTERVAL_MS,
    KEYFRAME_UNDER_WAY_MS,
    KeyframeRequests,
    ReceiveTracker,
)
from media.flow import Flow
from media.forwarder import Forwarder, OutgoingStream
from media.history import MAX_ON_ITS_WAY_MS
from media.hold import HoldMusic
from media.red import renumber, strip
from media.reports import Reports
from media.rtcp import SenderReport, sender_report, source_description
from media.rtp import FIXED_HEADER_BYTES, ExtensionMap
from media.sdp import Codec, OutgoingTrack, Section
from media.timeline import Report

RESEND_BUDGET: Final = 100
"""Retransmissions to one receiver and track between two ticks (100 ms): a NACK storm ends here."""

LONG_WAY_MS: Final = 150
"""From this round trip on a repair is sent twice: another one would come too late."""

PATIENCE_MS: Final = 800
"""What is asked for later than this after it was sent, or than two round trips if they are longer,
was sent again in vain: a keyframe may come sooner."""

KEYFRAME_ON_ITS_WAY_MS: Final = 300
"""How long after its first packet a keyframe may be incomplete, beside the round trip."""

Tap = Callable[[bytearray, int, int, tuple[int, int, int], int], None]


class Receiver(Protocol):
    """Where a subscription's packets go: the receiver's endpoint."""

    def send_rtp(self, packet: PacketBuffer, length: int) -> None:
        """Encrypt in place and send the first `length` bytes at the end of the batch."""

    def send_rtp_now(self, packet: PacketBuffer, length: int) -> None:
        """As `send_rtp`, but at once: `packet` may be used again."""

    def send_rtcp(self, data: bytes) -> None:
        """Encrypt and send a compound packet."""


class Sender(Protocol):
    """Where feedback about a track goes: the inbound side of its participant."""

    def request_keyframes(self, now_ms: int) -> None:
        """Ask now for the keyframes that are wanted."""

    @property
    def estimates(self) -> Estimates:
        """What its receivers can take."""

    def tell_estimate(self, now_ms: int) -> None:
        """Pass on what they can take, if that has changed."""


class Source:
    """One SSRC of a track: its media, or its retransmissions.

    Attributes:
        reported: What its last sender report says of its clock; None before the first.
    """

    __slots__ = ("is_rtx", "reported", "ssrc", "track", "tracker")

    def __init__(self, ssrc: int, track: "IncomingTrack", is_rtx: bool) -> None:
        self.ssrc = ssrc
        self.track = track
        self.is_rtx = is_rtx
        self.tracker = ReceiveTracker(ssrc, track.codec.clock_rate)
        self.reported: Report | None = None


class IncomingTrack:
    """What a participant sends in one m-line.

    Attributes:
        current: The SSRC that carries it now; None before the first packet.
        outputs: Who gets it now. Empty while delivery is not allowed, and while its flow is off.
        extensions: URI to id, as the sender numbers them.
        role: "audio", "video", or "screen" for the picture of a shared screen.
        tap: Sees each packet that is delivered: its buffer and length, where its payload starts,
            its sequence number, timestamp and SSRC, and the time. None: nothing is recorded.
    """

    __slots__ = (
        "codec",
        "current",
        "extensions",
        "flow",
        "keyframes",
        "kind",
        "mid",
        "nacks",
        "outputs",
        "payload_type",
        "role",
        "sender",
        "tap",
    )

    def __init__(
        self, section: Section, codec: Codec, role: str, flow: Flow, sender: Sender
    ) -> None:
        self.mid = section.mid
        self.kind = section.kind
        self.role = role
        self.codec = codec
        self.payload_type = codec.payload_type
        self.extensions: Mapping[str, int] = section.extensions
        self.flow = flow
        self.sender = sender
        self.current: Source | None = None
        self.outputs: tuple[Subscription, ...] = ()
        self.keyframes = KeyframeRequests()
        self.tap: Tap | None = None
        self.nacks = "nack" in codec.feedback

    @property
    def clock_rate(self) -> int:
        """Of its timestamps, per second."""
        return self.codec.clock_rate

    @property
    def delivered(self) -> bool:
        """Whether anybody gets it now."""
        return bool(self.outputs)

    def fits(self, section: Section) -> bool:
        """Whether a later offer's m-line describes the same track."""
        return (section.codec, section.extensions) == (self.codec, self.extensions)

    def close(self) -> None:
        """Forget who carries it and who gets it; no packet of it comes any more."""
        self.current = None
        self.outputs = ()
        self.tap = None

    def switch(self, source: Source) -> None:
        """Take media from another SSRC: receivers see the same stream go on.

        Without a receiver no keyframe is asked for: it would be lost, and the one that the first
        receiver needs would have to wait until the next may be asked for.
        """
        self.current = source
        for output in self.outputs:
            output.restart()
        if self.outputs:
            self.want_keyframe()

    def want_keyframe(self) -> None:
        """Ask the sender for a keyframe when that is next allowed."""
        if self.kind == "video":
            self.keyframes.want()

    def want_keyframe_again(self, now_ms: int) -> None:
        """Ask for it if the one that was asked for last has not come for a while."""
        if self.kind == "video":
            self.keyframes.want_again(now_ms)


class Subscription:
    """What a participant gets in one m-line, from whichever track feeds it.

    Attributes:
        active: Packets are delivered now.
        track: What feeds it; None if nobody does.
        position: The index of the m-line among those of its kind that the receiver has: its seat.
        reports: What its receiver reported of it.
    """

    __slots__ = (
        "_budget",
        "_cname",
        "_codec",
        "_extensions",
        "_gave_up_ms",
        "_guards",
        "_plays",
        "_source",
        "active",
        "forwarder",
        "kind",
        "mid",
        "position",
        "receiver",
        "reports",
        "stream",
        "track",
    )

    def __init__(self, receiver: Receiver, section: Section, cname: str, position: int) -> None:
        """Of an m-line that the receiver offers.

        Raises:
            ValueError: the m-line was refused, it has no codec.
        """
        codec = section.codec
        if codec is None:
            raise ValueError("a refused m-line carries nothing")
        self.receiver = receiver
        self.mid = section.mid
        self.kind = section.kind
        self._codec = codec
        has_rtx = codec.rtx_payload_type is not None
        self.stream = OutgoingStream(
            kind=section.kind,
            ssrc=_random_ssrc(),
            payload_type=codec.payload_type,
            clock_rate=codec.clock_rate,
            rtx_ssrc=_random_ssrc() if has_rtx else None,
            rtx_payload_type=codec.rtx_payload_type,
            red_payload_type=codec.red_payload_type,
            keeps_history=section.kind == "video" and "nack" in codec.feedback,
            first_sequence=secrets.randbelow(0x8000),
            first_timestamp=secrets.randbits(32),
        )
        self.forwarder = Forwarder(self.stream)
        self.active = False
        self.track: IncomingTrack | None = None
        self._extensions: Mapping[str, int] = section.extensions
        self._cname = cname
        self.position = position
        self._plays: int | None = None  # the number of the music that was sent last
        self._source: Source | None = None  # whose packets the forwarder continues
        self._budget = RESEND_BUDGET
        self._gave_up_ms: int | None = None
        self._guards = False  # the keyframe that was then asked for has not been seen yet
        self.reports = Reports(self.stream.clock_rate)

    def fits(self, section: Section) -> bool:
        """Whether a later offer's m-line describes the same subscription."""
        return (section.codec, section.extensions) == (self._codec, self._extensions)

    def described(self) -> OutgoingTrack:
        """How the answer names the track. Audio and video of one position are played in sync."""
        return OutgoingTrack(
            mid=self.mid,
            ssrc=self.stream.ssrc,
            rtx_ssrc=self.stream.rtx_ssrc,
            stream_id=f"participant-{self.position}",
            track_id=f"{self.kind}-{self.position}",
            cname=f"{self._cname}-{self.position}",
        )

    def feed(self, track: IncomingTrack | None, active: bool) -> None:
        """Set what feeds it and whether that is delivered now."""
        changed = track is not self.track
        resumed = active and not self.active
        self.track = track
        self.active = active and track is not None
        music = self._plays is not None
        other = track is not None and (music or track.current is not self._source)
        if changed or (resumed and other):
            self.restart()
        elif resumed:
            self.forwarder.start()
        if track is not None and self.active and (changed or resumed):
            track.want_keyframe()

    def play(self, music: HoldMusic, scratch: PacketBuffer, now_ms: int) -> None:
        """Send the packet that is due, in the numbering that the receiver knows.

        Only while nothing is delivered: what is delivered next begins anew behind it.
        """
        if self.active:
            return
        if self._plays is None or music.sequence != self._plays + 1 & 0xFFFF:
            # others heard what is missing: left as a gap it could grow until numbers come again
            self.forwarder.attach(ExtensionMap({}, self._extensions, "", ""))
        self._plays = music.sequence
        payload, data = music.payload, scratch.data
        length = FIXED_HEADER_BYTES + len(payload)
        data[0], data[1] = 0x80, 0
        data[FIXED_HEADER_BYTES:length] = payload
        fields = (music.sequence, music.timestamp, 0)
        if self.forwarder.forward(data, length, FIXED_HEADER_BYTES, fields, now_ms):
            self.receiver.send_rtp_now(scratch, length)

    def restart(self) -> None:
        """Begin anew with the track, whose SSRC or sender has changed."""
        self._plays = None
        track = self.track
        self._source = None if track is None else track.current
        if track is not None:
            self.forwarder.attach(
                ExtensionMap(track.extensions, self._extensions, track.mid, self.mid)
            )

    def fit_red(self, data: bytearray, length: int, header: int, primary: int) -> int:
        """Put redundant audio that was forwarded into the format that the receiver knows.

        Args:
            primary: Where the newest frame starts (`media.red.primary_start`).
        Returns:
            The new length.
        """
        stream = self.stream
        if stream.red_payload_type is None:
            return strip(data, length, header, primary)
        data[1] = data[1] & 0x80 | stream.red_payload_type
        renumber(data, header, stream.payload_type)
        return length

    def pass_report(self, report: SenderReport, now_ms: int) -> None:
        """Pass on a sender report of the source in the receiver's terms, for lip sync."""
        forwarder = self.forwarder
        if forwarder.waiting:
            return
        ssrc = self.stream.ssrc
        stamp = report.rtp_timestamp + forwarder.timestamp_offset
        outgoing = sender_report(
            SenderReport(ssrc, report.ntp, stamp), forwarder.packets, forwarder.octets
        )
        self.receiver.send_rtcp(outgoing + source_description(ssrc, self.described().cname))
        self.reports.sent(report.ntp, now_ms)

    def asked_for_keyframe(self, now_ms: int, round_trip_ms: int) -> None:
        """The receiver asks. Not for what is on its way: each keyframe goes to all receivers.

        Pages ask each 200 ms until they have decoded the first, and so also while it arrives, and
        while it is waited for here (`tick`).
        """
        forwarder = self.forwarder
        arrives_ms = KEYFRAME_ON_ITS_WAY_MS + min(round_trip_ms, MAX_ON_ITS_WAY_MS)
        is_on_its_way = forwarder.began_ms is not None and now_ms - forwarder.began_ms < arrives_ms
        if self.track is not None and not forwarder.waiting and not is_on_its_way:
            self.track.want_keyframe()

    def resend(
        self,
        sequences: tuple[int, ...],
        packet: PacketBuffer,
        now_ms: int,
        round_trip_ms: int,
        *,
        is_calm: bool = True,
    ) -> int:
        """Answer a NACK, using `packet` as scratch.

        Args:
            is_calm: Its line shows no queue, to which second copies of a keyframe would add.
        Returns:
            How many packets were sent again.
        """
        sent = 0
        if not self.active:
            return sent
        patience_ms = max(PATIENCE_MS, round_trip_ms * 2)
        if any(self.forwarder.is_lost(s, now_ms, patience_ms) for s in sequences):
            self._give_up(now_ms, round_trip_ms, is_calm)
        for sequence in sequences:
            if self._budget <= 0:
                break
            copies = [self.forwarder.resend(sequence, now_ms, round_trip_ms)]
            if copies[0] is not None and round_trip_ms >= LONG_WAY_MS:
                copies.append(self.forwarder.repeat(sequence, now_ms))
            for stored in copies:
                if stored is not None:
                    self._budget -= 1
                    packet.data[: len(stored)] = stored
                    self.receiver.send_rtp_now(packet, len(stored))
                    sent += 1
        return sent

    def _give_up(self, now_ms: int, round_trip_ms: int, is_calm: bool) -> None:
        """Ask for a keyframe in place of what the receiver waits for in vain.

        A browser would do so by itself, but only when its picture has stood still for three
        seconds. While a keyframe is on its way, with one repair, what was before it is still asked
        for: that is no reason for another one.
        """
        track, before_ms = self.track, self._gave_up_ms
        arrives_ms = KEYFRAME_INTERVAL_MS + 2 * min(round_trip_ms, PATIENCE_MS)
        if track is None or (before_ms is not None and now_ms - before_ms < arrives_ms):
            return
        self._gave_up_ms = now_ms
        self._guards = is_calm
        track.want_keyframe()
        track.sender.request_keyframes(now_ms)

    def _guard(self, since_ms: int, now_ms: int) -> None:
        """Send a keyframe once more that was asked for in need: of many packets one is lost."""
        numbers = self.forwarder.keyframe_since(since_ms)
        self._guards = not numbers and now_ms - since_ms < KEYFRAME_UNDER_WAY_MS
        packet = PacketBuffer()
        for number in numbers[: self._budget]:
            copy = self.forwarder.repeat(number, now_ms)
            if copy is not None:
                self._budget -= 1
                packet.data[: len(copy)] = copy
                self.receiver.send_rtp_now(packet, len(copy))

    def tick(self, now_ms: int, round_trip_ms: int | None) -> None:
        """Each 100 ms: refill the budget, keep asking for the keyframe that is waited for.

        `round_trip_ms` is the receiver's, None while unknown.
        """
        self._budget = RESEND_BUDGET
        if self._guards and self._gave_up_ms is not None:
            self._guard(self._gave_up_ms, now_ms)
        self.forwarder.expire(now_ms, round_trip_ms)
        if self.active and self.forwarder.waiting and self.track is not None:
            self.track.want_keyframe_again(now_ms)


def _random_ssrc() -> int:
    return secrets.randbelow(0xFFFFFFFF) + 1
