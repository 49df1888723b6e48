"""What happened in a consult, and its records: for whoever has to explain a bill."""

from __future__ import annotations

import re
from typing import Any, Final

import orjson
from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering import ledger
from server.api.operation import Operation, authorized, has_form_of_id, refusal
from server.api.queries import whole
from server.api.record import Record
from server.api.records import record_response
from server.problems import Problem, json_response
from server.services import SERVICES
from signaling.case import rfc3339
from signaling.tables import consult_events, consults

MAX_EVENTS: Final = 1000
_MOST_N: Final = 2**31 - 1
TOLD: Final = frozenset(
    {
        *("mode", "accept", "proposal_id", "physician_id", "side", "away_ms"),
        *("recording_id", "terms_version", "reason", "guest_id", "role", "fen", "topped_up_fen"),
    }
)
"""Fields of events that are given out: ids, words of a list and numbers. Not names, not what the
physician advised; nor positions in the queue and times of a monotonic clock, which mean nothing."""
_WORD: Final = re.compile(r"[A-Za-z0-9._:@/-]{1,128}", re.ASCII)


class ConsultEvent(BaseModel):
    """``n`` counts a consult's events. ``by``: patient,
    physician, guest, server or clinic. ``data`` holds ids, words and numbers of this kind of event.
    """

    n: int
    kind: str
    at: str
    by: str
    data: dict[str, str | int | bool]


class ConsultHistory(BaseModel):
    """Ascending. ``has_more``: go on with ``after`` set to the last ``n``."""

    data: list[ConsultEvent]
    has_more: bool


class ConsultRecords(BaseModel):
    """The original, then its corrections; empty before the consult is settled."""

    data: list[Record]


async def list_events(request: web.Request) -> web.Response:
    """What happened when in a consult, at most a thousand events behind number ``after``."""
    caller = await authorized(request, "consults", "records")
    after, consult_id = whole(request, "after", _MOST_N), request.match_info["consult_id"]
    async with request.app[SERVICES].storage.read() as conn:
        if not await _is_theirs(conn, caller.organization_id, consult_id):
            raise Problem(404, "unknown_consult", "there is no such consult")
        query = (
            select(consult_events)
            .where(consult_events.c.consult_id == consult_id, consult_events.c.n > after)
            .order_by(consult_events.c.n)
            .limit(MAX_EVENTS + 1)
        )
        rows = (await conn.execute(query)).mappings().all()
    found = [
        {
            "n": row["n"],
            "kind": row["kind"],
            "at": rfc3339(row["at"]),
            "by": row["by"],
            "data": told(orjson.loads(row["data"])),
        }
        for row in rows[:MAX_EVENTS]
    ]
    return json_response({"data": found, "has_more": len(rows) > MAX_EVENTS})


async def list_consult_records(request: web.Request) -> web.Response:
    """All records of a consult: the original, then its corrections."""
    caller = await authorized(request, "records")
    consult_id, organization_id = request.match_info["consult_id"], caller.organization_id
    texts: list[str] = []
    async with request.app[SERVICES].storage.read() as conn:
        if has_form_of_id(consult_id):
            texts = list(await ledger.of_consult(conn, organization_id, consult_id))
        if not texts and not await _is_theirs(conn, organization_id, consult_id):
            raise Problem(404, "unknown_consult", "there is no such consult")
    return record_response(f'{{"data":[{",".join(texts)}]}}')


def told(data: dict[str, Any]) -> dict[str, str | int | bool]:
    """What of an event's fields is given out: known names, and forms that no sentence has."""
    return {
        name: value
        for name, value in data.items()
        if name in TOLD
        and (isinstance(value, int) or (isinstance(value, str) and _WORD.fullmatch(value)))
    }


async def _is_theirs(conn: AsyncConnection, organization_id: str, consult_id: str) -> bool:
    if not has_form_of_id(consult_id):
        return False
    query = select(consults.c.organization_id).where(consults.c.id == consult_id)
    return (await conn.execute(query)).scalar() == organization_id


_PATH: Final = "/api/v1/consults/{consult_id}"
OPERATIONS = (
    Operation(
        "GET",
        _PATH + "/events",
        list_events,
        "What happened in a consult",
        {
            200: ("its events", ConsultHistory),
            404: refusal("there is no such consult", "unknown_consult"),
            422: refusal("after is no number", "invalid_query"),
        },
        scope=("consults", "records"),
        query={"after": {"type": "integer", "minimum": 0, "maximum": _MOST_N}},
    ),
    Operation(
        "GET",
        _PATH + "/records",
        list_consult_records,
        "The records of a consult",
        {
            200: ("its records", ConsultRecords),
            404: refusal("there is no such consult", "unknown_consult"),
        },
        scope="records",
    ),
)
