"""All consults under way: finds the task that keeps each, pairs patients and physicians.

The desk decides nothing about a consult: its :class:`signaling.keeper.Keeper` does. It knows who
waits and who is busy, hands out places in the queue, and lets one physician take one patient.
After use you must ``await close()``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog
from sqlalchemy.exc import SQLAlchemyError

from signaling import events as ev
from signaling import messages as m
from signaling import store
from signaling.asks import Ask, Look, refusal, scope
from signaling.case import Case, Physician
from signaling.consult import DEFAULT_TIMERS
from signaling.errors import (
    ConsultError,
    NobodyWaits,
    NodeFull,
    Overloaded,
    PhysicianBusy,
    Stopping,
    StorageTrouble,
)
from signaling.events import Fact
from signaling.keeper import Keeper
from signaling.model import IN_CALL, Timers
from signaling.ports import Audit, CallControl, Clock, Database
from signaling.queue import next_for
from signaling.surroundings import Surroundings, Watcher
from signaling.tasks import Tasks

log = structlog.get_logger()

MAX_TAKES = 256
TAKE_TIMEOUT_S = 20
SWEEP_S = 60
# lost to another physician between choosing and taking: the next patient is tried
_LOST = frozenset({"already_taken", "invalid_transition"})


@dataclass(frozen=True)
class DeskSetup:
    """What a desk works with."""

    database: Database
    calls: CallControl
    clock: Clock
    audit: Audit
    timers: Timers = DEFAULT_TIMERS
    node: str = ""


class Desk:
    """Every consult of this process. Call :meth:`start` once, with who tells the pages."""

    def __init__(self, setup: DeskSetup) -> None:
        self._setup = setup
        self.audit = setup.audit
        self._tasks = Tasks()
        self._keepers: dict[str, Keeper] = {}
        self._busy: dict[str, str] = {}
        self._takes: asyncio.Queue[Ask] = asyncio.Queue(MAX_TAKES)
        self._last_place = 0
        self._stopping = self._closed = False
        self._quiet = asyncio.Event()
        self._around: Surroundings | None = None

    async def start(self, watcher: Watcher) -> None:
        """Take up what a former process left, and begin to work.

        Every live consult gets a ``NodeRestarted``: pages come back by themselves.

        Raises:
            SQLAlchemyError: the database cannot be read.
        """
        setup = self._setup
        self._around = Surroundings(
            database=setup.database,
            calls=setup.calls,
            watcher=watcher,
            clock=setup.clock,
            timers=setup.timers,
            audit=setup.audit,
            node=setup.node,
            next_place=self._next_place,
            stopping=lambda: self._stopping,
            moved=self._moved,
        )
        async with setup.database.read() as conn:
            self._last_place = await store.last_place(conn)
            left = await store.live(conn, setup.clock)
        for case in left:
            self._moved(case)
            self._keeper(case.core.id, case).submit(ev.NodeRestarted())
        self._tasks.start("takes", self._serve_takes())
        self._tasks.start("sweep", self._sweep())

    # --- what others ask -----------------------------------------------------------------------

    def submit(self, consult_id: str, fact: Fact) -> None:
        """A fact about a consult, from media or a page. Never blocks, never drops.

        Call it on the thread of the event loop. Unknown consults are ignored, and so is what
        comes after :meth:`close`: the next start takes up what is stored.
        """
        if not self._closed:
            self._keeper(consult_id).submit(fact)

    def ask(self, consult_id: str, ask: Ask) -> None:
        """A command; its one answer goes to ``ask.reply``, maybe before this returns."""
        try:
            if self._closed:
                raise Stopping
            self._keeper(consult_id).put(ask)
        except (Overloaded, Stopping) as error:
            ask.reply(refusal(ask, error))

    def take(self, ask: Ask) -> None:
        """A physician's :class:`signaling.messages.Take`."""
        try:
            self._takes.put_nowait(ask)
        except asyncio.QueueFull:
            ask.reply(refusal(ask, Overloaded("")))

    def look(self, consult_id: str, look: Look) -> None:
        """A page wants to see a consult. After :meth:`close` it sees nothing more.

        Raises:
            Overloaded: too many wait already.
        """
        if not self._closed:
            self._keeper(consult_id).put(look)

    def case(self, consult_id: str) -> Case | None:
        """The consult as it is, when it is under way here."""
        keeper = self._keepers.get(consult_id)
        return keeper.case if keeper else None

    def cases(self) -> Iterable[Case]:
        """All consults under way here."""
        return [keeper.case for keeper in self._keepers.values() if keeper.case is not None]

    def call_of(self, physician_id: str) -> str | None:
        """The consult this physician is in."""
        return self._busy.get(physician_id)

    # --- stopping ------------------------------------------------------------------------------

    async def drain(self, timeout_s: float) -> bool:
        """Begin nothing new, and wait for the running calls to end.

        Returns:
            Whether all have ended in time. The others go on after the next start.
        """
        self.stop()
        try:
            async with asyncio.timeout(timeout_s):
                await self._quiet.wait()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Begin nothing new from now on."""
        self._stopping = True
        self._note_quiet()

    @property
    def stopping(self) -> bool:
        """Whether the process is being stopped."""
        return self._stopping

    async def close(self) -> None:
        """End all tasks. What is stored stays as it is, and is taken up by the next start."""
        self._stopping = self._closed = True
        await self._tasks.close()
        self._keepers.clear()

    # --- books ---------------------------------------------------------------------------------

    def _keeper(self, consult_id: str, case: Case | None = None) -> Keeper:
        keeper = self._keepers.get(consult_id)
        if keeper is None:
            assert self._around is not None, "start() first"
            keeper = self._keepers[consult_id] = Keeper(consult_id, self._around, case)
            work = keeper.run(lambda: self._rest(consult_id))
            self._tasks.start(f"consult {consult_id}", work)
        return keeper

    def _rest(self, consult_id: str) -> None:
        self._keepers.pop(consult_id, None)

    def _next_place(self) -> int:
        """Wall milliseconds, but always growing: it orders, it does not tell the time."""
        self._last_place = max(self._last_place + 1, self._setup.clock.at_ms())
        return self._last_place

    def _moved(self, case: Case) -> None:
        consult_id, busy = case.core.id, case.core.busy_physician_id
        for physician_id in [who for who, what in self._busy.items() if what == consult_id]:
            if physician_id != busy:
                del self._busy[physician_id]
        if busy is not None:
            self._busy[busy] = consult_id
        if self._stopping:
            self._note_quiet()

    def _note_quiet(self) -> None:
        if not any(case.core.state in IN_CALL and not case.core.freed for case in self.cases()):
            self._quiet.set()

    # --- taking --------------------------------------------------------------------------------

    async def _serve_takes(self) -> None:
        while True:
            ask = await self._takes.get()
            try:
                async with asyncio.timeout(TAKE_TIMEOUT_S):
                    answer = await self._take(ask)
            except ConsultError as error:
                answer = refusal(ask, error)
            except (SQLAlchemyError, OSError, TimeoutError):
                answer = refusal(ask, StorageTrouble())
            except Exception:
                log.exception("take_failed")
                answer = refusal(ask, StorageTrouble())
            ask.reply(answer)

    async def _take(self, ask: Ask) -> m.Answer:
        command, physician = ask.command, ask.physician
        assert isinstance(command, m.Take)
        assert physician is not None
        database = self._setup.database
        async with database.read() as conn:
            first = await store.answer(conn, scope(ask, ""), command.id)
        if first is not None:
            return first
        if self._stopping:
            raise Stopping
        busy_with = self._busy.get(physician.id)
        if busy_with is not None and busy_with != command.consult_id:
            return await self._refuse(ask, PhysicianBusy(physician.id, busy_with))
        if busy_with is None and not self._setup.calls.admit():
            raise NodeFull
        if command.consult_id is not None:
            return await self._try(ask, command.consult_id)
        return await self._take_next(ask, physician)

    async def _take_next(self, ask: Ask, physician: Physician) -> m.Answer:
        for case in next_for(physician, self.cases()):
            answer = await self._try(replace(ask, keep_refusal=False), case.core.id)
            if answer.error is None or answer.error.code not in _LOST:
                return answer
        return await self._refuse(ask, NobodyWaits())

    async def _try(self, ask: Ask, consult_id: str) -> m.Answer:
        answered: asyncio.Future[m.Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: m.Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.ask(consult_id, replace(ask, reply=reply))
        return await answered

    async def _refuse(self, ask: Ask, error: ConsultError) -> m.Answer:
        answer = refusal(ask, error)
        async with self._setup.database.write() as conn:
            await store.remember(conn, scope(ask, ""), answer, self._setup.clock)
        return answer

    # --- what nobody asks for ------------------------------------------------------------------

    async def _sweep(self) -> None:
        """Close links that nobody used in time, and forget old answers."""
        while True:
            try:
                async with self._setup.database.write() as conn:
                    await store.forget_answers(conn, self._setup.clock)
                    overdue = await store.overdue(conn, self._setup.clock)
                for consult_id in overdue:
                    self.submit(consult_id, ev.Expired())
            except (SQLAlchemyError, OSError) as error:
                log.warning("sweep_failed", error=type(error).__name__)
            await asyncio.sleep(SWEEP_S)
