"""What each event does to a consult, one function each; `consult.py` says in which states. Pure.

A rule returns the next consult and the effects, or None when the event is no news.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from signaling import events as ev
from signaling import recording
from signaling.errors import AlreadyTaken, InvalidTransition, ProposalGone
from signaling.events import DisengageCause, Effect, Event, Outcome
from signaling.messages import EndCause, Party, State
from signaling.model import IN_CALL, TERMINAL, Arm, Consult, OpenProposal, Timers, arm

Moved = tuple[Consult, tuple[Effect, ...]]
Act = Callable[[Consult, Any, int, Timers], Moved | None]


def refused(consult: Consult, event: Event) -> InvalidTransition:
    """The error for a command that this state does not allow."""
    return InvalidTransition(consult.id, consult.state, event.kind)


# --- the queue ----------------------------------------------------------------------------------


def join(c: Consult, e: ev.Joined, now_ms: int, t: Timers) -> Moved | None:
    """The patient agreed: a place in the queue, at the end; one who was in a call keeps mode."""
    mode = c.mode if c.answered_once else e.mode
    if c.state == "waiting" and mode == c.mode:
        return None
    c = replace(c, requested_mode=e.mode, mode=mode, place=e.place if c.place is None else c.place)
    return _wait(c, now_ms, t), ()


def _wait(c: Consult, now_ms: int, t: Timers) -> Consult:
    """Waiting, with nobody and nothing left of a call; the page's presence goes on."""
    c = replace(
        c,
        state="waiting",
        physician_id=None,
        physician_name="",
        physician_title="",
        patient_media=False,
        physician_media=False,
        proposal=None,
        recording=None,
        hung_up=False,
        freed=False,
        connected=False,
        lost=None,
        patient_online=c.patient_here or c.patient_online,
        deadlines=tuple(item for item in c.deadlines if item[0] in ("offline", "drop")),
    )
    return c if c.patient_here else _await_page(c, now_ms, t)


def _await_page(c: Consult, now_ms: int, t: Timers) -> Consult:
    if c.patient_online:
        c = arm(c, now_ms, Arm(on={"offline": t.offline_ms}))
    return arm(c, now_ms, Arm(on={"drop": t.dropped_ms}))


def take(c: Consult, e: ev.Taken, now_ms: int, t: Timers) -> Moved | None:
    """A physician takes the patient; one at a time."""
    if c.state != "waiting":
        if c.freed:
            raise refused(c, e)
        if c.physician_id == e.physician_id:
            return None
        raise AlreadyTaken(c.id, c.physician_id or "", c.physician_name)
    c = replace(
        c,
        state="offered",
        physician_id=e.physician_id,
        physician_name=e.physician_name,
        physician_title=e.physician_title,
        deadlines=(),
    )
    return arm(c, now_ms, Arm(on={"answer": t.answer_ms})), ()


def leave(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """The patient gives up."""
    return _give_up(c, "cancelled", "patient_hangup")


def drop(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """The patient lost their place."""
    return _give_up(c, "abandoned", "media_lost_patient")


def _give_up(c: Consult, state: State, cause: EndCause) -> Moved:
    """The patient goes before the call; one that was in a call before is ended and settled."""
    if c.answered_once:
        return end(c, cause, "patient")
    effects = _part(c, "left", "patient") if c.physician_id else ()
    return replace(c, state=state, deadlines=(), end_party="patient"), (*effects, ev.Discard())


def expire(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """Never joined."""
    return replace(c, state="expired", deadlines=()), (ev.Discard(),)


# --- a page of the patient comes and goes -------------------------------------------------------


def gone(c: Consult, e: ev.PatientGone, now_ms: int, t: Timers) -> Moved | None:
    """The page lost its connection: its place is kept for a while."""
    if not c.patient_here:
        return None
    c = replace(c, patient_here=False)
    return _await_page(c, now_ms - e.away_ms, t) if c.state == "waiting" else c, ()


def back(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved | None:
    """The page is connected again; a consult left open is waiting again."""
    if c.patient_here and c.patient_online:
        return None
    c = replace(c, patient_here=True, patient_online=True)
    c = arm(c, now_ms, Arm(off=frozenset({"offline", "drop"})))
    return (_wait(c, now_ms, t) if c.freed else c), ()


def offline(c: Consult, _e: Event, now_ms: int, _t: Timers) -> Moved:
    """The queue shows the patient as offline."""
    c = arm(c, now_ms, Arm(off=frozenset({"offline"})))
    return replace(c, patient_online=False), ()


# --- from answering to flowing both ways --------------------------------------------------------


def patient_offers(c: Consult, e: Event, now_ms: int, t: Timers) -> Moved | None:
    """The answer to the physician; later ones only renegotiate."""
    if c.freed:
        return _wait(c, now_ms, t), ()
    if c.hung_up:
        raise refused(c, e)
    if c.state != "offered":
        return None
    c = replace(c, state="connecting", answered_once=True)
    c = _by_media(_connecting(c, now_ms, t), now_ms, t)
    return c, (_engage(c),)


def _connecting(c: Consult, now_ms: int, t: Timers) -> Consult:
    change = Arm(
        off=frozenset({"answer", "hang_up", "retry", "connect"}),
        on={"retry": t.connecting_ms // t.connect_tries, "connect": t.connecting_ms},
    )
    return arm(replace(c, state="connecting"), now_ms, change)


def unanswered(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved:
    """Back to the same place."""
    return _wait(c, now_ms, t), _part(c, "unanswered", "patient")


def put_back(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved:
    """Back to the same place."""
    return _wait(c, now_ms, t), _part(c, "put_back", "physician")


def retry(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved:
    """Who does not send yet is asked to connect anew."""
    c = arm(c, now_ms, Arm(off=frozenset({"retry"})))
    again = t.connecting_ms // t.connect_tries
    last_ms = dict(c.deadlines)["connect"]
    if now_ms + again < last_ms:
        c = arm(c, now_ms, Arm(on={"retry": again}))
    return c, (ev.AskReconnect(_silent(c)),)


def connect_failed(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """No media both ways: failed, or ended when the two have talked before."""
    ended, effects = end(c, "setup_failed", None)
    return (ended if c.talked else replace(ended, state="failed")), effects


def _silent(c: Consult) -> tuple[Party, ...]:
    sides: tuple[tuple[Party, bool], ...] = (
        ("patient", c.patient_media),
        ("physician", c.physician_media),
    )
    return tuple(side for side, on in sides if not on)


# --- media --------------------------------------------------------------------------------------


def media(c: Consult, e: ev.MediaStarted | ev.MediaStopped, now_ms: int, t: Timers) -> Moved | None:
    """A side's media begins or ends."""
    on = isinstance(e, ev.MediaStarted)
    was = c.patient_media if e.side == "patient" else c.physician_media
    if c.freed or was == on or (c.hung_up and e.side == "patient"):
        return None
    lost = e.side if c.both_media else c.lost
    c = replace(
        c,
        patient_media=on if e.side == "patient" else c.patient_media,
        physician_media=on if e.side == "physician" else c.physician_media,
    )
    return _by_media(replace(c, lost=None if c.both_media else lost), now_ms, t), ()


def _by_media(c: Consult, now_ms: int, t: Timers) -> Consult:
    """Move between connecting, active and interrupted as the media of both sides says."""
    if c.state == "offered" or c.hung_up:
        return c
    if c.state == "held":
        return arm(c, now_ms, _free(c, t))
    if c.both_media:
        c = replace(c, state="active", connected=True, talked=True)
        over = frozenset[ev.TimerKind]({"retry", "connect", "free"})
        return arm(c, now_ms, Arm(off=over, on={"longest": t.longest_call_ms}))
    if c.connected:
        c = replace(c, state="interrupted")
        return arm(c, now_ms, _free(c, t))
    return c


def _free(c: Consult, t: Timers) -> Arm:
    """The physician is kept no longer than this while a side is silent."""
    return Arm(off=frozenset({"free"})) if c.both_media else Arm(on={"free": t.interrupted_ms})


def physician_freed(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved:
    """The physician may take others; the patient, if there, waits again."""
    silent = _silent(c)
    lost = silent[0] if len(silent) == 1 else c.lost
    effects = _part(c, "freed", lost)
    if c.patient_here:
        return _wait(c, now_ms, t), effects
    c = replace(
        c,
        state="interrupted",
        freed=True,
        lost=lost,
        patient_media=False,
        physician_media=False,
        proposal=None,
        recording=None,
        deadlines=(),
    )
    return arm(c, now_ms, Arm(on={"reopen": t.reopen_ms})), effects


def reopen_over(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """Nobody came back."""
    causes: dict[Party | None, EndCause] = {
        "patient": "media_lost_patient",
        "physician": "media_lost_physician",
        None: "node_lost",
    }
    return end(c, causes[c.lost], c.lost)


# --- in the call --------------------------------------------------------------------------------


def hold(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved | None:
    """Nobody hears or sees anybody."""
    if c.state == "held":
        return None
    c = replace(c, state="held")
    return arm(c, now_ms, _free(c, t)), (ev.HoldMedia(),)


def resume(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved | None:
    """The hold is over."""
    if c.state != "held":
        return None
    return _by_media(replace(c, state="interrupted"), now_ms, t), (ev.ResumeMedia(),)


def lower(c: Consult, e: ev.ModeLowered, _now_ms: int, _t: Timers) -> Moved | None:
    """Down to voice at once."""
    _refuse_apart(c, e)
    if c.mode == "voice":
        return (replace(c, proposal=None), ()) if c.proposal else None
    return replace(c, mode="voice", proposal=None), (ev.SwitchMode("voice"),)


def propose(c: Consult, e: ev.VideoProposed, _now_ms: int, _t: Timers) -> Moved | None:
    """Video is proposed."""
    _refuse_apart(c, e)
    if c.mode == "video":
        return None
    return replace(c, proposal=OpenProposal(e.proposal_id, "video")), ()


def answer_mode(c: Consult, e: ev.ModeAnswered, _now_ms: int, _t: Timers) -> Moved:
    """Up to video, or not."""
    _refuse_apart(c, e)
    if c.proposal is None or c.proposal.id != e.proposal_id:
        raise ProposalGone(c.id, e.proposal_id)
    if not e.accept:
        return replace(c, proposal=None), ()
    mode = c.proposal.mode
    return replace(c, mode=mode, proposal=None), (ev.SwitchMode(mode),)


def _refuse_apart(c: Consult, e: Event) -> None:
    if c.freed or c.hung_up:
        raise refused(c, e)


def hang_up(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved | None:
    """The patient leaves the call, and may return for a while."""
    if c.freed:
        return end(c, "patient_hangup", "patient")
    if c.hung_up:
        return None
    change = Arm(off=frozenset({"retry", "connect", "free"}), on={"hang_up": t.hung_up_ms})
    effects: tuple[Effect, ...] = (ev.Disengage("hung_up", "patient"),)
    if c.state == "held":
        effects += (ev.ResumeMedia(),)
    c = replace(
        c,
        state="interrupted",
        hung_up=True,
        patient_media=False,
        proposal=None,
        recording=None,
    )
    return arm(c, now_ms, change), effects


def rejoin(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved | None:
    """The patient returns."""
    if c.freed:
        return _wait(c, now_ms, t), ()
    if not c.hung_up:
        return None
    c = arm(replace(c, hung_up=False), now_ms, Arm(off=frozenset({"hang_up"})))
    c = _by_media(c, now_ms, t) if c.connected else _connecting(c, now_ms, t)
    return c, (_engage(c),)


def _engage(c: Consult) -> ev.Engage:
    return ev.Engage(_physician(c), c.mode)


def _physician(c: Consult) -> str:
    assert c.physician_id is not None, c.state
    return c.physician_id


# --- the end ------------------------------------------------------------------------------------


def finish(c: Consult, e: ev.Finished, _now_ms: int, _t: Timers) -> Moved:
    """The physician finishes; after a hang-up it is the patient who ended it."""
    if c.hung_up:
        return end(c, "patient_hangup", "patient", e.outcome)
    return end(c, "physician_finish", "physician", e.outcome)


def hang_up_over(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """The patient did not return."""
    return end(c, "patient_hangup", "patient")


def too_long(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved:
    """The longest call is over."""
    return end(c, "max_duration", None)


def end(c: Consult, cause: EndCause, party: Party | None, outcome: Outcome | None = None) -> Moved:
    """The end: media is closed, the record is written, the physician is free."""
    effects: tuple[Effect, ...] = (ev.Settle(cause, party),)
    if c.busy_physician_id is not None:
        effects += (ev.Release(c.busy_physician_id),)
    ended = replace(
        c,
        state="ended",
        deadlines=(),
        proposal=None,
        recording=None,
        patient_media=False,
        physician_media=False,
        hung_up=False,
        freed=False,
        end_cause=cause,
        end_party=party,
        outcome=outcome,
    )
    return ended, effects


def _part(c: Consult, cause: DisengageCause, party: Party | None) -> tuple[Effect, ...]:
    """The physician and the patient go apart; the consult goes on without a call."""
    effects: tuple[Effect, ...] = (ev.Disengage(cause, party),)
    if c.state == "held":
        effects += (ev.ResumeMedia(),)
    return (*effects, ev.Release(_physician(c)))


# --- after a crash ------------------------------------------------------------------------------


def restart(c: Consult, _e: Event, now_ms: int, t: Timers) -> Moved | None:
    """No page and no media is connected; all waits begin anew, so that pages have time to return.

    A hold stays a hold: nobody may be heard because a server was restarted.
    """
    guests = tuple(replace(guest, here=False) for guest in c.guests)
    c = replace(
        c, patient_here=False, patient_media=False, physician_media=False, lost=None, guests=guests
    )
    if c.freed:
        return None
    if c.state == "waiting":
        return _wait(replace(c, deadlines=()), now_ms, t), ()
    if c.hung_up:
        off = frozenset[ev.TimerKind]({"hang_up"})
        return arm(c, now_ms, Arm(off=off, on={"hang_up": t.hung_up_ms})), ()
    if c.state in ("offered", "connecting"):
        c = replace(c, state="offered", deadlines=())
        return arm(c, now_ms, Arm(on={"answer": t.answer_ms})), ()
    change = Arm(off=frozenset({"free"}), on={"free": t.interrupted_ms})
    effects: tuple[Effect, ...] = (_engage(c),)
    if c.state == "held":
        effects += (ev.HoldMedia(),)
    else:
        c = replace(c, state="interrupted")
    return arm(c, now_ms, change), (*effects, *recording.resumed(c))


def no_news(_c: Consult, _e: Event, _now_ms: int, _t: Timers) -> None:
    """Repeating it, or losing a race with the end, is no fault of the sender's."""


def standing_effects(c: Consult) -> tuple[Effect, ...]:
    """What must hold in this state, whatever led to it: for who lost track of the effects."""
    if c.end_cause is not None:
        return (ev.Settle(c.end_cause, c.end_party),)
    if c.state in TERMINAL:
        return (ev.Discard(),)
    granted: tuple[Effect, ...] = (ev.Grant(c.topped_up_fen),) if c.topped_up_fen else ()
    if c.state in IN_CALL and not c.hung_up and not c.freed:
        held: tuple[Effect, ...] = (ev.HoldMedia(),) if c.state == "held" else ()
        return (*granted, _engage(c), *held, *recording.standing(c))
    return (*granted, ev.Disengage("hung_up" if c.hung_up else "freed", None))
