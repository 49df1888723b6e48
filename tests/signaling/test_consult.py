"""The lifecycle, covered by this file alone: what each event does, and what always holds."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from signaling import events as ev
from signaling.consult import TRANSITIONS, step
from signaling.errors import AlreadyTaken, InvalidTransition, ProposalGone
from signaling.events import EFFECTS, EVENTS, Command, Effect, Event, Fact
from signaling.messages import State
from signaling.model import (
    IN_CALL,
    TERMINAL,
    TIMED_OUT,
    Consult,
    OpenRecording,
    Timers,
    deadline_ms,
    due,
    may_offer,
    next_deadline_ms,
    pause,
)
from signaling.rules import standing_effects

T = Timers()
TAKEN = ev.Taken("p_lin", "Dr. Lin", "Chief physician")
BOTH = (ev.MediaStarted("patient"), ev.MediaStarted("physician"))
TO_WAITING = (ev.PatientBack(), ev.Joined("video", 7))
TO_OFFERED = (*TO_WAITING, TAKEN)
TO_CONNECTING = (*TO_OFFERED, ev.PatientOffered())
TO_ACTIVE = (*TO_CONNECTING, *BOTH)
ASKED = ev.RecordingProposed("recording1", "1")
AGREED = ev.RecordingAnswered("recording1", True, "1")


def after(*events: Event, at_ms: int = 0) -> Consult:
    """A new consult after these events, all at one time."""
    consult = Consult("c_00000001")
    for event in events:
        consult, _ = step(consult, event, at_ms)
    return consult


def effects_of(consult: Consult, event: Event, now_ms: int = 0) -> tuple[Consult, list[Effect]]:
    moved, effects = step(consult, event, now_ms)
    return moved, list(effects)


# --- the way through ---------------------------------------------------------------------------


def test_a_consult_goes_from_the_link_to_the_end() -> None:
    consult = after(*TO_ACTIVE)
    assert (consult.state, consult.version) == ("active", 6)
    ended, effects = effects_of(consult, ev.Finished("advised"))
    assert effects == [ev.Settle("physician_finish", "physician"), ev.Release("p_lin")]
    assert (ended.state, ended.outcome, ended.deadlines) == ("ended", "advised", ())
    assert (ended.physician_id, ended.end_party) == ("p_lin", "physician")


def test_the_call_may_carry_media_from_the_patients_answer_on() -> None:
    consult, effects = effects_of(after(*TO_OFFERED), ev.PatientOffered())
    assert effects == [ev.Engage("p_lin", "video")]
    assert consult.state == "connecting"
    assert pause(consult) == "connecting"


def test_media_that_flows_before_the_answer_counts_at_once() -> None:
    """The physician's side connects while the patient is still being called."""
    consult = after(*TO_OFFERED, ev.MediaStarted("physician"))
    assert (consult.state, consult.physician_media) == ("offered", True)
    assert after(*TO_OFFERED, *BOTH, ev.PatientOffered()).state == "active"


def test_what_is_no_news_leaves_the_very_same_consult() -> None:
    active = after(*TO_ACTIVE)
    for event in (
        TAKEN,
        ev.PatientOffered(),
        ev.MediaStarted("patient"),
        ev.Resumed(),
        ev.Rejoined(),
        ev.VideoProposed("proposal1"),
        ev.PatientBack(),
        ev.AnswerTimedOut(),
        ev.Expired(),
    ):
        assert step(active, event, 0) == (active, ())
        assert step(active, event, 0)[0] is active
    held = after(*TO_ACTIVE, ev.Held())
    assert step(held, ev.Held(), 0)[0] is held


def test_a_command_out_of_place_is_refused_and_changes_nothing() -> None:
    waiting = after(*TO_WAITING)
    with pytest.raises(InvalidTransition) as refused:
        step(waiting, ev.Held(), 0)
    assert refused.value.code == "invalid_transition"
    assert (refused.value.state, refused.value.event) == ("waiting", "held")


# --- waiting -----------------------------------------------------------------------------------


def test_a_waiting_patient_may_choose_the_other_mode() -> None:
    consult = after(*TO_WAITING)
    assert step(consult, ev.Joined("video", 99), 0)[0] is consult
    other, _ = step(consult, ev.Joined("voice", 99), 0)
    assert (other.mode, other.place) == ("voice", 7)


def test_an_agreed_mode_is_not_changed_by_joining_again() -> None:
    consult = after(*TO_CONNECTING, ev.PutBack())
    assert step(consult, ev.Joined("voice", 99), 0)[0] is consult


