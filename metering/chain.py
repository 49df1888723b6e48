"""The hash chain of the ledger, so that anyone can prove that no record was changed or left out.

    hash = SHA-256(prev_hash ‖ canonical)

`prev_hash` is the 64 lower-case hex digits of the predecessor's hash, as ASCII bytes (not the 32
raw bytes); the first record follows `GENESIS`, 64 zeros. `canonical` is the RFC 8785 form of the
record, UTF-8, without its member `hash` and with everything else, `seq` and `prev_hash` too.
`hash` is written in lower-case hex. With `jq` and `sha256sum`, for records as the feed gives them:

    (jq -j .prev_hash record.json; jq -jcS 'del(.hash)' record.json) | sha256sum

A chain alone cannot show that its tail was cut off: compare the head with one published elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
import rfc8785

from metering.errors import ChainBroken

GENESIS: Final = "0" * 64
_FAST: Final = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER | orjson.OPT_PASSTHROUGH_DATETIME
_FRACTION: Final = re.compile(rb"\.[0-9]+[,}\]]")
_EXPONENT: Final = re.compile(rb"e[+-]?[0-9]+[,}\]]")
_BEYOND_BMP: Final = tuple(bytes([first]) for first in range(0xF0, 0xF5))


@dataclass(frozen=True, slots=True)
class Head:
    """The last position, hash and time of a chain; `Head()` is that of an empty one."""

    seq: int = 0
    hash: str = GENESIS
    settled_at: str = ""


@dataclass(frozen=True, slots=True)
class Verification:
    """How far a chain holds: `head` is its last sound record, `broken` the first that is not."""

    head: Head
    broken: ChainBroken | None = None


def canonical(record: Mapping[str, Any]) -> bytes:
    """Give the RFC 8785 form, UTF-8; values are those that JSON has, no NaN.

    A record of integers and texts is written by orjson, fifty times as fast and byte for byte the
    same; all else by `rfc8785`.
    """
    try:
        written = orjson.dumps(record, option=_FAST)
    except TypeError:
        return rfc8785.dumps(dict(record))
    return rfc8785.dumps(dict(record)) if _unsure(written) else written


def _unsure(written: bytes) -> bool:
    """Whether orjson may have written this otherwise than RFC 8785 asks.

    That is fractions and, since names are sorted by UTF-16 there, characters beyond the Basic
    Multilingual Plane. It may be a text that looks like one of them, which then only takes longer.
    """
    return (
        _FRACTION.search(written) is not None
        or _EXPONENT.search(written) is not None
        or any(first in written for first in _BEYOND_BMP)
    )


def link(prev_hash: str, record_without_hash: Mapping[str, Any]) -> str:
    """Give the hash of a record that follows `prev_hash`; both in lower-case hex."""
    return _hashed(prev_hash, canonical(record_without_hash))


def _hashed(prev_hash: str, canonical_without_hash: bytes) -> str:
    return hashlib.sha256(prev_hash.encode("ascii") + canonical_without_hash).hexdigest()


def chained(head: Head, body: Mapping[str, Any], at: str) -> dict[str, Any]:
    """Give the record that follows `head`: `body` with `seq`, `settled_at` and its hashes.

    `settled_at` is `at` (RFC 3339 with milliseconds), or the head's where a clock ran backwards.
    """
    settled_at = max(at, head.settled_at)
    record = {**body, "seq": head.seq + 1, "settled_at": settled_at, "prev_hash": head.hash}
    return {**record, "hash": link(head.hash, record)}


def check(head: Head, record: Mapping[str, Any] | str) -> Head:
    """Check that a record follows `head`; give the new head.

    A text must also be canonical, byte for byte, as the ledger stores it and the feed serves it.

    Raises:
        ChainBroken: it does not; says which record, and why.
    """
    if isinstance(record, str):
        return check_text(head, parsed(head.seq + 1, record), record)
    return _check(head, record, None)


def check_text(head: Head, record: Mapping[str, Any], text: str) -> Head:
    """Check that a record, which `parsed` has read from `text`, follows `head`; as `check`."""
    return _check(head, record, text.encode())


def _check(head: Head, record: Mapping[str, Any], written: bytes | None) -> Head:
    """Check a record, of whose canonical form `written` is the bytes if they are at hand."""
    expected = head.seq + 1
    if record.get("seq") != expected:
        raise ChainBroken(expected, _name(record), f"its seq is {record.get('seq')}")
    if record.get("prev_hash") != head.hash:
        raise ChainBroken(expected, _name(record), "its prev_hash is not its predecessor's hash")
    settled_at = record.get("settled_at", head.settled_at)  # none before schema version 2
    if not isinstance(settled_at, str) or settled_at < head.settled_at:
        raise ChainBroken(expected, _name(record), "it was settled before its predecessor")
    rest = None if written is None else _without_hash(written, record)
    if rest is None:
        rest = canonical({name: value for name, value in record.items() if name != "hash"})
    if record.get("hash") != (found := _hashed(head.hash, rest)):
        raise ChainBroken(expected, _name(record), f"its content hashes to {found}")
    return Head(expected, found, settled_at)


def _without_hash(written: bytes, record: Mapping[str, Any]) -> bytes | None:
    """Give the canonical bytes without the member `hash`, which is not the last of a record.

    None where its text stands there more than once: then it must be written anew.
    """
    member = f'"hash":"{record.get("hash")}",'.encode()
    return written.replace(member, b"") if written.count(member) == 1 else None


def verify(records: Iterable[Mapping[str, Any] | str], head: Head | None = None) -> Verification:
    """Check records in ascending order, from the first on or from behind `head`.

    Stops at the first that is broken and names it.
    """
    reached = head or Head()
    for record in records:
        try:
            reached = check(reached, record)
        except ChainBroken as broken:
            return Verification(reached, broken)
    return Verification(reached)


def parsed(expected: int, text: str) -> dict[str, Any]:
    """Read the text of the record at position `expected`.

    Raises:
        ChainBroken: it is not JSON, or not canonical byte for byte.
    """
    try:
        found = orjson.loads(text)
        sound = isinstance(found, dict) and canonical(found) == text.encode()
    except (ValueError, RecursionError):
        raise ChainBroken(expected, "?", "its text is not JSON") from None
    if not sound:
        raise ChainBroken(expected, _name(found), "its text is not canonical")
    return dict(found)


def _name(record: object) -> str:
    return str(record.get("record_id", "?")) if isinstance(record, Mapping) else "?"
