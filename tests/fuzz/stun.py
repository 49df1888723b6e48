"""STUN datagrams to one endpoint's ICE, from several addresses, over time and restarts."""

from __future__ import annotations

import binascii
import hmac
import struct
from collections.abc import Iterator

from media.ice import MAX_VALIDATED, IceCredentials, IceLite, username_ufrag
from media.stun import MAX_MESSAGE_BYTES, Address, parse_binding_request
from tests.fuzz.script import Step, read, write

RAW, SIGNED, RESTART, EXPIRE = range(4)
OURS = tuple(IceCredentials.generate(bytes([n]) * 24) for n in range(4))
THEIRS = "frag"
COOKIE = 0x2112A442


def target(data: bytes) -> None:
    """Whatever comes: no exception, no reply or address for what is not signed, 8 addresses."""
    ice, generation = IceLite(OURS[0], THEIRS), 0
    now_ms = 0
    for step in read(data):
        kind = step.what & 3
        now_ms += step.how >> 4 << 10
        if kind == RESTART:
            generation = (generation + 1) % len(OURS)
            ice.restart(OURS[generation], THEIRS)
        elif kind == EXPIRE:
            ice.expire(now_ms)
        else:
            _take(ice, step, kind, generation, now_ms)
        assert len(ice.validated) <= MAX_VALIDATED
        assert ice.selected is None or ice.selected in ice.validated


def _take(ice: IceLite, step: Step, kind: int, generation: int, now_ms: int) -> None:
    source: Address = ("udp", f"192.0.2.{step.how & 15}", 1024 + step.what)
    if step.how & 7 == 7:
        source = ("tcp", f"2001:db8::{step.how:x}", 1024 + step.what)
    datagram = step.data
    if kind == SIGNED:
        datagram = signed(step.data, OURS[generation])
    ufrag = username_ufrag(datagram)
    assert ufrag is None or ufrag.isascii()
    request = parse_binding_request(datagram)
    result = ice.handle(datagram, source, now_ms)
    if result.reply is not None or result.validated is not None:
        assert request is not None
        assert len(datagram) <= MAX_MESSAGE_BYTES
        assert _is_signed_by_any(datagram, request.integrity_at)
    if result.reply is not None:
        assert len(result.reply) % 4 == 0
        assert result.reply[8:20] == datagram[8:20]
        assert int.from_bytes(result.reply[2:4], "big") == len(result.reply) - 20


def _is_signed_by_any(datagram: bytes, at: int) -> bool:
    size = (at - 20 + 24).to_bytes(2, "big")
    signed_part = datagram[:2] + size + datagram[4:at]
    mac = datagram[at + 4 : at + 24]
    return any(hmac.digest(c.pwd.encode(), signed_part, "sha1") == mac for c in OURS)


def signed(attributes: bytes, ours: IceCredentials) -> bytes:
    """A check with these attributes behind a USERNAME of `ours`, with its MAC and CRC right."""
    body = _attribute(0x0006, f"{ours.ufrag}:{THEIRS}".encode()) + attributes
    body += bytes(-len(body) & 3)
    head = struct.pack("!HHI12s", 1, len(body) + 24 & 0xFFFF, COOKIE, b"transaction!")
    mac = hmac.digest(ours.pwd.encode(), head + body, "sha1")
    body += _attribute(0x0008, mac)
    head = struct.pack("!HHI12s", 1, len(body) + 8 & 0xFFFF, COOKIE, b"transaction!")
    crc = binascii.crc32(head + body) ^ 0x5354554E
    return head + body + _attribute(0x8028, struct.pack("!I", crc))


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) & 3)


def seeds() -> Iterator[bytes]:
    """Checks as browsers send them, with and without what is odd."""
    priority, controlling = _attribute(0x24, b"\x6e\x7f\x1e\xff"), _attribute(0x802A, bytes(8))
    nominate = _attribute(0x25, b"")
    network = _attribute(0xC057, b"\0\1\0\x0a")
    usual = priority + controlling + network
    yield write([Step(SIGNED, 1, usual), Step(SIGNED, 1, usual + nominate)])
    yield write([Step(SIGNED, n, usual + nominate) for n in range(1, 15)])
    yield write([Step(SIGNED, 1, usual + _attribute(0x8029, bytes(8)))])
    yield write([Step(SIGNED, 1, usual + _attribute(0x0019, b"\x11\0\0\0"))])
    yield write(
        [
            Step(SIGNED, 1, usual + nominate),
            Step(RESTART, 0, b""),
            Step(SIGNED, 2, usual + nominate),
            Step(EXPIRE, 0xF0, b""),
            Step(EXPIRE, 0xF0, b""),
            Step(EXPIRE, 0xF0, b""),
        ]
    )
    yield write([Step(RAW, 1, signed(usual, OURS[0])), Step(RAW, 1, signed(usual, OURS[1]))])
    yield write([Step(RAW, 1, signed(usual, OURS[0])[:-8])])
    yield write([Step(RAW, 1, struct.pack("!HHI12s", 0x0101, 0, COOKIE, bytes(12)))])
