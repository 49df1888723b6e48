"""Recordings of consults: which there are, and their files. Every access is in the audit log."""

from __future__ import annotations

from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy.exc import SQLAlchemyError

from server.api import session
from server.api.operation import (
    STAFF_COOKIE,
    Answer,
    Operation,
    authorized,
    has_form_of_id,
    refusal,
)
from server.clock import Clock
from server.problems import Problem, json_response
from server.services import SERVICES
from signaling import store
from signaling.case import rfc3339

SCOPE = "recordings"


class Consent(BaseModel):
    """Numbers of the consult's events that hold who proposed and who agreed, and when."""

    proposed_n: int
    agreed_n: int


class RecordingPart(BaseModel):
    """One file. A recording has several when somebody joined, a phone was turned or the server
    was restarted; ``part`` counts them. The file is there while ``state`` is ``finished`` or
    ``recovered`` (a crash cut it short).
    """

    id: str
    consult_id: str
    recording_id: str
    part: int
    state: Literal["recording", "finished", "recovered", "lost", "deleted"]
    started_at: str
    ended_at: str | None
    size_bytes: int | None
    sha256: str | None
    consent: Consent
    delete_after: str | None


class RecordingList(BaseModel):
    """All parts of a consult, in order."""

    data: list[RecordingPart]


async def list_recordings(request: web.Request) -> web.Response:
    """The recordings of a consult."""
    actor = await _may_read(request, request.match_info["consult_id"])
    services, consult_id = request.app[SERVICES], request.match_info["consult_id"]
    rows = await services.recordings.store.of_consult(consult_id)
    services.auditor.note(actor, "recordings_listed", consult_id)
    return json_response({"data": [_part(row) for row in rows]})


async def download_recording(request: web.Request) -> web.StreamResponse:
    """The file of one part (WebM), whole or by range. The audit entry is written first."""
    services, part_id = request.app[SERVICES], request.match_info["recording_id"]
    row = await services.recordings.store.find(part_id) if has_form_of_id(part_id) else None
    actor = await _may_read(request, row["consult_id"] if row is not None else "")
    assert row is not None, "a consult without id is nobody's"
    if row["state"] == "deleted":
        raise Problem(410, "recording_deleted", "this recording was deleted as it is due")
    path = services.recordings.store.path(row["file"])
    if row["state"] not in ("finished", "recovered") or not path.is_file():
        raise Problem(409, "recording_unfinished", "this recording has no complete file")
    try:
        await services.recordings.store.audited(actor, "recording_downloaded", row)
    except (SQLAlchemyError, OSError) as error:
        raise Problem(503, "audit_unavailable", "the access cannot be noted now") from error
    headers = {
        "Content-Type": "video/webm",
        "Content-Disposition": f'attachment; filename="{row["file"]}"',
        "Cache-Control": "no-store",
    }
    return web.FileResponse(path, headers=headers)


async def _may_read(request: web.Request, consult_id: str) -> str:
    """Who asks, for the audit log: a key or an administrator of the organization, or the physician
    of the consult.

    Raises:
        Problem: 401, 403, 429 as for every key; 404 for a consult of others, as for an unknown one.
    """
    services = request.app[SERVICES]
    cookies = dict(request.cookies)
    by_staff = STAFF_COOKIE.token_of(cookies) and not session.token_of(cookies)
    if "Authorization" in request.headers or by_staff:
        key = await authorized(request, SCOPE)
        actor, organization_id, physician_id = key.actor, key.organization_id, None
    else:
        physician = await session.current(request)
        actor, physician_id = f"physician:{physician.id}", physician.id
        organization_id = physician.organization_id
    case = None
    if has_form_of_id(consult_id):
        async with services.storage.read() as conn:
            case = await store.load(conn, consult_id, Clock())
    if (
        case is None
        or case.order.organization_id != organization_id
        or physician_id not in (None, case.core.physician_id)
    ):
        if case is not None:
            services.auditor.note(actor, "recording_refused", consult_id)
        raise Problem(404, "unknown_recording", "there is no such recording")
    return actor


def _part(row: Any) -> dict[str, object]:
    def at(name: str) -> str | None:
        return None if row[name] is None else rfc3339(row[name])

    plain = ("id", "consult_id", "recording_id", "part", "state", "size_bytes", "sha256")
    return {
        **{name: row[name] for name in plain},
        **{name: at(name) for name in ("started_at", "ended_at", "delete_after")},
        "consent": {"proposed_n": row["proposed_n"], "agreed_n": row["agreed_n"]},
    }


_NOBODY = refusal("neither a valid API key nor a session", "signed_out")
OPERATIONS = (
    Operation(
        "GET",
        "/api/v1/consults/{consult_id}/recordings",
        list_recordings,
        "Recordings of a consult",
        {
            200: ("its parts", RecordingList),
            401: _NOBODY,
            404: refusal("there is none, or it is of others", "unknown_recording"),
        },
        scope=SCOPE,
        resource="recordings",
    ),
    Operation(
        "GET",
        "/api/v1/recordings/{recording_id}/file",
        download_recording,
        "A recording's file",
        {
            200: Answer("the file", {"video/webm": None}),
            206: Answer("the range that was asked for", {"video/webm": None}),
            401: _NOBODY,
            404: refusal("there is none, or it is of others", "unknown_recording"),
            409: refusal("not complete yet, or lost", "recording_unfinished"),
            410: refusal("deleted after its time", "recording_deleted"),
            416: refusal("no such range", "http_error"),
            503: refusal("the access cannot be noted in the audit log", "audit_unavailable"),
        },
        scope=SCOPE,
    ),
)
