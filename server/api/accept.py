"""Which of several media types a client wants (RFC 9110 §12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_RANGES = 32
_WEIGHT = re.compile(r"q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)", re.ASCII | re.IGNORECASE)


def preferred(accept: str, offered: Sequence[str]) -> str:
    """The one of ``offered`` that the header ``Accept`` weighs most; of equals the first.

    Where it allows none of them it is the first too: a client that cannot use it will say so.
    """
    ranges = dict(_range(part) for part in accept.split(",")[:MAX_RANGES] if part.strip())
    if not ranges:
        return offered[0]
    return max(offered, key=lambda media: _weight(ranges, media))


def _range(part: str) -> tuple[str, float]:
    media, *parameters = (text.strip() for text in part.split(";"))
    weights = [float(found[1]) for text in parameters if (found := _WEIGHT.fullmatch(text))]
    return media.lower(), weights[0] if weights else 1.0


def _weight(ranges: dict[str, float], media: str) -> float:
    """By the most specific range that covers it."""
    kind = media.partition("/")[0]
    covering = (name for name in (media, f"{kind}/*", "*/*") if name in ranges)
    return ranges.get(next(covering, ""), 0.0)
