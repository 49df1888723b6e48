"""A range of records: its sums, and its download as CSV or NDJSON."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

import structlog
from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from metering import ranges
from metering.ranges import Span
from server import exports
from server.api.operation import Answer, Operation, authorized, refusal
from server.api.queries import PERIOD, flag, period
from server.api.record import ModeSeconds, Split
from server.exports import TooManyExports
from server.problems import Problem, json_response
from server.services import SERVICES

SCOPE: Final = "records"
log = structlog.get_logger()


class Kinds(BaseModel):
    """How many records there are of each kind."""

    original: int
    adjustment: int
    void: int


class Amounts(Split):
    """Sums in the minor unit of a currency."""

    currency: str
    charge_fen: int


class LedgerHead(BaseModel):
    """The last record of the ledger; 0 and 64 zeros where there is none."""

    seq: int
    hash: str


class RecordSummary(BaseModel):
    """What the records of a period come to. Corrections carry what they change, so every sum is
    what holds of them. ``prev_hash`` is the hash before the period's first record, ``last_hash``
    that of its last. ``complete``: no further record can come into the period.
    """

    model_config = ConfigDict(populate_by_name=True)
    from_: str | None = Field(alias="from")
    to: str | None
    complete: bool
    count: int
    by_kind: Kinds
    mode_seconds: ModeSeconds
    billable_s: int
    amounts: list[Amounts]
    first_seq: int | None
    last_seq: int | None
    prev_hash: str
    last_hash: str
    head: LedgerHead


async def summarize_records(request: web.Request) -> web.Response:
    """Sums over the records settled from ``from`` on, up to and without ``to``; without them from
    the first on, and up to the last.
    """
    caller, of = await authorized(request, SCOPE), period(request)
    async with request.app[SERVICES].storage.read() as conn:
        found = await ranges.span(conn, caller.organization_id, of)
        return json_response(await ranges.summary(conn, caller.organization_id, found))


async def export_csv(request: web.Request) -> web.StreamResponse:
    """The records of a period as CSV (RFC 4180, UTF-8); ``bom=true`` for spreadsheets that need a
    byte order mark. docs/metering.md explains the columns.
    """
    caller, bom = await authorized(request, SCOPE), flag(request, "bom")
    storage, organization_id = request.app[SERVICES].storage, caller.organization_id
    span = await _span(request, organization_id)
    rows = exports.csv(storage, organization_id, span, bom=bom)
    media = "text/csv; charset=utf-8; header=present"
    return await _stream(request, organization_id, _headers(span, "csv", media, bom=bom), rows)


async def export_ndjson(request: web.Request) -> web.StreamResponse:
    """The records of a period as the ledger has them, one JSON text to a line."""
    caller = await authorized(request, SCOPE)
    storage, organization_id = request.app[SERVICES].storage, caller.organization_id
    span = await _span(request, organization_id)
    rows = exports.ndjson(storage, organization_id, span)
    headers = _headers(span, "ndjson", "application/x-ndjson")
    return await _stream(request, organization_id, headers, rows)


async def _span(request: web.Request, organization_id: str) -> Span:
    of = period(request)
    async with request.app[SERVICES].storage.read() as conn:
        return await ranges.span(conn, organization_id, of)


def _headers(span: Span, ending: str, media: str, *, bom: bool = False) -> dict[str, str]:
    """The same range has the same bytes for ever, so its positions and last hash name them."""
    first, last = span.before.seq + 1, span.last.seq
    variant = f"{ending}-bom" if bom else ending
    return {
        "Content-Type": media,
        "Content-Disposition": f'attachment; filename="records-{first}-{last}.{ending}"',
        "ETag": f'"{variant}-{first}-{last}-{span.last.hash[:16]}"',
        "Cache-Control": "private, no-cache",
        "Wenzhen-Last-Seq": str(last),
        "Wenzhen-Last-Hash": span.last.hash,
    }


async def _stream(
    request: web.Request,
    organization_id: str,
    headers: Mapping[str, str],
    chunks: AsyncGenerator[bytes],
) -> web.StreamResponse:
    """Write as fast as the client reads. What fails on the way breaks the connection, so that
    nobody takes a part for the whole.
    """
    known = {tag.value for tag in request.if_none_match or ()}
    if known & {headers["ETag"].strip('"'), "*"}:
        return web.Response(status=304, headers={"ETag": headers["ETag"]})
    downloads = request.app[SERVICES].exports
    response, whole = web.StreamResponse(headers=headers), False
    try:
        with downloads.one_more(organization_id):
            await response.prepare(request)
            async with aclosing(chunks):
                async for chunk in chunks:
                    async with asyncio.timeout(downloads.stall_s):
                        await response.write(chunk)
            await response.write_eof()
            whole = True
    except TooManyExports:
        detail = f"at most {exports.AT_ONCE} downloads at once"
        raise Problem(429, "too_many_exports", detail, Retry_After="5") from None
    except (SQLAlchemyError, OSError, TimeoutError) as error:
        log.warning("export_cut", error=type(error).__name__)
    finally:
        if response.prepared and not whole and request.transport is not None:
            request.transport.abort()
    return response


_HEADERS: Final = {
    "ETag": "names these bytes: send it as If-None-Match",
    "Content-Disposition": "a name for the file, with its first and last position",
    "Wenzhen-Last-Seq": "position of the last record",
    "Wenzhen-Last-Hash": "hash of the last record",
}
_WRONG: Final = refusal(
    "a parameter cannot be used; the detail names it", "invalid_query", "range_invalid"
)
_ETAG: Final = {"If-None-Match": {"type": "string"}}


def _download(media: str) -> dict[int, tuple[str, None] | Answer]:
    return {
        200: Answer("the records, streamed", {media: None}, _HEADERS),
        304: ("as named by If-None-Match", None),
        422: _WRONG,
        429: refusal("too many requests or downloads at once; see Retry-After", "too_many_exports"),
    }


_PATH: Final = "/api/v1/records"
OPERATIONS = (
    Operation(
        "GET",
        _PATH + "/summary",
        summarize_records,
        "Sums over a period",
        {
            200: ("the sums", RecordSummary),
            422: _WRONG,
        },
        scope=SCOPE,
        query=PERIOD,
    ),
    Operation(
        "GET",
        _PATH + ".csv",
        export_csv,
        "Records as CSV",
        _download("text/csv"),
        scope=SCOPE,
        query=PERIOD | {"bom": {"type": "boolean"}},
        headers=_ETAG,
    ),
    Operation(
        "GET",
        _PATH + ".ndjson",
        export_ndjson,
        "Records as NDJSON",
        _download("application/x-ndjson"),
        scope=SCOPE,
        query=PERIOD,
        headers=_ETAG,
    ),
)
