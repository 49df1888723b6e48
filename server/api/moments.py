"""Days, months and times in queries: days and months begin in the clinic's time zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo

from aiohttp import web

from metering.record import rfc3339
from metering.statement import midnight
from server.problems import Problem

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})", re.ASCII
)
_FIRST, _LAST = datetime(1971, 1, 1, tzinfo=UTC), datetime(9998, 1, 1, tzinfo=UTC)
SCHEMA = {
    "type": "string",
    "maxLength": 40,
    "description": "a day as in 2026-03-31, which begins in the clinic's time zone, or a time "
    "(RFC 3339) as in 2026-03-31T16:00:00Z, from 1971 to 9997",
}


def moment(request: web.Request, name: str, zone: tzinfo) -> str | None:
    """The time of a query's parameter, in UTC as records have it; None where it is not given.

    Raises:
        Problem: 422 where it is neither a day nor a time.
    """
    text = request.query.get(name)
    if text is None:
        return None
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text)
            if _FIRST.date() <= day < _LAST.date():
                return midnight(day.year, day.month, day.day, zone)
        elif _TIME.fullmatch(text) and _FIRST <= (at := datetime.fromisoformat(text)) < _LAST:
            return rfc3339(round(at.timestamp() * 1000))
    except ValueError:
        pass
    detail = f"{name}: a day as in 2026-03-31, or a time as in 2026-03-31T16:00:00Z"
    raise Problem(422, "time_invalid", detail)
