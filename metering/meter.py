"""Flows, holds and modes in; billable segments out.

A millisecond is billable when the call is engaged, nobody holds it, and authenticated media flows
from both sides. A side's flow is the union of the intervals from a first to a last packet in which
no gap is above `FLOW_GAP_MS`. The last packet of a running flow is only known once it has come, so
the meter counts up to a *horizon*, the earlier of both sides' last packets, and keeps later changes
pending until the horizon passes them. What is counted was delivered, to the millisecond, at every
moment; so a checkpoint never holds a millisecond that was not.

A prepaid limit is a bound on the total of the mode that is carried, found anew whenever the mode or
the limit changes. The count stops at it, whichever events tell of the time around it.

All `*_ms` are the caller's monotonic clock in milliseconds; wall time (`*_at_ms`, epoch
milliseconds) only labels them, through the anchor of each run.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from metering.errors import MeterError
from metering.events import (
    Closed,
    Condition,
    Disengaged,
    Engaged,
    Event,
    FlowSeen,
    FlowStarted,
    FlowStopped,
    Granted,
    Held,
    ModeChanged,
    Opened,
    PhysicianChanged,
    Resumed,
    Tick,
)
from metering.rating import affordable_s
from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Side

FLOW_GAP_MS: Final = 2_000
"""Silence that ends a flow. Until it has passed, a hold or an end explains the silence."""
LATE_MS: Final = 2_000
"""How late the start of a flow may be reported without losing a millisecond."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A billable interval of one mode, with one physician, in one run of the meter.

    `start_at_ms`, `end_at_ms` and `last_packet_at_ms` (the earlier of both sides' last packets
    known when it ended) are wall labels, epoch milliseconds; `duration_ms` is monotonic.
    """

    mode: Mode
    physician_id: str
    start_at_ms: int
    end_at_ms: int
    duration_ms: int
    end_cause: EndCause
    last_packet_at_ms: int
    epoch: int
    estimated: bool


@dataclass(frozen=True, slots=True)
class Conditions:
    """All that decides whether a moment is billable, and at which price."""

    engaged: bool
    held: bool
    mode: Mode
    physician_id: str
    patient_flows: bool
    physician_flows: bool
    limit_fen: int | None = None
    """What is prepaid; None: there is no limit."""
    funded: bool = True
    """The limit is not used up."""

    @property
    def billable(self) -> bool:
        """Whether this moment is billed."""
        free = self.held or not self.funded
        return self.engaged and not free and self.patient_flows and self.physician_flows


@dataclass(frozen=True, slots=True)
class Change:
    """From `at_ms` on, `field` of the conditions is `value`.

    `cause` is that of the segment which this ends; None where it can only start one.
    """

    at_ms: int
    field: str
    value: object
    cause: EndCause | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Milliseconds so far. Interrupted: after the first billable moment, not held, not billable."""

    voice_ms: int = 0
    video_ms: int = 0
    held_ms: int = 0
    interrupted_ms: int = 0

    def of(self, mode: Mode) -> int:
        """Give the billed milliseconds of a mode."""
        return self.voice_ms if mode is Mode.VOICE else self.video_ms

    def seconds(self) -> dict[Mode, int]:
        """Cut each mode's total to whole seconds: the only cut there is."""
        return {mode: self.of(mode) // 1000 for mode in Mode}


@dataclass(frozen=True, slots=True)
class Meter:
    """One consult's meter. Treat it as opaque: use `step`, `reading`, `freeze`."""

    anchor_ms: int
    anchor_wall_ms: int
    epoch: int
    cursor_ms: int
    """Everything before this is counted, and is final."""
    now_ms: int
    settled: Conditions
    """As they are at the cursor."""
    latest: Conditions
    """As they are when all pending changes have come to pass."""
    patient_last_ms: int
    physician_last_ms: int
    pending: tuple[Change, ...] = ()
    open_since_ms: int | None = None
    segments: tuple[Segment, ...] = ()
    totals: Totals = Totals()
    first_media_at_ms: int | None = None
    closed: Closed | None = None
    estimated: bool = False
    tariff: Tariff | None = None
    """By which a limit is used up."""
    bound_ms: int | None = None
    """At this total of the settled mode the limit is reached; None: never."""

    def label(self, mono_ms: int) -> int:
        """Give the wall label (epoch ms) of a moment of this run."""
        return self.anchor_wall_ms + mono_ms - self.anchor_ms

    def last_ms(self, side: Side) -> int:
        """Give the last packet of a side."""
        return self.patient_last_ms if side is Side.PATIENT else self.physician_last_ms


@dataclass(frozen=True, slots=True)
class Reading:
    """What the meter shows. While `running`, add the time since `as_of_ms` to the mode's total.

    `stopped_by` says why nothing is billed: None while running and before the call is engaged.
    """

    voice_ms: int
    video_ms: int
    held_ms: int
    interrupted_ms: int
    mode: Mode
    running: bool
    as_of_ms: int
    stopped_by: EndCause | None
    left_ms: int | None
    """So much more of the mode the prepaid limit covers; None: all that may come."""
    exhausted: bool

    def seconds(self) -> dict[Mode, int]:
        """Cut each mode's total to whole seconds."""
        return Totals(self.voice_ms, self.video_ms).seconds()


def open_meter(event: Opened) -> Meter:
    """Start a meter: not engaged, nothing flows."""
    start = Conditions(False, False, event.mode, event.physician_id, False, False)
    return Meter(
        anchor_ms=event.at_ms,
        anchor_wall_ms=event.wall_ms,
        epoch=event.epoch,
        cursor_ms=event.at_ms,
        now_ms=event.at_ms,
        settled=start,
        latest=start,
        patient_last_ms=event.at_ms,
        physician_last_ms=event.at_ms,
    )


def step(meter: Meter, event: Event) -> Meter:
    """Apply one event.

    Before `Closed` (and before a checkpoint) you must report `FlowSeen` of both sides: packets
    that were not reported are not billed.

    Times may be equal to or slightly before those already seen: they are moved to the earliest
    moment that is still open, never before. Conditions that already hold change nothing.

    Raises:
        MeterError: media is reported of a flow that has not started, a flow starts twice, or
            something happens after the end. `meter` still holds.
    """
    if meter.closed is not None:
        if isinstance(event, (FlowSeen, FlowStopped, FlowStarted, Tick)):
            return meter
        raise MeterError(f"{type(event).__name__} after the end")
    match event:
        case FlowSeen() if not meter.pending and meter.latest.billable:
            return _go_on(meter, event)
        case FlowStarted() | FlowSeen() | FlowStopped():
            meter = _flow(meter, event)
        case Closed():
            return _close(meter, event)
        case Tick():
            meter = _seen(meter, event.at_ms)
        case _:
            meter = _condition(meter, event)
    return _settle(meter, _horizon(meter))


def reading(meter: Meter) -> Reading:
    """Give the totals up to the horizon, and whether they run on."""
    return Reading(
        voice_ms=meter.totals.voice_ms,
        video_ms=meter.totals.video_ms,
        held_ms=meter.totals.held_ms,
        interrupted_ms=meter.totals.interrupted_ms,
        mode=meter.latest.mode,
        running=meter.latest.billable and meter.closed is None,
        as_of_ms=meter.cursor_ms,
        stopped_by=_stopped_by(meter),
        left_ms=left_ms(meter),
        exhausted=not meter.latest.funded,
    )


def left_ms(meter: Meter) -> int | None:
    """Give how much more of the settled mode the limit covers; None: all that may come."""
    if meter.bound_ms is None:
        return None
    return max(0, meter.bound_ms - meter.totals.of(meter.settled.mode))


def runs_out_ms(meter: Meter) -> int | None:
    """Give the moment at which the limit will be reached if all goes on as it does now.

    None: never, or nothing is billed now. While changes are pending it may be found too late: ask
    again when they have come to pass.
    """
    left = left_ms(meter)
    if left is None or not meter.latest.billable or meter.closed is not None:
        return None
    return meter.cursor_ms + left


def _stopped_by(meter: Meter) -> EndCause | None:
    now = meter.latest
    if meter.closed is not None:
        return meter.closed.cause
    if not now.engaged or now.billable:
        return None
    if not now.funded:
        return EndCause.QUOTA_EXHAUSTED
    if now.held:
        return EndCause.HOLD
    return EndCause.MEDIA_LOST_PHYSICIAN if now.patient_flows else EndCause.MEDIA_LOST_PATIENT


def _seen(meter: Meter, at_ms: int) -> Meter:
    return replace(meter, now_ms=max(meter.now_ms, at_ms))


def _flow(meter: Meter, event: FlowStarted | FlowSeen | FlowStopped) -> Meter:
    patient = event.side is Side.PATIENT
    flows = meter.latest.patient_flows if patient else meter.latest.physician_flows
    if flows == isinstance(event, FlowStarted):
        raise MeterError(
            f"{type(event).__name__} of the {event.side}, whose flow is {'on' if flows else 'off'}"
        )
    told_ms = event.at_ms if isinstance(event, FlowStarted) else event.last_ms
    last_ms = max(told_ms, meter.last_ms(event.side))
    if isinstance(event, FlowStarted):
        last_ms = max(last_ms, meter.cursor_ms)
    meter = _seen(meter, last_ms)
    if patient:
        meter = replace(meter, patient_last_ms=last_ms)
    else:
        meter = replace(meter, physician_last_ms=last_ms)
    if isinstance(event, FlowSeen):
        return meter
    field = "patient_flows" if patient else "physician_flows"
    cause = EndCause.MEDIA_LOST_PATIENT if patient else EndCause.MEDIA_LOST_PHYSICIAN
    return _plan(meter, Change(last_ms, field, isinstance(event, FlowStarted), cause))


def _go_on(meter: Meter, event: FlowSeen) -> Meter:
    """Take a packet of a call that is billed and goes on: what `_flow` and `_settle` come to then.

    This is what happens in nearly every step, twice a second for each call.
    """
    patient_ms, physician_ms = meter.patient_last_ms, meter.physician_last_ms
    if event.side is Side.PATIENT:
        patient_ms = max(patient_ms, event.last_ms)
    else:
        physician_ms = max(physician_ms, event.last_ms)
    now_ms = max(meter.now_ms, patient_ms, physician_ms)
    meter = replace(
        meter, now_ms=now_ms, patient_last_ms=patient_ms, physician_last_ms=physician_ms
    )
    return _count(meter, min(patient_ms, physician_ms))


def _condition(meter: Meter, event: Condition) -> Meter:
    at_ms = max(event.at_ms, meter.cursor_ms)
    match event:
        case Engaged():
            change = Change(at_ms, "engaged", True, None)
        case Disengaged(cause=cause):
            change = Change(at_ms, "engaged", False, cause)
        case Held():
            change = Change(at_ms, "held", True, EndCause.HOLD)
        case Resumed():
            change = Change(at_ms, "held", False, None)
        case ModeChanged(mode=mode):
            change = Change(at_ms, "mode", mode, EndCause.MODE_CHANGE)
        case PhysicianChanged(physician_id=physician_id):
            change = Change(at_ms, "physician_id", physician_id, EndCause.TRANSFER)
        case Granted(limit_fen=limit_fen, tariff=tariff):
            change = Change(at_ms, "limit_fen", max(limit_fen, meter.latest.limit_fen or 0), None)
            meter = replace(meter, tariff=tariff)
    meter = _seen(meter, at_ms)
    return meter if getattr(meter.latest, change.field) == change.value else _plan(meter, change)


def _plan(meter: Meter, change: Change) -> Meter:
    """Add a change in order of time, never before an earlier change of the same field."""
    same = [other.at_ms for other in meter.pending if other.field == change.field]
    change = replace(change, at_ms=max([change.at_ms, meter.cursor_ms, *same]))
    pending = tuple(sorted((*meter.pending, change), key=lambda other: other.at_ms))
    return replace(meter, pending=pending, latest=_changed(meter.latest, change))


def _changed(conditions: Conditions, change: Change) -> Conditions:
    fields: dict[str, Any] = {change.field: change.value}
    if change.field == "limit_fen":
        fields["funded"] = True
    return replace(conditions, **fields)


def _horizon(meter: Meter) -> int:
    """Up to where all is known: a running flow is known up to its last packet.

    A stopped one is known to be silent up to now, less the delay with which its next start may
    be reported.
    """
    silent_ms = meter.now_ms - LATE_MS
    patient_ms = meter.patient_last_ms if meter.latest.patient_flows else silent_ms
    physician_ms = meter.physician_last_ms if meter.latest.physician_flows else silent_ms
    return min(patient_ms, physician_ms)


def _settle(meter: Meter, to_ms: int) -> Meter:
    """Count up to `to_ms`, applying the pending changes on the way."""
    while meter.pending and meter.pending[0].at_ms <= to_ms:
        change, rest = meter.pending[0], meter.pending[1:]
        meter = replace(_count(meter, change.at_ms), pending=rest)
        meter = _apply(meter, change)
    return _count(meter, to_ms)


def _count(meter: Meter, to_ms: int) -> Meter:
    if meter.bound_ms is not None and meter.settled.billable and to_ms > meter.cursor_ms:
        reached_ms = meter.cursor_ms + (left_ms(meter) or 0)
        if reached_ms <= to_ms:
            meter = _exhaust(_pass(meter, reached_ms))
    return _pass(meter, to_ms)


def _pass(meter: Meter, to_ms: int) -> Meter:
    """Add the time up to `to_ms` to where it belongs."""
    passed_ms = to_ms - meter.cursor_ms
    if passed_ms <= 0:
        return meter
    totals, now = meter.totals, meter.settled
    if now.billable and now.mode is Mode.VOICE:
        totals = replace(totals, voice_ms=totals.voice_ms + passed_ms)
    elif now.billable:
        totals = replace(totals, video_ms=totals.video_ms + passed_ms)
    elif now.held:
        totals = replace(totals, held_ms=totals.held_ms + passed_ms)
    elif meter.first_media_at_ms is not None:
        totals = replace(totals, interrupted_ms=totals.interrupted_ms + passed_ms)
    return replace(meter, cursor_ms=to_ms, totals=totals)


def _exhaust(meter: Meter) -> Meter:
    """The limit is reached at the cursor: what comes is not billed, until more is granted."""
    meter = _end_segment(meter, EndCause.QUOTA_EXHAUSTED)
    latest = meter.latest
    if latest.limit_fen == meter.settled.limit_fen:  # else more is granted from a later moment on
        latest = replace(latest, funded=False)
    return replace(meter, settled=replace(meter.settled, funded=False), latest=latest)


def bounded(meter: Meter) -> Meter:
    """Find the bound of the settled mode and limit: some twenty ratings, so only at changes."""
    limit_fen, mode = meter.settled.limit_fen, meter.settled.mode
    if limit_fen is None:
        return meter
    assert meter.tariff is not None, "a limit comes with its tariff"
    seconds = meter.totals.seconds()
    more_s = affordable_s(meter.tariff, seconds, mode, limit_fen)
    return replace(meter, bound_ms=None if more_s is None else (seconds[mode] + more_s) * 1000)


def _apply(meter: Meter, change: Change) -> Meter:
    """Make one change at the cursor, ending and starting segments as it asks for."""
    after = _changed(meter.settled, change)
    if after == meter.settled:
        return meter
    if change.field == "limit_fen" and meter.settled.billable:  # a top-up cuts nothing
        return bounded(replace(meter, settled=after))
    if meter.settled.billable:
        meter = _end_segment(meter, _blame(meter, change))
    if after.billable:
        first = meter.first_media_at_ms
        started_at_ms = meter.label(meter.cursor_ms) if first is None else first
        meter = replace(meter, open_since_ms=meter.cursor_ms, first_media_at_ms=started_at_ms)
    meter = replace(meter, settled=after)
    return bounded(meter) if change.field in ("mode", "limit_fen") else meter


def _blame(meter: Meter, change: Change) -> EndCause:
    """Give the cause of a segment's end: silence right before a hold or an end is its effect."""
    if change.field.endswith("_flows"):
        for later in meter.pending:
            ends = (later.field, later.value) in (("held", True), ("engaged", False))
            if ends and later.cause is not None and later.at_ms <= change.at_ms + FLOW_GAP_MS:
                return later.cause
    assert change.cause is not None, "what starts something ends no segment"
    return change.cause


def _end_segment(meter: Meter, cause: EndCause) -> Meter:
    segment = open_segment(meter, cause)
    ended = meter.segments if segment is None else (*meter.segments, segment)
    return replace(meter, open_since_ms=None, segments=ended)


def open_segment(meter: Meter, cause: EndCause, *, estimated: bool = False) -> Segment | None:
    """Give the segment under way as if it ended now, at the cursor; None if nothing is billed."""
    start_ms, end_ms = meter.open_since_ms, meter.cursor_ms
    if start_ms is None or start_ms == end_ms:
        return None
    return Segment(
        mode=meter.settled.mode,
        physician_id=meter.settled.physician_id,
        start_at_ms=meter.label(start_ms),
        end_at_ms=meter.label(end_ms),
        duration_ms=end_ms - start_ms,
        end_cause=cause,
        last_packet_at_ms=meter.label(min(meter.patient_last_ms, meter.physician_last_ms)),
        epoch=meter.epoch,
        estimated=estimated,
    )


def _close(meter: Meter, event: Closed) -> Meter:
    """Count what is left: a flow that still runs is known up to its last packet, and no further."""
    at_ms = max(event.at_ms, meter.cursor_ms, *(change.at_ms for change in meter.pending))
    meter = _seen(meter, at_ms)
    if meter.latest.engaged:
        meter = _plan(meter, Change(at_ms, "engaged", False, event.cause))
    for side in Side:
        flows = meter.latest.patient_flows if side is Side.PATIENT else meter.latest.physician_flows
        if flows and meter.last_ms(side) < at_ms:
            meter = _flow(meter, FlowStopped(side, meter.last_ms(side)))
    return replace(_settle(meter, at_ms), closed=replace(event, at_ms=at_ms))
