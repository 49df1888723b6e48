"""Verifying a stored ledger: its chain, its columns, its shares and its head.

Whoever owns the database can remove its triggers and change a row, but cannot find another text
with the same hash. The columns beside the text are not in the chain, so each is compared with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.chain import Head, Verification, check, check_text, parsed
from metering.columns import columns_of, shares_of
from metering.database import Database
from metering.errors import ChainBroken
from metering.ledger import head, organizations
from metering.proof import wrong
from metering.tables import records, shares

BATCH: Final = 1_000
SHARED: Final = "shared"
"""The ledger of nobody: a chain of schema version 1 with the records of several organizations."""
_NAMES: Final = tuple(column.name for column in records.c if column.name != "body")
_IN_ORDER: Final = itemgetter(*_NAMES)
_SETTLED_AT: Final = _NAMES.index("settled_at")
_SEQ: Final = _NAMES.index("seq")
_SHARE_NAMES: Final = tuple(column.name for column in shares.c)


async def verify_all(db: Database, *, charges: bool = False) -> dict[str, Verification]:
    """Verify every organization's ledger; see `verify_ledger`."""
    async with db.read() as conn:
        found = await organizations(conn)
    return {one: await verify_ledger(db, one, charges=charges) for one in found}


async def verify_ledger(
    db: Database, organization_id: str, *, charges: bool = False
) -> Verification:
    """Recompute a chain, compare every row with its text, and the end with the stored head.

    With `charges` also what each record asks for (`metering.proof`).

    Stops at the first record that is broken. It reads in batches, so nobody who writes waits. A
    head that was read first and is then missing from the records is a cut-off tail.
    """
    async with db.read() as conn:
        stored = await head(conn, organization_id)
    reached = Head()
    try:
        while rows := await _batch(db, organization_id, reached.seq):
            for row, parts in rows:
                reached = _checked(organization_id, reached, row, parts)
                if charges:
                    _recomputed(reached.seq, parsed(reached.seq, row[-1]))
                if reached.seq == stored.seq and reached != stored:
                    raise ChainBroken(reached.seq, "its ledger", f"the head says {stored.hash}")
            if len(rows) < BATCH:
                break
        if reached.seq < stored.seq:
            missing = f"the head says {stored.seq}: the tail is missing"
            raise ChainBroken(reached.seq + 1, "?", missing)
    except ChainBroken as broken:
        return Verification(reached, broken)
    return Verification(reached)


Row = Sequence[Any]
"""The columns of a record in the order of `_NAMES`, then its text."""


async def _batch(
    db: Database, organization_id: str, after_seq: int
) -> list[tuple[Row, list[tuple[Any, ...]]]]:
    """Read the next rows, each with its shares, of one state of the database."""
    async with db.read() as conn:
        behind = (records.c.organization_id == organization_id) & (records.c.seq > after_seq)
        query = select(*(records.c[name] for name in _NAMES), records.c.body).where(behind)
        rows = (await conn.execute(query.order_by(records.c.seq).limit(BATCH))).all()
        if not rows:
            return []
        parts = await _shares(conn, organization_id, after_seq, rows[-1][_SEQ])
    return [(row, sorted(parts.get(row[_SEQ], []))) for row in rows]


async def _shares(
    conn: AsyncConnection, organization_id: str, after_seq: int, through_seq: int
) -> dict[int, list[tuple[Any, ...]]]:
    found: dict[int, list[tuple[Any, ...]]] = {}
    behind = (shares.c.organization_id == organization_id) & (shares.c.seq > after_seq)
    query = select(shares).where(behind, shares.c.seq <= through_seq)
    place = _SHARE_NAMES.index("seq")
    for share in await conn.execute(query):
        found.setdefault(share[place], []).append(tuple(share))
    return found


def _recomputed(seq: int, record: Mapping[str, Any]) -> None:
    reason = wrong(record)
    if reason is not None:
        raise ChainBroken(seq, str(record["record_id"]), reason)


def verify_lines(lines: Iterable[str], *, charges: bool = False) -> dict[str, Verification]:
    """Verify exported records (NDJSON): of one or more organizations, one after the other.

    An export may begin in the middle of a chain: its first record's `seq` and `prev_hash` are
    taken as they are. Stops at the first record that is broken. Blank lines count for nothing.
    """
    found: dict[str, Verification] = {}
    for line in filter(None, (line.rstrip("\r\n") for line in lines)):
        owner, start = _beginning(line)
        reached = found[owner].head if owner in found else start
        try:
            after = check(reached, line)
            if charges:
                _recomputed(after.seq, parsed(after.seq, line))
        except ChainBroken as broken:
            found[owner] = Verification(reached, broken)
            break
        found[owner] = Verification(after)
    return found


def _beginning(line: str) -> tuple[str, Head]:
    """Whose record a line is, and the head that it says it follows."""
    try:
        record = json.loads(line)
        return str(record["organization_id"]), Head(record["seq"] - 1, str(record["prev_hash"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return "?", Head()


def _checked(
    organization_id: str, reached: Head, row: Row, parts: Sequence[tuple[Any, ...]]
) -> Head:
    """Check one row against its predecessor; give the new head."""
    expected = reached.seq + 1
    body = row[-1]
    record = parsed(expected, body)
    after = check_text(reached, record, body)
    name = str(record["record_id"])
    if organization_id not in (SHARED, record.get("organization_id")):
        raise ChainBroken(expected, name, "it is of another organization")
    settled_at = row[_SETTLED_AT]
    if settled_at < reached.settled_at:
        raise ChainBroken(expected, name, "it was settled before its predecessor")
    record["organization_id"] = organization_id
    columns = _IN_ORDER(columns_of(record, settled_at))
    if columns != tuple(row[:-1]):
        wrongly = next(a for a, b, c in zip(_NAMES, columns, row, strict=False) if b != c)
        raise ChainBroken(expected, name, f"its column {wrongly} is not what its text says")
    told = [tuple(one[column] for column in _SHARE_NAMES) for one in shares_of(record, settled_at)]
    if sorted(told) != list(parts):
        raise ChainBroken(expected, name, "its shares are not what its text says")
    return Head(after.seq, after.hash, settled_at)
