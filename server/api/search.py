"""Records for people: found by time, physician, department and mode, and how charges came about."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering import ledger
from metering.rating import rate
from metering.record import rfc3339
from metering.search import Search, Wanted
from metering.statement import midnight
from metering.tariff import make_tariff
from metering.terms import FAULTS, Mode
from server import tables
from server.api.moments import SCHEMA as MOMENT
from server.api.moments import moment
from server.api.operation import Operation, authorized, has_form_of_id, refusal
from server.api.queries import one
from server.api.record import Record
from server.clock import wall_ms
from server.problems import Problem, json_response
from server.services import SERVICES

SCOPE: Final = "records"
DEFAULT_LIMIT, MAX_LIMIT = 50, 200
_REFERENCE = re.compile(r"[A-Za-z0-9._:@/-]{1,128}", re.ASCII)
_LABEL = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{0,200}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


class FoundRecord(BaseModel):
    """What finds and sums a record. Amounts of a correction are what it changes."""

    seq: int
    record_id: str
    consult_id: str
    revision: int
    kind: str
    settled_at: str
    ended_at: str
    physician_id: str
    department: str
    voice_s: int
    video_s: int
    currency: str
    charge_fen: int
    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int


class FoundTotal(BaseModel):
    """Sums over all that was found in a currency."""

    currency: str
    calls: int
    records: int
    voice_s: int
    video_s: int
    charge_fen: int
    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int


class Person(BaseModel):
    """A physician; without a name where the clinic does not know one."""

    id: str
    name: str


class FoundRecords(BaseModel):
    """One page, newest first. ``totals`` are of all pages; they, and the physicians and
    departments of the time, come with the first page only. ``from`` and ``to`` as they were meant.
    """

    model_config = ConfigDict(extra="allow")
    data: list[FoundRecord]
    next_cursor: str | None
    totals: list[FoundTotal] | None
    physicians: list[Person] | None
    departments: list[str] | None


class Line(BaseModel):
    """A step of the arithmetic; ``text`` is English, the rest for programs."""

    step: str
    text: str
    mode: str | None = None
    seconds: int | None = None
    fen_60ths: int | None = None
    fen: int | None = None


class Explained(BaseModel):
    """A consult's records, the original first, and the arithmetic of the original's charge,
    computed anew. ``agrees``: it is what the record says.
    """

    records: list[Record]
    lines: list[Line]
    charge_fen: int
    agrees: bool
    physicians: list[Person]


async def search_records(request: web.Request) -> web.Response:
    """Records settled from ``from`` on and before ``to``, newest first; without them, those of
    this month. ``physician_id``: everybody who treated. ``cursor``: of the page before.
    """
    caller = await authorized(request, SCOPE)
    wanted = _wanted(request, caller.organization_id)
    limit = _number(request, "limit", MAX_LIMIT) or DEFAULT_LIMIT
    before = _number(request, "cursor", 10**18)
    answer: dict[str, Any] = {"from": wanted.from_at, "to": wanted.to_at}
    answer |= {"totals": None, "physicians": None, "departments": None}
    async with request.app[SERVICES].storage.read() as conn:
        search = await Search.begin(conn, wanted)
        found = await search.page(before, limit + 1)
        if before is None:
            answer["totals"] = await search.totals()
            physicians, answer["departments"] = await search.choices()
            answer["physicians"] = await people(conn, caller.organization_id, physicians)
    answer["data"] = found[:limit]
    answer["next_cursor"] = str(found[limit - 1]["seq"]) if len(found) > limit else None
    return json_response(answer)


async def explain_record(request: web.Request) -> web.Response:
    """The record's consult: all its records, and the original's charge computed anew, step by
    step.
    """
    caller = await authorized(request, SCOPE)
    record_id, mine = request.match_info["record_id"], caller.organization_id
    texts: Sequence[str] = ()
    async with request.app[SERVICES].storage.read() as conn:
        if has_form_of_id(record_id):
            consult_id = await ledger.consult_of(conn, mine, record_id)
            texts = await ledger.of_consult(conn, mine, consult_id) if consult_id else ()
        if not texts:
            raise Problem(404, "unknown_record", "there is no such record")
        records = [orjson.loads(text) for text in texts]
        named = {one["physician_id"] for record in records for one in _physicians(record)}
        physicians = await people(conn, mine, sorted(named))
    original = records[0]
    seconds = {mode: original["mode_seconds"][mode] for mode in Mode}
    charge = rate(
        make_tariff(original["tariff"]), seconds, fault_ended=original["end_cause"] in FAULTS
    )
    return json_response(
        {
            "records": records,
            "lines": [line.as_dict() for line in charge.lines],
            "charge_fen": charge.charge_fen,
            "agrees": charge.charge_fen == original["charge_fen"],
            "physicians": physicians,
        }
    )


def _physicians(record: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [record, *record["segments"], *record.get("shares", ())]


async def people(
    conn: AsyncConnection, organization_id: str, ids: Sequence[str]
) -> list[dict[str, str]]:
    """Ids of physicians with the names that the clinic knows them by."""
    p = tables.physicians.c
    query = select(p.id, p.name).where(p.organization_id == organization_id, p.id.in_(ids[:1000]))
    names = {row.id: row.name for row in await conn.execute(query)}
    return [{"id": one, "name": names.get(one, "")} for one in ids]


def _wanted(request: web.Request, organization_id: str) -> Wanted:
    zone = request.app[SERVICES].settings.zone
    now = datetime.fromtimestamp(wall_ms() / 1000, zone)
    from_at = moment(request, "from", zone) or midnight(now.year, now.month, 1, zone)
    mode = one(request, "mode")
    if mode is not None and mode not in list(Mode):
        raise Problem(422, "invalid_query", "mode: voice or video")
    return Wanted(
        organization_id,
        from_at,
        moment(request, "to", zone) or rfc3339(wall_ms() + 1),
        _text(request, "physician_id", _REFERENCE),
        _text(request, "department", _LABEL),
        None if mode is None else Mode(mode),
    )


def _text(request: web.Request, name: str, form: re.Pattern[str]) -> str | None:
    text = one(request, name)
    if text is not None and not form.fullmatch(text):
        raise Problem(422, "invalid_query", f"{name}: has characters that none has, or too many")
    return text


def _number(request: web.Request, name: str, most: int) -> int | None:
    text = one(request, name)
    if text is None:
        return None
    if not _NUMBER.fullmatch(text) or int(text) > most:
        raise Problem(422, "invalid_query", f"{name}: must be from 1 to {most}")
    return int(text)


_PATH = "/api/v1/records"
OPERATIONS = (
    Operation(
        "GET",
        _PATH + "/search",
        search_records,
        "Search records",
        {
            200: ("a page", FoundRecords),
            422: refusal("a parameter cannot be used", "invalid_query", "range_invalid"),
        },
        scope=SCOPE,
        query={
            "from": MOMENT,
            "to": MOMENT,
            "physician_id": {"type": "string", "minLength": 1, "maxLength": 128},
            "department": {"type": "string", "maxLength": 200},
            "mode": {"type": "string", "enum": ["voice", "video"]},
            "cursor": {"type": "string", "pattern": "^[1-9][0-9]{0,17}$"},
            "limit": {
                "type": "integer",
                "minimum": 1,
                "maximum": MAX_LIMIT,
                "default": DEFAULT_LIMIT,
            },
        },
    ),
    Operation(
        "GET",
        _PATH + "/{record_id}/explained",
        explain_record,
        "How a charge came about",
        {
            200: ("records and arithmetic", Explained),
            404: refusal("there is no such record", "unknown_record"),
        },
        scope=SCOPE,
    ),
)
