"""What is played to who is kept waiting: clean numbers, the right people, plain Opus."""

from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from media import MediaPort, Room
from media.hold import HoldMusic, duration_ms
from media.opus_file import UnusableMusic, read_packets, write_loop
from tests.media.peers import Listener, Peer
from tests.media.vp8_stream import tone


def numbers(packet: bytes) -> tuple[int, int]:
    """Sequence number and timestamp."""
    return int.from_bytes(packet[2:4], "big"), int.from_bytes(packet[4:8], "big")


def audio(peer: Peer) -> list[bytes]:
    return [p for p in peer.rtp if p[1] & 0x7F == peer.audio_type]


async def test_music_fills_the_hold_and_the_call_goes_on_behind_it(
    port: MediaPort, room: Room, listener: Listener, pair: tuple[Peer, Peer]
) -> None:
    """The receiver sees one stream: no number twice, none left out, time never back."""
    patient, physician = pair
    room.deliver("voice")
    for peer in pair:
        await peer.send("audio", b"early")
        await listener.wait("flow_started", peer.name, "audio")
    for number in range(3):
        await physician.send("audio", b"live", timestamp=960 * number)
    await patient.until(lambda: len(audio(patient)) >= 3)
    music = HoldMusic([b"\xf8" + bytes((n,)) for n in range(4)])
    room.play(music, port.now_ms())  # not while it is delivered
    room.deliver(None)
    for _ in range(6):
        music.advance()
        room.play(music, port.now_ms())
    await patient.until(lambda: len([p for p in audio(patient) if p[12:13] == b"\xf8"]) == 6)
    await physician.send("audio", b"unheard", timestamp=960 * 9)
    room.deliver("voice")
    await physician.send("audio", b"again", timestamp=960 * 10)
    await patient.until(lambda: audio(patient)[-1].endswith(b"again"))
    heard = [numbers(packet) for packet in audio(patient)]
    for (before, then), (after, now) in pairwise(heard):
        assert after == before + 1 & 0xFFFF
        assert 0 <= now - then & 0xFFFFFFFF < 48_000 * 10
    assert len({packet[8:12] for packet in audio(patient)}) == 1
    assert not [p for p in physician.rtp if p[12:13] == b"\xf8"]
    assert room.flow("patient").on["audio"]


@pytest.mark.parametrize("missed", [2, 0x7FFF, 0x8000, 0xA000, 0xFFFF])
async def test_who_did_not_hear_the_music_for_a_while_hears_it_go_on(
    port: MediaPort, room: Room, pair: tuple[Peer, Peer], missed: int
) -> None:
    """It counts on for others: no number may be left out, least of all come again."""
    music = HoldMusic([b"\xf8" + bytes((n,)) for n in range(4)])
    for advanced in (1, 1, missed, 1, 1):
        for _ in range(advanced):
            music.advance()
        room.play(music, port.now_ms())
    await pair[0].until(lambda: len(audio(pair[0])) == 5)
    heard = [numbers(packet)[0] for packet in audio(pair[0])]
    assert [after - before & 0xFFFF for before, after in pairwise(heard)] == [1] * 4


async def test_all_who_wait_hear_it_and_the_physician_does_not(
    port: MediaPort, room: Room, pair: tuple[Peer, Peer]
) -> None:
    guest = Peer("guest-1", variant=5)
    guest.side = "guest"
    await guest.join(room, port.port)
    music = HoldMusic([tone(1)[0].data])
    room.play(music, port.now_ms())
    for peer in (pair[0], guest):
        await peer.until(lambda peer=peer: audio(peer))
        assert audio(peer)[0].endswith(music.payload)
    assert pair[1].rtp == []
    await guest.close()


@given(st.binary(max_size=8))
def test_any_bytes_have_a_length_or_none(packet: bytes) -> None:
    assert 0 <= duration_ms(packet) <= 60 * 63


def test_the_length_of_a_packet_is_in_its_first_bytes() -> None:
    """RFC 6716 §3.1: configuration and number of frames."""
    assert duration_ms(tone(1)[0].data) == 20
    assert duration_ms(b"\x00") == 10
    assert duration_ms(b"\x18") == 60
    assert duration_ms(b"\x83\x03") == 7.5


def test_the_loop_that_is_made_can_be_played(tmp_path: Path) -> None:
    path = tmp_path / "hold-music.ogg"
    write_loop(path)
    packets = read_packets(path)
    assert len(packets) * 20 >= 11_000
    with av.open(str(path)) as container:
        loud = max(
            max(map(abs, memoryview(bytes(plane)).cast("f")), default=0)
            for frame in container.decode(audio=0)
            for plane in frame.planes
        )
    assert 0.02 < loud < 0.5
    assert [item.name for item in tmp_path.iterdir()] == ["hold-music.ogg"]


def test_the_music_has_no_end() -> None:
    music = HoldMusic([b"a", b"b"])
    heard = []
    for _ in range(70_000):
        heard.append(music.payload)
        music.advance()
    assert heard[:4] == [b"a", b"b", b"a", b"b"]
    assert music.sequence == 70_000 & 0xFFFF


@pytest.mark.parametrize("content", [None, b"", b"no music"])
def test_what_is_no_music_is_refused_in_words(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "music.ogg"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableMusic, match="cannot be read"):
        read_packets(path)


def test_packets_of_another_length_are_refused(tmp_path: Path) -> None:
    """They would play at the wrong speed."""
    path = tmp_path / "music.ogg"
    with av.open(str(path), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000, options={"frame_duration": "60"})
        frame = av.AudioFrame("s16", "stereo", 2_880)
        frame.sample_rate, frame.pts = 48_000, 0
        frame.planes[0].update(bytes(4 * 2_880))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(UnusableMusic, match="20 ms"):
        read_packets(path)
