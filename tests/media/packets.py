"""RTP packets for the tests of the pure core, built independently of it (RFC 3550 §5.1)."""

import struct

from hypothesis import strategies as st

KEYFRAME = b"\x10\x00\x00\x00" + bytes(20)
DELTA_FRAME = b"\x10\x01\x00\x00" + bytes(20)


def rtp(
    sequence: int,
    payload: bytes = b"x" * 20,
    timestamp: int = 0,
    ssrc: int = 1,
    payload_type: int = 96,
    elements: list[tuple[int, bytes]] | None = None,
    two_byte: bool = False,
    csrcs: int = 0,
) -> bytes:
    """A packet with extension elements in the one-byte or two-byte form (RFC 8285)."""
    block = b""
    for number, value in elements or []:
        if two_byte:
            block += bytes((number, len(value))) + value
        else:
            block += bytes((number << 4 | len(value) - 1,)) + value
    first = 0x80 | csrcs | (0x10 if elements is not None else 0)
    header = struct.pack("!BBHII", first, payload_type, sequence & 0xFFFF, timestamp, ssrc)
    header += bytes(4 * csrcs)
    if elements is not None:
        block += bytes(-len(block) % 4)
        header += struct.pack("!HH", 0x1000 if two_byte else 0xBEDE, len(block) // 4) + block
    return header + payload


def elements_of(packet: bytes) -> list[tuple[int, bytes]]:
    """Read the elements back, in either form."""
    if not packet[0] & 0x10:
        return []
    at = 12 + 4 * (packet[0] & 15)
    profile, words = struct.unpack_from("!HH", packet, at)
    block, found, position = packet[at + 4 : at + 4 + 4 * words], [], 0
    while position < len(block):
        if block[position] == 0:
            position += 1
            continue
        if profile == 0xBEDE:
            number, length, start = block[position] >> 4, (block[position] & 15) + 1, position + 1
        else:
            number, length, start = block[position], block[position + 1], position + 2
        found.append((number, block[start : start + length]))
        position = start + length
    return found


ELEMENTS = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=6)
