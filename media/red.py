"""Redundant audio (RFC 2198): each packet repeats the frame before it, so one lost is not heard.

A block of redundancy has a header of four bytes, the primary block one of a single byte:

    |F| block PT (7) | timestamp offset (14) | block length (10) |   F = 1
    |F| block PT (7) |                                               F = 0

All functions work in place on the first `length` bytes of a packet, and refuse with 0 what is not
well formed or holds another format than the sender's Opus.
"""

from typing import Final

from media.rtp import payload_bytes

MAX_BLOCKS: Final = 10
"""Frames in one packet. Browsers send two; an honest sender never comes near."""


def primary_start(data: bytearray, length: int, header: int, opus: int) -> int:
    """Where the newest frame of a RED packet starts; 0 if the packet is malformed.

    Args:
        header: The `header_bytes` of the packet.
        opus: The payload type that each block must have.
    """
    end = header + payload_bytes(data, length, header)
    at, redundant = header, 0
    for _ in range(MAX_BLOCKS):
        if at >= end or data[at] & 0x7F != opus:
            return 0
        if not data[at] & 0x80:
            start = at + 1 + redundant
            return start if start < end else 0
        if at + 4 > end:
            return 0
        redundant += (data[at + 2] & 0x03) << 8 | data[at + 3]
        at += 4
    return 0


def renumber(data: bytearray, header: int, opus: int) -> None:
    """Give every block of a well-formed RED packet the receiver's payload type of Opus."""
    at = header
    while data[at] & 0x80:
        data[at] = 0x80 | opus
        at += 4
    data[at] = opus


def strip(data: bytearray, length: int, header: int, primary: int) -> int:
    """Leave only the newest frame, which starts at `primary`. Returns the new length."""
    end = header + payload_bytes(data, length, header)
    size = end - primary
    data[header : header + size] = data[primary:end]
    data[0] &= ~0x20 & 0xFF  # no padding is left
    return header + size
