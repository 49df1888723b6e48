"""The versions of the price lists in SQL: add, look up, choose. They are never changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, RowMapping, and_, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.pricelist import Version, applying
from metering.tables import tariffs

_ORDER: Final = (tariffs.c.valid_from.desc(), tariffs.c.number.desc())


async def next_number(conn: AsyncConnection, organization_id: str) -> int:
    """Give the number of the organization's next version.

    You must hold a lock on the organization from here until the transaction ends; on SQLite a
    write transaction itself is one.
    """
    last = select(func.max(tariffs.c.number)).where(tariffs.c.organization_id == organization_id)
    return ((await conn.execute(last)).scalar() or 0) + 1


async def add(conn: AsyncConnection, version: Version) -> None:
    """Add a version within the caller's write transaction.

    Raises:
        IntegrityError: its number is taken: the lock was not held.
    """
    await conn.execute(insert(tariffs).values(_row(version)))


async def valid(
    conn: AsyncConnection, organization_id: str, physician_id: str | None, at_ms: int
) -> Version | None:
    """Give the version for a new consult, as `metering.pricelist.applying` chooses it."""
    found: list[RowMapping] = []
    for physician in {None, physician_id}:
        mine = _list(organization_id, physician) & (tariffs.c.valid_from <= at_ms)
        query = select(tariffs).where(mine).order_by(*_ORDER).limit(1)
        found += (await conn.execute(query)).mappings().all()
    return applying(map(_version, found), physician_id, at_ms)


async def find(conn: AsyncConnection, organization_id: str, version_id: str) -> Version | None:
    """Give a version by its id; None if this organization has no such version."""
    mine = and_(tariffs.c.organization_id == organization_id, tariffs.c.id == version_id)
    row = (await conn.execute(select(tariffs).where(mine))).mappings().one_or_none()
    return None if row is None else _version(row)


async def page(
    conn: AsyncConnection,
    organization_id: str,
    physician_id: str | None,
    after: int,
    limit: int,
) -> Sequence[Version]:
    """Give up to `limit` versions whose number is above `after`, ascending.

    Args:
        physician_id: Of this physician alone; None: all of the organization.
    """
    mine = and_(tariffs.c.organization_id == organization_id, tariffs.c.number > after)
    if physician_id is not None:
        mine &= tariffs.c.physician_id == physician_id
    query = select(tariffs).where(mine).order_by(tariffs.c.number).limit(limit)
    return [_version(row) for row in (await conn.execute(query)).mappings()]


async def in_force(conn: AsyncConnection, organization_id: str, at_ms: int) -> Collection[str]:
    """Give the ids of what is in force at `at_ms`, one for each list that has begun."""
    place = func.row_number().over(partition_by=tariffs.c.physician_id, order_by=_ORDER)
    begun = and_(tariffs.c.organization_id == organization_id, tariffs.c.valid_from <= at_ms)
    ranked = select(tariffs.c.id, place.label("place")).where(begun).subquery()
    query = select(ranked.c.id).where(ranked.c.place == 1)
    return frozenset((await conn.execute(query)).scalars())


def _list(organization_id: str, physician_id: str | None) -> ColumnElement[bool]:
    whose = tariffs.c.physician_id
    mine = whose.is_(None) if physician_id is None else whose == physician_id
    return and_(tariffs.c.organization_id == organization_id, mine)


def _row(version: Version) -> dict[str, Any]:
    return {
        "id": version.id,
        "organization_id": version.organization_id,
        "number": version.number,
        "physician_id": version.physician_id,
        "valid_from": version.valid_from_ms,
        "body": version.body,
        "digest": version.digest,
        "created_at": version.created_at_ms,
        "created_by": version.created_by,
    }


def _version(row: RowMapping) -> Version:
    return Version(
        id=row["id"],
        organization_id=row["organization_id"],
        number=row["number"],
        physician_id=row["physician_id"],
        valid_from_ms=row["valid_from"],
        body=row["body"],
        digest=row["digest"],
        created_at_ms=row["created_at"],
        created_by=row["created_by"],
    )
