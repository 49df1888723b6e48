"""Checkpoints of the open meters: what is left to bill when a node is lost.

A node claims a consult with an epoch before it writes anything, and every write is `WHERE epoch =
mine`: a node that was paused while another took its consult over can write nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.errors import StaleEpoch
from metering.tables import meters

_IDS_PER_QUERY: Final = 500


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What is stored of an open meter. `state` is what `freeze` gave; None before the first."""

    consult_id: str
    epoch: int
    state: Mapping[str, Any] | None


async def claim(conn: AsyncConnection, consult_id: str, epoch: int, at_ms: int) -> Checkpoint:
    """Take a consult over: from now on only `epoch` may write. Give what was stored of it.

    Of two nodes that claim the same epoch, one gets it and the other is refused.

    Args:
        at_ms: Wall time, epoch milliseconds.

    Raises:
        StaleEpoch: this epoch or a later one already holds the consult.
    """
    new = {"consult_id": consult_id, "epoch": epoch, "checkpointed_at_ms": at_ms}
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    inserted = insert(meters).values(new).on_conflict_do_nothing().returning(meters.c.epoch)
    if (await conn.execute(inserted)).one_or_none() is not None:
        return Checkpoint(consult_id, epoch, None)
    mine = meters.c.consult_id == consult_id
    locked = select(meters.c.epoch, meters.c.state).where(mine).with_for_update()
    stored, state = (await conn.execute(locked)).one()
    if stored >= epoch:
        raise StaleEpoch(consult_id, epoch, stored)
    await conn.execute(update(meters).where(mine).values(epoch=epoch))
    return Checkpoint(consult_id, epoch, _read(state))


async def save_all(
    conn: AsyncConnection, checkpoints: Iterable[Checkpoint], at_ms: int
) -> frozenset[str]:
    """Store the checkpoints of all open meters of a node, in the caller's one transaction.

    Args:
        at_ms: Wall time, epoch milliseconds.

    Returns:
        The consults whose epoch is over, or that were never claimed or are settled: nothing was
        written of them. You must stop their meters and not settle them.
    """
    # in one order everywhere, so that two nodes never wait for each other's rows in a circle
    ordered = sorted(checkpoints, key=lambda one: one.consult_id)
    if not ordered:
        return frozenset()
    statement = (
        update(meters)
        .where(meters.c.consult_id == bindparam("of"), meters.c.epoch == bindparam("mine"))
        .values(state=bindparam("frozen"), checkpointed_at_ms=at_ms)
    )
    rows = [
        {"of": one.consult_id, "mine": one.epoch, "frozen": _written(one.state)} for one in ordered
    ]
    await conn.execute(statement, rows)
    stored: dict[str, int] = {}
    for start in range(0, len(ordered), _IDS_PER_QUERY):
        ids = [one.consult_id for one in ordered[start : start + _IDS_PER_QUERY]]
        query = select(meters.c.consult_id, meters.c.epoch).where(meters.c.consult_id.in_(ids))
        stored |= {row.consult_id: row.epoch for row in await conn.execute(query)}
    return frozenset(one.consult_id for one in ordered if stored.get(one.consult_id) != one.epoch)


async def load(conn: AsyncConnection, consult_id: str) -> Checkpoint | None:
    """Give the stored checkpoint of a consult; None once it is settled."""
    query = select(meters.c.epoch, meters.c.state).where(meters.c.consult_id == consult_id)
    row = (await conn.execute(query)).one_or_none()
    return None if row is None else Checkpoint(consult_id, row.epoch, _read(row.state))


async def load_all(conn: AsyncConnection) -> list[Checkpoint]:
    """Give all stored checkpoints: after a start, those of consults that a lost node left open."""
    query = select(meters.c.consult_id, meters.c.epoch, meters.c.state)
    rows = await conn.execute(query.order_by(meters.c.consult_id))
    return [Checkpoint(row.consult_id, row.epoch, _read(row.state)) for row in rows]


async def release(conn: AsyncConnection, consult_id: str, epoch: int) -> None:
    """Forget a consult's meter: call it in the transaction that appends its record, before that.

    A consult that is already settled is no error, so settling can be repeated.

    Raises:
        StaleEpoch: another epoch holds the consult. You must roll back.
    """
    mine = (meters.c.consult_id == consult_id) & (meters.c.epoch == epoch)
    deleted = await conn.execute(delete(meters).where(mine))
    if deleted.rowcount == 0 and (left := await load(conn, consult_id)) is not None:
        raise StaleEpoch(consult_id, epoch, left.epoch)


def _read(state: str | None) -> Mapping[str, Any] | None:
    if state is None:
        return None
    parsed: dict[str, Any] = json.loads(state)
    return parsed


def _written(state: Mapping[str, Any] | None) -> str | None:
    return None if state is None else json.dumps(state, separators=(",", ":"))
