"""VP8 and Opus as a browser sends them, for the tests of recording: frames into RTP payloads."""

import array
import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

import av


@dataclass(frozen=True)
class Encoded:
    """One frame of an encoder."""

    at_ms: int
    data: bytes
    is_keyframe: bool = True


def payloads(
    data: bytes, picture_id: int | None, size: int = 1_000, long_id: bool = True
) -> list[bytes]:
    """The payloads of one frame (RFC 7741 §4.2); the last is to have the marker."""
    out = []
    for at in range(0, len(data), size):
        first = 0x10 if at == 0 else 0x00
        if picture_id is None:
            head = bytes((first,))
        elif long_id:
            head = bytes((first | 0x80, 0x80, 0x80 | picture_id >> 8 & 0x7F, picture_id & 0xFF))
        else:
            head = bytes((first | 0x80, 0x80, picture_id & 0x7F))
        out.append(head + data[at : at + size])
    return out


@cache
def pictures(width: int, height: int, count: int, keyframes_every: int = 1_000) -> list[Encoded]:
    """So many real VP8 frames, 25 a second, that differ from each other."""
    codec = av.codec.CodecContext.create("libvpx", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.width, codec.height, codec.pix_fmt = width, height, "yuv420p"
    codec.time_base, codec.bit_rate = Fraction(1, 1000), 300_000
    codec.gop_size = keyframes_every
    codec.options = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    out = []
    for number in range(count):
        frame = av.VideoFrame(width, height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes((number * 7 % 256,)) * plane.buffer_size)
        frame.pts, frame.time_base = number * 40, Fraction(1, 1000)
        out += [Encoded(p.pts or 0, bytes(p), p.is_keyframe) for p in codec.encode(frame)]
    return out


@cache
def tone(count: int, hertz: int = 440) -> list[Encoded]:
    """So many real Opus packets of 20 ms."""
    codec = av.codec.CodecContext.create("libopus", "w")
    assert isinstance(codec, av.AudioCodecContext)
    codec.sample_rate, codec.layout, codec.format = 48_000, "stereo", "s16"  # type: ignore[assignment]
    out = []
    for number in range(count):
        frame = av.AudioFrame("s16", "stereo", 960)
        frame.sample_rate, frame.pts = 48_000, number * 960
        wave = (math.sin((number * 960 + i // 2) * math.tau * hertz / 48_000) for i in range(1920))
        frame.planes[0].update(array.array("h", [int(8_000 * level) for level in wave]).tobytes())
        out += [bytes(packet) for packet in codec.encode(frame)]
    return [Encoded(index * 20, data) for index, data in enumerate(out)]
