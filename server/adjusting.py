"""Adjusting a bill: one transaction holds the new record, the idempotency key and the audit entry.

All of it happens under the lock of the organization's ledger, so of many who send the same key at
once, one makes the record and the others find it; and a crash leaves all of it or nothing.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import orjson
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering import ledger
from metering.adjust import Correction, corrected
from metering.chain import canonical
from server import tables
from server.accounts import new_id
from server.clock import wall_ms
from server.storage import Storage

_LONGEST_CONSULT_ID = 48
"""Of those that the audit log can name; a simulated one may be longer."""


class UnknownRecord(Exception):
    """The organization has no record of the id that is to be corrected."""


class IdempotencyConflict(Exception):
    """The key was used before, for something else."""


@dataclass(frozen=True, slots=True)
class Adjusted:
    """The canonical text of the new record; ``replayed``: the key had already made it."""

    body: str
    replayed: bool


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and by which key they will ask again if they hear no answer."""

    organization_id: str
    actor: str
    idempotency_key: str


async def adjust(storage: Storage, asker: Asker, wanted: Correction) -> Adjusted:
    """Append the record that ``wanted`` asks for, or find the one that this key made before.

    Raises:
        IdempotencyConflict: the key has made another record.
        UnknownRecord: there is nothing of this id to correct.
        AdjustmentError: as :func:`metering.adjust.corrected`; nothing was written.
    """
    digest = _digest(wanted)
    async with storage.write() as conn:
        await ledger.lock(conn, asker.organization_id)
        before = await _before(conn, asker, digest)
        if before is not None:
            return Adjusted(before, replayed=True)
        consult_id = await ledger.consult_of(conn, asker.organization_id, wanted.corrects)
        if consult_id is None:
            raise UnknownRecord(wanted.corrects)
        texts = await ledger.of_consult(conn, asker.organization_id, consult_id)
        record = corrected([orjson.loads(text) for text in texts], wanted)
        at_ms = wall_ms()
        await conn.execute(
            insert(tables.idempotency_keys).values(
                organization_id=asker.organization_id,
                idempotency_key=asker.idempotency_key,
                digest=digest,
                record_id=record["record_id"],
                created_at=at_ms,
            )
        )
        await conn.execute(
            insert(tables.audit).values(
                id=new_id("audit"),
                at=at_ms,
                actor=asker.actor,
                action=f"record_{wanted.kind}",
                consult_id=consult_id if len(consult_id) <= _LONGEST_CONSULT_ID else None,
                detail=f"{record['record_id']}: {wanted.reason} by {wanted.actor}",
            )
        )
        appended = await ledger.append(conn, record, at_ms)
        assert appended.new, "the lock is held: nobody else can have appended this revision"
    return Adjusted(canonical(appended.record).decode(), replayed=False)


def _digest(wanted: Correction) -> str:
    seconds = wanted.mode_seconds
    plain = None if seconds is None else {mode.value: seconds[mode] for mode in seconds}
    fields = asdict(wanted) | {"kind": wanted.kind.value, "mode_seconds": plain}
    return hashlib.sha256(canonical(fields)).hexdigest()


async def _before(conn: AsyncConnection, asker: Asker, digest: str) -> str | None:
    """The record that this key has made, None when it is new."""
    keys = tables.idempotency_keys
    query = select(keys.c.digest, keys.c.record_id).where(
        keys.c.organization_id == asker.organization_id,
        keys.c.idempotency_key == asker.idempotency_key,
    )
    known = (await conn.execute(query)).one_or_none()
    if known is None:
        return None
    if known.digest != digest:
        raise IdempotencyConflict(asker.idempotency_key)
    return await ledger.find(conn, asker.organization_id, known.record_id)
