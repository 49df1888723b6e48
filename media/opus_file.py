"""Opus packets out of a file, and the loop that is played where none is given. All of it blocks."""

import array
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.error
from av.audio import AudioStream

from media.hold import MAX_PAYLOAD_BYTES, PACKET_MS, duration_ms

MAX_PACKETS: Final = 10 * 60 * 1000 // PACKET_MS
_RATE: Final = 24_000
_FRAME: Final = _RATE * PACKET_MS // 1000
_BEATS: Final = (  # Hz; a bell each, on a pentatonic scale, with rests
    392.00, 0, 523.25, 587.33, 0, 440.00, 392.00, 0, 329.63, 0, 392.00, 440.00, 0, 523.25, 0, 0,
)  # fmt: skip
_BEAT: Final = 38 * _FRAME  # 0.76 s
_LOUDNESS: Final = 3_500


class UnusableMusic(Exception):
    """The file holds no Opus in packets of 20 ms; the message says what is wrong."""


def read_packets(path: Path) -> list[bytes]:
    """The packets of an Ogg or WebM file.

    Raises:
        UnusableMusic: it cannot be read, or not be sent as it is.
    """
    try:
        with av.open(str(path)) as container:
            stream = next(iter(container.streams.audio), None)
            if stream is None or stream.codec_context.name != "opus":
                raise UnusableMusic("holds no Opus")
            packets = [bytes(packet) for packet in container.demux(stream) if packet.size]
    except (av.error.FFmpegError, OSError) as error:
        raise UnusableMusic(f"cannot be read: {error.strerror}") from error
    if not packets or len(packets) > MAX_PACKETS:
        raise UnusableMusic("holds nothing, or more than ten minutes")
    if any(duration_ms(packet) != PACKET_MS for packet in packets):
        raise UnusableMusic("is not in packets of 20 ms: ffmpeg -c:a libopus -frame_duration 20")
    if max(map(len, packets)) > MAX_PAYLOAD_BYTES:
        raise UnusableMusic("has too high a bitrate")
    return packets


def write_loop(path: Path) -> None:
    """Write the built-in music, twelve seconds of soft bells made here, as Ogg.

    Raises:
        OSError: the folder cannot be written.
    """
    new = path.with_suffix(".new")
    with av.open(str(new), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=_RATE, layout="mono")
        assert isinstance(stream, AudioStream)
        stream.bit_rate = 24_000
        for number, samples in enumerate(_frames()):
            frame = av.AudioFrame("s16", "mono", _FRAME)
            frame.sample_rate, frame.pts = _RATE, number * _FRAME
            frame.time_base = Fraction(1, _RATE)
            frame.planes[0].update(samples.tobytes())
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    new.replace(path)


def _frames() -> Iterator["array.array[int]"]:
    """Each bell swells softly and dies away within its beat, so that the loop has no seam."""
    bells = {hertz: _bell(hertz) for hertz in set(_BEATS)}
    for hertz in _BEATS:
        for start in range(0, _BEAT, _FRAME):
            yield bells[hertz][start : start + _FRAME]


def _bell(hertz: float) -> "array.array[int]":
    if not hertz:
        return array.array("h", bytes(2 * _BEAT))
    turn = math.tau * hertz / _RATE
    swell = (min(1.0, at / (0.02 * _RATE)) * (1 - at / _BEAT) ** 4 for at in range(_BEAT))
    tones = (math.sin(turn * at) + 0.3 * math.sin(2 * turn * at) for at in range(_BEAT))
    loud = (_LOUDNESS * level * tone for level, tone in zip(swell, tones, strict=True))
    return array.array("h", map(int, loud))