def test_a_lost_page_keeps_its_place_for_a_while() -> None:
    consult = after(*TO_WAITING)
    gone, _ = step(consult, ev.PatientGone(), 1000)
    assert gone.patient_online
    assert due(gone, 1000 + T.offline_ms) == ev.WentOffline()
    offline, _ = step(gone, ev.WentOffline(), 31_000)
    assert not offline.patient_online
    assert offline.place == 7
    assert next_deadline_ms(offline) == 1000 + T.dropped_ms
    back, _ = step(offline, ev.PatientBack(), 60_000)
    assert (back.patient_online, back.deadlines) == (True, ())
    dropped, effects = step(offline, ev.Dropped(), 601_000)
    assert (dropped.state, effects) == ("abandoned", (ev.Discard(),))


def test_an_absence_counts_from_its_begin() -> None:
    gone, _ = step(after(*TO_WAITING), ev.PatientGone(away_ms=400), 1000)
    assert deadline_ms(gone, "offline") == 600 + T.offline_ms
    assert deadline_ms(gone, "drop") == 600 + T.dropped_ms


def test_gone_twice_is_gone_once() -> None:
    gone = after(*TO_WAITING, ev.PatientGone())
    assert step(gone, ev.PatientGone(), 5)[0] is gone


@pytest.mark.parametrize("events", [TO_WAITING, TO_OFFERED])
def test_a_patient_may_give_up_before_the_call(events: tuple[Event, ...]) -> None:
    left, effects = effects_of(after(*events), ev.Left())
    assert left.state == "cancelled"
    apart = [ev.Disengage("left", "patient"), ev.Release("p_lin")]
    assert effects == [*(apart if events is TO_OFFERED else []), ev.Discard()]
    assert step(left, ev.Left(), 0)[0] is left


def test_giving_up_after_a_call_ends_and_settles_it() -> None:
    """What was billed before the interruption is not forgotten."""
    left, effects = effects_of(after(*TO_CONNECTING, ev.PutBack()), ev.Left())
    assert (left.state, effects) == ("ended", [ev.Settle("patient_hangup", "patient")])


def test_a_link_that_nobody_used_expires() -> None:
    expired, effects = effects_of(after(), ev.Expired())
    assert (expired.state, effects) == ("expired", [ev.Discard()])
    waiting = after(*TO_WAITING)
    assert step(waiting, ev.Expired(), 0)[0] is waiting


# --- taking ------------------------------------------------------------------------------------


def test_of_two_physicians_one_wins_and_the_other_learns_who() -> None:
    offered = after(*TO_OFFERED)
    assert offered.physician_name == "Dr. Lin"
    with pytest.raises(AlreadyTaken) as lost:
        step(offered, ev.Taken("p_wu", "Dr. Wu"), 0)
    assert (lost.value.physician_id, lost.value.physician_name) == ("p_lin", "Dr. Lin")
    assert "Dr. Lin" in str(lost.value)


def test_an_unanswered_patient_is_back_at_the_same_place() -> None:
    offered = after(*TO_OFFERED, at_ms=1000)
    assert due(offered, 1000 + T.answer_ms) == ev.AnswerTimedOut()
    waiting, effects = effects_of(offered, ev.AnswerTimedOut())
    assert effects == [ev.Disengage("unanswered", "patient"), ev.Release("p_lin")]
    assert (waiting.state, waiting.place, waiting.physician_id) == ("waiting", 7, None)


@pytest.mark.parametrize("events", [TO_OFFERED, TO_CONNECTING])
def test_a_physician_may_put_the_patient_back(events: tuple[Event, ...]) -> None:
    waiting, effects = effects_of(after(*events), ev.PutBack())
    assert effects == [ev.Disengage("put_back", "physician"), ev.Release("p_lin")]
    assert (waiting.state, waiting.place, waiting.deadlines) == ("waiting", 7, ())


def test_whose_page_is_gone_when_they_are_put_back_is_dropped_later() -> None:
    waiting, _ = step(after(*TO_OFFERED, ev.PatientGone()), ev.PutBack(), 0)
    assert dict(waiting.deadlines) == {"offline": T.offline_ms, "drop": T.dropped_ms}


# --- connecting --------------------------------------------------------------------------------


