"""The audit log: who did what, and who was refused. Bounded, so that strangers cannot fill it.

Entries are written once a second, all in one transaction. The same thing done again within that
second by the same actor is counted in one entry; what does not fit is counted and logged.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import structlog
from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from server import tables
from server.accounts import new_id
from server.clock import wall_ms
from server.storage import Storage

MAX_PENDING = 1000
FLUSH_S = 1.0
log = structlog.get_logger()

Entry = tuple[str, str, str | None, str]


class Auditor:
    """:meth:`run` must run in a task of the owner; call :meth:`flush` after it has ended."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._pending: Counter[Entry] = Counter()
        self._dropped = 0

    def note(
        self, actor: str, action: str, consult_id: str | None = None, detail: str = ""
    ) -> None:
        """Note it; never blocks. ``actor`` is ``kind:id``; ``detail`` holds no name, no secret."""
        entry = (actor[:80], action[:64], consult_id, detail[:380])
        if entry in self._pending or len(self._pending) < MAX_PENDING:
            self._pending[entry] += 1
        else:
            self._dropped += 1

    async def run(self) -> None:
        """Write what was noted, once a second. Runs until cancelled."""
        while True:
            await asyncio.sleep(FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what was noted; what the database does not take now is tried again."""
        if self._dropped:
            log.warning("audit_dropped", entries=self._dropped)
            self._dropped = 0
        if not self._pending:
            return
        taken, self._pending = self._pending, Counter()
        at = wall_ms()
        rows = [
            {
                "id": new_id("audit"),
                "at": at,
                "actor": actor,
                "action": action,
                "consult_id": consult_id,
                "detail": detail if count == 1 else f"{detail} x{count}".strip(),
            }
            for (actor, action, consult_id, detail), count in taken.items()
        ]
        try:
            async with self._storage.write() as connection:
                await connection.execute(insert(tables.audit), rows)
        except (SQLAlchemyError, OSError) as error:
            log.error("audit_failed", entries=len(rows), error=type(error).__name__)
            for entry, count in taken.items():
                if entry in self._pending or len(self._pending) < MAX_PENDING:
                    self._pending[entry] += count


async def write_entry(
    conn: AsyncConnection, actor: str, action: str, consult_id: str | None, detail: str
) -> None:
    """An entry of the audit log within the caller's transaction."""
    await conn.execute(
        insert(tables.audit).values(
            id=new_id("audit"),
            at=wall_ms(),
            actor=actor[:80],
            action=action,
            consult_id=consult_id,
            detail=detail[:400],
        )
    )
