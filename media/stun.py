"""STUN Binding requests in, signed answers out (RFC 8489), as far as an ICE-lite agent needs it.

A server that only answers needs no transactions, no timers and none of the other methods, so a
message is read in one pass over at most 1,500 bytes and nothing but a Binding request is looked at.
"""

import binascii
import hmac
import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

Address = tuple[str, str, int]
"""A transport address of a peer: ("udp" or "tcp", host as text, port). Build it with `address`."""

MAX_MESSAGE_BYTES: Final = 1_500

_COOKIE: Final = 0x2112A442
_BINDING_REQUEST: Final = 0x0001
_BINDING_SUCCESS: Final = 0x0101
_BINDING_ERROR: Final = 0x0111

_USERNAME: Final = 0x0006
_MESSAGE_INTEGRITY: Final = 0x0008
_ERROR_CODE: Final = 0x0009
_UNKNOWN_ATTRIBUTES: Final = 0x000A
_MESSAGE_INTEGRITY_SHA256: Final = 0x001C
_XOR_MAPPED_ADDRESS: Final = 0x0020
_PRIORITY: Final = 0x0024
_USE_CANDIDATE: Final = 0x0025
_FINGERPRINT: Final = 0x8028
_ICE_CONTROLLED: Final = 0x8029

_UNDERSTOOD: Final = frozenset(
    {_USERNAME, _MESSAGE_INTEGRITY, _MESSAGE_INTEGRITY_SHA256, _PRIORITY, _USE_CANDIDATE}
)
_FIRST_OPTIONAL: Final = 0x8000  # RFC 8489 §14: types below must be understood
_FINGERPRINT_XOR: Final = 0x5354554E
_INTEGRITY_VALUE_BYTES: Final = 20
_HEADER: Final = struct.Struct("!HHI12s")
_ATTRIBUTE: Final = struct.Struct("!HH")
_UNSIGNED: Final = struct.Struct("!I")


_MAPPED: Final = "::ffff:"


