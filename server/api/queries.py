"""What operations read of a query string, each parameter once."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from metering import ranges
from metering.errors import RangeError
from metering.ranges import Period
from server.problems import Problem

_MOMENT: Final = {"type": "string", "format": "date-time"}
PERIOD: Final[dict[str, Any]] = {"from": _MOMENT, "to": _MOMENT}
"""The parameters that `period` reads, as an operation describes them."""


def one(request: web.Request, name: str) -> str | None:
    """A parameter, None where it is missing.

    Raises:
        Problem: 422 where it is there twice: nobody could say which is meant.
    """
    given = request.query.getall(name, [])
    if len(given) > 1:
        raise Problem(422, "invalid_query", f"{name}: may be given once")
    return given[0] if given else None


def flag(request: web.Request, name: str) -> bool:
    """Whether a parameter is ``true``.

    Raises:
        Problem: 422 where it is neither ``true`` nor ``false``.
    """
    text = one(request, name)
    if text not in (None, "true", "false"):
        raise Problem(422, "invalid_query", f"{name}: true or false")
    return text == "true"


def whole(request: web.Request, name: str, most: int) -> int:
    """A whole number, 0 where the parameter is missing.

    Raises:
        Problem: 422 where it is none from 0 to ``most``.
    """
    text = one(request, name)
    if text is None:
        return 0
    if not text.isascii() or not text.isdigit() or len(text) > 18 or int(text) > most:
        raise Problem(422, "invalid_query", f"{name}: 0 to {most}")
    return int(text)


def period(request: web.Request) -> Period:
    """The period from ``from`` on, up to and without ``to``.

    Raises:
        Problem: 422 where one is no time, or the first is not before the second.
    """
    try:
        return ranges.period(one(request, "from"), one(request, "to"))
    except RangeError as error:
        raise Problem(422, "range_invalid", str(error)) from None
