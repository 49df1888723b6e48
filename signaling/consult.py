"""The lifecycle of a consult: one table, one step. Pure.

``created → waiting → offered → connecting → active ⇄ held | interrupted → ended`` and the ways
out. The table says where each event may lead; docs/lifecycle.md is generated from it. A command
that the table does not have is refused, a fact that it does not have comes too late and changes
nothing. Hanging up is not finishing: it interrupts, and the physician finishes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from signaling import events as ev
from signaling import funding, guests, recording, rules
from signaling.events import Effect, Event
from signaling.messages import State
from signaling.model import IN_CALL, WITH_PHYSICIAN, Consult, Timers

__all__ = ["DEFAULT_TIMERS", "TRANSITIONS", "Consult", "Rule", "Timers", "step"]

DEFAULT_TIMERS: Final = Timers()


@dataclass(frozen=True)
class Rule:
    """What an event does in a state: the states it may lead to, and how."""

    to: tuple[State, ...]
    act: rules.Act


def step(
    consult: Consult, event: Event, now_ms: int, timers: Timers = DEFAULT_TIMERS
) -> tuple[Consult, tuple[Effect, ...]]:
    """Apply one event to a consult.

    Args:
        consult: Left untouched.
        event: A command or a fact.
        now_ms: Monotonic clock of the caller, milliseconds. Never wall time.
        timers: How long each wait may last.

    Returns:
        The next consult and what must be done, in order. The same object and no effects mean
        that the event was no news: there is nothing to store. Otherwise ``version`` is one
        more. The caller must send the fact that :func:`signaling.model.due` names when the
        earliest deadline has come.

    Raises:
        InvalidTransition: a command is not allowed in this state. ``consult`` still holds.
        AlreadyTaken: another physician has this patient.
        ProposalGone: the answered proposal is not the open one.
    """
    rule = TRANSITIONS.get((consult.state, type(event)))
    if rule is None:
        if isinstance(event, ev.Command):
            raise rules.refused(consult, event)
        return consult, ()
    moved = rule.act(consult, event, now_ms, timers)
    if moved is None:
        return consult, ()
    after, effects = moved
    return replace(guests.outside(after), version=consult.version + 1), effects


# --- the table ------------------------------------------------------------------------------------


def _rows(
    states: tuple[State, ...], event: type[Event], act: rules.Act, *to: State
) -> dict[tuple[State, type[Event]], Rule]:
    """One rule for several states; without ``to`` the event leaves each as it is."""
    return {(state, event): Rule(to or (state,), act) for state in states}


_TALK: Final[tuple[State, ...]] = ("active", "held", "interrupted")
_OPEN: Final[tuple[State, ...]] = ("created", "waiting", "offered", "connecting", "active", "held")

_LIVE: Final[tuple[State, ...]] = ("waiting", *WITH_PHYSICIAN)

TRANSITIONS: Final[Mapping[tuple[State, type[Event]], Rule]] = {
    **_rows(("created", "waiting"), ev.Joined, rules.join, "waiting"),
    **_rows(("created",), ev.Expired, rules.expire, "expired"),
    **_rows(("waiting", "offered"), ev.Left, rules.leave, "cancelled", "ended"),
    **_rows(("cancelled",), ev.Left, rules.no_news),
    **_rows(("waiting",), ev.Dropped, rules.drop, "abandoned", "ended"),
    **_rows(("waiting",), ev.WentOffline, rules.offline),
    **_rows(("waiting",), ev.Taken, rules.take, "offered"),
    **_rows(("offered", *IN_CALL), ev.Taken, rules.take),
    **_rows(_OPEN, ev.PatientGone, rules.gone),
    **_rows(("interrupted",), ev.PatientGone, rules.gone),
    **_rows(_OPEN, ev.PatientBack, rules.back),
    **_rows(("interrupted",), ev.PatientBack, rules.back, "interrupted", "waiting"),
    **_rows(("offered",), ev.PatientOffered, rules.patient_offers, "connecting", "active"),
    **_rows(("connecting", "active", "held"), ev.PatientOffered, rules.patient_offers),
    **_rows(("interrupted",), ev.PatientOffered, rules.patient_offers, "interrupted", "waiting"),
    **_rows(("offered",), ev.AnswerTimedOut, rules.unanswered, "waiting"),
    **_rows(("offered", "connecting"), ev.PutBack, rules.put_back, "waiting"),
    **_rows(("connecting",), ev.RetryDue, rules.retry),
    **_rows(("connecting",), ev.ConnectTimedOut, rules.connect_failed, "failed", "ended"),
    **_rows(("offered", "held"), ev.MediaStarted, rules.media),
    **_rows(("offered", "held", "connecting"), ev.MediaStopped, rules.media),
    **_rows(("connecting",), ev.MediaStarted, rules.media, "connecting", "active"),
    **_rows(("active",), ev.MediaStopped, rules.media, "interrupted"),
    **_rows(("interrupted",), ev.MediaStarted, rules.media, "interrupted", "active"),
    **_rows(("interrupted",), ev.MediaStopped, rules.media),
    **_rows(("active", "held"), ev.Held, rules.hold, "held"),
    **_rows(("held",), ev.Resumed, rules.resume, "active", "interrupted"),
    **_rows(("active", "interrupted"), ev.Resumed, rules.resume),
    **_rows(IN_CALL, ev.ModeLowered, rules.lower),
    **_rows(IN_CALL, ev.VideoProposed, rules.propose),
    **_rows(IN_CALL, ev.ModeAnswered, rules.answer_mode),
    **_rows(_TALK, ev.RecordingProposed, recording.propose),
    **_rows(IN_CALL, ev.RecordingAnswered, recording.answer),
    **_rows(IN_CALL, ev.RecordingStopped, recording.stop),
    **_rows(("ended", "failed", "waiting"), ev.RecordingStopped, rules.no_news),
    **_rows(IN_CALL, ev.RecordingFailed, recording.fail),
    **_rows(("connecting", "active", "held"), ev.HungUp, rules.hang_up, "interrupted"),
    **_rows(("interrupted",), ev.HungUp, rules.hang_up, "interrupted", "ended"),
    **_rows(("ended", "failed"), ev.HungUp, rules.no_news),
    **_rows(("connecting", "active", "held"), ev.Rejoined, rules.rejoin),
    **_rows(
        ("interrupted",),
        ev.Rejoined,
        rules.rejoin,
        "interrupted",
        "connecting",
        "active",
        "waiting",
    ),
    **_rows(("interrupted",), ev.HangUpTimedOut, rules.hang_up_over, "ended"),
    **_rows(
        ("held", "interrupted"), ev.PhysicianFreed, rules.physician_freed, "interrupted", "waiting"
    ),
    **_rows(("interrupted",), ev.ReopenTimedOut, rules.reopen_over, "ended"),
    **_rows(_TALK, ev.LongestCall, rules.too_long, "ended"),
    **_rows(IN_CALL, ev.Finished, rules.finish, "ended"),
    **_rows(("ended", "failed"), ev.Finished, rules.no_news),
    **_rows(WITH_PHYSICIAN, ev.Invited, guests.invite),
    **_rows(_LIVE, ev.GuestRemoved, guests.remove),
    **_rows(IN_CALL, ev.GuestJoined, guests.joined),
    **_rows(_LIVE, ev.GuestOpened, guests.opened),
    **_rows(IN_CALL, ev.GuestLeft, guests.left),
    **_rows(("created", *_LIVE), ev.ToppedUp, funding.top_up),
    **_rows(_LIVE, ev.QuotaExhausted, funding.exhausted, "ended"),
    **_rows(("waiting", "held"), ev.NodeRestarted, rules.restart),
    **_rows(("offered", "connecting"), ev.NodeRestarted, rules.restart, "offered"),
    **_rows(("active", "interrupted"), ev.NodeRestarted, rules.restart, "interrupted"),
}
