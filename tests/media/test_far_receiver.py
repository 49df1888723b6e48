"""Pictures on a line that loses a fifth and suddenly becomes 200 ms longer each way.

The line is that of the tests with real browsers, seeded; the receiver is a model of a browser, with
libwebrtc's habits: it asks at once for what is missing and again each round trip, and for a
keyframe only when its picture has stood still for three seconds.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest

from media.dtls import PacketBuffer
from media.estimates import Estimates
from media.feedback import KEYFRAME_INTERVAL_MS
from media.flow import Flow
from media.rtp import header_bytes, read_header, starts_vp8_keyframe
from media.sdp import Codec, Section
from media.tracks import IncomingTrack, Subscription
from tests.e2e.impairment import CLEAN, Direction, Impairment
from tests.media.packets import DELTA_FRAME, KEYFRAME, rtp

STEP_MS, END_MS, LOOK_MS = 2_000, 15_000, 5
FRAME_MS, PACKETS = 50, 3
LONGEST_MS = 2_000
"""As long as a picture may stand still."""

BROWSER_WAITS_MS = 3_000
VP8 = Codec(96, "VP8", 90_000, 97, ("nack", "nack pli"))
VIDEO = Section("1", "video", "sendrecv", VP8)
STRICKEN = Impairment(loss=0.2, delay_ms=200)


class Camera:
    """Who sends, on a clean line; the `media.tracks.Sender` of its track."""

    def __init__(self) -> None:
        self.track = IncomingTrack(VIDEO, VP8, "video", Flow(), self)
        self.estimates = Estimates()
        self.asked_ms: list[int] = []
        self._is_key = True
        self._sequence = 0

    def request_keyframes(self, now_ms: int) -> None:
        if self.track.keyframes.due(now_ms):
            self.asked_ms.append(now_ms)
            self._is_key = True

    def tell_estimate(self, now_ms: int) -> None:
        """It sends the same whatever it is told."""

    def frame(self, now_ms: int) -> Iterator[bytes]:
        for index in range(PACKETS):
            payload = KEYFRAME if self._is_key and not index else DELTA_FRAME
            payload = payload if not index else b"\0" + payload[1:]
            packet = bytearray(rtp(self._sequence, payload, now_ms * 90))
            packet[1] |= 0x80 if index == PACKETS - 1 else 0
            self._sequence += 1
            yield bytes(packet)
        self._is_key = False


class Browser:
    """Who receives: `take` packets, `ask` for the missing, see `decoded_ms`."""

    def __init__(self, ssrc: int) -> None:
        self.decoded_ms: list[int] = []
        self._ssrc = ssrc
        self._packets: dict[int, tuple[bool, bool]] = {}  # -> begins a keyframe, ends a frame
        self._ask_ms: dict[int, int] = {}
        self._highest = self._next = -1

    def take(self, packet: bytes, now_ms: int) -> None:
        header = header_bytes(packet, len(packet))
        sequence, _, ssrc = read_header(packet, 2)
        if ssrc != self._ssrc:  # RTX (RFC 4588)
            sequence, header = struct.unpack_from("!H", packet, header)[0], header + 2
        begins = starts_vp8_keyframe(packet, header, len(packet))
        if self._next < 0:
            self._highest, self._next = sequence - 1, sequence
        for missing in range(self._highest + 1, sequence):
            self._ask_ms[missing] = now_ms
        self._highest = max(self._highest, sequence)
        self._ask_ms.pop(sequence, None)
        self._packets[sequence] = begins, bool(packet[1] & 0x80)
        self._decode(now_ms)

    def _decode(self, now_ms: int) -> None:
        keys = [s for s, (begins, _) in self._packets.items() if begins and s > self._next]
        for start in (self._next, *sorted(keys)):
            at = max(start, self._next)
            while at in self._packets:
                at += 1
                if self._packets[at - 1][1]:
                    self._next = at
                    self.decoded_ms.append(now_ms)
                    self._ask_ms = {s: ms for s, ms in self._ask_ms.items() if s >= at}

    def ask(self, now_ms: int, round_trip_ms: int) -> list[int]:
        due = [sequence for sequence, at_ms in self._ask_ms.items() if at_ms <= now_ms]
        self._ask_ms |= dict.fromkeys(due, now_ms + max(20, round_trip_ms))
        return due


class Call:
    """One camera, one browser, and what of the server is between them."""

    def __init__(self, seed: int) -> None:
        self.camera = Camera()
        self.down, self.up = Direction(seed), Direction(seed + 1)
        self.line = Subscription(self, VIDEO, "cname", 0)
        self.browser = Browser(self.line.stream.ssrc)
        self.now_ms = 0
        self._scratch = PacketBuffer()
        self._stood_still_ms = 0

    def send_rtp(self, packet: PacketBuffer, length: int) -> None:
        self.down.take(bytes(packet.view[:length]), self.now_ms / 1000)

    send_rtp_now = send_rtp

    def send_rtcp(self, data: bytes) -> None:
        """Reports do not matter here."""

    @property
    def round_trip_ms(self) -> int:
        """As both sides know it: some reports after the step, which is half a second."""
        return 400 if self.now_ms >= STEP_MS + 500 else 1

    def run(self) -> None:
        self.line.feed(self.camera.track, active=True)
        for self.now_ms in range(0, END_MS, LOOK_MS):
            stricken = self.now_ms >= STEP_MS
            self.down.impairment = self.up.impairment = STRICKEN if stricken else CLEAN
            if self.now_ms % FRAME_MS == 0:
                for packet in self.camera.frame(self.now_ms):
                    self._forward(packet)
            for packet in self.down.arrived(self.now_ms / 1000):
                self.browser.take(packet, self.now_ms)
            self._feed_back()
            if self.now_ms % 100 == 0:
                self.line.tick(self.now_ms, self.round_trip_ms)
                self.camera.request_keyframes(self.now_ms)

    def _forward(self, packet: bytes) -> None:
        length = len(packet)
        self._scratch.data[:length] = packet
        data, fields = self._scratch.data, read_header(packet, 2)
        if self.line.forwarder.forward(data, length, 12, fields, self.now_ms):
            self.send_rtp(self._scratch, length)

    def _feed_back(self) -> None:
        decoded_ms = self.browser.decoded_ms
        last_ms = max(self._stood_still_ms, decoded_ms[-1] if decoded_ms else 0)
        if self.now_ms - last_ms >= BROWSER_WAITS_MS:
            self._stood_still_ms = self.now_ms
            self.up.take(b"", self.now_ms / 1000)
        asked = self.browser.ask(self.now_ms, self.round_trip_ms)
        if asked:
            self.up.take(struct.pack(f"!{len(asked)}H", *asked), self.now_ms / 1000)
        for packet in self.up.arrived(self.now_ms / 1000):
            if packet:
                sequences = struct.unpack(f"!{len(packet) // 2}H", packet)
                is_calm = (
                    not 1_000 <= self.now_ms - STEP_MS < 3_500
                )  # `Relief` takes it for a queue
                self.line.resend(
                    sequences, self._scratch, self.now_ms, self.round_trip_ms, is_calm=is_calm
                )
            else:
                self.line.asked_for_keyframe(self.now_ms, self.round_trip_ms)
                self.camera.request_keyframes(self.now_ms)

    def longest_ms(self) -> int:
        """Between two pictures, from the step on."""
        seen = [STEP_MS, *(at for at in self.browser.decoded_ms if at >= STEP_MS), END_MS]
        return max(later - sooner for sooner, later in pairwise(seen))


@pytest.mark.parametrize("seed", range(2, 42, 2))
def test_a_picture_does_not_stand_still_for_long(seed: int) -> None:
    """Nor when what is lost at the step is asked for later than anybody expected."""
    call = Call(seed)
    call.run()
    assert call.longest_ms() <= LONGEST_MS
    pauses = [b - a for a, b in pairwise(call.camera.asked_ms)]
    assert all(pause >= KEYFRAME_INTERVAL_MS for pause in pauses)
