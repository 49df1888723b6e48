"""Rows and files of recordings: which parts there are, what a crash left, what is to be deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from media.webm import Finished, UnusableFile, finish, measure
from server.auditor import write_entry
from server.clock import wall_ms
from server.storage import Storage
from server.tables import recordings
from signaling.events import StartRecording

DAY_MS: Final = 24 * 3600 * 1000
TIMEOUT_S: Final = 10
_DONE: Final = ("finished", "recovered")
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Part:
    """A part that is being written."""

    id: str
    consult_id: str
    file: str


class RecordingStore:
    """The table ``recordings`` and its folder."""

    def __init__(self, storage: Storage, folder: Path, node: str, retention_days: int) -> None:
        self.folder = folder
        self._storage, self._node, self._keep_ms = storage, node, retention_days * DAY_MS

    def path(self, file: str) -> Path:
        """Where a part is."""
        return self.folder / file

    async def begin(
        self, part_id: str, consult_id: str, consent: StartRecording, started_at: int
    ) -> Part:
        """Note a part before its file is there."""
        table, recording_id = recordings.c, consent.recording_id
        async with asyncio.timeout(TIMEOUT_S), self._storage.write() as conn:
            query = select(func.max(table.part)).where(
                table.consult_id == consult_id, table.recording_id == recording_id
            )
            number = ((await conn.execute(query)).scalar() or 0) + 1
            file = f"{consult_id}-{part_id}.webm"
            await conn.execute(
                insert(recordings).values(
                    id=part_id,
                    consult_id=consult_id,
                    recording_id=recording_id,
                    part=number,
                    state="recording",
                    file=file,
                    node=self._node,
                    started_at=started_at,
                    proposed_n=consent.proposed_n,
                    agreed_n=consent.agreed_n,
                )
            )
        return Part(part_id, consult_id, file)

    async def end(self, part: Part, finished: Finished, state: str) -> None:
        """Note that a part is complete, and until when it is kept."""
        started = select(recordings.c.started_at).where(recordings.c.id == part.id)
        async with asyncio.timeout(TIMEOUT_S), self._storage.write() as conn:
            started_at = (await conn.execute(started)).scalar_one()
            ended_at = started_at + finished.duration_ms
            await _set(
                conn,
                part.id,
                state=state,
                ended_at=ended_at,
                size_bytes=finished.size_bytes,
                sha256=finished.sha256,
                delete_after=ended_at + self._keep_ms,
            )

    async def of_consult(self, consult_id: str) -> Sequence[Any]:
        """Its parts, in order."""
        query = (
            select(recordings)
            .where(recordings.c.consult_id == consult_id)
            .order_by(recordings.c.started_at, recordings.c.part)
        )
        async with self._storage.read() as conn:
            return (await conn.execute(query)).mappings().all()

    async def find(self, part_id: str) -> Any | None:
        """One part."""
        async with self._storage.read() as conn:
            query = select(recordings).where(recordings.c.id == part_id)
            return (await conn.execute(query)).mappings().first()

    # --- housekeeping ---------------------------------------------------------------------------

    async def recover(self, under_way: Collection[str] = ()) -> int:
        """Finish what nobody writes any more, as far as it got.

        Args:
            under_way: Ids of parts that are being written; it may change meanwhile.
        Returns:
            How many files can be played now.
        """
        left = select(recordings).where(recordings.c.state == "recording")
        async with self._storage.read() as conn:
            rows = (await conn.execute(left)).mappings().all()
        playable = 0
        for row in rows:
            is_here = self.path(row["file"]).exists() or _host(row["node"]) == _host(self._node)
            if is_here and row["id"] not in under_way:
                part = Part(row["id"], row["consult_id"], row["file"])
                playable += await self._recover(part)
        return playable

    async def _recover(self, part: Part) -> bool:
        path = self.path(part.file)
        try:
            await asyncio.to_thread(finish, path)
            finished = await asyncio.to_thread(measure, path)
            await self.end(part, finished, "recovered")
        except (UnusableFile, FileNotFoundError):
            await asyncio.to_thread(path.unlink, missing_ok=True)
            async with self._storage.write() as conn:
                await _set(conn, part.id, state="lost")
            log.warning("recording_lost", recording=part.id, consult_id=part.consult_id)
            return False
        except (OSError, SQLAlchemyError) as trouble:  # another time
            log.error("recording_not_finished", recording=part.id, error=type(trouble).__name__)
            return False
        log.info("recording_recovered", recording=part.id, consult_id=part.consult_id)
        return True

    async def purge(self) -> int:
        """Delete what has been kept long enough, each with an entry of the audit log."""
        now = wall_ms()
        due = select(recordings).where(
            recordings.c.delete_after < now, recordings.c.state.in_(_DONE)
        )
        async with self._storage.read() as conn:
            rows = (await conn.execute(due)).mappings().all()
        for row in rows:
            path = self.path(row["file"])
            await asyncio.to_thread(path.unlink, missing_ok=True)
            async with self._storage.write() as conn:
                await _set(conn, row["id"], state="deleted")
                await write_entry(conn, "server", "recording_deleted", row["consult_id"], row["id"])
        return len(rows)

    async def audited(self, actor: str, action: str, row: Any) -> None:
        """Write an entry of the audit log now: whoever reads a recording is in it before."""
        async with asyncio.timeout(TIMEOUT_S), self._storage.write() as conn:
            await write_entry(conn, actor, action, row["consult_id"], row["id"])


def _host(node: str) -> str:
    return node.rpartition("-")[0]


async def _set(conn: AsyncConnection, part_id: str, **values: Any) -> None:
    await conn.execute(update(recordings).where(recordings.c.id == part_id).values(**values))