def test_connecting_is_tried_three_times_and_then_fails() -> None:
    consult, asked, now_ms = after(*TO_CONNECTING, ev.MediaStarted("physician")), [], 0
    while consult.state == "connecting":
        at_ms = next_deadline_ms(consult)
        assert at_ms is not None
        now_ms = at_ms + 7  # timers are late
        fact = due(consult, now_ms)
        assert fact is not None
        consult, effects = step(consult, fact, now_ms)
        asked += [effect for effect in effects if isinstance(effect, ev.AskReconnect)]
    assert asked == [ev.AskReconnect(("patient",))] * 2
    assert (consult.state, consult.end_cause) == ("failed", "setup_failed")
    assert now_ms == T.connecting_ms + 7


def test_a_second_call_that_cannot_connect_ends_the_consult() -> None:
    """The first one was billed: this consult did not fail."""
    consult = after(*TO_ACTIVE, ev.MediaStopped("patient", 0), ev.PhysicianFreed())
    consult = after_more(consult, TAKEN, ev.PatientOffered())
    ended, effects = effects_of(consult, ev.ConnectTimedOut())
    assert ended.state == "ended"
    assert effects == [ev.Settle("setup_failed", None), ev.Release("p_lin")]


def after_more(consult: Consult, *events: Event) -> Consult:
    for event in events:
        consult, _ = step(consult, event, 0)
    return consult


# --- in the call -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stopped", "reason"),
    [
        (("patient",), "patient_silent"),
        (("physician",), "physician_silent"),
        (("patient", "physician"), "both_silent"),
    ],
)
def test_silence_interrupts_and_says_whose(stopped: tuple[Any, ...], reason: str) -> None:
    consult = after_more(after(*TO_ACTIVE), *(ev.MediaStopped(side, 0) for side in stopped))
    assert (consult.state, pause(consult)) == ("interrupted", reason)
    assert deadline_ms(consult, "free") == T.interrupted_ms
    back = after_more(consult, *(ev.MediaStarted(side) for side in stopped))
    assert (back.state, pause(back)) == ("active", None)
    assert deadline_ms(back, "free") is None


def test_an_interruption_is_counted_from_its_beginning() -> None:
    consult, _ = step(after(*TO_ACTIVE), ev.MediaStopped("patient", 0), 2000)
    consult, _ = step(consult, ev.MediaStopped("physician", 0), 50_000)
    assert deadline_ms(consult, "free") == 2000 + T.interrupted_ms


def test_a_hold_stays_a_hold_whatever_the_media_do() -> None:
    held, effects = effects_of(after(*TO_ACTIVE), ev.Held())
    assert (pause(held), effects) == ("held", [ev.HoldMedia()])
    silent = after_more(held, ev.MediaStopped("patient", 0))
    assert silent.state == "held"
    assert deadline_ms(silent, "free") == T.interrupted_ms
    resumed, effects = effects_of(silent, ev.Resumed())
    assert (resumed.state, effects) == ("interrupted", [ev.ResumeMedia()])
    again = after_more(silent, ev.MediaStarted("patient"))
    assert deadline_ms(again, "free") is None
    assert after_more(again, ev.Resumed()).state == "active"


def test_video_begins_when_the_patient_accepts_its_price() -> None:
    voice, effects = effects_of(after(*TO_ACTIVE), ev.ModeLowered("patient"))
    assert (voice.mode, effects) == ("voice", [ev.SwitchMode("voice")])
    assert step(voice, ev.ModeLowered("physician"), 0)[0] is voice
    proposed, effects = effects_of(voice, ev.VideoProposed("proposal1"))
    assert (proposed.mode, effects) == ("voice", [])
    with pytest.raises(ProposalGone):
        step(proposed, ev.ModeAnswered("proposal2", True), 0)
    video, effects = effects_of(proposed, ev.ModeAnswered("proposal1", True))
    assert (video.mode, video.proposal, effects) == ("video", None, [ev.SwitchMode("video")])
    with pytest.raises(ProposalGone):
        step(video, ev.ModeAnswered("proposal1", True), 0)


def test_a_proposal_may_be_declined_or_withdrawn() -> None:
    proposed = after(*TO_ACTIVE, ev.ModeLowered("physician"), ev.VideoProposed("proposal1"))
    declined, effects = effects_of(proposed, ev.ModeAnswered("proposal1", False))
    assert (declined.mode, declined.proposal, effects) == ("voice", None, [])
    withdrawn, effects = effects_of(proposed, ev.ModeLowered("physician"))
    assert (withdrawn.proposal, effects) == (None, [])


# --- hanging up is not finishing ---------------------------------------------------------------


