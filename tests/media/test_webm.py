"""A real recording: what peers send through a real port, in a file that others can play."""

import contextlib
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import av
import pytest

from media import MediaPort, Room
from media.recorder import Begin, Recorder, Sample, Step, TrackPlan, Write
from media.webm import PartWriter, UnusableFile, finish, measure
from tests.media.peers import Listener, Peer
from tests.media.vp8_stream import payloads, pictures, tone

FRAMES, PACKETS = 50, 100
TRACKS = (TrackPlan("patient", "video", 320, 240), TrackPlan("patient", "audio"))


def decoded(path: Path) -> Counter[str]:
    """Every track decoded to the end."""
    found: Counter[str] = Counter()
    with av.open(str(path)) as container:
        for frame in container.decode():
            title = "audio" if isinstance(frame, av.AudioFrame) else "video"
            found[title] += 1
    return found


def samples(frames: int = FRAMES, packets: int = PACKETS) -> list[Sample]:
    video = [
        Sample(("patient", "video"), 5_000 + f.at_ms, f.data, f.is_keyframe)
        for f in pictures(320, 240, FRAMES)[:frames]
    ]
    audio = [Sample(("patient", "audio"), 5_000 + f.at_ms, f.data) for f in tone(PACKETS)[:packets]]
    return sorted([*video, *audio], key=lambda sample: sample.at_ms)


def test_a_part_holds_what_was_written_bit_by_bit(tmp_path: Path) -> None:
    """Nothing is decoded and encoded again on the way."""
    path = tmp_path / "part.webm"
    writer = PartWriter(path, TRACKS, 5_000)
    writer.write(samples())
    writer.sync()
    writer.close()
    assert path.stat().st_mode & 0o777 == 0o600
    with av.open(str(path)) as container:
        packets: dict[str, list[bytes]] = {"audio": [], "video": []}
        for packet in container.demux():
            if packet.size:
                packets[packet.stream.type].append(bytes(packet))
        titles = {stream.metadata["title"] for stream in container.streams}
    assert titles == {"patient video", "patient audio"}
    assert packets["video"] == [f.data for f in pictures(320, 240, FRAMES)]
    assert packets["audio"] == [f.data for f in tone(PACKETS)]
    assert decoded(path) == {"video": FRAMES, "audio": PACKETS}
    finished = measure(path)
    assert abs(finished.duration_ms - 2_000) <= 50
    assert finished.size_bytes == path.stat().st_size


WRITER = """
import os, signal, sys
from pathlib import Path
from media.webm import PartWriter
from tests.media.test_webm import TRACKS, samples
writer = PartWriter(Path(sys.argv[1]), TRACKS, 5_000)
writer.write(samples())
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_a_file_that_is_finished_as_far_as_it_got(tmp_path: Path) -> None:
    path = tmp_path / "part.webm"
    died = subprocess.run(
        [sys.executable, "-c", WRITER, str(path)], env={**os.environ}, timeout=60, check=False
    )
    assert died.returncode == -9
    with av.open(str(path)) as container:
        assert container.duration is None
    finish(path)
    finished = measure(path)
    assert finished.duration_ms >= 900  # of 2 s: the last second's cluster was not written yet
    found = decoded(path)
    assert found["video"] >= 22
    assert found["audio"] >= 45
    assert path.stat().st_mode & 0o777 == 0o600
    assert [item.name for item in tmp_path.iterdir()] == ["part.webm"]


@pytest.mark.parametrize("content", [b"", b"no film", bytes(5_000)])
def test_what_holds_nothing_is_said_to_be_unusable(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "part.webm"
    path.write_bytes(content)
    with pytest.raises(UnusableFile):
        finish(path)
    assert path.read_bytes() == content
    assert [item.name for item in tmp_path.iterdir()] == ["part.webm"]


def test_whatever_is_left_of_a_file_is_finished_or_said_to_be_unusable(tmp_path: Path) -> None:
    """A crash cuts it anywhere, a broken disk changes it: housekeeping must get past it."""
    whole, path = tmp_path / "whole.webm", tmp_path / "left.webm"
    writer = PartWriter(whole, TRACKS, 5_000)
    writer.write(samples())
    writer.close()
    data, chance = whole.read_bytes(), random.Random(5)
    for length in (*range(0, 600, 9), *range(600, len(data), len(data) // 20)):
        left = bytearray(data[:length])
        for _ in range(length % 4):
            left[chance.randrange(length)] = chance.randrange(256)
        path.write_bytes(left)
        with contextlib.suppress(UnusableFile):
            finish(path)
            assert measure(path).size_bytes == path.stat().st_size


def test_a_full_disk_is_an_error_of_the_system() -> None:
    def fill() -> None:
        writer = PartWriter(Path("/dev/full"), TRACKS, 5_000)
        try:
            for second in range(20):
                shifted = [replace(s, at_ms=s.at_ms + second * 2_000) for s in samples()]
                writer.write(shifted)
        finally:
            writer.close()

    with pytest.raises(OSError, match="space"):
        fill()


async def test_a_call_is_recorded_through_the_port(
    port: MediaPort, room: Room, listener: Listener, pair: tuple[Peer, Peer], tmp_path: Path
) -> None:
    """Both parties' sound and picture, in time with each other; nothing while it is held."""
    recorder = Recorder(lambda _who: True)
    room.deliver("video")
    patient, physician = pair
    for peer in pair:
        await peer.send("audio", b"early")
        await listener.wait("flow_started", peer.name, "audio")
        await peer.send("video", b"\x10early")
        await listener.wait("flow_started", peer.name, "video")
    room.record(recorder)
    frames, sounds = pictures(320, 240, FRAMES), tone(PACKETS)
    counts: Counter[tuple[str, str]] = Counter()
    steps: list[Step] = []

    async def call(first: int, last: int) -> None:
        for number in range(first, last):
            for peer in pair:
                frame = frames[number]
                for part in (parts := payloads(frame.data, number)):
                    await peer.send(
                        "video", part, timestamp=90 * frame.at_ms, marker=part is parts[-1]
                    )
                for sound in sounds[2 * number : 2 * number + 2]:
                    await peer.send("audio", sound.data, timestamp=48 * sound.at_ms)

    await call(0, 30)
    await patient.until(lambda: sum(p[1] & 0x7F == 111 for p in patient.rtp) >= 60)
    await physician.until(lambda: len(physician.rtp) >= 90)
    room.deliver(None)
    await call(30, 40)
    steps += recorder.take(port.now_ms())
    room.record(None)
    recorder.stop()
    steps += recorder.take(port.now_ms())
    path = tmp_path / "part.webm"
    begin = steps[0]
    assert isinstance(begin, Begin)
    assert len(begin.tracks) == 4
    writer = PartWriter(path, begin.tracks, begin.origin_ms)
    for step in steps:
        if isinstance(step, Write):
            writer.write(step.samples)
            counts.update(sample.key for sample in step.samples)
    writer.close()
    assert decoded(path) == {"video": 60, "audio": 120}
    assert set(counts.values()) == {30, 60}
