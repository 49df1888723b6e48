"""A range of time as a range of positions, and what it sums up to.

`settled_at` never falls from one record to the next, so the records of a time are those between two
positions, found in an index. Sums are over columns, in the database: no record is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.chain import Head
from metering.columns import SPLIT
from metering.errors import RangeError
from metering.ledger import head as ledger_head_of
from metering.moments import moment_ms
from metering.record import rfc3339
from metering.tables import records

KINDS: Final = ("original", "adjustment", "void")
_AMOUNTS: Final = ("charge_fen", *SPLIT)


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open range of `settled_at`, RFC 3339 UTC with milliseconds; None has no bound."""

    from_at: str | None = None
    to_at: str | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """The positions of a period: behind `before`, up to `last`; `head` is the ledger's.

    All three were read at one moment. `complete`: no further record can come into the period.
    """

    period: Period
    before: Head
    last: Head
    head: Head

    @property
    def complete(self) -> bool:
        """A later record is there, and `settled_at` never falls."""
        return self.period.to_at is not None and self.head.settled_at >= self.period.to_at


def period(from_text: str | None, to_text: str | None) -> Period:
    """Read both ends of a period.

    Raises:
        RangeError: one is no moment, or the first is not before the second.
    """
    from_at = None if from_text is None else rfc3339(moment_ms("from", from_text))
    to_at = None if to_text is None else rfc3339(moment_ms("to", to_text))
    if from_at is not None and to_at is not None and from_at >= to_at:
        raise RangeError("from: must be before to")
    return Period(from_at, to_at)


async def span(conn: AsyncConnection, organization_id: str, of: Period) -> Span:
    """Find the positions of a period in an organization's ledger."""
    # the head first: on PostgreSQL each statement sees what was committed before it
    head = await ledger_head_of(conn, organization_id)
    before = Head()
    if of.from_at is not None:
        before = await _last_before(conn, organization_id, of.from_at, head)
    last = head
    if of.to_at is not None and of.to_at <= head.settled_at:
        last = await _last_before(conn, organization_id, of.to_at, head)
    return Span(of, before, last, head)


async def _last_before(conn: AsyncConnection, organization_id: str, at: str, head: Head) -> Head:
    mine = records.c.organization_id == organization_id
    earlier = mine & (records.c.settled_at < at) & (records.c.seq <= head.seq)
    columns = select(records.c.seq, records.c.hash, records.c.settled_at).where(earlier)
    latest_first = columns.order_by(records.c.settled_at.desc(), records.c.seq.desc())
    found = (await conn.execute(latest_first.limit(1))).one_or_none()
    return Head() if found is None else Head(*found)


async def summary(conn: AsyncConnection, organization_id: str, of: Span) -> dict[str, Any]:
    """Count and sum the records of a span, JSON-ready.

    Corrections carry what they change, so the sums are what holds of the span's records.
    """
    rows = await _sums(conn, organization_id, of)
    amounts: dict[str, dict[str, Any]] = {}
    for row in rows:
        of_one = amounts.setdefault(row["currency"], dict.fromkeys(_AMOUNTS, 0))
        for name in _AMOUNTS:
            of_one[name] += int(row[name])
    by_kind = dict.fromkeys(KINDS, 0)
    for row in rows:
        by_kind[row["kind"]] += row["count"]
    seconds = {name: sum(int(row[f"{name}_s"]) for row in rows) for name in ("voice", "video")}
    some = of.last.seq > of.before.seq
    return {
        "from": of.period.from_at,
        "to": of.period.to_at,
        "complete": of.complete,
        "count": sum(by_kind.values()),
        "by_kind": by_kind,
        "mode_seconds": seconds,
        "billable_s": sum(seconds.values()),
        "amounts": [{"currency": name, **amounts[name]} for name in sorted(amounts)],
        "first_seq": of.before.seq + 1 if some else None,
        "last_seq": of.last.seq if some else None,
        "prev_hash": of.before.hash,
        "last_hash": of.last.hash,
        "head": {"seq": of.head.seq, "hash": of.head.hash},
    }


async def _sums(conn: AsyncConnection, organization_id: str, of: Span) -> list[Any]:
    columns = [records.c[name] for name in ("voice_s", "video_s", *_AMOUNTS)]
    sums: list[ColumnElement[Any]] = [func.sum(one).label(one.name) for one in columns]
    query = (
        select(records.c.kind, records.c.currency, func.count().label("count"), *sums)
        .where(
            records.c.organization_id == organization_id,
            records.c.seq > of.before.seq,
            records.c.seq <= of.last.seq,
        )
        .group_by(records.c.kind, records.c.currency)
    )
    return list((await conn.execute(query)).mappings())
