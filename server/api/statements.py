"""Statements of a month, for physicians and for the organization, as JSON and for spreadsheets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict

from metering import ledger, sums
from metering.errors import MonthInvalid
from metering.record import rfc3339
from metering.statement import ORGANIZATION, PHYSICIANS, Sheet, bounds, csv_text, statement
from server.api.accept import preferred
from server.api.operation import Answer, Operation, authorized, refusal
from server.api.queries import one
from server.api.search import people
from server.clock import wall_ms
from server.problems import Problem, json_response
from server.services import SERVICES

SCOPE: Final = "records"
SETTLING_MS: Final = 3_600_000
"""No transaction that settles something lasts so long."""


class Earned(BaseModel):
    """Sums of a physician. ``fee_fen`` is what the patient and the insurer pay for them; the
    platform's share and ``physician_fen``, the payout, add up to it.
    """

    voice_ms: int
    video_ms: int
    fee_fen: int
    platform_fen: int
    physician_fen: int


class EarnedAdjustments(Earned):
    """Adjustments made in the month, of whatever month they correct."""

    count: int


class EarnedTotal(Earned):
    """A currency's calls settled in the month, its adjustments apart, and both together."""

    currency: str
    calls: int
    adjustments: EarnedAdjustments
    net: Earned


class EarnedRow(EarnedTotal):
    """The same for one physician."""

    physician_id: str
    physician_name: str


class Billed(BaseModel):
    """Sums over records."""

    voice_s: int
    video_s: int
    charge_fen: int
    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int


class BilledAdjustments(Billed):
    """Adjustments made in the month, of whatever month they correct."""

    count: int


class BilledTotal(Billed):
    """A currency's calls settled in the month, its adjustments apart, and both together."""

    currency: str
    calls: int
    adjustments: BilledAdjustments
    net: Billed


class BilledRow(BilledTotal):
    """The same for one department and channel."""

    department: str
    channel: str


class _Month(BaseModel):
    """``from`` and ``to`` (not itself in it) are where the month begins and ends in ``timezone``;
    it is ``complete`` once nothing can be settled in it any more, an hour after its end at the
    latest, and then never changes.
    """

    model_config = ConfigDict(extra="allow")
    month: str
    timezone: str
    complete: bool


class PhysiciansStatement(_Month):
    """What each physician earned in a month."""

    data: list[EarnedRow]
    totals: list[EarnedTotal]


class OrganizationStatement(_Month):
    """What the organization billed in a month, by department and channel."""

    data: list[BilledRow]
    totals: list[BilledTotal]


async def physicians_statement(request: web.Request) -> web.Response:
    """What each physician earned in a month, for each currency; JSON, or CSV by ``Accept``."""
    return await _answer(request, PHYSICIANS, as_csv=_wants_csv(request))


async def physicians_statement_csv(request: web.Request) -> web.Response:
    """The same for a spreadsheet: amounts in the currency's units, UTF-8 with a byte order mark."""
    return await _answer(request, PHYSICIANS, as_csv=True)


async def organization_statement(request: web.Request) -> web.Response:
    """What was billed in a month by department and channel, and who pays it; JSON, or CSV by
    ``Accept``.
    """
    return await _answer(request, ORGANIZATION, as_csv=_wants_csv(request))


async def organization_statement_csv(request: web.Request) -> web.Response:
    """The same for a spreadsheet: amounts in the currency's units, UTF-8 with a byte order mark."""
    return await _answer(request, ORGANIZATION, as_csv=True)


def _wants_csv(request: web.Request) -> bool:
    offered = ("application/json", "text/csv")
    return preferred(request.headers.get("Accept", ""), offered) == "text/csv"


async def _answer(request: web.Request, sheet: Sheet, *, as_csv: bool) -> web.Response:
    caller = await authorized(request, SCOPE)
    settings, month = request.app[SERVICES].settings, one(request, "month") or ""
    try:
        from_at, to_at = bounds(month, settings.zone)
    except MonthInvalid as error:
        raise Problem(422, "month_invalid", str(error)) from None
    sum_up = sums.of_physicians if sheet is PHYSICIANS else sums.of_organization
    over = rfc3339(wall_ms() - SETTLING_MS) >= to_at
    async with request.app[SERVICES].storage.read() as conn:
        # the head first: on PostgreSQL each statement sees what was committed before it
        head = await ledger.head(conn, caller.organization_id)
        groups = await sum_up(conn, caller.organization_id, from_at, to_at)
        made = statement(sheet, groups)
        ids = sorted({row["physician_id"] for row in made.rows}) if sheet is PHYSICIANS else []
        known = await people(conn, caller.organization_id, ids)
    names = {one["id"]: one["name"] for one in known}
    if as_csv:
        kind = "physicians" if sheet is PHYSICIANS else "organization"
        return _csv(csv_text(made, month, names), f"{kind}-{month}.csv")
    rows: Sequence[dict[str, Any]] = made.rows
    if sheet is PHYSICIANS:
        rows = [{"physician_name": names[row["physician_id"]], **row} for row in rows]
    return json_response(
        {
            "month": month,
            "timezone": settings.timezone,
            "from": from_at,
            "to": to_at,
            "complete": over or head.settled_at >= to_at,
            "data": rows,
            "totals": made.totals,
        }
    )


def _csv(text: str, name: str) -> web.Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
    }
    return web.Response(text=text, content_type="text/csv", charset="utf-8", headers=headers)


def _rows(name: str, handlers: Sequence[Any], model: type[BaseModel]) -> list[Operation]:
    query = {
        "month": {
            "type": "string",
            "pattern": "^[0-9]{4}-(0[1-9]|1[0-2])$",
            "examples": ["2026-03"],
        }
    }
    wrong, path = (
        refusal("no such month", "month_invalid", "invalid_query"),
        f"/api/v1/statements/{name}",
    )
    both = Answer("the statement", {"application/json": model, "text/csv": None})
    alone = Answer("the statement", {"text/csv": None})
    return [
        Operation(
            "GET",
            one,
            handler,
            f"Statement: {name}{as_what}",
            {200: answer, 422: wrong},
            scope=SCOPE,
            query=query,
            required=frozenset({"month"}),
        )
        for one, handler, as_what, answer in (
            (path, handlers[0], "", both),
            (path + ".csv", handlers[1], " (CSV)", alone),
        )
    ]


OPERATIONS = (
    *_rows("physicians", (physicians_statement, physicians_statement_csv), PhysiciansStatement),
    *_rows(
        "organization", (organization_statement, organization_statement_csv), OrganizationStatement
    ),
)
