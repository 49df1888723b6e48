"""All calls of this process: what the lifecycle asks of them, and what they leave on disk.

Once a second every open meter is brought up to its last packet, shown to its pages, and written
down, all calls in one transaction: a crash loses at most one second of billing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Protocol

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from media.errors import MediaError
from media.port import MediaPort
from media.room import Room
from media.spread import spread
from metering import checkpoints
from metering import quality as evidence
from metering.checkpoints import Checkpoint
from metering.errors import StaleEpoch
from metering.frozen import freeze, restore
from metering.meter import Meter, Totals
from metering.tariff import parse_tariff
from metering.terms import Mode
from server.admission import Admission
from server.call import PARTIES, Call, Report
from server.clock import Clock, monotonic_ms, wall_ms
from server.errors import MeterElsewhere
from server.hold import Waiting
from server.prepaid import Deadlines, standing
from server.recordings import Recordings
from server.settling import provisional, settle
from server.storage import Storage
from signaling import store
from signaling.case import Case
from signaling.errors import OfferRefused, StorageTrouble
from signaling.events import (
    Discard,
    Disengage,
    Dismiss,
    Effect,
    Event,
    Grant,
    Settle,
    StartRecording,
    StopRecording,
    Taken,
)
from signaling.messages import LineTrouble, MeterTick, Prepaid, Summary
from signaling.model import TERMINAL, Consult, may_offer
from signaling.ports import Offer
from signaling.seats import Seats, Sitting
from signaling.tasks import Tasks, supervise

TICK_S = 1.0
CHECKPOINT_TIMEOUT_S = 5
FROZEN_AT_ONCE = 8
log = structlog.get_logger()


class Pages(Protocol):
    """Where readings of the meter are shown."""

    def push_meter(self, consult_id: str, tick: MeterTick) -> None:
        """To both pages of a consult; never blocks."""

    def push_trouble(self, consult_id: str, trouble: LineTrouble) -> None:
        """To both pages of a consult; never blocks."""

    def reconnect_media(self, consult_id: str, who: str | None = None) -> None:
        """Ask one participant for a new media connection, or all; never blocks."""

    def seating_changed(self, consult_id: str) -> None:
        """Who is in the room, and where, is to be told anew; never blocks."""


class Calls:
    """Implements :class:`signaling.ports.CallControl`."""

    def __init__(
        self,
        storage: Storage,
        media: MediaPort,
        node: str,
        admission: Admission,
        *,
        max_video_bps: int = 0,
        recordings: Recordings | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        """``recordings`` None: no call is recorded. ``waiting`` None: a hold is silent."""
        self._storage, self._media, self.node = storage, media, node
        self.admission = admission
        self._max_video_bps = max_video_bps
        self._calls: dict[str, Call] = {}
        self._prepared: dict[str, Call] = {}
        self._recording, self._waiting = recordings, waiting
        self._deadlines = Deadlines(lambda call: self._observe(call, show=False))
        self._closing = Tasks()
        self._lags_ms: deque[int] = deque(maxlen=60)
        self._written: dict[str, Meter] = {}
        self._checkpoint_ms = monotonic_ms()
        self.checkpoint_failures = 0
        self._report: Report
        self._pages: Pages
        self._settled: Callable[[], None] = lambda: None

    def attach(
        self, report: Report, pages: Pages, settled: Callable[[], None] | None = None
    ) -> None:
        """Say where facts and readings go. Call it once, before anything else.

        ``settled`` is called after each record that is in the ledger, and never blocks.
        """
        self._report, self._pages = report, pages
        self._settled = settled or self._settled

    @property
    def may_record(self) -> bool:
        """Whether calls may be recorded here; see the port."""
        return self._recording is not None

    def __len__(self) -> int:
        return sum(call.engaged for call in self._calls.values())

    def live(self) -> Iterable[Call]:
        """All calls, engaged or not."""
        return self._calls.values()

    def running(self) -> int:
        """How many calls bill at this moment."""
        return sum(call.running for call in self._calls.values())

    def worst_lag_ms(self) -> int:
        """How late the loop woke the ticker, at worst in the last minute."""
        return max(self._lags_ms, default=0)

    def checkpoint_age_ms(self) -> int:
        """How long ago all meters were written down: what a crash would lose."""
        return monotonic_ms() - self._checkpoint_ms

    # --- signaling.ports.CallControl ----------------------------------------------------------

    def admit(self) -> bool:
        """Whether this process has room for one more call; see the port."""
        return self.admission.admit()

    async def offer(self, consult: Consult, who: str, offer: Offer) -> str:
        """Connect a participant's media; see the port."""
        call = self._calls.get(consult.id) or await self._call(consult.id)
        if call.room is None:
            call.room = self._media.room(consult.id, call, call.max_video_bps)
            call.gate()
            self._tap(call)
            self._keep_waiting(call)
        side = who if who in PARTIES else "guest"
        try:
            answer = await call.room.offer(
                who, side, offer.connection_id, offer.sdp, offer.screen_mid
            )
        except MediaError as error:
            raise OfferRefused(error.code, str(error)) from error
        self._pages.seating_changed(consult.id)
        return answer

    def seats(self, consult_id: str, who: str) -> Seats:
        """Whom a participant gets where; see the port."""
        call = self._calls.get(consult_id)
        if call is None or call.room is None:
            return Seats()
        needed, seats = call.room.seats(who)
        people, screen = [], None
        for seat in seats:
            sitting = Sitting(seat.participant_id, seat.audio_mid, seat.video_mid)
            if seat.is_screen:
                screen = sitting
            else:
                people.append(sitting)
        return Seats(needed, tuple(people), screen, call.room.screen)

    def stop_screen(self, consult_id: str) -> None:
        """Take the shared screen away; see the port."""
        call = self._calls.get(consult_id)
        if call is not None and call.room is not None:
            call.room.stop_screen()
            self._pages.seating_changed(consult_id)

    def probe(self, consult_id: str, sdp: str) -> str:
        """Answer the offer of a connection test; see the port."""
        try:
            return self._media.probe(consult_id, sdp)
        except MediaError as error:
            raise OfferRefused(error.code, str(error)) from error

    def perform(self, consult: Consult, effect: Effect, now_ms: int) -> None:
        """Do what a transition asks for; see the port."""
        if isinstance(effect, Disengage | Settle | Discard):
            self.admission.release(consult.id)
            self._prepared.pop(consult.id, None)
        if isinstance(effect, Settle):
            self._settled()
        call = self._calls.get(consult.id)
        if isinstance(effect, Grant):
            call = call or self._prepared.get(consult.id)
        if call is None:
            return
        match effect:
            case Settle() | Discard():
                self._drop(call)
            case StartRecording() | StopRecording():
                self._record(call, effect)
            case Disengage(cause=cause):
                try:
                    call.perform(effect, now_ms)
                finally:  # even if the meter refuses
                    self._keep_waiting(call)
                    self._record(call, StopRecording())
                    self._disconnect(call, ("patient",) if cause == "hung_up" else None)
            case Dismiss(guest_id=guest_id):
                self._disconnect(call, (guest_id,))
            case _:
                call.perform(effect, now_ms)
                self._keep_waiting(call)

    async def within(
        self,
        conn: AsyncConnection,
        consult: Consult,
        event: Event,
        effects: tuple[Effect, ...],
        at: datetime,
    ) -> Summary | None:
        """Write the record with the event that ends the consult; see the port."""
        if isinstance(event, Taken):
            self.admission.reserve(consult.id, monotonic_ms())
        if isinstance(event, Taken) and consult.id not in self._calls:
            # ready before the first offer, in a transaction that has to be written anyway
            self._prepared[consult.id] = await self._opened(conn, consult.id)
        ending = next((effect for effect in effects if isinstance(effect, Settle)), None)
        if ending is None:
            if consult.state in TERMINAL:  # it never became a call
                await self._forget(conn, consult.id)
            return None
        call = self._calls.get(consult.id) or self._prepared.get(consult.id)
        if call is not None:
            call.observe(monotonic_ms())
        case = await store.load(conn, consult.id, Clock())
        assert case is not None, "a consult that moves has a row"
        at_ms = int(at.timestamp() * 1000)
        try:
            return await settle(conn, case, consult, call, ending, at_ms, self.node)
        except (MeterElsewhere, StaleEpoch) as error:
            log.error("not_settled_here", consult_id=consult.id, code=error.code)
            raise StorageTrouble from error

    def summary(self, consult_id: str) -> Summary | None:
        """What the consult came to so far; see the port."""
        call = self._calls.get(consult_id)
        return provisional(call) if call is not None and call.meter is not None else None

    def prepaid(self, case: Case) -> Prepaid | None:
        """What is prepaid, used and left; see the port."""
        call = self._calls.get(case.core.id)
        totals = call.meter.totals if call is not None and call.meter is not None else Totals()
        return standing(case, {mode: totals.of(mode) for mode in Mode})

    def arrived(self, consult: Consult, who: str, resumed: bool) -> None:
        """Ask a page whose media connection is not here any more to build it again."""
        call = self._calls.get(consult.id)
        lost = call is None or call.room is None or not call.room.connects(who)
        if resumed and lost and may_offer(consult, who):
            self._pages.reconnect_media(consult.id, who)

    # --- opening and closing --------------------------------------------------------------------

    async def _call(self, consult_id: str) -> Call:
        call = self._prepared.pop(consult_id, None)
        if call is None:
            async with self._storage.write() as conn:
                call = await self._opened(conn, consult_id)
        return self._calls.setdefault(consult_id, call)

    async def _forget(self, conn: AsyncConnection, consult_id: str) -> None:
        saved = await checkpoints.load(conn, consult_id)
        if saved is not None:
            await checkpoints.release(conn, consult_id, saved.epoch)

    async def restore(self) -> None:
        """After a start: take over every meter where the former process left it."""
        async with self._storage.read() as conn:
            left = [saved.consult_id for saved in await checkpoints.load_all(conn)]
        for consult_id in left:
            await self._one("restore", consult_id, self._restore(consult_id))

    async def _restore(self, consult_id: str) -> None:
        async with self._storage.write() as conn:
            case = await store.load(conn, consult_id, Clock())
            if case is None or case.core.state in TERMINAL:
                await self._forget(conn, consult_id)
                return
            call = await self._opened(conn, consult_id)
        self._calls[consult_id] = call
        self.admission.reserve(consult_id, monotonic_ms())

    async def _one(self, what: str, consult_id: str, work: Awaitable[None]) -> None:
        """Keep one call's fault from the others."""
        try:
            await work
        except Exception:
            log.exception("call_failed", what=what, consult_id=consult_id)

    async def _opened(self, conn: AsyncConnection, consult_id: str) -> Call:
        case = await store.load(conn, consult_id, Clock())
        assert case is not None, "only consults that exist have calls"
        tariff = parse_tariff(case.order.tariff)
        saved = await checkpoints.load(conn, consult_id)
        epoch = saved.epoch + 1 if saved else 1
        await checkpoints.claim(conn, consult_id, epoch, wall_ms())
        call = Call(consult_id, tariff, epoch, self._report, self._show)
        limits = (self._max_video_bps, case.order.max_video_kbps * 1000)
        call.max_video_bps = min((limit for limit in limits if limit), default=0)
        call.prepaid_fen, call.topped_up_fen = case.order.prepaid_fen, case.core.topped_up_fen
        if saved and saved.state is not None:
            call.meter = restore(saved.state, monotonic_ms(), wall_ms(), epoch, tariff)
            call.grant(monotonic_ms())
            call.tally = evidence.restore(saved.state.get("quality"))
        return call

    def _record(self, call: Call, effect: StartRecording | StopRecording) -> None:
        if self._recording is None:
            return
        if isinstance(effect, StartRecording):
            # guests are not asked yet: they are not recorded
            self._recording.start(call.consult_id, effect, lambda who: who in PARTIES)
        else:
            self._recording.stop(call.consult_id)
        self._tap(call)

    def _keep_waiting(self, call: Call) -> None:
        """Who is held hears music; nothing of it is billed, since nothing of it is a flow."""
        if self._waiting is not None:
            held = call.engaged and call.held
            self._waiting.keep(call.consult_id, call.room if held else None)

    def _tap(self, call: Call) -> None:
        if self._recording is not None and call.room is not None:
            call.room.record(self._recording.recorder(call.consult_id))

    def _drop(self, call: Call) -> None:
        self._record(call, StopRecording())
        call.engaged = False
        call.gate()
        self._keep_waiting(call)
        del self._calls[call.consult_id]
        self._written.pop(call.consult_id, None)
        self._deadlines.forget(call.consult_id)
        if call.room is not None:
            self._closing.start("close room", self._close(call, call.room))

    async def _close(self, call: Call, room: Room) -> None:
        """Without a cycle of references: collections that find those are rare."""
        await room.close()
        call.room = None

    def _disconnect(self, call: Call, who: Iterable[str] | None) -> None:
        """These leave the room, or everybody: at once, since they may come back at once."""
        if call.room is not None:
            for participant_id in tuple(call.room.participants if who is None else who):
                call.room.dismiss(participant_id)
            self._pages.seating_changed(call.consult_id)

    async def close(self) -> None:
        """Stop all meters, write them down a last time, end all media."""
        now_ms = monotonic_ms()
        for call in self._calls.values():
            call.observe(now_ms)
            call.suspend(now_ms)
            self._deadlines.forget(call.consult_id)
        await self.checkpoint()
        for call in self._calls.values():
            if call.room is not None:
                await supervise("close room", call.room.close())
        await self._closing.close()

    # --- every second -----------------------------------------------------------------------------

    async def run_ticks(self) -> None:
        """Show every running meter once a second. Runs until cancelled."""
        while True:
            due = time.monotonic() + TICK_S
            await spread(tuple(self._calls.values()), self._tick, TICK_S, at_once=1)
            self._lags_ms.append(max(0, round((time.monotonic() - due) * 1000)))

    def _tick(self, call: Call) -> None:
        if self._calls.get(call.consult_id) is call:
            self._observe(call, show=True)

    def _observe(self, call: Call, *, show: bool) -> None:
        """Bring a meter up to now. Its fault stops no other call's meter."""
        try:
            now_ms = monotonic_ms()
            call.observe(now_ms)
            if call.running:
                self.admission.flows(call.consult_id, now_ms)
            if show and call.engaged:
                self._show(call)
            self._deadlines.watch(call)
        except Exception:
            log.exception("call_failed", what="tick", consult_id=call.consult_id)

    async def run_checkpoints(self) -> None:
        """Write every changed meter down once a second. Runs until cancelled."""
        due = time.monotonic()
        while True:  # the writing itself counts: a second is the most that a crash may lose
            due = max(due + TICK_S, time.monotonic())
            await asyncio.sleep(due - time.monotonic())
            await self.checkpoint()

    async def checkpoint(self) -> None:
        """Write down every meter that changed since the last time, in one transaction.

        As of now, not of the last tick: a crash would else lose the time since that too.
        """
        changed: list[tuple[Call, Meter]] = []
        rows: list[Checkpoint] = []
        for call in tuple(self._calls.values()):
            self._observe(call, show=False)
            meter = call.meter
            if meter is None or self._written.get(call.consult_id) is meter:
                continue
            changed.append((call, meter))
            state = freeze(meter) | {"quality": evidence.freeze(call.tally)}
            rows.append(Checkpoint(call.consult_id, call.epoch, state))
            if len(rows) % FROZEN_AT_ONCE == 0:
                await asyncio.sleep(0)  # packets first
        if not rows:
            self._checkpoint_ms = monotonic_ms()
            return
        try:
            # a connection whose other end vanished would otherwise hold us for minutes
            async with asyncio.timeout(CHECKPOINT_TIMEOUT_S), self._storage.write() as conn:
                stale = await checkpoints.save_all(conn, rows, wall_ms())
        except (SQLAlchemyError, OSError) as error:
            self.checkpoint_failures += 1
            log.error("checkpoint_failed", calls=len(rows), error=type(error).__name__)
            return
        self._checkpoint_ms = monotonic_ms()
        for call, meter in changed:
            if self._calls.get(call.consult_id) is call:  # not settled meanwhile
                self._written[call.consult_id] = meter
        for consult_id in stale & self._calls.keys():  # others were settled meanwhile
            log.error("call_lost_to_another_node", consult_id=consult_id)
            self._drop(self._calls[consult_id])

    def _show(self, call: Call) -> None:
        self._deadlines.watch(call)
        tick = call.tick()
        if tick is not None:
            self._pages.push_meter(call.consult_id, tick)
        trouble = call.trouble()
        if trouble is not None:
            self._pages.push_trouble(call.consult_id, trouble)
