"""The feed of metered records that billing systems pull."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel

from metering import feed, ledger
from metering.errors import FeedError
from server.api.operation import Operation, authorized, has_form_of_id
from server.problems import Problem
from server.services import SERVICES

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000


class ModeSeconds(BaseModel):
    """Whole seconds of each mode, cut once for the whole consult."""

    voice: int
    video: int


class Split(BaseModel):
    """Who pays and who receives: insurer + patient = payable = platform + physician."""

    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int


class Net(BaseModel):
    """What holds after a correction."""

    mode_seconds: ModeSeconds
    billable_s: int
    charge_fen: int
    split: Split


class Record(BaseModel):
    """A closed, immutable metered entry (CDR). docs/metering.md explains every field, and how
    to recompute ``charge_fen`` and ``hash`` from the others. In an adjustment and a void the
    seconds and amounts are what it changes, and ``corrects``, ``reason``, ``actor`` and ``net``
    are there too.
    """

    model_config = {"extra": "allow"}
    record_id: str
    consult_id: str
    seq: int
    revision: int
    kind: Literal["original", "adjustment", "void"]
    mode_seconds: ModeSeconds
    billable_s: int
    charge_fen: int
    currency: str
    split: Split
    segments: list[dict[str, Any]]
    end_cause: str
    started_at: str
    ended_at: str
    prev_hash: str
    hash: str
    corrects: str | None = None
    reason: str | None = None
    actor: str | None = None
    net: Net | None = None


class RecordPage(BaseModel):
    """Ascending, without gaps. Who has pulled this page has everything through
    ``settled_through_seq``, where the chain stands at ``head_hash``.
    """

    data: list[Record]
    next_cursor: str
    has_more: bool
    settled_through_seq: int
    head_hash: str


async def list_records(request: web.Request) -> web.Response:
    """One page of the ledger, after ``cursor``: keep ``next_cursor`` and go on from it."""
    key = await authorized(request, "records")
    limit_text = request.query.get("limit", str(DEFAULT_LIMIT))
    if not limit_text.isascii() or not limit_text.isdigit() or len(limit_text) > 4:
        raise Problem(422, "invalid_limit", f"limit: 1 to {MAX_LIMIT}")
    limit = int(limit_text)
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(422, "invalid_limit", f"limit: 1 to {MAX_LIMIT}")
    async with request.app[SERVICES].storage.read() as conn:
        try:
            page = await feed.page(
                conn, key.organization_id, request.query.get("cursor") or None, limit
            )
        except FeedError as error:
            raise Problem(422, error.code, str(error)) from None
    return record_response(page.body())


async def read_record(request: web.Request) -> web.Response:
    """One record by its id."""
    key = await authorized(request, "records")
    record_id, body = request.match_info["record_id"], None
    if has_form_of_id(record_id):
        async with request.app[SERVICES].storage.read() as conn:
            body = await ledger.find(conn, key.organization_id, record_id)
    if body is None:
        raise Problem(404, "unknown_record", "there is no such record")
    return record_response(body)


def record_response(
    text: str, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})
) -> web.Response:
    """JSON as the ledger has it, byte for byte, that no cache keeps."""
    return web.Response(
        status=status,
        text=text,
        content_type="application/json",
        headers={"Cache-Control": "no-store", **headers},
    )


_PATH = "/api/v1/records"
OPERATIONS = (
    Operation(
        "GET",
        _PATH,
        list_records,
        "Pull records",
        {200: ("a page", RecordPage), 422: ("cursor or limit cannot be used", None)},
        scope="records",
        query={
            "cursor": {"type": "string", "maxLength": 200},
            "limit": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT},
        },
    ),
    Operation(
        "GET",
        _PATH + "/{record_id}",
        read_record,
        "One record",
        {200: ("the record", Record), 404: ("unknown", None)},
        scope="records",
    ),
)
