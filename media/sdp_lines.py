"""An offer's text into its blocks: bounded before anything is split (RFC 8866 §5)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from media.errors import OfferRejected

MAX_OFFER_BYTES: Final = 64 * 1024
MAX_LINES: Final = 2_000
MAX_LINE_CHARS: Final = 4 * 1024
MAX_SECTIONS: Final = 16

DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")

_READ: Final = frozenset(
    {"bundle-only", "extmap", "fingerprint", "fmtp", "group", "ice-lite", "ice-pwd", "ice-ufrag"}
    | {"mid", "rtcp-fb", "rtcp-mux", "rtpmap", "setup", "ssrc", "ssrc-group", *DIRECTIONS}
)
_NUMBER: Final = re.compile(r"0|[1-9][0-9]{0,9}")  # one way to write each


@dataclass(slots=True)
class Block:
    """The session part (`media` is empty) or one m-section: the attributes we read, by name."""

    media: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether the attribute is there, with or without a value."""
        return name in self.attributes

    def all(self, name: str) -> Sequence[str]:
        """The values of the attribute, in order."""
        return self.attributes.get(name, ())

    def first(self, name: str) -> str | None:
        """The first value of the attribute."""
        values = self.attributes.get(name)
        return values[0] if values else None


def reject(reason: str, detail: str = "") -> NoReturn:
    """Refuse the offer. `detail` is our own text, never the peer's: it may be logged."""
    raise OfferRejected(reason, detail)


def number(text: str, maximum: int) -> int:
    """Decimal digits as a number of at most `maximum`; else the offer is malformed."""
    if not _NUMBER.fullmatch(text) or int(text) > maximum:
        reject("malformed", "a number out of range")
    return int(text)


def read_blocks(text: str) -> tuple[Block, list[Block]]:
    """The session part and the m-sections of an offer.

    Attributes that the answer does not depend on are skipped unread, candidates first of all.

    Raises:
        OfferRejected: offer_too_large, or malformed where a line has not the form type=value.
    """
    lines = _lines(text)
    if lines[0] != "v=0":
        reject("malformed", "does not begin with v=0")
    session = current = Block()
    sections: list[Block] = []
    for line in lines:
        if line[1:2] != "=":
            reject("malformed", "a line that is not type=value")
        if line[0] == "m":
            current = Block(media=line[2:])
            sections.append(current)
        elif line[0] == "a":
            name, _, value = line[2:].partition(":")
            if name in _READ:
                current.attributes.setdefault(name, []).append(value)
    return session, sections


def _lines(text: str) -> list[str]:
    if len(text) > MAX_OFFER_BYTES:
        reject("offer_too_large", f"over {MAX_OFFER_BYTES} bytes")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        reject("malformed", "not Unicode text")
    if size > MAX_OFFER_BYTES:
        reject("offer_too_large", f"over {MAX_OFFER_BYTES} bytes")
    if text.count("\n") > MAX_LINES:
        reject("offer_too_large", f"over {MAX_LINES} lines")
    if text.count("\nm=") > MAX_SECTIONS:
        reject("offer_too_large", f"over {MAX_SECTIONS} media sections")
    lines = text.removesuffix("\n").split("\n")
    if max(map(len, lines)) > MAX_LINE_CHARS:
        reject("offer_too_large", f"a line of over {MAX_LINE_CHARS} characters")
    return [line.removesuffix("\r") for line in lines]