def test_hanging_up_stops_billing_and_keeps_the_consult_open() -> None:
    consult, effects = effects_of(after(*TO_ACTIVE), ev.HungUp())
    assert effects == [ev.Disengage("hung_up", "patient")]
    assert (consult.state, pause(consult)) == ("interrupted", "hung_up")
    assert deadline_ms(consult, "hang_up") == T.hung_up_ms
    assert step(consult, ev.HungUp(), 0)[0] is consult
    assert not may_offer(consult, "patient")
    assert may_offer(consult, "physician")
    for refused in (ev.PatientOffered(), ev.ModeLowered("physician"), ev.VideoProposed("x")):
        with pytest.raises(InvalidTransition):
            step(consult, refused, 0)


def test_media_that_trickles_in_after_hanging_up_changes_nothing() -> None:
    consult = after(*TO_ACTIVE, ev.HungUp())
    assert step(consult, ev.MediaStarted("patient"), 0)[0] is consult
    silent, _ = step(consult, ev.MediaStopped("physician", 0), 0)
    assert (silent.state, silent.hung_up, pause(silent)) == ("interrupted", True, "hung_up")


def test_who_returns_in_time_goes_on_in_the_same_call() -> None:
    consult, effects = effects_of(after(*TO_ACTIVE, ev.HungUp()), ev.Rejoined())
    assert effects == [ev.Engage("p_lin", "video")]
    assert (consult.state, pause(consult)) == ("interrupted", "patient_silent")
    assert after_more(consult, ev.MediaStarted("patient")).state == "active"


def test_who_hung_up_before_anything_flowed_connects_again() -> None:
    consult = after(*TO_CONNECTING, ev.HungUp(), ev.Rejoined())
    assert consult.state == "connecting"
    assert dict(consult.deadlines) == {"retry": 10_000, "connect": T.connecting_ms}


def test_hanging_up_ends_a_hold() -> None:
    _, effects = effects_of(after(*TO_ACTIVE, ev.Held()), ev.HungUp())
    assert effects == [ev.Disengage("hung_up", "patient"), ev.ResumeMedia()]


@pytest.mark.parametrize("event", [ev.HangUpTimedOut(), ev.Finished("other")])
def test_a_call_that_was_hung_up_is_ended_by_the_patient(event: Event) -> None:
    ended, effects = effects_of(after(*TO_ACTIVE, ev.HungUp()), event)
    assert effects == [ev.Settle("patient_hangup", "patient"), ev.Release("p_lin")]
    assert ended.state == "ended"


def test_finishing_a_hundred_times_is_finishing_once() -> None:
    ended = after(*TO_ACTIVE, ev.Finished("advised"))
    for outcome in ("other", None) * 50:
        assert step(ended, ev.Finished(outcome), 0) == (ended, ())
    assert step(ended, ev.HungUp(), 0)[0] is ended
    with pytest.raises(InvalidTransition):
        step(ended, ev.Rejoined(), 0)


# --- a long interruption -----------------------------------------------------------------------


def test_after_a_long_silence_a_patient_who_is_there_waits_at_the_old_place() -> None:
    silent = after(*TO_ACTIVE, ev.MediaStopped("physician", 0))
    waiting, effects = effects_of(silent, ev.PhysicianFreed())
    assert effects == [ev.Disengage("freed", "physician"), ev.Release("p_lin")]
    assert (waiting.state, waiting.place, waiting.physician_id) == ("waiting", 7, None)


def freed(*, held: bool = False) -> Consult:
    hold = (ev.Held(),) if held else ()
    return after(
        *TO_ACTIVE, *hold, ev.MediaStopped("patient", 0), ev.PatientGone(), ev.PhysicianFreed()
    )


@pytest.mark.parametrize("held", [False, True])
def test_after_a_long_silence_an_absent_patients_consult_stays_open(held: bool) -> None:
    consult = freed(held=held)
    assert (consult.state, consult.freed, consult.busy_physician_id) == ("interrupted", True, None)
    assert due(consult, T.reopen_ms) == ev.ReopenTimedOut()
    assert not may_offer(consult, "patient")
    ended, effects = effects_of(consult, ev.ReopenTimedOut())
    assert (ended.state, effects) == ("ended", [ev.Settle("media_lost_patient", "patient")])


