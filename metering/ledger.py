"""The ledger: append, look up, verify, export.

A position is given inside the transaction that commits the record, under a lock that is held until
the commit. So positions become visible in their order and without a gap, and a puller that
remembers the last one it saw can miss nothing.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.chain import Head, Verification, canonical, chained, check
from metering.database import Database
from metering.errors import ChainBroken
from metering.tables import ledger_head, records

BATCH: Final = 1_000
"""How many records a verification or an export reads in one transaction."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A record in the ledger; `new` is False where it already was there."""

    seq: int
    hash: str
    record: Mapping[str, Any]
    new: bool


async def append(conn: AsyncConnection, record: Mapping[str, Any]) -> Appended:
    """Append a record within the caller's write transaction, once.

    A record whose `record_id` is already in the ledger is not appended and not changed: the answer
    is the one that is there. The lock on the ledger is held until the caller's transaction ends,
    so you should append last and commit at once. On SQLite the transaction itself is the lock.
    """
    locked = select(ledger_head.c.seq, ledger_head.c.hash).with_for_update()
    seq, last_hash = (await conn.execute(locked)).one()
    body = await find(conn, str(record["record_id"]))
    if body is not None:
        found = json.loads(body)
        return Appended(found["seq"], found["hash"], found, new=False)
    entry = chained(Head(seq, last_hash), record)
    row = {
        "seq": entry["seq"],
        "record_id": entry["record_id"],
        "consult_id": entry["consult_id"],
        "ended_at": entry["ended_at"],
        "hash": entry["hash"],
        "body": canonical(entry).decode(),
    }
    await conn.execute(insert(records).values(row))
    await conn.execute(update(ledger_head).values(seq=entry["seq"], hash=entry["hash"]))
    return Appended(entry["seq"], entry["hash"], entry, new=True)


async def head(conn: AsyncConnection) -> Head:
    """Give the last position and hash: everything up to it is settled and visible."""
    seq, last_hash = (await conn.execute(select(ledger_head.c.seq, ledger_head.c.hash))).one()
    return Head(seq, last_hash)


async def find(conn: AsyncConnection, record_id: str) -> str | None:
    """Give the canonical text of a record; None if there is none."""
    query = select(records.c.body).where(records.c.record_id == record_id)
    body: str | None = (await conn.execute(query)).scalar()
    return body


async def of_consult(conn: AsyncConnection, consult_id: str) -> Sequence[str]:
    """Give the canonical texts of a consult's records, ascending."""
    query = select(records.c.body).where(records.c.consult_id == consult_id)
    return (await conn.execute(query.order_by(records.c.seq))).scalars().all()


async def export(db: Database, after_seq: int = 0) -> AsyncIterator[str]:
    """Give the canonical text of every record behind `after_seq`, ascending, up to the head.

    It reads in batches, one short transaction each: nobody who writes waits for a slow reader.
    """
    while True:
        async with db.read() as conn:
            query = select(records.c.seq, records.c.body).where(records.c.seq > after_seq)
            rows = (await conn.execute(query.order_by(records.c.seq).limit(BATCH))).all()
        for seq, body in rows:
            yield body
            after_seq = seq
        if len(rows) < BATCH:
            return


async def verify_all(db: Database) -> Verification:
    """Recompute the whole chain and compare its end with the stored head.

    Stops at the first record that is broken. A head that was read first and is then missing from
    the records is a cut-off tail.
    """
    async with db.read() as conn:
        stored = await head(conn)
    reached = Head()
    try:
        async for body in export(db):
            reached = check(reached, body)
            if reached.seq == stored.seq and reached.hash != stored.hash:
                raise ChainBroken(reached.seq, "ledger_head", f"the head says {stored.hash}")
    except ChainBroken as broken:
        return Verification(reached, broken)
    if reached.seq < stored.seq:
        missing = f"the head says {stored.seq}: the tail is missing"
        return Verification(reached, ChainBroken(reached.seq + 1, "?", missing))
    return Verification(reached)
