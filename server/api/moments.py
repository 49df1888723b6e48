"""Days and times in queries of people: days begin in the clinic's time zone."""

from __future__ import annotations

import re
from datetime import date, tzinfo

from aiohttp import web

from metering.errors import RangeError
from metering.moments import moment_ms
from metering.record import rfc3339
from metering.statement import midnight
from server.api.queries import one
from server.problems import Problem

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_FIRST, _LAST = date(1971, 1, 1), date(9998, 1, 1)
SCHEMA = {
    "type": "string",
    "maxLength": 40,
    "description": "a day as in 2026-03-31, which begins in the clinic's time zone, or a time "
    "(RFC 3339) as in 2026-03-31T16:00:00Z",
}


def moment(request: web.Request, name: str, zone: tzinfo) -> str | None:
    """The time of a query's parameter, in UTC as records have it; None where it is not given.

    Raises:
        Problem: 422 where it is neither a day from 1971 to 9997 nor a time.
    """
    text = one(request, name)
    if text is None:
        return None
    if not _DAY.fullmatch(text):
        try:
            return rfc3339(moment_ms(name, text))
        except RangeError as error:
            raise Problem(422, "range_invalid", str(error)) from None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = _LAST
    if not _FIRST <= day < _LAST:
        raise Problem(422, "range_invalid", f"{name}: there is no such day, or no record of it")
    return midnight(day.year, day.month, day.day, zone)
