"""WebM files of recordings: written as packets come, finished after a crash. All of it blocks.

PyAV muxes and never decodes. Clusters are written out at least each second, so that a file whose
writer died is readable as far as it got; `finish` then makes a proper, seekable file of it.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import av.error
from av.audio import AudioStream
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from media.recorder import Sample, TrackPlan

_MS: Final = Fraction(1, 1000)
_OPTIONS: Final = {
    "cluster_time_limit": "1000",  # ms
    "flush_packets": "1",
    "max_interleave_delta": "1000000",  # us: a silent track holds the others no longer
}
_OPUS_FRAME_MS: Final = 20
_UNFINISHED: Final = ".unfinished"


class UnusableFile(Exception):
    """A file holds nothing that can be played."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A complete file."""

    size_bytes: int
    sha256: str
    duration_ms: int


class _File:
    """A file as PyAV writes to it; nobody else on the machine may read it."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)

    def write(self, data: bytes) -> int:
        """All of it; short writes go on.

        Raises:
            OSError: ENOSPC, EDQUOT or EIO, from the file system.
        """
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do: the muxer goes back once, to write durations and the index."""
        return os.lseek(self._fd, offset, whence)

    def tell(self) -> int:
        """The position."""
        return os.lseek(self._fd, 0, os.SEEK_CUR)

    def sync(self) -> None:
        """What was written survives a power cut."""
        os.fsync(self._fd)

    def close(self) -> None:
        """No more of it."""
        os.close(self._fd)


class PartWriter:
    """Writes one part. Use it from one thread at a time; `close` it, also after an error.

    Every method raises OSError when the disk does not take more, `av.error.FFmpegError` for what
    the muxer does not take. What is written until then can be finished. After `close` the file is
    closed in any case.
    """

    def __init__(self, path: Path, tracks: Sequence[TrackPlan], origin_ms: int) -> None:
        self._file = _File(path)
        self._origin_ms = origin_ms
        self._last_ms = dict.fromkeys(range(len(tracks)), -1)
        try:
            self._container = _open(self._file)
            self._streams = [_stream(self._container, track) for track in tracks]
            self._container.start_encoding()
        except BaseException:
            self._file.close()
            raise
        self._index = {(t.participant_id, t.role): i for i, t in enumerate(tracks)}

    def write(self, samples: Sequence[Sample]) -> None:
        """Add frames, in the order of each track."""
        for sample in samples:
            index = self._index[sample.key]
            stream = self._streams[index]
            at_ms = max(sample.at_ms - self._origin_ms, self._last_ms[index] + 1)
            self._last_ms[index] = at_ms
            packet = av.Packet(sample.data)
            packet.stream = stream
            packet.time_base = _MS
            packet.pts = packet.dts = at_ms
            packet.is_keyframe = sample.is_keyframe
            if stream.type == "audio":
                packet.duration = _OPUS_FRAME_MS
            self._container.mux_one(packet)

    def sync(self) -> None:
        """What was written survives a power cut."""
        self._file.sync()

    def close(self) -> None:
        """Write the index and the durations; the file can be played."""
        try:
            self._container.close()
            self._file.sync()
        finally:
            self._file.close()


def _open(file: _File) -> OutputContainer:
    # a file-like object of our own: PyAV asks for these methods only
    return av.open(file, "w", format="webm", options=dict(_OPTIONS))


def _stream(container: OutputContainer, track: TrackPlan) -> Stream:
    stream: Stream
    if track.role == "audio":
        # of the encoder only its OpusHead is used (RFC 7845 §5.1): pre-skip as WebRTC's own
        stream = container.add_stream("libopus", rate=48_000, layout="stereo")
        assert isinstance(stream, AudioStream)
    else:
        stream = container.add_mux_stream("vp8", width=track.width, height=track.height)
        stream.time_base = _MS
    stream.metadata["title"] = f"{track.participant_id} {track.role}"
    return stream


def finish(path: Path) -> None:
    """Make a proper file, in place, of one whose writer died.

    Raises:
        UnusableFile: nothing in it can be played; it is left as it is.
        OSError: the disk does not take it.
    """
    target = path.with_suffix(_UNFINISHED)
    try:
        _copy(path, target)
        target.replace(path)
    finally:
        target.unlink(missing_ok=True)


def _copy(path: Path, target: Path) -> None:
    """Remux all that can be read."""
    file, packets = _File(target), 0
    try:
        with _readable(path) as source, _open(file) as container:
            streams = {}
            for stream in source.streams:
                copy = streams[stream.index] = container.add_stream_from_template(stream)
                copy.metadata["title"] = stream.metadata.get("title", "")
            for packet in source.demux():
                if packet.dts is None:
                    continue
                packet.stream = streams[packet.stream.index]
                container.mux_one(packet)
                packets += 1
        file.sync()
    finally:
        file.close()
    if not packets:
        raise UnusableFile(path.name)


@contextmanager
def _readable(path: Path) -> Iterator[InputContainer]:
    """A file that may hold anything.

    Raises:
        UnusableFile: what it holds makes no sense.
        OSError: the disk does not give it, or does not take what is written meanwhile.
    """
    with path.open("rb") as file:  # our own, so that errors of the disk are told from others
        try:
            with av.open(file, "r") as container:
                yield container
        except (av.error.FFmpegError, ValueError) as error:
            raise UnusableFile(path.name) from error


def measure(path: Path) -> Finished:
    """Size, digest and length of a complete file.

    Raises:
        UnusableFile: it is none.
        OSError: the disk does not give it.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    with _readable(path) as container:
        duration_ms = (container.duration or 0) // 1000
    return Finished(path.stat().st_size, digest.hexdigest(), duration_ms)
