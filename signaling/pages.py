"""All connected pages: who they are, and what each is told when something changes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

from signaling import events as ev
from signaling import messages as m
from signaling.asks import Ask, Look, accepted, refusal
from signaling.case import Case, Physician
from signaling.desk import Desk
from signaling.errors import ConsultError, Overloaded
from signaling.messages import Party
from signaling.page import Page
from signaling.ports import CallControl, Clock, Invited, Relays
from signaling.queue import Standing, may_see, standings, visible
from signaling.rosters import Rosters
from signaling.socket import Fault, SocketServer
from signaling.tasks import Tasks
from signaling.views import Moment, guest_view, patient_view, physician_view, queue_item

PLACES_DELAY_S = 0.05
PLACE_S = 0.001
"""More delay for each who waits: else a rush into a long queue is spent on telling places."""
GOODBYE_S = 5
NO_HISTORY = 1 << 62
GUEST_AWAY_S = 4
"""A guest whose page is gone for so long has left; a reload takes less."""


@dataclass(frozen=True)
class PatientSeat:
    """A patient's page."""

    page: Page
    consult_id: str

    @property
    def subject(self) -> str:
        """Whose page it is, for the relays."""
        return f"patient:{self.consult_id}"


@dataclass(frozen=True)
class ConsoleSeat:
    """A physician's page."""

    page: Page
    physician: Physician

    @property
    def subject(self) -> str:
        """Whose page it is, for the relays."""
        return f"physician:{self.physician.id}"


@dataclass(frozen=True)
class GuestSeat:
    """A guest's page."""

    page: Page
    consult_id: str
    guest_id: str

    @property
    def subject(self) -> str:
        """Whose page it is, for the relays."""
        return f"guest:{self.guest_id}"


Seat = PatientSeat | ConsoleSeat | GuestSeat


