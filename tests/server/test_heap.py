"""What is free in the C library's heap goes back to the system."""

import resource
from pathlib import Path

from server import heap

BLOCKS, BLOCK_BYTES = 20_000, 2_000


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_holes_below_what_lives_are_given_back() -> None:
    blocks = [bytearray(BLOCK_BYTES) for _ in range(BLOCKS)]
    above = blocks[-1]  # glibc itself gives back only what is free at the upper end
    full_bytes = resident_bytes()
    blocks.clear()
    heap.give_back()
    assert full_bytes - resident_bytes() > BLOCKS * BLOCK_BYTES // 2
    assert len(above) == BLOCK_BYTES
