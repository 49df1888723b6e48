"""Pages of records for those who pull them: ascending, at least once, no gap ever.

A cursor is a position in this very ledger: it carries the hash that stands there, so a cursor of
another ledger, or of one that was set back to an older backup, is refused instead of skipping
records. A full page is always the same bytes for the same cursor and limit, because everything in
it, its watermark too, speaks of the records up to its last one. A page that is not full is the end
of the ledger for now; the same cursor later gives these records again, first, and then more.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.chain import GENESIS, Head
from metering.errors import FeedError
from metering.ledger import head as ledger_head_of
from metering.tables import records

MAX_LIMIT: Final = 1_000
_CURSOR: Final = re.compile(r"1:(0|[1-9][0-9]{0,17}):([0-9a-f]{16})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """One page. `data` are canonical texts of records, to be served as they are.

    `has_more` is True for every full page, even if the next one turns out to be empty.
    `settled_through_seq` and `head_hash` are the position and hash up to which whoever has pulled
    this page has everything. `ledger` is the head of the whole ledger when the page was read.
    """

    data: tuple[str, ...]
    next_cursor: str
    has_more: bool
    settled_through_seq: int
    head_hash: str
    ledger: Head

    def body(self) -> str:
        """Give the JSON text to serve; all of it but `ledger`, which changes with time."""
        rest = {
            "next_cursor": self.next_cursor,
            "has_more": self.has_more,
            "settled_through_seq": self.settled_through_seq,
            "head_hash": self.head_hash,
        }
        return "".join(('{"data":[', ",".join(self.data), "],", json.dumps(rest)[1:]))


async def page(
    conn: AsyncConnection, organization_id: str, cursor: str | None, limit: int = 100
) -> Page:
    """Give an organization's records behind `cursor`, from the first on if it is None.

    Raises:
        FeedError: `cursor_invalid` (not one of this ledger's), `limit_invalid` (not 1 to 1000).
    """
    if not 1 <= limit <= MAX_LIMIT:
        raise FeedError("limit_invalid", f"limit must be 1 to {MAX_LIMIT}")
    # the head first: on PostgreSQL each statement sees what was committed before it
    ledger = await ledger_head_of(conn, organization_id)
    start = Head() if cursor is None else await _located(conn, organization_id, cursor)
    mine = records.c.organization_id == organization_id
    behind = mine & (records.c.seq > start.seq) & (records.c.seq <= ledger.seq)
    query = select(records.c.seq, records.c.hash, records.c.body).where(behind)
    rows = (await conn.execute(query.order_by(records.c.seq).limit(limit))).all()
    reached = Head(rows[-1].seq, rows[-1].hash) if rows else start
    return Page(
        data=tuple(row.body for row in rows),
        next_cursor=_cursor(reached),
        has_more=len(rows) == limit,
        settled_through_seq=reached.seq,
        head_hash=reached.hash,
        ledger=ledger,
    )


def _cursor(position: Head) -> str:
    text = f"1:{position.seq}:{position.hash[:16]}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


async def _located(conn: AsyncConnection, organization_id: str, cursor: str) -> Head:
    """Find the position that a cursor stands for."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        text = base64.b64decode(padded, altchars=b"-_", validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        text = ""
    match = _CURSOR.fullmatch(text)
    if match is None:
        raise FeedError("cursor_invalid", "this is no cursor of this feed")
    seq = int(match[1])
    found: str | None = GENESIS
    if seq:
        mine = (records.c.organization_id == organization_id) & (records.c.seq == seq)
        query = select(records.c.hash).where(mine)
        found = (await conn.execute(query)).scalar()
    if found is None or found[:16] != match[2] or _cursor(Head(seq, found)) != cursor:
        raise FeedError("cursor_invalid", f"this ledger has no such position ({seq})")
    return Head(seq, found)
