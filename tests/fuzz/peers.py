"""A sender and two receivers in front of the real forwarding code, without a cipher between.

The cipher is left out since it would refuse all that a fuzzer makes: what it lets through is what a
hostile participant may send.
"""

from __future__ import annotations

from media.counters import MediaCounters
from media.datagrams import Spares
from media.dtls import PacketBuffer
from media.flow import Flow
from media.inbound import Inbound, Shared
from media.sdp import Offer, parse_offer
from media.tracks import IncomingTrack, Subscription
from tests.media.sdp_samples import OFFERS

SENDER = parse_offer(OFFERS["chrome_audio_video"])
RECEIVERS = (parse_offer(OFFERS["chrome_audio_video"]), parse_offer(OFFERS["firefox_audio_video"]))
"""One that knows redundant audio, and one that does not and numbers its extensions otherwise."""

AUDIO, VIDEO = (next(s for s in SENDER.sections if s.kind == kind) for kind in ("audio", "video"))


class Clear:
    """Stands where the SRTP keys of one direction would be."""

    def unprotect(self, _packet: PacketBuffer, length: int) -> int:
        """All of it, as it is."""
        return length

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """All of it, as it is."""
        return data


class Sent:
    """What a receiver would get: each packet must be sound, and no SRTP index used twice.

    With AEAD-GCM two different packets of one index give the authentication key away (RFC 7714).
    """

    def __init__(self) -> None:
        self.payload_types: dict[int, tuple[int | None, ...]] = {}  # by SSRC
        self._highest: dict[int, int] = {}
        self._packets: dict[tuple[int, int], bytes] = {}
        self._waiting: list[tuple[PacketBuffer, bytes]] = []
        self.rtcp: list[bytes] = []

    def send_rtp(self, packet: PacketBuffer, length: int) -> None:
        """Check one packet, which must stay as it is until `flush`."""
        self.send_rtp_now(packet, length)
        self._waiting.append((packet, bytes(packet.data[:length])))

    def flush(self) -> None:
        """The end of a batch."""
        for packet, data in self._waiting:
            assert packet.data[: len(data)] == data, "changed before it was sent"
        self._waiting.clear()

    def send_rtp_now(self, packet: PacketBuffer, length: int) -> None:
        """Check one packet."""
        data = bytes(packet.data[:length])
        assert length >= 12
        assert data[0] >> 6 == 2
        ssrc = int.from_bytes(data[8:12], "big")
        assert data[1] & 0x7F in self.payload_types[ssrc], "a payload type that was not negotiated"
        index = self._index(ssrc, int.from_bytes(data[2:4], "big"))
        assert self._packets.setdefault((ssrc, index), data) == data, "an index used twice"

    def send_rtcp(self, data: bytes) -> None:
        """Check one compound packet."""
        assert len(data) % 4 == 0
        self.rtcp.append(data)

    def _index(self, ssrc: int, sequence: int) -> int:
        """As the receiver's SRTP would guess it (RFC 3711 §3.3.1)."""
        highest = self._highest.setdefault(ssrc, sequence + 0x10000)
        index = highest + ((sequence - highest + 0x8000 & 0xFFFF) - 0x8000)
        self._highest[ssrc] = max(highest, index)
        return index


class Room:
    """One participant who sends, two who get it. Time is `now_ms`."""

    def __init__(self) -> None:
        self.now_ms = 1_000
        self.back: list[bytes] = []
        self.packet = PacketBuffer()
        self.shared = Shared(MediaCounters(), Spares(lambda: None))
        self.inbound = self._end("sender")
        self.inbound.configure(SENDER, {"audio": Flow(), "video": Flow()}, None)
        self.receivers = [_Receiver(self._end("receiver"), offer) for offer in RECEIVERS]
        for receiver in self.receivers:
            receiver.subscribe(self.inbound)

    def _end(self, name: str) -> Inbound:
        inbound = Inbound(name, self.shared, self.back.append, self._began)
        inbound.srtp = Clear()  # type: ignore[assignment]
        return inbound

    def _began(self, track: IncomingTrack) -> None:
        assert track.flow.on

    def rtp(self, data: bytes) -> None:
        """A packet of the sender."""
        data = data[:1_500]
        self.packet.data[: len(data)] = data
        self.inbound.receive_rtp(self.packet, len(data), self.now_ms)
        for receiver in self.receivers:
            receiver.sent.flush()

    def rtcp(self, data: bytes) -> None:
        """Feedback of the receivers, who may send reports of streams too."""
        for end in (self.inbound, *(receiver.end for receiver in self.receivers)):
            end.receive_rtcp(data[:1_500], self.now_ms)

    def tick(self, elapsed_ms: int) -> None:
        """Let time pass."""
        self.now_ms += elapsed_ms
        self.inbound.tick(self.now_ms)
        for receiver in self.receivers:
            receiver.end.tick(self.now_ms)
            for subscription in (receiver.audio, receiver.video):
                subscription.tick(self.now_ms, receiver.end.round_trip_ms)


class _Receiver:
    """Gets the sender's audio and video."""

    audio: Subscription
    video: Subscription

    def __init__(self, end: Inbound, offer: Offer) -> None:
        self.end, self.offer, self.sent = end, offer, Sent()

    def subscribe(self, sender: Inbound) -> None:
        """Be fed by its tracks."""
        for track in sender.tracks.values():
            section = next(s for s in self.offer.sections if s.kind == track.kind)
            subscription = Subscription(self.sent, section, "cname", 0)
            stream = subscription.stream
            known = self.sent.payload_types
            known[stream.ssrc] = (stream.payload_type, stream.red_payload_type)
            if stream.rtx_ssrc is not None:
                known[stream.rtx_ssrc] = (stream.rtx_payload_type,)
            subscription.feed(track, True)
            track.outputs = (*track.outputs, subscription)
            self.end.subscriptions[stream.ssrc] = subscription
            setattr(self, track.kind, subscription)
