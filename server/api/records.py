"""The feed of metered records that billing systems pull."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, RootModel

from metering import cloudevents, feed, ledger
from metering.errors import FeedError
from server.api.accept import preferred
from server.api.operation import Answer, Operation, authorized, has_form_of_id
from server.api.queries import one
from server.problems import Problem
from server.services import SERVICES

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
EVENTS_A_TURN = 100
_PATH = "/api/v1/records"


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


class CloudEvent(BaseModel):
    """CloudEvents 1.0: ``source`` and ``id`` are the event's identity, ``data`` the record as the
    ledger has it.
    """

    specversion: Literal["1.0"]
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: Literal["application/json"]
    dataschema: str
    data: Record


class CloudEventBatch(RootModel[list[CloudEvent]]):
    """A page's records as events; the headers say what a page says beside them."""


async def list_records(request: web.Request) -> web.Response:
    """One page of the ledger, after ``cursor``: keep ``next_cursor`` and go on from it. With
    ``Accept: application/cloudevents-batch+json`` the records come as CloudEvents; the headers say
    the rest.
    """
    caller = await authorized(request, "records")
    limit_text = one(request, "limit")
    if limit_text is None:
        limit_text = str(DEFAULT_LIMIT)
    if not limit_text.isascii() or not limit_text.isdigit() or len(limit_text) > 4:
        raise Problem(422, "invalid_limit", f"limit: 1 to {MAX_LIMIT}")
    limit = int(limit_text)
    if not 1 <= limit <= MAX_LIMIT:
        raise Problem(422, "invalid_limit", f"limit: 1 to {MAX_LIMIT}")
    async with request.app[SERVICES].storage.read() as conn:
        try:
            page = await feed.page(
                conn, caller.organization_id, one(request, "cursor") or None, limit
            )
        except FeedError as error:
            raise Problem(422, error.code, str(error)) from None
    media = preferred(request.headers.get("Accept", ""), ("application/json", cloudevents.BATCH))
    if media != cloudevents.BATCH:
        return record_response(page.body(), headers=_page_headers(page, limit))
    events = []
    for start in range(0, len(page.data), EVENTS_A_TURN):
        events += [cloudevents.event(body) for body in page.data[start : start + EVENTS_A_TURN]]
        await asyncio.sleep(0)  # calls go before pages
    return record_response(
        cloudevents.batch(events), headers=_page_headers(page, limit), media=media
    )


def _page_headers(page: feed.Page, limit: int) -> dict[str, str]:
    link = f'<{_PATH}?cursor={page.next_cursor}&limit={limit}>; rel="next"'  # RFC 8288
    return {
        "Vary": "Accept",
        "Wenzhen-Next-Cursor": page.next_cursor,
        "Wenzhen-Settled-Through-Seq": str(page.settled_through_seq),
        "Wenzhen-Head-Hash": page.head_hash,
        **({"Link": link} if page.has_more else {}),
    }


async def read_record(request: web.Request) -> web.Response:
    """One record by its id; with ``Accept: application/cloudevents+json`` as a CloudEvent."""
    caller = await authorized(request, "records")
    record_id, body = request.match_info["record_id"], None
    if has_form_of_id(record_id):
        async with request.app[SERVICES].storage.read() as conn:
            body = await ledger.find(conn, caller.organization_id, record_id)
    if body is None:
        raise Problem(404, "unknown_record", "there is no such record")
    media = preferred(request.headers.get("Accept", ""), ("application/json", cloudevents.ONE))
    text = cloudevents.event(body) if media == cloudevents.ONE else body
    return record_response(text, headers={"Vary": "Accept"}, media=media)


def record_response(
    text: str,
    status: int = 200,
    headers: Mapping[str, str] = MappingProxyType({}),
    media: str = "application/json",
) -> web.Response:
    """JSON as the ledger has it, byte for byte, that no cache keeps."""
    return web.Response(
        status=status,
        text=text,
        content_type=media,
        headers={"Cache-Control": "no-store", **headers},
    )


OPERATIONS = (
    Operation(
        "GET",
        _PATH,
        list_records,
        "Pull records",
        {
            200: Answer(
                "a page",
                {"application/json": RecordPage, cloudevents.BATCH: CloudEventBatch},
                {
                    "Link": "the next page, where this one is full (rel=next)",
                    "Wenzhen-Next-Cursor": "next_cursor",
                    "Wenzhen-Settled-Through-Seq": "settled_through_seq",
                    "Wenzhen-Head-Hash": "head_hash",
                },
            ),
            422: ("cursor or limit cannot be used", None),
        },
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
        {
            200: Answer("the record", {"application/json": Record, cloudevents.ONE: CloudEvent}),
            404: ("unknown", None),
        },
        scope="records",
    ),
)
