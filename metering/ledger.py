"""The ledgers, one chain for each organization: append, look up, verify, export.

A position is given inside the transaction that commits the record, under a lock that is held until
the commit. So positions become visible in their order and without a gap, and a puller that
remembers the last one it saw can miss nothing. One chain for each organization, because whoever
pulls records must see all of a chain to prove it whole, and must see nobody else's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.chain import GENESIS, Head, canonical, chained
from metering.columns import columns_of, shares_of
from metering.database import Database
from metering.record import rfc3339
from metering.tables import ledgers, records, shares

BATCH: Final = 1_000
"""How many records an export reads in one transaction."""
_IDS_PER_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class Appended:
    """A record in the ledger; `new` is False where it already was there."""

    seq: int
    hash: str
    record: Mapping[str, Any]
    new: bool


async def append(conn: AsyncConnection, record: Mapping[str, Any], at_ms: int) -> Appended:
    """Append a record to the ledger of its organization within the caller's write transaction.

    As `append_all`, for one.

    Args:
        at_ms: When it is settled, wall time, epoch milliseconds.
    """
    (appended,) = await append_all(conn, [(record, at_ms)])
    return appended


async def append_all(
    conn: AsyncConnection, entries: Sequence[tuple[Mapping[str, Any], int]]
) -> list[Appended]:
    """Append records of one organization, in their order, within the caller's write transaction.

    A record whose `record_id` is already in the ledger is not appended and not changed: the answer
    is the one that is there. The lock on the ledger is held until the caller's transaction ends,
    so you should append last and commit at once. On SQLite the transaction itself is the lock.

    Args:
        entries: Each with the time at which it is settled, wall time, epoch milliseconds.
    """
    (organization_id,) = {str(entry["organization_id"]) for entry, _ in entries}
    reached = await lock(conn, organization_id)
    known = await _known(conn, [str(entry["record_id"]) for entry, _ in entries])
    appended, rows, parts = [], [], []
    for entry, at_ms in entries:
        record = known.get(str(entry["record_id"]))
        new = record is None
        if record is None:
            record = chained(reached, entry, rfc3339(at_ms))
            reached = Head(record["seq"], record["hash"], record["settled_at"])
            known[record["record_id"]] = record
            columns = columns_of(record, reached.settled_at)
            rows.append({**columns, "body": canonical(record).decode()})
            parts += shares_of(record, reached.settled_at)
        appended.append(Appended(record["seq"], record["hash"], record, new=new))
    if rows:
        await conn.execute(insert(records), rows)
        await conn.execute(insert(shares), parts)
        values = {"seq": reached.seq, "hash": reached.hash, "settled_at": reached.settled_at}
        mine = ledgers.c.organization_id == organization_id
        await conn.execute(update(ledgers).where(mine).values(values))
    return appended


async def lock(conn: AsyncConnection, organization_id: str) -> Head:
    """Hold a ledger until the transaction ends, so that nobody else appends; give its head."""
    query = _head_of(organization_id).with_for_update()
    found = (await conn.execute(query)).one_or_none()
    if found is None:
        new = {"organization_id": organization_id, "seq": 0, "hash": GENESIS, "settled_at": ""}
        start = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
        await conn.execute(start(ledgers).values(new).on_conflict_do_nothing())
        found = (await conn.execute(query)).one()
    return Head(*found)


async def head(conn: AsyncConnection, organization_id: str) -> Head:
    """Give the last position and hash: everything up to it is settled and visible."""
    found = (await conn.execute(_head_of(organization_id))).one_or_none()
    return Head() if found is None else Head(*found)


async def organizations(conn: AsyncConnection) -> Sequence[str]:
    """Give the organizations that have a ledger."""
    query = select(ledgers.c.organization_id).order_by(ledgers.c.organization_id)
    return (await conn.execute(query)).scalars().all()


async def find(conn: AsyncConnection, organization_id: str, record_id: str) -> str | None:
    """Give the canonical text of a record; None if this organization has no such record."""
    mine = (records.c.organization_id == organization_id) & (records.c.record_id == record_id)
    body: str | None = (await conn.execute(select(records.c.body).where(mine))).scalar()
    return body


async def consult_of(conn: AsyncConnection, organization_id: str, record_id: str) -> str | None:
    """Give the consult of a record; None if this organization has no such record."""
    mine = (records.c.organization_id == organization_id) & (records.c.record_id == record_id)
    found: str | None = (await conn.execute(select(records.c.consult_id).where(mine))).scalar()
    return found


async def of_consult(conn: AsyncConnection, organization_id: str, consult_id: str) -> Sequence[str]:
    """Give the canonical texts of a consult's records: the original, then its corrections."""
    mine = (records.c.organization_id == organization_id) & (records.c.consult_id == consult_id)
    query = select(records.c.body).where(mine).order_by(records.c.revision)
    return (await conn.execute(query)).scalars().all()


async def export(
    db: Database, organization_id: str, after_seq: int = 0, through_seq: int | None = None
) -> AsyncIterator[str]:
    """Give the canonical text of every record behind `after_seq`, ascending.

    Up to `through_seq`, else up to the head. It reads in batches, one short transaction each:
    nobody who writes waits for a slow reader.
    """
    columns = select(records.c.seq, records.c.body)
    while True:
        mine = (records.c.organization_id == organization_id) & (records.c.seq > after_seq)
        if through_seq is not None:
            mine &= records.c.seq <= through_seq
        async with db.read() as conn:
            query = columns.where(mine).order_by(records.c.seq).limit(BATCH)
            rows = (await conn.execute(query)).all()
        for seq, body in rows:
            yield body
            after_seq = seq
        if len(rows) < BATCH:
            return


def _head_of(organization_id: str) -> Any:
    columns = select(ledgers.c.seq, ledgers.c.hash, ledgers.c.settled_at)
    return columns.where(ledgers.c.organization_id == organization_id)


async def _known(conn: AsyncConnection, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    known: dict[str, dict[str, Any]] = {}
    for start in range(0, len(ids), _IDS_PER_QUERY):
        some = ids[start : start + _IDS_PER_QUERY]
        query = select(records.c.record_id, records.c.body).where(records.c.record_id.in_(some))
        known |= {row.record_id: orjson.loads(row.body) for row in await conn.execute(query)}
    return known
