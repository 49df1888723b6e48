"""What is asked of a consult, by whom, and what a command of the protocol means for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from signaling import events as ev
from signaling import messages as m
from signaling.case import Case, Physician
from signaling.errors import ConsultError, OfferRefused
from signaling.events import Command, Event
from signaling.prepaid import TopUp
from signaling.recording import RECORDING_TERMS_VERSION

CLINIC = "clinic:"
"""The scope of what a clinic's systems ask: it is kept as long as the consult."""


@dataclass(frozen=True)
class Ask:
    """A command and where its one answer goes.

    ``physician`` and ``guest_id`` None: the patient, or the clinic where it is a ``TopUp``.
    """

    command: m.PatientCommand | m.ConsoleCommand | m.GuestCommand | TopUp
    physician: Physician | None
    reply: Callable[[m.Answer], None]
    guest_id: str | None = None
    keep_refusal: bool = True
    """Whether a refusal is the command's final answer, and kept for its repeats."""


@dataclass(frozen=True)
class Look:
    """A page wants to see the consult and its history after event number ``after``.

    ``seen`` is called between two transitions: no event is missing or comes twice when the page
    shows changes from then on. Called with None when there is no such consult.
    """

    after: int
    seen: Callable[[Case | None, tuple[m.Event, ...]], None]


def scope(ask: Ask, consult_id: str) -> str:
    """Within this, a command id names one command."""
    if isinstance(ask.command, TopUp):
        return f"{CLINIC}{consult_id}"
    if ask.guest_id is not None:
        return f"guest:{ask.guest_id}"
    return f"physician:{ask.physician.id}" if ask.physician else f"patient:{consult_id}"


def accepted(ask: Ask, **result: str) -> m.Answer:
    """The answer to a command that was done."""
    return m.Answer(command_id=ask.command.id, ok=True, result=result)


def refusal(ask: Ask, error: ConsultError) -> m.Answer:
    """The answer to a command that was not done."""
    code = error.reason if isinstance(error, OfferRefused) else error.code
    return m.Answer(
        command_id=ask.command.id, ok=False, error=m.Problem(code=code, message=str(error))
    )


def event_of(ask: Ask, next_place: Callable[[], int]) -> Event:  # noqa: C901, PLR0911, PLR0912  one per command
    """What the command does to the consult. Not for what the keeper answers itself."""
    match ask.command:
        case m.Join(mode=mode, language=language):
            return ev.Joined(mode, next_place(), language)
        case m.AnswerMode(proposal_id=proposal_id, accept=accept):
            return ev.ModeAnswered(proposal_id, accept)
        case m.PatientSetMode():
            return ev.ModeLowered("patient")
        case m.Record() | m.AnswerRecording() as recording:
            return _of_recording(recording)
        case m.PatientStopRecording() | m.PhysicianStopRecording():
            return ev.RecordingStopped("physician" if ask.physician else "patient")
        case m.PhysicianSetMode(mode="voice"):
            return ev.ModeLowered("physician")
        case m.PhysicianSetMode(id=command_id):
            return ev.VideoProposed(command_id)
        case m.Take():
            who = ask.physician
            assert who is not None
            return ev.Taken(who.id, who.name, who.title)
        case TopUp(fen=fen):
            return ev.ToppedUp(fen)
        case m.Finish(outcome=outcome):
            return ev.Finished(outcome)
        case m.RemoveGuest(guest_id=guest_id):
            return ev.GuestRemoved(guest_id)
        case m.GuestLeave():
            return ev.GuestLeft(ask.guest_id or "")
        case plain:
            return _PLAIN[type(plain)]


def _of_recording(command: m.Record | m.AnswerRecording) -> Command:
    if isinstance(command, m.Record):
        return ev.RecordingProposed(command.id, RECORDING_TERMS_VERSION)
    return ev.RecordingAnswered(command.recording_id, command.accept, command.terms_version)


_PLAIN: dict[type[m.Incoming], Command] = {
    m.HangUp: ev.HungUp(),
    m.Rejoin: ev.Rejoined(),
    m.Leave: ev.Left(),
    m.Hold: ev.Held(),
    m.Resume: ev.Resumed(),
    m.PutBack: ev.PutBack(),
}
