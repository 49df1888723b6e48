"""A short clip that decodes, for a server that decodes: Opus and VP8, as packets' payloads."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from random import Random

import av
from aiortc.codecs.opus import OpusEncoder
from aiortc.codecs.vpx import Vp8Encoder, VpxPayloadDescriptor

from benchmarks.media.schedule import AUDIO, PACKETS_PER_FRAME

FRAMES = 48
WIDTH, HEIGHT = 640, 480
BITRATE_BPS = 700_000


@dataclass(frozen=True, slots=True)
class Clip:
    """Payloads that are repeated: each of audio, and of video four a picture."""

    audio: list[bytes]
    video: list[bytes]

    def piece(self, kind: int, number: int) -> bytes:
        """The payload of the `number`-th packet, for VP8 without its descriptor."""
        pieces = self.audio if kind == AUDIO else self.video
        return pieces[number % len(pieces)]


def encode() -> Clip:
    """Two seconds of a moving pattern and noise."""
    random = Random(1)
    opus, vp8 = OpusEncoder(), Vp8Encoder()
    vp8.target_bitrate = BITRATE_BPS
    audio: list[bytes] = []
    for number in range(100):
        frame = av.AudioFrame(format="s16", layout="stereo", samples=960)
        frame.planes[0].update(random.randbytes(960 * 4))
        frame.sample_rate, frame.pts, frame.time_base = 48_000, number * 960, Fraction(1, 48_000)
        audio += opus.encode(frame)[0]
    video: list[bytes] = []
    for number in range(FRAMES):
        picture = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for plane in picture.planes:
            plane.update(_pattern(plane.line_size, plane.height, number, random))
        picture.pts, picture.time_base = number * 3_600, Fraction(1, 90_000)
        payloads, _ = vp8.encode(picture, force_keyframe=number == 0)
        whole = b"".join(VpxPayloadDescriptor.parse(payload)[1] for payload in payloads)
        size = -(-len(whole) // PACKETS_PER_FRAME)
        video += [whole[at * size : (at + 1) * size] for at in range(PACKETS_PER_FRAME)]
    return Clip(audio, video)


def _pattern(width: int, height: int, number: int, random: Random) -> bytes:
    """A moving wave, with noise on all but the first picture, which would else be too large."""
    wave = bytes(128 + abs(x * 2 + number * 8 & 127) for x in range(width)) * height
    if number == 0:
        return wave
    return bytes(a ^ b >> 5 for a, b in zip(wave, random.randbytes(len(wave)), strict=True))
