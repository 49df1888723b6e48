"""Redundant audio: read, renumbered and stripped without losing or inventing a frame."""

import struct

from hypothesis import given
from hypothesis import strategies as st

from media import red
from media.rtp import payload_bytes
from tests.media.packets import rtp
from tests.media.peers import red_payload

OPUS = 111
FRAMES = st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4)
PADDING = st.integers(0, 20)


def packet(frames: list[bytes], padding: int) -> bytearray:
    data = bytearray(rtp(7, red_payload(OPUS, frames), payload_type=63))
    if padding:
        data[0] |= 0x20
        data += bytes(padding - 1) + bytes((padding,))
    return data


@given(frames=FRAMES, padding=PADDING)
def test_the_newest_frame_is_what_is_left(frames: list[bytes], padding: int) -> None:
    """A receiver without the format must hear each frame once, at its own time."""
    data = packet(frames, padding)
    start = red.primary_start(data, len(data), 12, OPUS)
    length = red.strip(data, len(data), 12, start)
    assert data[12:length] == frames[-1]
    assert payload_bytes(data, length, 12) == len(frames[-1])


@given(frames=FRAMES, padding=PADDING, theirs=st.integers(96, 127))
def test_every_block_gets_the_receivers_number(
    frames: list[bytes], padding: int, theirs: int
) -> None:
    """One block that keeps the sender's number makes a browser drop the whole packet."""
    data = packet(frames, padding)
    expected = bytearray(rtp(7, red_payload(theirs, frames), payload_type=63))
    red.renumber(data, 12, theirs)
    assert data[12 : len(expected)] == expected[12:]


@given(frames=FRAMES, block=st.integers(0, 3), other=st.integers(0, 127).filter(lambda n: n != 111))
def test_a_block_of_another_format_is_refused(frames: list[bytes], block: int, other: int) -> None:
    data = packet(frames, 0)
    at = 12 + 4 * min(block, len(frames) - 1)
    data[at] = data[at] & 0x80 | other
    assert red.primary_start(data, len(data), 12, OPUS) == 0


@given(payload=st.binary(max_size=60), padded=st.booleans())
def test_no_payload_leads_out_of_the_packet(payload: bytes, padded: bool) -> None:
    data = bytearray(rtp(7, payload, payload_type=63))
    if padded:
        data[0] |= 0x20
    size = len(data)
    start = red.primary_start(data, size, 12, OPUS)
    if start:
        assert 12 < start < size
        red.renumber(data, 12, 96)
        assert len(data) == size
        assert 12 < red.strip(data, size, 12, start) < size


def test_too_many_blocks_are_refused() -> None:
    data = packet([b"x"] * (red.MAX_BLOCKS + 1), 0)
    assert red.primary_start(data, len(data), 12, OPUS) == 0
    data = packet([b"x"] * red.MAX_BLOCKS, 0)
    assert red.primary_start(data, len(data), 12, OPUS) == len(data) - 1


def test_a_block_longer_than_the_packet_is_refused() -> None:
    payload = struct.pack("!I", (0x80 | OPUS) << 24 | 500) + bytes((OPUS,)) + b"frame"
    data = bytearray(rtp(7, payload, payload_type=63))
    assert red.primary_start(data, len(data), 12, OPUS) == 0