class Pages:
    """The pages of this process; implements :class:`signaling.surroundings.Watcher`.

    One page for each consult's patient, guest and each physician: the newest wins. All methods
    but :meth:`stop` return at once and send later, in order.
    """

    def __init__(
        self, socket: SocketServer, desk: Desk, calls: CallControl, relays: Relays, clock: Clock
    ) -> None:
        self._socket, self._desk, self._calls, self._clock = socket, desk, calls, clock
        self._relays = relays
        self._tasks = Tasks()
        self._patients: dict[str, PatientSeat] = {}
        self._consoles: dict[str, ConsoleSeat] = {}
        self._guests: dict[str, GuestSeat] = {}
        self._guests_away: dict[str, asyncio.TimerHandle] = {}
        self._by_sid: dict[str, Seat] = {}
        self._rosters = Rosters(calls, desk.case, self._viewers)
        self._told: dict[str, Standing] = {}
        self._places_due: asyncio.TimerHandle | None = None
        self.stopping = False
        """Nobody is let in any more."""
        socket.farewell = self._farewell

    # --- what calls send -----------------------------------------------------------------------

    def push_meter(self, consult_id: str, tick: m.MeterTick) -> None:
        """To all pages of a call; guests are not told what it costs."""
        for page in self._of_call(consult_id):
            page.send(tick)
        guests = self._guests_of(consult_id)
        if guests:
            elapsed = m.Elapsed(
                consult_id=consult_id,
                elapsed_ms=tick.voice_ms + tick.video_ms,
                running=tick.running,
                pause=tick.pause,
            )
            for seat in guests:
                seat.page.send(elapsed)

    def push_quality(self, consult_id: str, quality: m.Quality) -> None:
        """To all pages of a call."""
        for _viewer, page in self._viewers(consult_id):
            page.send(quality)

    def push_trouble(self, consult_id: str, trouble: m.LineTrouble) -> None:
        """To both pages of a call."""
        for page in self._of_call(consult_id):
            page.send(trouble)

    def seating_changed(self, consult_id: str) -> None:
        """Tell every page of a call who is in the room, and where."""
        self._rosters.changed(consult_id)

    def reconnect_media(self, consult_id: str, who: str | None = None) -> None:
        """Ask one side's page, a guest's, or all, for an offer with a new connection."""
        for viewer, page in self._viewers(consult_id):
            if who in (None, viewer):
                page.send(m.ReconnectMedia(consult_id=consult_id))

    def signed_out(self, physician_id: str) -> None:
        """Close the console of a physician whose session is over; it may do nothing from now on."""
        if physician_id in self._consoles:
            self._consoles[physician_id].page.close("signed_out")

    def consoles(self) -> list[Page]:
        """The pages of all physicians who are connected now."""
        return [seat.page for seat in self._consoles.values()]

    async def stop(self) -> None:
        """Say to every page that the server is being stopped, and close it."""
        self.stopping = True
        self._desk.stop()
        for seat in list(self._by_sid.values()):
            seat.page.close("server_stopping")
        if self._places_due is not None:
            self._places_due.cancel()
        for timer in self._guests_away.values():
            timer.cancel()
        await self._tasks.ended(GOODBYE_S)
        await self._tasks.close()

    # --- pages come and go ---------------------------------------------------------------------

    def patient_came(self, sid: str, consult_id: str, auth: m.PatientAuth) -> None:
        """A patient's page is being connected."""
        page = Page(self._socket, "/patient", sid, auth.page)
        seat = PatientSeat(page, consult_id)
        former = self._patients.get(consult_id)
        self._patients[consult_id] = self._by_sid[sid] = seat
        self._replace(former, page)
        self._start(page)
        self._told.pop(consult_id, None)
        self._desk.submit(consult_id, ev.PatientBack())

        def seen(case: Case | None, events: tuple[m.Event, ...]) -> None:
            if case is None:
                page.close("server_stopping")  # not now: the page tries again
            elif not page.closed:
                view = patient_view(case, self._moment(case))
                page.greet(m.PatientHello(events=events, view=view))
                self._name_relays(seat)
                self._places_later()
                self._rosters.changed(consult_id)
                self._calls.arrived(case.core, "patient", auth.after > 0)

        self._look(page, consult_id, Look(auth.after, seen))

    def console_came(self, sid: str, physician: Physician, auth: m.ConsoleAuth) -> None:
        """A physician's console is being connected."""
        page = Page(self._socket, "/console", sid, auth.page)
        former = self._consoles.get(physician.id)
        seat = self._consoles[physician.id] = self._by_sid[sid] = ConsoleSeat(page, physician)
        self._replace(former, page)
        self._start(page)
        shown = self._desk.call_of(physician.id) or auth.consult_id
        if shown is None:
            self._greet_console(seat, None, ())
            return
        after = auth.after if auth.consult_id == shown else 0

        def seen(case: Case | None, events: tuple[m.Event, ...]) -> None:
            if page.closed:
                return
            if case is None or case.core.physician_id != physician.id:
                self._greet_console(seat, None, ())
                return
            self._greet_console(seat, case, events)
            self._rosters.changed(case.core.id)
            self._calls.arrived(case.core, "physician", after > 0)

        self._look(page, shown, Look(after, seen))

    def guest_came(self, sid: str, invited: Invited, auth: m.GuestAuth) -> None:
        """A guest's page is being connected."""
        consult_id, guest_id = invited.consult_id, invited.guest_id
        page = Page(self._socket, "/guest", sid, auth.page)
        former = self._guests.get(guest_id)
        seat = self._guests[guest_id] = self._by_sid[sid] = GuestSeat(page, consult_id, guest_id)
        self._replace(former, page)
        self._start(page)
        timer = self._guests_away.pop(guest_id, None)
        if timer is not None:
            timer.cancel()
        self._desk.submit(consult_id, ev.GuestOpened(guest_id))

        def seen(case: Case | None, _events: tuple[m.Event, ...]) -> None:
            if case is None:
                page.close("server_stopping")  # not now: the page tries again
                return
            guest = case.core.guest(guest_id)
            if guest is None:
                page.close("removed")
            elif not page.closed:
                page.greet(m.GuestHello(view=guest_view(case, guest)))
                self._name_relays(seat)
                self._rosters.changed(consult_id)
                self._calls.arrived(case.core, guest_id, auth.after > 0)

        self._look(page, consult_id, Look(NO_HISTORY, seen))

    def gone(self, sid: str) -> None:
        """A page's connection is over."""
        seat = self._by_sid.pop(sid, None)
        if seat is None:
            return
        seat.page.close(None)
        self._rosters.forget(sid)
        if isinstance(seat, GuestSeat):
            self._guest_gone(seat)
        elif isinstance(seat, PatientSeat):
            if self._patients.get(seat.consult_id) is seat:
                del self._patients[seat.consult_id]
                if not self._desk.stopping:  # they come back to the next process
                    self._desk.submit(seat.consult_id, ev.PatientGone())
        elif self._consoles.get(seat.physician.id) is seat:
            del self._consoles[seat.physician.id]

    def _guest_gone(self, seat: GuestSeat) -> None:
        if self._guests.get(seat.guest_id) is not seat:
            return
        del self._guests[seat.guest_id]
        if not self._desk.stopping:
            self._guests_away[seat.guest_id] = asyncio.get_running_loop().call_later(
                GUEST_AWAY_S, self._guest_left, seat.consult_id, seat.guest_id
            )

    def _guest_left(self, consult_id: str, guest_id: str) -> None:
        del self._guests_away[guest_id]
        self._desk.submit(consult_id, ev.GuestLeft(guest_id))

    def _start(self, page: Page) -> None:
        self._tasks.start(f"page {page.sid}", page.run(lambda: self.gone(page.sid)))

    def _replace(self, former: Seat | None, page: Page) -> None:
        """The newest page wins; the same page reconnecting is no other page."""
        if former is not None:
            former.page.close("moved" if former.page.name != page.name else None)

    def _look(self, page: Page, consult_id: str, look: Look) -> None:
        try:
            self._desk.look(consult_id, look)
        except Overloaded:
            page.close("server_stopping")

    def _greet_console(
        self, seat: ConsoleSeat, case: Case | None, events: tuple[m.Event, ...]
    ) -> None:
        physician = seat.physician
        queue = visible(physician, self._desk.cases())
        seat.page.greet(
            m.ConsoleHello(
                physician_name=physician.name,
                physician_title=physician.title,
                queue=tuple(queue_item(waiting, physician) for waiting in queue),
                events=events,
                call=physician_view(case, self._moment(case)) if case else None,
            )
        )
        self._name_relays(seat)

    async def renew_relays(self) -> None:
        """Give every page new credentials before the former end. Runs until cancelled."""
        while True:
            await asyncio.sleep(self._relays.renew_s)
            for seat in list(self._by_sid.values()):
                self._name_relays(seat)

    def _name_relays(self, seat: Seat) -> None:
        servers = self._relays.of(seat.subject)
        if servers is not None:
            seat.page.send(servers)

    # --- what pages say ------------------------------------------------------------------------

    def patient_says(self, sid: str, command: m.PatientCommand) -> None:
        """A command of a patient's page; a closed page is not heard any more."""
        seat = self._by_sid.get(sid)
        if not isinstance(seat, PatientSeat) or seat.page.closed:
            return
        ask = Ask(command, None, seat.page.send)
        if isinstance(command, m.Probe):
            seat.page.send(self._probe(seat.consult_id, ask, command.sdp))
        else:
            self._desk.ask(seat.consult_id, ask)

    def _probe(self, consult_id: str, ask: Ask, sdp: str) -> m.Answer:
        try:
            return accepted(ask, sdp=self._calls.probe(consult_id, sdp))
        except ConsultError as error:
            return refusal(ask, error)

    def guest_says(self, sid: str, command: m.GuestCommand) -> None:
        """A command of a guest's page; a closed page is not heard any more."""
        seat = self._by_sid.get(sid)
        if isinstance(seat, GuestSeat) and not seat.page.closed:
            ask = Ask(command, None, seat.page.send, guest_id=seat.guest_id)
            self._desk.ask(seat.consult_id, ask)

    def console_says(self, sid: str, command: m.ConsoleCommand) -> None:
        """A command of a console; a closed page is not heard any more."""
        seat = self._by_sid.get(sid)
        if not isinstance(seat, ConsoleSeat) or seat.page.closed:
            return
        ask = Ask(command, seat.physician, seat.page.send)
        if isinstance(command, m.Take):
            self._desk.take(ask)
        else:
            self._desk.ask(command.consult_id, ask)

    def malformed(self, sid: str) -> None:
        """A page sent what is no command."""
        if sid in self._by_sid:
            self._by_sid[sid].page.close("malformed")

    def _farewell(self, eio_sid: str, fault: Fault) -> bool:
        seats = [seat for seat in self._by_sid.values() if seat.page.eio_sid == eio_sid]
        for seat in seats:
            seat.page.close(fault)
        return bool(seats)

    # --- what pages are told -------------------------------------------------------------------

    def changed(self, before: Case, after: Case, entry: m.Event) -> None:
        """A transition was stored."""
        moment = self._moment(after)
        patient = self._patients.get(after.core.id)
        if patient is not None:
            view = patient_view(after, moment)
            patient.page.send(m.PatientUpdate(event=entry, view=view))
        physician_id = after.core.physician_id
        in_it = before.core.busy_physician_id or after.core.busy_physician_id
        if physician_id in self._consoles and in_it == physician_id:
            console_view = physician_view(after, moment)
            update = m.PhysicianUpdate(event=entry, view=console_view)
            self._consoles[physician_id].page.send(update)
        for seat in self._guests_of(after.core.id):
            guest = after.core.guest(seat.guest_id)
            if guest is None:
                seat.page.close("removed")
            else:
                seat.page.send(m.GuestUpdate(view=guest_view(after, guest)))
        if before.core.guests != after.core.guests:
            self._rosters.changed(after.core.id)
        if "waiting" in (before.core.state, after.core.state):
            self._queue_changed(after)
            self._places_later()

    def released(self, physician_id: str, consult_id: str) -> None:
        """This physician may take the next patient."""
        if physician_id in self._consoles:
            self._consoles[physician_id].page.send(m.Released(consult_id=consult_id))

    def ask_reconnect(self, consult_id: str, sides: tuple[Party, ...]) -> None:
        """These sides should connect their media anew."""
        for side in sides:
            self.reconnect_media(consult_id, side)

    def _queue_changed(self, case: Case) -> None:
        for seat in self._consoles.values():
            if not may_see(seat.physician, case):
                continue
            if case.core.state == "waiting":
                item = queue_item(case, seat.physician)
                seat.page.send(m.QueueChange(upsert=(item,)))
            else:
                seat.page.send(m.QueueChange(remove=(case.core.id,)))

    def _places_later(self) -> None:
        """Soon, once for all changes until then: each move changes every place behind it."""
        if self._places_due is None and not self._desk.stopping:
            loop = asyncio.get_running_loop()
            delay_s = PLACES_DELAY_S + PLACE_S * len(self._told)
            self._places_due = loop.call_later(delay_s, self._tell_places)

    def _tell_places(self) -> None:
        self._places_due = None
        standing = standings(self._desk.cases())
        for consult_id, place in standing.items():
            seat = self._patients.get(consult_id)
            if seat is None or not seat.page.greeted or self._told.get(consult_id) == place:
                continue
            self._told[consult_id] = place
            seat.page.send(m.Place(place=place.place, waiting=place.waiting))
        for consult_id in self._told.keys() - standing.keys():
            del self._told[consult_id]

    def _moment(self, case: Case) -> Moment:
        who = case.core.physician_id or case.order.booked_physician_id
        return Moment(
            now_ms=self._clock.now_ms(),
            at_ms=self._clock.at_ms(),
            physician_online=who in self._consoles,
            summary=self._calls.summary(case.core.id),
            may_record=self._calls.may_record,
            prepaid=self._calls.prepaid(case),
        )

    def _guests_of(self, consult_id: str) -> list[GuestSeat]:
        return [seat for seat in self._guests.values() if seat.consult_id == consult_id]

    def _viewers(self, consult_id: str) -> Iterator[tuple[str, Page]]:
        """The pages of a call, each with the participant whose page it is."""
        patient = self._patients.get(consult_id)
        if patient is not None:
            yield "patient", patient.page
        case = self._desk.case(consult_id)
        physician_id = case.core.busy_physician_id if case else None
        if physician_id in self._consoles:
            yield "physician", self._consoles[physician_id].page
        for seat in self._guests_of(consult_id):
            yield seat.guest_id, seat.page

    def _of_call(self, consult_id: str) -> Iterator[Page]:
        """The pages of both parties."""
        for viewer, page in self._viewers(consult_id):
            if viewer in ("patient", "physician"):
                yield page
