"""The one task that owns a consult: it reads facts and commands, decides, stores, then acts.

Facts are coalesced by what they are about, so that none is lost and none piles up; they are
tried again until the database takes them. Commands wait in a bounded line and are answered
exactly once each; with the database away they are refused and nothing is changed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from signaling import events as ev
from signaling import messages as m
from signaling import store
from signaling.asks import Ask, Look, accepted, event_of, refusal, scope
from signaling.case import Case, mark
from signaling.consult import step
from signaling.errors import (
    ConsultError,
    InvalidTransition,
    NotYourConsult,
    OfferRefused,
    Overloaded,
    PhysicianBusy,
    PriceChanged,
    RecordingOff,
    Stopping,
    StorageTrouble,
    UnknownConsult,
)
from signaling.events import Effect, Event, Fact
from signaling.facts import about_of
from signaling.funding import consider
from signaling.invitations import new_invitation
from signaling.model import due, may_offer, next_deadline_ms
from signaling.ports import Offer
from signaling.queue import may_see
from signaling.rules import standing_effects
from signaling.surroundings import Surroundings

log = structlog.get_logger()

MAX_ASKS = 64
MAX_UNWRITTEN = 64
STORAGE_TIMEOUT_S = 15
OFFER_TIMEOUT_S = 10
BACKOFF_MS = (100, 200, 500, 1_000, 2_000, 5_000)
# here nobody is shown that the patient's page is gone before the queue calls them offline
_OFFERS = (m.PatientOffer, m.PhysicianOffer, m.GuestOffer)
# what their answers hold is not written down: media of this process, a guest's token
_UNWRITTEN = (*_OFFERS, m.Invite)
_ALONE: tuple[m.State, ...] = ("created", "waiting")


class Keeper:
    """Owns one consult while it is live or asked about."""

    def __init__(self, consult_id: str, around: Surroundings, case: Case | None = None) -> None:
        self.consult_id = consult_id
        self.case = case
        self._around = around
        self._facts: dict[Hashable, Fact] = {}
        self._asks: deque[Ask | Look] = deque()
        self._unwritten: dict[tuple[str, str], m.Answer] = {}
        self._wake = asyncio.Event()
        self._failures = 0
        self._gone_at_ms: int | None = None
        """Since when the page has been gone, while that is no event: most come back at once."""
        self._retry_at_ms: int | None = None
        self._lost: Case | None = None
        """What we believed when a commit's fate became unknown: effects may be due."""
        self._untold: Case | None = None
        """What the pages were last told, when they missed what came after it."""

    def submit(self, fact: Fact) -> None:
        """Note a fact; a newer one about the same thing replaces it. Never blocks."""
        about = about_of(fact)
        self._facts.pop(about, None)
        if about == "page":
            self._gone_at_ms = None
        if isinstance(fact, ev.PatientGone) and self.case and self.case.core.state in _ALONE:
            self._gone_at_ms = self._around.clock.now_ms()
        else:
            self._facts[about] = fact
        self._wake.set()

    def put(self, ask: Ask | Look) -> None:
        """Line up a command or a look.

        Raises:
            Overloaded: too many wait already.
        """
        if len(self._asks) >= MAX_ASKS:
            raise Overloaded(self.consult_id)
        self._asks.append(ask)
        self._wake.set()

    async def run(self, resting: Callable[[], None]) -> None:
        """Work until there is nothing to keep; ``resting`` is then called before returning."""
        while not self._may_rest():
            try:
                if (fact := self._next_fact()) is not None:
                    await self._take_note(*fact)
                elif self._behind and self._retry_at_ms is None:
                    await self._catch_up()
                elif self._asks:
                    await self._serve(self._asks.popleft())
                else:
                    await self._sleep()
            except Exception:
                log.exception("consult_task_failed", consult_id=self.consult_id)
                self._back_off()
        resting()

    # --- what comes next -----------------------------------------------------------------------

    def _may_rest(self) -> bool:
        if self._facts or self._asks or self._retry_at_ms is not None or self._behind:
            return False
        core = self.case.core if self.case else None
        return core is None or not (core.live or (core.state == "created" and core.patient_here))

    def _next_fact(self) -> tuple[Fact, Hashable] | None:
        """What has happened, first what was reported, then what a deadline says."""
        now_ms = self._around.clock.now_ms()
        if self._retry_at_ms is not None:
            if now_ms < self._retry_at_ms:
                return None
            self._retry_at_ms = None
        if self._facts:
            about = next(iter(self._facts))
            return self._facts.pop(about), about
        fact = due(self.case.core, now_ms) if self.case else None
        if self._gone_at_ms is not None and (fact or self._absence_counts(now_ms)):
            gone = ev.PatientGone(now_ms - self._gone_at_ms)
            self._gone_at_ms = None
            return gone, about_of(gone)
        return (fact, None) if fact else None

    def _absence_counts(self, now_ms: int) -> bool:
        """Whether it makes a difference by now that the patient's page is gone."""
        if self.case is None or self.case.core.state not in _ALONE:
            return True
        return now_ms >= (self._gone_at_ms or 0) + self._around.timers.offline_ms

    async def _sleep(self) -> None:
        self._wake.clear()
        until = [self._retry_at_ms]
        if self._retry_at_ms is None:
            until = [next_deadline_ms(self.case.core)] if self.case else []
            if self._gone_at_ms is not None:
                until.append(self._gone_at_ms + self._around.timers.offline_ms)
        first_ms = min((at_ms for at_ms in until if at_ms is not None), default=None)
        if first_ms is None:
            await self._wake.wait()
            return
        left_s = max(0, first_ms - self._around.clock.now_ms()) / 1000
        try:
            async with asyncio.timeout(left_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _back_off(self) -> None:
        wait_ms = BACKOFF_MS[min(self._failures, len(BACKOFF_MS) - 1)]
        self._failures += 1
        self._retry_at_ms = self._around.clock.now_ms() + wait_ms

    def _forget(self) -> None:
        """The database holds something else than we believe (a commit whose answer was lost)."""
        self.case, self._lost = None, self._lost or self.case

    # --- facts ---------------------------------------------------------------------------------

    async def _take_note(self, fact: Fact, about: Hashable) -> None:
        try:
            before = (await self._loaded()).core
            await self._move(fact, None)
            if about is None and self._here().core is before:
                raise RuntimeError(f"a deadline without effect: {fact.kind}")  # it would spin
        except UnknownConsult:
            self._facts.clear()
        except Exception as trouble:
            if isinstance(trouble, store.Stale):
                self._forget()
            elif not isinstance(trouble, StorageTrouble):
                log.exception("fact_failed", consult_id=self.consult_id, fact=fact.kind)
            if about is not None:  # deadlines come again by themselves
                self._facts = {about: fact, **self._facts}
            self._back_off()
        else:
            self._failures = 0

    # --- commands ------------------------------------------------------------------------------

    async def _serve(self, ask: Ask | Look) -> None:
        if isinstance(ask, Look):
            await self._show(ask)
            return
        try:
            answer = await self._answer(ask)
        except Exception:  # a bug of ours ends no consult
            log.exception("command_failed", consult_id=self.consult_id, command=ask.command.kind)
            problem = m.Problem(code="internal_error", message="something went wrong here")
            answer = m.Answer(command_id=ask.command.id, ok=False, error=problem)
        ask.reply(answer)

    async def _show(self, look: Look) -> None:
        try:
            case = await self._loaded()
            events: tuple[m.Event, ...] = ()
            if look.after < case.core.version:
                async with self._storage(), self._around.database.read() as conn:
                    events = await store.events(conn, self.consult_id, look.after)
        except UnknownConsult:
            look.seen(None, ())
        except StorageTrouble:
            # the page of a running call still gets its view: the history comes another time
            look.seen(self.case, ())
        else:
            look.seen(case, events)

    async def _answer(self, ask: Ask) -> m.Answer:
        for _attempt in range(2):
            try:
                return await self._answer_once(ask)
            except store.Stale:
                self._forget()
        return refusal(ask, StorageTrouble())

    async def _answer_once(self, ask: Ask) -> m.Answer:
        try:
            await self._loaded()
            try:
                first = await self._first_answer(ask)
            except StorageTrouble:
                self._stop_recording_at_once(ask)
                raise
            if first is not None:
                return first
            try:
                self._admit(ask)
                return await self._do(ask)
            except (StorageTrouble, NotYourConsult, Stopping):
                raise
            except ConsultError as error:
                answer = refusal(ask, error)
                if ask.keep_refusal:
                    await self._remember(ask, answer)
                return answer
        except ConsultError as error:
            return refusal(ask, error)

    def _admit(self, ask: Ask) -> None:
        """Whether this party may ask anything of this consult at all."""
        case, physician = self._here(), ask.physician
        if ask.guest_id is not None and case.core.guest(ask.guest_id) is None:
            raise NotYourConsult(self.consult_id)
        if physician is None:
            return
        if isinstance(ask.command, m.Take):
            mine = may_see(physician, case)
        else:
            mine = case.core.physician_id == physician.id
        if not mine:
            fields = {"consult_id": self.consult_id, "physician_id": physician.id}
            self._around.audit("not_your_consult", {**fields, "command": ask.command.kind})
            raise NotYourConsult(self.consult_id)

    async def _do(self, ask: Ask) -> m.Answer:
        command, case = ask.command, self._here()
        if isinstance(command, _OFFERS):
            return await self._connect(ask, command)
        if isinstance(command, m.Record) and not self._around.calls.may_record:
            raise RecordingOff
        self._stop_recording_at_once(ask)
        if isinstance(command, m.Invite):
            return await self._invite(ask, command)
        if isinstance(command, m.StopScreen):
            self._around.calls.stop_screen(self.consult_id)
            answer = accepted(ask)
            await self._remember(ask, answer)
            return answer
        if isinstance(command, m.Join):
            await self._check_join(command, case)
        if isinstance(command, m.Take):
            if self._around.stopping():
                raise Stopping
            answer = accepted(ask, consult_id=self.consult_id)
        else:
            answer = accepted(ask, **consider(case, command, self._around.calls.prepaid))
        await self._move(event_of(ask, self._around.next_place), (ask, answer))
        return answer

    def _stop_recording_at_once(self, ask: Ask) -> None:
        """Consent that is taken back holds at once, whatever the database says."""
        mine = ask.physician is None or self._here().core.physician_id == ask.physician.id
        if mine and isinstance(ask.command, m.PatientStopRecording | m.PhysicianStopRecording):
            self._perform((ev.StopRecording(),))

    async def _check_join(self, command: m.Join, case: Case) -> None:
        if self._around.stopping():
            raise Stopping
        order = case.order
        if case.core.state == "created" and order.closes_at < self._around.clock.at_ms():
            await self._move(ev.Expired(), None)
        if (command.tariff_digest, command.terms_version) != (
            order.tariff_digest,
            order.terms_version,
        ):
            raise PriceChanged(self.consult_id)

    async def _invite(self, ask: Ask, command: m.Invite) -> m.Answer:
        around = self._around
        expires_at = around.clock.at_ms() + around.timers.invitation_ms
        event, token = new_invitation(command, expires_at)
        await self._move(event, None)
        answer = accepted(ask, guest_id=event.guest_id, token=token)
        await self._remember(ask, answer)
        return answer

    async def _connect(self, ask: Ask, command: Offer) -> m.Answer:
        """Media answers first; the transition it causes is stored before the page is told."""
        core = self._here().core
        who = ask.guest_id or ("physician" if ask.physician else "patient")
        if not may_offer(core, who):
            if core.freed and who == "patient":
                await self._move(ev.PatientOffered(), None)
            raise InvalidTransition(core.id, core.state, "offer")
        try:
            async with asyncio.timeout(OFFER_TIMEOUT_S):
                sdp = await self._around.calls.offer(core, who, command)
        except TimeoutError as error:
            raise OfferRefused("media_timeout", "the connection could not be set up") from error
        except (SQLAlchemyError, OSError) as error:  # the call's meter could not be read
            raise StorageTrouble from error
        answer = accepted(ask, sdp=sdp)
        if who == "patient":
            await self._move(ev.PatientOffered(), None)
        elif who != "physician":
            await self._move(ev.GuestJoined(who), None)
        await self._remember(ask, answer)
        return answer

    # --- storage -------------------------------------------------------------------------------

    def _here(self) -> Case:
        assert self.case is not None
        return self.case

    async def _loaded(self) -> Case:
        if self.case is None:
            await self._believe()
        return self._here()

    async def _believe(self) -> None:
        """What the database holds is so; make good what a lost commit should have caused."""
        async with self._storage(), self._around.database.read() as conn:
            case = await store.load(conn, self.consult_id, self._around.clock)
        if case is None:
            raise UnknownConsult(self.consult_id)
        lost = self._lost
        if lost is not None and lost.moment == case.moment:
            self.case, self._lost = lost, None  # it failed indeed
            return
        self.case = case
        self._around.moved(case)
        if lost is not None:
            self._perform(standing_effects(case.core))
            self._lost, self._untold = None, self._untold or lost
            await self._tell_missed()

    async def _tell_missed(self) -> None:
        """Show the pages what they missed; when it cannot be read, another time."""
        told, case, watcher = self._untold, self._here(), self._around.watcher
        assert told is not None
        try:
            async with self._storage(), self._around.database.read() as conn:
                missed = await store.events(conn, self.consult_id, told.core.version)
        except StorageTrouble:
            return
        self._untold = None
        for entry in missed[-1:]:
            watcher.changed(told, case, entry)
        freed = told.core.busy_physician_id
        if freed is not None and freed != case.core.busy_physician_id:
            watcher.released(freed, self.consult_id)

    @property
    def _behind(self) -> bool:
        return self._lost is not None or self._untold is not None

    async def _catch_up(self) -> None:
        """Find out what became of a commit, and tell what it changed."""
        try:
            if self._lost is not None or self.case is None:
                await self._believe()
            if self._untold is not None:
                await self._tell_missed()
        except UnknownConsult:
            self._lost = self._untold = None
        except StorageTrouble:
            pass
        if self._behind:
            self._back_off()
        else:
            self._failures = 0

    async def _first_answer(self, ask: Ask) -> m.Answer | None:
        if isinstance(ask.command, _UNWRITTEN):
            return self._unwritten.get((scope(ask, self.consult_id), ask.command.id))
        async with self._storage(), self._around.database.read() as conn:
            return await store.answer(conn, scope(ask, self.consult_id), ask.command.id)

    async def _remember(self, ask: Ask, answer: m.Answer) -> None:
        if isinstance(ask.command, _UNWRITTEN):
            self._unwritten[scope(ask, self.consult_id), ask.command.id] = answer
            if len(self._unwritten) > MAX_UNWRITTEN:
                del self._unwritten[next(iter(self._unwritten))]
            return
        try:
            async with self._storage(), self._around.database.write() as conn:
                await store.remember(conn, scope(ask, self.consult_id), answer, self._around.clock)
        except IntegrityError:
            log.info("command_repeated", consult_id=self.consult_id)  # it has its first answer

    async def _move(self, event: Event, answering: tuple[Ask, m.Answer] | None) -> None:
        """Step, store in one transaction with the answer, then perform and tell."""
        around, before = self._around, self._here()
        now_ms, at_ms = around.clock.now_ms(), around.clock.at_ms()
        core, effects = step(before.core, event, now_ms, around.timers)
        if core is before.core:
            if answering is not None:
                await self._remember(*answering)
            return
        after = replace(before, core=core, marks=mark(before, core, event, at_ms, around.node))
        at = datetime.fromtimestamp(at_ms / 1000, UTC)
        try:
            async with self._storage(), around.database.write() as conn:
                summary = await around.calls.within(conn, core, event, effects, at)
                if summary is not None:
                    after = replace(after, marks=replace(after.marks, summary=summary))
                entry = await store.save(conn, before, after, event, around.clock)
                if answering is not None:
                    ask, answer = answering
                    await store.remember(conn, scope(ask, self.consult_id), answer, around.clock)
        except IntegrityError as error:
            if isinstance(event, ev.Taken):
                raise PhysicianBusy(event.physician_id, "") from error
            raise StorageTrouble from error
        except StorageTrouble:
            self._lost = self._lost or before  # it may be committed all the same
            raise
        self.case, self._lost = after, None
        around.moved(after)
        self._perform(effects)
        around.watcher.changed(before, after, entry)
        self._tell(effects)

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        """In order, at once; after the commit."""
        around, core = self._around, self._here().core
        now_ms = around.clock.now_ms()
        for effect in effects:
            if isinstance(effect, ev.Release | ev.AskReconnect):
                continue
            try:
                around.calls.perform(core, effect, now_ms)
            except Exception:
                log.exception("effect_failed", consult_id=core.id, effect=type(effect).__name__)

    def _tell(self, effects: tuple[Effect, ...]) -> None:
        """The effects that are for pages, once they know what happened."""
        for effect in effects:
            if isinstance(effect, ev.Release):
                self._around.watcher.released(effect.physician_id, self.consult_id)
            elif isinstance(effect, ev.AskReconnect):
                self._around.watcher.ask_reconnect(self.consult_id, effect.sides)

    @asynccontextmanager
    async def _storage(self) -> AsyncIterator[None]:
        """What goes wrong with the database within is a :class:`StorageTrouble`."""
        try:
            async with asyncio.timeout(STORAGE_TIMEOUT_S):
                yield
        except IntegrityError:
            raise
        except TimeoutError as error:
            raise StorageTrouble from error
        except (SQLAlchemyError, OSError) as error:
            log.warning("storage_trouble", error=type(error).__name__)
            raise StorageTrouble from error