@pytest.mark.parametrize("event", [ev.PatientBack(), ev.Rejoined(), ev.PatientOffered()])
def test_who_comes_back_to_an_open_consult_waits_at_the_old_place(event: Event) -> None:
    """And the same consult, with the same record, goes on."""
    waiting, effects = effects_of(freed(), event)
    assert (waiting.state, waiting.place, effects) == ("waiting", 7, [])
    again = after_more(waiting, ev.Taken("p_wu", "Dr. Wu"), ev.PatientOffered(), *BOTH)
    assert (again.state, again.physician_id, again.mode) == ("active", "p_wu", "video")


def test_an_open_consult_may_be_finished_hung_up_and_not_taken() -> None:
    assert after_more(freed(), ev.Finished()).end_cause == "physician_finish"
    assert after_more(freed(), ev.HungUp()).end_cause == "patient_hangup"
    with pytest.raises(InvalidTransition):
        step(freed(), ev.Taken("p_wu", "Dr. Wu"), 0)
    assert step(freed(), ev.MediaStarted("patient"), 0)[0] == freed()


def test_a_hold_that_ends_by_silence_is_no_hold_any_more() -> None:
    held = after(*TO_ACTIVE, ev.Held(), ev.MediaStopped("patient", 0), ev.PatientGone())
    _, effects = effects_of(held, ev.PhysicianFreed())
    disengaged = [ev.Disengage("freed", "patient"), ev.ResumeMedia()]
    assert effects == [*disengaged, ev.Release("p_lin")]


def test_the_longest_call_is_ended() -> None:
    consult = after(*TO_ACTIVE)
    assert due(consult, T.longest_call_ms) == ev.LongestCall()
    assert after_more(consult, ev.LongestCall()).end_cause == "max_duration"


# --- a crash -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "state", "effects", "deadlines"),
    [
        (TO_WAITING, "waiting", [], {"offline", "drop"}),
        (TO_OFFERED, "offered", [], {"answer"}),
        (TO_CONNECTING, "offered", [], {"answer"}),
        (TO_ACTIVE, "interrupted", [ev.Engage("p_lin", "video")], {"free", "longest"}),
        (
            (*TO_ACTIVE, ev.Held()),
            "held",
            [ev.Engage("p_lin", "video"), ev.HoldMedia()],
            {"free", "longest"},
        ),
        ((*TO_ACTIVE, ev.HungUp()), "interrupted", [], {"hang_up", "longest"}),
    ],
)
def test_after_a_crash_pages_find_their_consult_again(
    events: tuple[Event, ...], state: str, effects: list[Effect], deadlines: set[str]
) -> None:
    before = after(*events)
    consult, performed = effects_of(before, ev.NodeRestarted(), 5000)
    assert (consult.state, performed) == (state, effects)
    assert set(dict(consult.deadlines)) == deadlines
    assert (consult.patient_here, consult.both_media) == (False, False)
    assert (consult.place, consult.physician_id) == (before.place, before.physician_id)


def test_after_a_crash_the_same_call_goes_on() -> None:
    consult = after(*TO_ACTIVE, ev.NodeRestarted(), ev.PatientBack(), *BOTH)
    assert consult.state == "active"
    consult = after(*TO_CONNECTING, ev.NodeRestarted(), ev.PatientOffered(), *BOTH)
    assert consult.state == "active"


def test_when_nobody_returns_after_a_crash_the_node_is_to_blame() -> None:
    consult = after(*TO_ACTIVE, ev.NodeRestarted(), ev.PhysicianFreed(), ev.ReopenTimedOut())
    assert (consult.state, consult.end_cause, consult.end_party) == ("ended", "node_lost", None)


def test_a_crash_is_no_news_to_what_has_ended_or_was_left_open() -> None:
    for consult in (freed(), after(*TO_ACTIVE, ev.Finished()), after(ev.PatientBack())):
        assert step(consult, ev.NodeRestarted(), 0)[0] is consult


@pytest.mark.parametrize(
    ("consult", "effects"),
    [
        (after(*TO_ACTIVE, ev.Finished()), (ev.Settle("physician_finish", "physician"),)),
        (after(*TO_ACTIVE), (ev.Engage("p_lin", "video"), ev.StopRecording())),
        (
            after(*TO_ACTIVE, ev.Held()),
            (ev.Engage("p_lin", "video"), ev.HoldMedia(), ev.StopRecording()),
        ),
        (
            after(*TO_ACTIVE, ASKED, AGREED),
            (ev.Engage("p_lin", "video"), ev.StartRecording("recording1", 7, 8)),
        ),
        (after(*TO_ACTIVE, ev.HungUp()), (ev.Disengage("hung_up", None),)),
        (after(*TO_WAITING), (ev.Disengage("freed", None),)),
        (after(*TO_OFFERED, ev.Left()), (ev.Discard(),)),
    ],
)
def test_who_lost_track_can_tell_what_must_hold(
    consult: Consult, effects: tuple[Effect, ...]
) -> None:
    assert standing_effects(consult) == effects


# --- prepaid -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "before", [(), TO_WAITING, TO_OFFERED, TO_ACTIVE, (*TO_ACTIVE, ev.HungUp())]
)
def test_a_top_up_counts_at_any_time_before_the_end(before: tuple[Event, ...]) -> None:
    consult, effects = effects_of(after(*before, ev.ToppedUp(300)), ev.ToppedUp(200))
    assert consult.topped_up_fen == 500
    assert effects == [ev.Grant(500)]
    assert consult.state == after(*before).state


def test_after_the_end_nothing_is_topped_up() -> None:
    with pytest.raises(InvalidTransition):
        step(after(*TO_ACTIVE, ev.Finished()), ev.ToppedUp(1), 0)


@pytest.mark.parametrize(
    "also", [(), (ev.Held(),), (ev.HungUp(),), (ev.MediaStopped("patient", 1),)]
)
def test_a_call_ends_when_all_that_is_prepaid_is_used(also: tuple[Event, ...]) -> None:
    """Whatever else happened in the same moment."""
    consult, effects = effects_of(
        after(*TO_ACTIVE, ev.ToppedUp(5), *also), ev.QuotaExhausted(topped_up_fen=5)
    )
    assert (consult.state, consult.end_cause) == ("ended", "quota_exhausted")
    assert consult.end_party is None
    assert effects == [ev.Settle("quota_exhausted", None), ev.Release("p_lin")]


def test_a_top_up_and_the_end_may_cross_each_other() -> None:
    """What the meter reported is of a limit that has grown in the meantime."""
    consult = after(*TO_ACTIVE, ev.ToppedUp(5))
    assert step(consult, ev.QuotaExhausted(0), 0) == (consult, ())


def test_who_lost_track_of_a_top_up_grants_it_again() -> None:
    assert standing_effects(after(*TO_ACTIVE, ev.ToppedUp(5)))[0] == ev.Grant(5)


# --- recording ---------------------------------------------------------------------------------


def test_a_call_is_recorded_once_both_have_agreed() -> None:
    """The events that hold the two consents are named with what is recorded."""
    asked, effects = effects_of(after(*TO_ACTIVE), ASKED)
    assert asked.recording == OpenRecording("recording1", "proposed", "1", 7)
    assert effects == []
    on, effects = effects_of(asked, AGREED)
    assert effects == [ev.StartRecording("recording1", 7, 8)]
    assert on.recording == OpenRecording("recording1", "on", "1", 7, 8)
    assert step(on, replace(ASKED, recording_id="recording2"), 0)[0] is on


@pytest.mark.parametrize(
    "answered",
    [
        ev.RecordingAnswered("recording2", True, "1"),
        ev.RecordingAnswered("recording1", True, "2"),
    ],
)
def test_consent_to_something_else_is_no_consent(answered: Event) -> None:
    """Another question, or other words than those that were shown."""
    with pytest.raises(ProposalGone):
        step(after(*TO_ACTIVE, ASKED), answered, 0)
    with pytest.raises(ProposalGone):
        step(after(*TO_ACTIVE), AGREED, 0)
    with pytest.raises(ProposalGone):
        step(after(*TO_ACTIVE, ASKED, AGREED), AGREED, 0)


def test_the_patient_may_decline_to_be_recorded() -> None:
    declined, effects = effects_of(
        after(*TO_ACTIVE, ASKED), ev.RecordingAnswered("recording1", False, "1")
    )
    assert (declined.recording, effects) == (None, [])


@pytest.mark.parametrize("by", ["patient", "physician"])
def test_either_side_ends_a_recording_at_any_time(by: ev.By) -> None:
    for events in ((ASKED,), (ASKED, AGREED), (ASKED, AGREED, ev.Held())):
        stopped, effects = effects_of(after(*TO_ACTIVE, *events), ev.RecordingStopped(by))
        assert (stopped.recording, effects) == (None, [ev.StopRecording()])
        assert step(stopped, ev.RecordingStopped(by), 0)[0] is stopped


@pytest.mark.parametrize(
    "apart",
    [
        (ev.HungUp(),),
        (ev.Finished(),),
        (ev.MediaStopped("patient", 1), ev.PhysicianFreed()),
        (ev.PatientGone(), ev.MediaStopped("patient", 1), ev.PhysicianFreed()),
    ],
)
def test_consent_ends_with_the_call(apart: tuple[Event, ...]) -> None:
    """Another physician, or a return after hanging up, needs it anew."""
    assert after(*TO_ACTIVE, ASKED, AGREED, *apart).recording is None


def test_who_hung_up_is_not_asked() -> None:
    with pytest.raises(InvalidTransition):
        step(after(*TO_ACTIVE, ev.HungUp()), ASKED, 0)


def test_a_recording_goes_on_after_an_interruption_and_a_crash() -> None:
    """Nobody took consent back: the page reloads and finds the red sign again."""
    cut = after(*TO_ACTIVE, ASKED, AGREED, ev.MediaStopped("patient", 1))
    assert cut.recording is not None
    restarted, effects = effects_of(cut, ev.NodeRestarted())
    assert effects == [ev.Engage("p_lin", "video"), ev.StartRecording("recording1", 7, 8)]
    assert restarted.recording == cut.recording


def test_a_full_disk_ends_the_recording_and_not_the_call() -> None:
    full = ev.RecordingFailed("recording1", "storage_full")
    failed, effects = effects_of(after(*TO_ACTIVE, ASKED, AGREED), full)
    assert failed.state == "active"
    assert failed.recording is not None
    assert (failed.recording.state, effects) == ("failed", [ev.StopRecording()])
    assert step(failed, full, 0)[0] is failed
    assert step(after(*TO_ACTIVE), full, 0)[1] == ()
    again = step(failed, replace(ASKED, recording_id="recording2"), 0)[0].recording
    assert again == OpenRecording("recording2", "proposed", "1", 10)


# --- what always holds -------------------------------------------------------------------------

STATES: tuple[State, ...] = get_args(State)
SIDES = st.sampled_from(["patient", "physician"])
RECORDINGS = st.sampled_from(["recording1", "recording2"])
OF: dict[type[Event], st.SearchStrategy[Event]] = {
    ev.Joined: st.builds(ev.Joined, st.sampled_from(["voice", "video"]), st.integers(1, 9)),
    ev.ModeAnswered: st.builds(
        ev.ModeAnswered, st.sampled_from(["proposal1", "proposal2"]), st.booleans()
    ),
    ev.Taken: st.builds(ev.Taken, st.sampled_from(["p_lin", "p_wu"]), st.just("Dr."), st.just("")),
    ev.ModeLowered: st.builds(ev.ModeLowered, SIDES),
    ev.VideoProposed: st.builds(ev.VideoProposed, st.sampled_from(["proposal1", "proposal2"])),
    ev.RecordingProposed: st.builds(ev.RecordingProposed, RECORDINGS, st.just("1")),
    ev.RecordingAnswered: st.builds(
        ev.RecordingAnswered, RECORDINGS, st.booleans(), st.sampled_from(["1", "2"])
    ),
    ev.RecordingStopped: st.builds(ev.RecordingStopped, SIDES),
    ev.RecordingFailed: st.builds(ev.RecordingFailed, RECORDINGS, st.just("storage_full")),
    ev.Finished: st.builds(ev.Finished, st.sampled_from(["advised", None])),
    ev.ToppedUp: st.builds(ev.ToppedUp, st.just(500)),
    ev.QuotaExhausted: st.builds(ev.QuotaExhausted, st.sampled_from([0, 500])),
    ev.MediaStarted: st.builds(ev.MediaStarted, SIDES),
    ev.MediaStopped: st.builds(ev.MediaStopped, SIDES, st.integers(0, 10)),
}
TIMERS = {type(fact) for fact in TIMED_OUT.values()}
EVENT = st.one_of(
    [OF.get(kind, st.builds(kind)) for kind in EVENTS if kind not in TIMERS | {ev.Expired}]
)


def test_every_event_is_named_once_and_is_a_command_or_a_fact() -> None:
    assert len({event.kind for event in EVENTS}) == len(EVENTS)
    assert all(issubclass(event, Command) != issubclass(event, Fact) for event in EVENTS)
    assert {kind for _, kind in TRANSITIONS} == set(EVENTS)
    assert set(ev.details(TAKEN)) == {"physician_id", "physician_name", "physician_title"}


