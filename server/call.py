"""One consult's room and meter, joined: what is carried is what is billed.

The same method opens or closes the room's gate and tells the meter, in the same turn of the
event loop and with the same `now_ms`. Nothing is carried that the meter does not count, but for
the two seconds in which a vanished side is not yet known to be gone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from media.room import Room
from metering import events as m
from metering.meter import Meter, Reading, open_meter, reading, step
from metering.quality import Tally
from metering.rating import Charge, rate
from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Side
from server.clock import monotonic_ms, wall_ms
from signaling.events import (
    Disengage,
    Effect,
    Engage,
    Fact,
    Grant,
    HoldMedia,
    MediaStarted,
    MediaStopped,
    QuotaExhausted,
    ResumeMedia,
    SwitchMode,
)
from signaling.messages import LineTrouble, MeterTick, Party, Pause, PrepaidLeft

PARTIES: Final[tuple[Party, Party]] = ("patient", "physician")
_CARRIED: Final = {Mode.VOICE: ("audio",), Mode.VIDEO: ("audio", "video")}
_DISENGAGED: Final = {
    "hung_up": EndCause.PATIENT_HANGUP,
    "left": EndCause.PATIENT_HANGUP,
    "put_back": EndCause.TRANSFER,
    "unanswered": EndCause.SETUP_FAILED,
}

Report = Callable[[str, Fact], None]


def _party(participant_id: str) -> Party | None:
    """The billed side that a participant is, None for guests."""
    return next((party for party in PARTIES if party == participant_id), None)


class Call:
    """The live part of one consult. All methods run on the event loop and return at once.

    `report` receives what happens to the media as facts for the consult's lifecycle; `changed`
    is called when the reading of the meter may have started or stopped running.
    """

    def __init__(
        self, consult_id: str, tariff: Tariff, epoch: int, report: Report,
        changed: Callable[[Call], None],
    ) -> None:  # fmt: skip
        self.consult_id, self.tariff, self.epoch = consult_id, tariff, epoch
        self.room: Room | None = None
        self.max_video_bps = 0  # no limit
        self.prepaid_fen: int | None = None  # no limit
        self.topped_up_fen = 0
        self._exhausted_fen: int | None = None
        """At which limit it was reported that all is used."""
        self.meter: Meter | None = None
        self.tally: Tally = {}
        self.engaged = self.held = False
        self.mode = Mode.VIDEO
        self.weak: set[Party] = set()
        """Whose line is too weak for pictures: until it is not, voice is carried and billed."""
        self.capped: set[Party] = set()
        """Who sends far too much: the excess is dropped."""
        self._told_trouble = False
        self._parted: Pause = "both_silent"
        self._flowing = dict.fromkeys(PARTIES, False)
        self._report, self._changed = report, changed

    # --- what the lifecycle asks for ---------------------------------------------------------

    def perform(self, effect: Effect, now_ms: int) -> None:
        """Open, hold, switch or close the gate, and tell the meter in the same moment.

        What closes the gate closes it even if the meter refuses; what opens it, the meter first.
        """
        try:
            self._tell(effect, now_ms)
        finally:
            self.gate()
        self.observe(now_ms)
        self._changed(self)

    def _tell(self, effect: Effect, now_ms: int) -> None:
        match effect:
            case Engage(physician_id=physician_id, mode=mode):
                self._engage(physician_id, Mode(mode), now_ms)
            case HoldMedia():
                self.held = True
                self._step(m.Held(now_ms))
            case ResumeMedia():
                self._step(m.Resumed(now_ms))
                self.held = False
            case SwitchMode(mode=mode):
                self.observe(now_ms)  # other kinds count from here on
                self._step(m.ModeChanged(self._carried(Mode(mode)), now_ms))
                self.mode = Mode(mode)
            case Disengage(cause=cause, party=party):
                self.engaged = False
                self._parted = "hung_up" if cause == "hung_up" else "both_silent"
                lost = (
                    EndCause.MEDIA_LOST_PHYSICIAN
                    if party == "physician"
                    else EndCause.MEDIA_LOST_PATIENT
                )
                self._step(m.Disengaged(now_ms, _DISENGAGED.get(cause, lost)))
            case Grant(topped_up_fen=topped_up_fen):
                self.topped_up_fen = topped_up_fen
                self.grant(now_ms)

    def grant(self, now_ms: int) -> None:
        """Tell the meter what is prepaid by now; it may know already."""
        if self.limit_fen is not None:
            self._step(m.Granted(self.limit_fen, self.tariff, now_ms))

    @property
    def limit_fen(self) -> int | None:
        """All that is prepaid; None: there is no limit."""
        return None if self.prepaid_fen is None else self.prepaid_fen + self.topped_up_fen

    @property
    def exhausted(self) -> bool:
        """Whether all that is prepaid is used: nothing is carried any more."""
        return self.meter is not None and not self.meter.latest.funded

    def gate(self) -> None:
        """Let the room carry what is billed now, and nothing else."""
        if self.room is None:
            return
        carried = self._carried(self.mode)
        open_ = self.engaged and not self.held and not self.exhausted
        withheld = open_ and carried is not self.mode
        self.room.deliver(carried.value if open_ else None, video_withheld=withheld)

    def _carried(self, agreed: Mode) -> Mode:
        """The mode that is carried and billed where this one is agreed on."""
        return Mode.VOICE if self.weak else agreed

    def _engage(self, physician_id: str, mode: Mode, now_ms: int) -> None:
        if self.meter is None:
            opened = m.Opened(now_ms, wall_ms(), physician_id, mode, self.epoch)
            self.meter = open_meter(opened)
            self.grant(now_ms)
        for party in PARTIES:  # what flowed before the meter was there starts now for it
            if self._flowing[party] and not self._metered(party):
                self._step(m.FlowStarted(Side(party), now_ms))
        self._step(m.PhysicianChanged(physician_id, now_ms))
        self._step(m.ModeChanged(self._carried(mode), now_ms))
        self._step(m.Resumed(now_ms))
        self._step(m.Engaged(now_ms))
        self.mode, self.engaged, self.held = mode, True, False

    def suspend(self, now_ms: int) -> None:
        """The process ends: close the running segment; the next process goes on from here."""
        self.engaged = False
        self.gate()
        self._step(m.Disengaged(now_ms, EndCause.NODE_LOST))

    # --- what the media report ----------------------------------------------------------------

    def flow_started(self, participant_id: str, kind: str, at_ms: int) -> None:
        """`media.room.RoomListener`: the first packet, or the first after a gap."""
        self.observe(at_ms)

    def flow_stopped(self, participant_id: str, kind: str, at_ms: int) -> None:
        """`media.room.RoomListener`: no packet for 2 s; the last came at `at_ms`."""
        self.observe(at_ms)

    def connected(self, participant_id: str, connection_id: str, transport: str) -> None:
        """`media.room.RoomListener`: the connection is up."""

    def failed(self, participant_id: str, connection_id: str, code: str) -> None:
        """`media.room.RoomListener`: the connection will not come up; the page tries again."""

    def video_suspended(self, participant_id: str, suspended: bool) -> None:
        """`media.room.RoomListener`: a line is too weak for pictures, or not any more.

        Of the two billed sides: nobody then gets pictures, and the time is billed as voice.
        """
        party = _party(participant_id)
        if party is None:
            return
        now_ms = monotonic_ms()
        self.observe(now_ms)  # other kinds count from here on
        (self.weak.add if suspended else self.weak.discard)(party)
        try:
            if self.engaged:
                self._step(m.ModeChanged(self._carried(self.mode), now_ms))
        finally:
            self.gate()
        self.observe(now_ms)
        self._changed(self)

    def flooding(self, participant_id: str, capped: bool) -> None:
        """`media.room.RoomListener`: a participant sends far too much, or not any more."""
        party = _party(participant_id)
        if party is not None:
            (self.capped.add if capped else self.capped.discard)(party)
            self._changed(self)

    def observe(self, now_ms: int) -> None:
        """Bring the meter up to the last packets, and report sides that began or fell silent.

        A side flows when it sends a kind that the mode carries: in a voice call, video alone
        delivers nothing.
        """
        for party in PARTIES:
            self._observe(party, now_ms)
        if not all(self._flowing.values()):  # else the last packets say how far it is known
            self._step(m.Tick(now_ms))
        if self.exhausted and self._exhausted_fen != self.limit_fen:
            self._exhausted_fen = self.limit_fen
            self.gate()
            self._report(self.consult_id, QuotaExhausted(self.topped_up_fen))
            self._changed(self)

    def _observe(self, party: Party, now_ms: int) -> None:
        on, last_ms = self._flow(party)
        before = self._flowing[party]
        if on and not before:
            self._flowing[party] = True
            self._step(m.FlowStarted(Side(party), now_ms))
            self._report(self.consult_id, MediaStarted(party))
        elif before and not on:
            self._flowing[party] = False
            counted_ms = self.meter.last_ms(Side(party)) if self.meter is not None else now_ms
            stopped_ms = last_ms if last_ms is not None else counted_ms
            if self._metered(party):
                self._step(m.FlowStopped(Side(party), stopped_ms))
            self._report(self.consult_id, MediaStopped(party, stopped_ms))
        elif on and last_ms is not None and self._metered(party):
            self._step(m.FlowSeen(Side(party), last_ms))
        if on != before:
            self._changed(self)

    def _flow(self, party: Party) -> tuple[bool, int | None]:
        if self.room is None:
            return False, None
        flow = self.room.flow(party)
        kinds = _CARRIED[self._carried(self.mode)]
        on = [kind for kind in kinds if flow.on[kind]]
        lasts = [last for kind in on or kinds if (last := flow.last_ms[kind]) is not None]
        return bool(on), max(lasts, default=None)

    def _metered(self, party: Party) -> bool:
        if self.meter is None:
            return False
        latest = self.meter.latest
        return latest.patient_flows if party == "patient" else latest.physician_flows

    def _step(self, event: m.Event) -> None:
        if self.meter is not None:
            self.meter = step(self.meter, event)

    # --- what it shows --------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether time is billed at this moment."""
        return self.meter is not None and reading(self.meter).running

    def reading(self) -> Reading | None:
        """The meter's totals, None before the call was ever engaged."""
        return reading(self.meter) if self.meter is not None else None

    def charge(self, *, fault_ended: bool = False) -> Charge:
        """What the consult has come to so far."""
        now = self.reading()
        return rate(self.tariff, now.seconds() if now else {}, fault_ended=fault_ended)

    def trouble(self) -> LineTrouble | None:
        """What both pages show of lines in trouble; None if there is none and both know it."""
        weak = tuple(party for party in PARTIES if party in self.weak)
        capped = tuple(party for party in PARTIES if party in self.capped)
        is_any = bool(weak or capped)
        if not is_any and not self._told_trouble:
            return None
        self._told_trouble = is_any
        return LineTrouble(consult_id=self.consult_id, weak=weak, capped=capped)

    def tick(self) -> MeterTick | None:
        """What both pages show of the meter; None before the call was ever engaged."""
        now = self.reading()
        if now is None:
            return None
        charge = self.charge()
        return MeterTick(
            consult_id=self.consult_id,
            voice_ms=now.voice_ms,
            video_ms=now.video_ms,
            charge_fen=charge.charge_fen,
            currency=self.tariff.currency,
            running=now.running,
            pause=self._pause(now),
            prepaid=self._left(now, charge),
        )

    def _left(self, now: Reading, charge: Charge) -> PrepaidLeft | None:
        if self.limit_fen is None:
            return None
        return PrepaidLeft(
            limit_fen=self.limit_fen, used_fen=charge.split.patient_fen, left_ms=now.left_ms
        )

    def _pause(self, now: Reading) -> Pause | None:
        if now.running:
            return None
        if not self.engaged:
            return self._parted
        if self.held or now.exhausted:
            return "quota_exhausted" if now.exhausted else "held"
        if self.meter is not None and self.meter.first_media_at_ms is None:
            return "connecting"
        silent = [party for party in PARTIES if not self._flowing[party]]
        if len(silent) != 1:
            return "both_silent"
        return "patient_silent" if silent == ["patient"] else "physician_silent"
