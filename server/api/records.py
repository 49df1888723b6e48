"""The feed of metered records that billing systems pull."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from aiohttp import web
from pydantic import BaseModel, RootModel

from metering import cloudevents, feed, ledger
from metering.errors import FeedError
from server.api.accept import preferred
from server.api.operation import Answer, Operation, authorized, has_form_of_id, refusal
from server.api.queries import one
from server.api.record import Record
from server.problems import Problem
from server.services import SERVICES

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
EVENTS_A_TURN = 100
_PATH = "/api/v1/records"


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
            422: refusal(
                "cursor or limit cannot be used",
                *("invalid_limit", "limit_invalid", "cursor_invalid", "invalid_query"),
            ),
        },
        scope="records",
        query={
            "cursor": {"type": "string", "maxLength": 200},
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
        _PATH + "/{record_id}",
        read_record,
        "One record",
        {
            200: Answer("the record", {"application/json": Record, cloudevents.ONE: CloudEvent}),
            404: refusal("there is no such record", "unknown_record"),
        },
        scope="records",
    ),
)
