"""Sums over a range of a ledger, made by the database from the columns beside the records.

`settled_at` never falls within a ledger, so a range of time is a range of positions: two steps into
an index find it, and only its rows are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, Subquery, and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.statement import ORGANIZATION, PHYSICIANS, Group, Sheet
from metering.tables import records, shares

_PUBLIC: Final = '"channel":"public_hospital"'
"""As the canonical text of a record has it, and no text within a record can: quotes are escaped."""

_KIND: Final = (records.c.currency, (records.c.kind == "original").label("original"))


async def positions(
    conn: AsyncConnection, organization_id: str, from_at: str, to_at: str
) -> tuple[int, int]:
    """Give the first and the last position settled from `from_at` on and before `to_at`.

    Times are UTC as records have them. Where there is none, the first is above the last.
    """
    within = and_(
        records.c.organization_id == organization_id,
        records.c.settled_at >= from_at,
        records.c.settled_at < to_at,
    )
    place = (records.c.settled_at, records.c.seq)
    first = select(records.c.seq).where(within).order_by(*place).limit(1)
    last = select(records.c.seq).where(within).order_by(*(c.desc() for c in place)).limit(1)
    found = (await conn.execute(first)).scalar()
    if found is None:
        return 1, 0
    return found, (await conn.execute(last)).scalar_one()


async def of_physicians(
    conn: AsyncConnection, organization_id: str, from_at: str, to_at: str
) -> Sequence[Group]:
    """Sum the shares of each physician in a range of time, for `metering.statement.PHYSICIANS`."""
    first, last = await positions(conn, organization_id, from_at, to_at)
    both = and_(
        records.c.organization_id == shares.c.organization_id, records.c.seq == shares.c.seq
    )
    kept = (
        select(shares.c.physician_id, *_KIND, *(shares.c[name] for name in PHYSICIANS.sources))
        .join_from(shares, records, both)
        .where(shares.c.organization_id == organization_id, shares.c.seq.between(first, last))
        .subquery()
    )
    return await _groups(conn, kept, PHYSICIANS)


async def of_organization(
    conn: AsyncConnection, organization_id: str, from_at: str, to_at: str
) -> Sequence[Group]:
    """Sum records by department and channel, for `metering.statement.ORGANIZATION`."""
    first, last = await positions(conn, organization_id, from_at, to_at)
    kept = (
        select(
            records.c.department,
            _channel(conn).label("channel"),
            *_KIND,
            *(records.c[name] for name in ORGANIZATION.sources),
        )
        .where(records.c.organization_id == organization_id, records.c.seq.between(first, last))
        .subquery()
    )
    return await _groups(conn, kept, ORGANIZATION)


def _channel(conn: AsyncConnection) -> ColumnElement[str]:
    find = func.strpos if conn.dialect.name == "postgresql" else func.instr
    return case((find(records.c.body, _PUBLIC) > 0, "public_hospital"), else_="third_party")


async def _groups(conn: AsyncConnection, kept: Subquery, sheet: Sheet) -> list[Group]:
    keys = [kept.c[name] for name in (*sheet.subject, "currency", "original")]
    sums = (func.sum(kept.c[name]) for name in sheet.sources)
    query = select(*keys, func.count(), *sums).group_by(*keys)
    subjects = len(sheet.subject)
    found = []
    for row in await conn.execute(query):
        currency, original, count, *values = row[subjects:]
        # PostgreSQL sums big integers to a numeric, which Python reads as a decimal
        amounts = dict(zip(sheet.sources, map(int, values), strict=True))
        found.append(Group(tuple(row[:subjects]), currency, bool(original), count, amounts))
    return found