def address(transport: str, host: str, port: int) -> Address:
    """The address of a peer as a socket names it.

    A socket for both families names an IPv4 peer "::ffff:192.0.2.7"; that is 192.0.2.7 here.
    """
    if host.startswith(_MAPPED) and "." in host:
        host = host[len(_MAPPED) :]
    return (transport, host, port)


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A well-formed Binding request whose FINGERPRINT holds; its sender is not yet proven.

    `integrity_at` is the offset of MESSAGE-INTEGRITY in the datagram. Attributes behind it are not
    in here, as nobody vouches for them (RFC 8489 §14.5). `unknown` holds the types that RFC 8489
    §6.3.1 wants answered with error 420.
    """

    transaction_id: bytes
    username: bytes
    use_candidate: bool
    claims_controlled: bool
    unknown: tuple[int, ...]
    integrity_at: int


def parse_binding_request(data: bytes) -> BindingRequest | None:
    """Read a Binding request; None for everything else, however malformed.

    USERNAME, MESSAGE-INTEGRITY and, as the last attribute, FINGERPRINT must be there
    (RFC 8445 §7.1, RFC 8489 §9.1.3). Of a repeated attribute the first counts (RFC 8489 §14).
    """
    transaction_id = _transaction_id(data)
    if transaction_id is None:
        return None
    attributes: dict[int, int] = {}
    username = b""
    integrity_at = 0
    position, end = _HEADER.size, len(data)
    while position < end:
        kind, length = _ATTRIBUTE.unpack_from(data, position)
        following = position + 4 + (length + 3 & ~3)
        if following > end:
            return None
        if kind == _FINGERPRINT:
            if following != end or length != 4 or not _fingerprint_holds(data, position):
                return None
            break
        if not integrity_at and kind not in attributes:
            attributes[kind] = length
            if kind == _USERNAME:
                username = bytes(data[position + 4 : position + 4 + length])
            elif kind == _MESSAGE_INTEGRITY:
                integrity_at = position
        position = following
    else:
        return None
    if not username or attributes.get(_MESSAGE_INTEGRITY) != _INTEGRITY_VALUE_BYTES:
        return None
    return BindingRequest(
        transaction_id=transaction_id,
        username=username,
        use_candidate=_USE_CANDIDATE in attributes,
        claims_controlled=_ICE_CONTROLLED in attributes,
        unknown=tuple(k for k in attributes if k < _FIRST_OPTIONAL and k not in _UNDERSTOOD),
        integrity_at=integrity_at,
    )


def integrity_holds(data: bytes, request: BindingRequest, key: bytes) -> bool:
    """Whether MESSAGE-INTEGRITY was made with `key`; compares in constant time (RFC 8489 §14.5)."""
    value_at = request.integrity_at + 4
    given = data[value_at : value_at + _INTEGRITY_VALUE_BYTES]
    return hmac.compare_digest(given, _integrity(data[: request.integrity_at], key))


def username_ufrag(data: bytes) -> str | None:
    """Our part of the USERNAME of a Binding request, without reading more than that.

    It names the endpoint that a datagram from an unknown source may be for; it proves nothing.
    None when `data` is no Binding request or has no USERNAME of the form "ours:theirs".
    """
    if _transaction_id(data) is None:
        return None
    position, end = _HEADER.size, len(data)
    while position < end:
        kind, length = _ATTRIBUTE.unpack_from(data, position)
        if kind == _USERNAME:
            ours, colon, _ = bytes(data[position + 4 : position + 4 + length]).partition(b":")
            return ours.decode("ascii") if ours and colon and ours.isascii() else None
        if kind == _MESSAGE_INTEGRITY:
            return None
        position += 4 + (length + 3 & ~3)
    return None


def success(request: BindingRequest, source: Address, key: bytes) -> bytes:
    """The answer to a proven request: XOR-MAPPED-ADDRESS, signed (RFC 8489 §14.2, RFC 8445 §7.3).

    Raises:
        ValueError: the host of `source` is no IP address.
    """
    mapped = _attribute(_XOR_MAPPED_ADDRESS, _xor_address(source, request.transaction_id))
    return _signed(_BINDING_SUCCESS, request.transaction_id, mapped, key)


def role_conflict(request: BindingRequest, key: bytes) -> bytes:
    """Error 487: the peer must take the controlling role (RFC 8445 §7.3.1.1)."""
    error = _attribute(_ERROR_CODE, b"\0\0\x04\x57Role Conflict")
    return _signed(_BINDING_ERROR, request.transaction_id, error, key)


def unknown_attribute(request: BindingRequest, key: bytes) -> bytes:
    """Error 420, naming what was not understood (RFC 8489 §6.3.1.1)."""
    error = _attribute(_ERROR_CODE, b"\0\0\x04\x14Unknown Attribute")
    kinds = b"".join(kind.to_bytes(2, "big") for kind in request.unknown)
    body = error + _attribute(_UNKNOWN_ATTRIBUTES, kinds)
    return _signed(_BINDING_ERROR, request.transaction_id, body, key)


def _transaction_id(data: bytes) -> bytes | None:
    """The transaction of a datagram whose header is one of a Binding request, else None.

    From here on every attribute header is inside `data`: the length is a multiple of four.
    """
    if not _HEADER.size <= len(data) <= MAX_MESSAGE_BYTES:
        return None
    kind, length, cookie, transaction_id = _HEADER.unpack_from(data)
    if kind != _BINDING_REQUEST or cookie != _COOKIE:
        return None
    if length & 3 or length != len(data) - _HEADER.size:
        return None
    return bytes(transaction_id)


def _fingerprint_holds(data: bytes, position: int) -> bool:
    """Whether the CRC at `position`, the last attribute, is that of all before it (§14.7)."""
    (given,) = _UNSIGNED.unpack_from(data, position + 4)
    return bool(given == binascii.crc32(data[:position]) ^ _FINGERPRINT_XOR)


def _integrity(before: bytes, key: bytes) -> bytes:
    """HMAC-SHA1 over what precedes the attribute, its length counting the attribute (§14.5)."""
    length = len(before) - _HEADER.size + 4 + _INTEGRITY_VALUE_BYTES
    return hmac.digest(key, before[:2] + length.to_bytes(2, "big") + before[4:], "sha1")


def _signed(kind: int, transaction_id: bytes, body: bytes, key: bytes) -> bytes:
    unsigned = _HEADER.pack(kind, len(body), _COOKIE, transaction_id) + body
    signature = _attribute(_MESSAGE_INTEGRITY, _integrity(unsigned, key))
    length = len(body) + len(signature) + 8
    message = _HEADER.pack(kind, length, _COOKIE, transaction_id) + body + signature
    crc = binascii.crc32(message) ^ _FINGERPRINT_XOR
    return message + _attribute(_FINGERPRINT, _UNSIGNED.pack(crc))


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) & 3)


def _xor_address(source: Address, transaction_id: bytes) -> bytes:
    """The value of XOR-MAPPED-ADDRESS; an IPv4 peer on a dual-stack socket is told its IPv4."""
    ip = ipaddress.ip_address(source[1])
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    pad = _UNSIGNED.pack(_COOKIE) + transaction_id
    octets = bytes(a ^ b for a, b in zip(ip.packed, pad, strict=False))
    family = 1 if ip.version == 4 else 2
    return struct.pack("!BBH", 0, family, source[2] ^ (_COOKIE >> 16)) + octets
