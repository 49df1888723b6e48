"""Moments as people and programs write them: RFC 3339 with any offset, to milliseconds. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from metering.errors import RangeError

_MOMENT: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt](\d\d:\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999


def moment_ms(name: str, text: str) -> int:
    """Read a moment as the first whole epoch millisecond that is not before it.

    So a range from one to another holds the same records whether or not it was written with more
    digits than records have. What lies before 1970 or after 9999 becomes their first or last.

    Args:
        name: Of the parameter, for the error.

    Raises:
        RangeError: the text has another form, or names no moment.
    """
    match = _MOMENT.fullmatch(text)
    if match is None:
        hint = "a time is written as 2026-01-31T00:00:00Z or, with + as %2B in a URL, +08:00"
        raise RangeError(f"{name}: {hint}")
    day, minute, second, fraction, offset = match.groups()
    leap = second == "60"  # RFC 3339 section 5.6
    zone = "+00:00" if offset in "Zz" else offset
    try:
        whole = datetime.fromisoformat(f"{day}T{minute}:{'59' if leap else second}{zone}")
    except ValueError:
        raise RangeError(f"{name}: there is no such time") from None
    passed_ms = (whole - _EPOCH) // timedelta(milliseconds=1) + 1000 * leap
    passed_ms -= -int((fraction or "0").ljust(9, "0")) // 1_000_000
    return min(max(passed_ms, 0), _LAST_MS)
