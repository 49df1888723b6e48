"""Recordings under way: from the taps of a room to files on disk and rows in the database.

One task per recording takes what its recorder has, twice a second, and writes it in a thread: a
slow disk holds up this recording alone, and costs frames of it, never the call. A recording that
cannot be stored ends with a fact that both pages show.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError

from media.recorder import Begin, End, Recorder, Step, Write
from media.webm import PartWriter, measure
from server.accounts import new_id
from server.clock import monotonic_ms, wall_ms
from server.recording_store import Part, RecordingStore
from signaling.events import Fact, RecordingFailed, StartRecording
from signaling.tasks import Tasks

TAKE_S: Final = 0.5
HOUSEKEEPING_S: Final = 3600
SYNC_MS: Final = 5_000
CLOSE_TIMEOUT_S: Final = 20
THREADS: Final = 4
log = structlog.get_logger()

Report = Callable[[str, Fact], None]


class Audit(Protocol):
    """The audit log (:class:`server.auditor.Auditor`)."""

    def note(
        self, actor: str, action: str, consult_id: str | None = None, detail: str = ""
    ) -> None:
        """Note it; never blocks."""


class StorageFull(OSError):
    """Less is free than a recording must leave to others."""


@dataclass
class Live:
    """A recording under way."""

    consult_id: str
    consent: StartRecording
    recorder: Recorder
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    part: Part | None = None
    writer: PartWriter | None = None
    synced_ms: int = 0


class Recordings:
    """All recordings of this process. Call :meth:`attach` before the first, :meth:`close` last."""

    def __init__(self, store: RecordingStore, audit: Audit, min_free_bytes: int) -> None:
        """``min_free_bytes`` are left to the database and to others."""
        self.store = store
        self._audit, self._min_free_bytes = audit, min_free_bytes
        self._live: dict[str, Live] = {}
        self._writing: set[str] = set()  # ids of parts
        self._tasks = Tasks()
        # of its own: a disk that hangs must hold up no other work in threads
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="recording")
        self._report: Report

    def attach(self, report: Report) -> None:
        """Say where failures go. Call it once, before anything else."""
        self._report = report

    def __len__(self) -> int:
        return len(self._live)

    def recorder(self, consult_id: str) -> Recorder | None:
        """What taps the room of a consult now; None: it is not recorded."""
        live = self._live.get(consult_id)
        return live.recorder if live is not None else None

    def start(
        self, consult_id: str, consent: StartRecording, agreed: Callable[[str], bool]
    ) -> None:
        """Record from now on whom ``agreed`` names; the same recording again goes on."""
        live = self._live.get(consult_id)
        if live is not None and live.consent.recording_id == consent.recording_id:
            return
        self.stop(consult_id)
        live = self._live[consult_id] = Live(consult_id, consent, Recorder(agreed))
        self._tasks.start("recording", self._run(live))

    def stop(self, consult_id: str) -> None:
        """Record nothing more; the file is finished soon. Without effect where nothing runs."""
        live = self._live.pop(consult_id, None)
        if live is not None:
            live.recorder.stop()
            live.stop.set()

    async def close(self) -> None:
        """Finish all files. What takes too long is finished by the next start."""
        for consult_id in tuple(self._live):
            self.stop(consult_id)
        await self._tasks.ended(CLOSE_TIMEOUT_S)
        await self._tasks.close()
        self._threads.shutdown(wait=False)

    async def run_housekeeping(self) -> None:
        """Now and each hour: finish what a crash left, delete what is due. Until cancelled."""
        while True:
            await self.store.recover(self._writing)
            await self.store.purge()
            await asyncio.sleep(HOUSEKEEPING_S)

    # --- one recording --------------------------------------------------------------------------

    async def _run(self, live: Live) -> None:
        self._audit.note("server", "recording_started", live.consult_id, live.consent.recording_id)
        try:
            while not live.stop.is_set():
                try:
                    async with asyncio.timeout(TAKE_S):
                        await live.stop.wait()
                except TimeoutError:
                    pass
                await self._carry_out(live, live.recorder.take(monotonic_ms()))
            await self._carry_out(live, live.recorder.take(monotonic_ms()))
        except Exception as trouble:  # whatever it is: both sides are told that it is not on
            await self._failed(live, trouble)
        finally:
            dropped = f" dropped {live.recorder.dropped}" if live.recorder.dropped else ""
            detail = live.consent.recording_id + dropped
            if live.part is not None:
                self._writing.discard(live.part.id)
            self._audit.note("server", "recording_ended", live.consult_id, detail)

    async def _failed(self, live: Live, trouble: Exception) -> None:
        full = isinstance(trouble, OSError) and (
            isinstance(trouble, StorageFull) or trouble.errno in (28, 122)  # ENOSPC, EDQUOT
        )
        reason = "storage_full" if full else "storage_failed"
        log.error(
            "recording_failed",
            consult_id=live.consult_id,
            reason=reason,
            error=type(trouble).__name__,
            exc_info=not isinstance(trouble, OSError | SQLAlchemyError),
        )
        live.recorder.stop()
        if self._live.get(live.consult_id) is live:
            del self._live[live.consult_id]
            fact = RecordingFailed(live.consent.recording_id, reason)
            self._report(live.consult_id, fact)
        if live.writer is not None:
            try:
                await self._end(live)
            except Exception as error:  # the housekeeping finishes it
                log.warning("recording_left_unfinished", error=type(error).__name__)

    async def _carry_out(self, live: Live, steps: list[Step]) -> None:
        for step in steps:
            match step:
                case Begin():
                    await self._begin(live, step)
                case Write(samples=samples):
                    assert live.writer is not None
                    await self._in_thread(live.writer.write, samples)
                case End():
                    await self._end(live)
        if live.writer is not None and monotonic_ms() - live.synced_ms >= SYNC_MS:
            live.synced_ms = monotonic_ms()
            await self._in_thread(live.writer.sync)
            await self._check_space()

    async def _begin(self, live: Live, step: Begin) -> None:
        """The row first: no file is ever there that the database does not know."""
        await self._check_space()
        started_at = wall_ms() - (monotonic_ms() - step.origin_ms)
        part_id = new_id("r")
        self._writing.add(part_id)
        live.part = await self.store.begin(part_id, live.consult_id, live.consent, started_at)
        path = self.store.path(live.part.file)
        live.writer = await self._in_thread(PartWriter, path, step.tracks, step.origin_ms)
        live.synced_ms = monotonic_ms()

    async def _end(self, live: Live) -> None:
        writer, part = live.writer, live.part
        assert writer is not None
        assert part is not None
        live.writer = None
        await self._in_thread(writer.close)
        finished = await self._in_thread(measure, self.store.path(part.file))
        await self.store.end(part, finished, "finished")
        self._writing.discard(part.id)

    async def _check_space(self) -> None:
        free = (await self._in_thread(shutil.disk_usage, self.store.folder)).free
        if free < self._min_free_bytes:
            raise StorageFull("not enough space is free")

    async def _in_thread(self, work: Callable[..., Any], *arguments: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments))


def folder_for(data_dir: Path) -> Path:
    """Where recordings are, readable by this process alone."""
    folder = data_dir / "recordings"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder
