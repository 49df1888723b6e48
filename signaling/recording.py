"""Recording with consent: what both sides say about it, and what each event does to it. Pure.

The physician proposes, the patient agrees; only then it is on. Either side ends it at any time.
Who proposed and who agreed are events of the consult, with the version of the words they read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from signaling import events as ev
from signaling.consent import Recording
from signaling.errors import InvalidTransition, ProposalGone
from signaling.events import Effect, Event
from signaling.model import Consult, OpenRecording, Timers

RECORDING_TERMS_VERSION: Final = "2026-11"
"""Of the words that ask for consent (``recording.ask_words`` of the pages' catalogues)."""

Moved = tuple[Consult, tuple[Effect, ...]]


def recording_view(consult: Consult) -> Recording | None:
    """What both pages show of it."""
    it = consult.recording
    if it is None:
        return None
    return Recording(id=it.id, state=it.state, terms_version=it.terms_version)


def propose(c: Consult, e: ev.RecordingProposed, _now_ms: int, _t: Timers) -> Moved | None:
    """The patient is asked."""
    if c.freed or c.hung_up:
        raise InvalidTransition(c.id, c.state, e.kind)
    if c.recording is not None and c.recording.state != "failed":
        return None
    asked = OpenRecording(e.recording_id, "proposed", e.terms_version, proposed_n=c.version + 1)
    return replace(c, recording=asked), ()


def answer(c: Consult, e: ev.RecordingAnswered, _now_ms: int, _t: Timers) -> Moved:
    """Recorded from now on, or not."""
    asked = c.recording
    if asked is None or asked.state != "proposed":
        raise ProposalGone(c.id, e.recording_id)
    if (asked.id, asked.terms_version) != (e.recording_id, e.terms_version):
        raise ProposalGone(c.id, e.recording_id)
    if not e.accept:
        return replace(c, recording=None), ()
    agreed = replace(asked, state="on", agreed_n=c.version + 1)
    return replace(c, recording=agreed), _start(agreed)


def stop(c: Consult, _e: Event, _now_ms: int, _t: Timers) -> Moved | None:
    """Nothing is recorded any more."""
    if c.recording is None:
        return None
    return replace(c, recording=None), (ev.StopRecording(),)


def fail(c: Consult, e: ev.RecordingFailed, _now_ms: int, _t: Timers) -> Moved | None:
    """It could not be stored: both pages are told, the call goes on."""
    now = c.recording
    if now is None or now.state != "on" or now.id != e.recording_id:
        return None
    return replace(c, recording=replace(now, state="failed")), (ev.StopRecording(),)


def resumed(c: Consult) -> tuple[Effect, ...]:
    """After a crash it goes on: both sides have agreed to it."""
    return _start(c.recording) if c.recording and c.recording.state == "on" else ()


def standing(c: Consult) -> tuple[Effect, ...]:
    """What must hold of the recording in a call."""
    return resumed(c) or (ev.StopRecording(),)


def _start(agreed: OpenRecording) -> tuple[Effect, ...]:
    return (ev.StartRecording(agreed.id, agreed.proposed_n, agreed.agreed_n),)