@pytest.mark.parametrize("state", STATES)
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_every_event_is_decided_in_every_state(state: State, data: st.DataObject) -> None:
    """None is forgotten: it moves, is no news, or is refused by its own name."""
    consult = replace(after(*TO_ACTIVE), state=state)
    if state == "connecting":
        consult = after(*TO_CONNECTING)
    for kind in EVENTS:
        event = data.draw(OF.get(kind, st.builds(kind)))
        try:
            moved, _ = step(consult, event, 0)
        except (InvalidTransition, AlreadyTaken, ProposalGone):
            assert isinstance(event, Command)
        else:
            rule = TRANSITIONS.get((state, kind))
            assert moved is consult or (rule is not None and moved.state in rule.to)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_leads_out_of_an_end(state: State) -> None:
    for (origin, _), row in TRANSITIONS.items():
        if origin == state:
            assert row.to == (state,)


@settings(deadline=None)
@given(st.lists(EVENT, max_size=40))
def test_a_repeated_event_changes_nothing_more(events: list[Event]) -> None:
    """Each fact, and each command that may be repeated, is safe to send twice."""
    consult = after_any(events)
    for event in (
        ev.HungUp(),
        ev.Finished("other"),
        ev.PatientGone(),
        ev.MediaStopped("patient", 1),
    ):
        try:
            once, _ = step(consult, event, 0)
            twice, effects = step(once, event, 0)
        except InvalidTransition:
            continue
        assert (twice, effects) == (once, ())


def after_any(events: list[Event]) -> Consult:
    consult = Consult("c_00000001")
    for event in events:
        with suppress(InvalidTransition, AlreadyTaken, ProposalGone):
            consult, _ = step(consult, event, 0)
    return consult


class Walk(RuleBasedStateMachine):
    """Anything may happen at any time, and deadlines come late."""

    def __init__(self) -> None:
        super().__init__()
        self.consult, self.now_ms = Consult("c_00000001"), 1000
        self.engaged = False

    def apply(self, event: Event) -> None:
        before = self.consult
        try:
            self.consult, effects = step(before, event, self.now_ms)
        except (InvalidTransition, AlreadyTaken, ProposalGone):
            assert isinstance(event, Command)
            return
        if self.consult is before:
            assert effects == ()
            return
        assert self.consult.version == before.version + 1
        assert self.consult.state in TRANSITIONS[before.state, type(event)].to
        assert all(type(effect) in EFFECTS for effect in effects)
        for effect in effects:
            if isinstance(effect, ev.Engage):
                self.engaged = True
            elif isinstance(effect, ev.Disengage | ev.Settle):
                self.engaged = False
        released = before.busy_physician_id is not None and self.consult.busy_physician_id is None
        assert released == any(isinstance(effect, ev.Release) for effect in effects)
        over = [effect for effect in effects if isinstance(effect, ev.Settle | ev.Discard)]
        assert len(over) == (self.consult.state in TERMINAL), "nothing of a call is left behind"
        if isinstance(event, ev.NodeRestarted):
            self.engaged = any(isinstance(effect, ev.Engage) for effect in effects)

    @rule(event=EVENT)
    def happens(self, event: Event) -> None:
        self.apply(event)

    @rule()
    def both_flow(self) -> None:
        for event in (*TO_OFFERED, ev.PatientOffered(), *BOTH):
            self.apply(event)

    @rule(late_ms=st.integers(0, 2000))
    def time_passes_to_the_next_deadline(self, late_ms: int) -> None:
        at_ms = next_deadline_ms(self.consult)
        if at_ms is None:
            return
        self.now_ms = max(self.now_ms, at_ms) + late_ms
        while (fact := due(self.consult, self.now_ms)) is not None:
            version = self.consult.version
            self.apply(fact)
            assert self.consult.version == version + 1, "a deadline without effect would spin"

    @invariant()
    def somebody_or_some_deadline_can_end_it(self) -> None:
        consult = self.consult
        if consult.live:
            waits = consult.state == "waiting" and consult.patient_here
            assert consult.deadlines or waits
        else:
            assert consult.deadlines == ()

    @invariant()
    def only_a_call_in_which_both_flow_is_active(self) -> None:
        assert self.consult.state != "active" or self.consult.both_media
        assert self.consult.state != "active" or pause(self.consult) is None

    @invariant()
    def media_is_carried_in_a_call_alone(self) -> None:
        consult = self.consult
        in_call = consult.state in IN_CALL and not consult.hung_up and not consult.freed
        assert self.engaged == in_call

    @invariant()
    def a_physician_is_named_while_there_is_one(self) -> None:
        if self.consult.state in ("offered", *IN_CALL):
            assert self.consult.physician_id is not None


TestWalk = Walk.TestCase
TestWalk.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
