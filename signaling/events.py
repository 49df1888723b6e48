"""What happens to a consult, and what must be done about it: facts, commands, effects.

A command is what a person wants and may be refused. A fact is what media, a timer or a page
reports; it can only come too late, and is then without effect. Times (``_ms``) are monotonic.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Literal, get_args

from signaling.messages import EndCause, GuestRole, Mode, Party

By = Literal["patient", "physician", "guest", "server", "clinic"]
TimerKind = Literal[
    "answer", "retry", "connect", "free", "reopen", "hang_up", "offline", "drop", "longest"
]  # fmt: skip
Outcome = Literal["advised", "follow_up", "see_in_person", "other"]
DisengageCause = Literal["unanswered", "put_back", "left", "hung_up", "freed"]


class Event:
    """Anything that :func:`signaling.consult.step` takes. ``kind`` names it in the history."""

    __slots__ = ()
    kind: ClassVar[str]
    by: By = "server"


class Command(Event):
    """What a person wants; refused by ``InvalidTransition`` where it is not possible."""

    __slots__ = ()


class Fact(Event):
    """What is so; without effect where it is not news."""

    __slots__ = ()


# --- commands of the patient --------------------------------------------------------------------


@dataclass(frozen=True)
class Joined(Command):
    """The patient agreed and waits. ``place`` orders the queue: less is sooner, never reused."""

    kind = "joined"
    by = "patient"
    mode: Mode
    place: int
    language: str = ""


@dataclass(frozen=True)
class Left(Command):
    """The patient gives up waiting."""

    kind = "left"
    by = "patient"


@dataclass(frozen=True)
class PatientOffered(Command):
    """The patient's page connects its media; while ``offered`` this answers the physician."""

    kind = "patient_offered"
    by = "patient"


@dataclass(frozen=True)
class ModeAnswered(Command):
    """The patient accepts the price of the proposed mode, or does not."""

    kind = "mode_answered"
    by = "patient"
    proposal_id: str
    accept: bool


@dataclass(frozen=True)
class HungUp(Command):
    """The patient leaves the call; it is not finished by that."""

    kind = "hung_up"
    by = "patient"


@dataclass(frozen=True)
class Rejoined(Command):
    """The patient returns to the call they hung up."""

    kind = "rejoined"
    by = "patient"


# --- commands of the physician, or of both -------------------------------------------------------


@dataclass(frozen=True)
class Taken(Command):
    """A physician takes the patient."""

    kind = "taken"
    by = "physician"
    physician_id: str
    physician_name: str
    physician_title: str = ""


@dataclass(frozen=True)
class Held(Command):
    """The physician holds the call."""

    kind = "held"
    by = "physician"


@dataclass(frozen=True)
class Resumed(Command):
    """The physician ends the hold."""

    kind = "resumed"
    by = "physician"


@dataclass(frozen=True)
class ModeLowered(Command):
    """Down to voice, at once; an open proposal of video is withdrawn."""

    kind = "mode_lowered"
    by: By


@dataclass(frozen=True)
class VideoProposed(Command):
    """The physician proposes video; it begins when the patient accepts the price."""

    kind = "video_proposed"
    by = "physician"
    proposal_id: str


@dataclass(frozen=True)
class PutBack(Command):
    """The physician gives the patient back to the queue, at the same place."""

    kind = "put_back"
    by = "physician"


@dataclass(frozen=True)
class Finished(Command):
    """The physician finishes the consult."""

    kind = "finished"
    by = "physician"
    outcome: Outcome | None = None


@dataclass(frozen=True)
class RecordingProposed(Command):
    """The physician asks to record; it begins when the patient agrees."""

    kind = "recording_proposed"
    by = "physician"
    recording_id: str
    terms_version: str


@dataclass(frozen=True)
class RecordingAnswered(Command):
    """The patient agrees to be recorded, having read this version of the words, or does not."""

    kind = "recording_answered"
    by = "patient"
    recording_id: str
    accept: bool
    terms_version: str


@dataclass(frozen=True)
class RecordingStopped(Command):
    """Either side ends the recording, or the question for it."""

    kind = "recording_stopped"
    by: By


@dataclass(frozen=True)
class ToppedUp(Command):
    """The clinic adds to what is prepaid."""

    kind = "topped_up"
    by = "clinic"
    fen: int


# --- guests -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Invited(Command):
    """The physician invites a guest. The link's hash and time are stored apart from the history."""

    kind = "guest_invited"
    by = "physician"
    guest_id: str
    role: GuestRole
    name: str
    link_hash: str = field(default="", repr=False)
    expires_at: int = field(default=0, repr=False)


@dataclass(frozen=True)
class GuestRemoved(Command):
    """The physician sends a guest out, or takes an invitation back."""

    kind = "guest_removed"
    by = "physician"
    guest_id: str


@dataclass(frozen=True)
class GuestJoined(Command):
    """The guest's page connects its media."""

    kind = "guest_joined"
    by = "guest"
    guest_id: str


@dataclass(frozen=True)
class GuestOpened(Fact):
    """The guest's link is used for the first time."""

    kind = "guest_opened"
    by = "guest"
    guest_id: str


@dataclass(frozen=True)
class GuestLeft(Fact):
    """The guest left the call, or their page is gone."""

    kind = "guest_left"
    by = "guest"
    guest_id: str


# --- facts --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class MediaStarted(Fact):
    """Authenticated media of any kind arrives from this side."""

    kind = "media_started"
    side: Party


@dataclass(frozen=True)
class MediaStopped(Fact):
    """No media arrives from this side any more; the last packet came at ``at_ms``."""

    kind = "media_stopped"
    side: Party
    at_ms: int


@dataclass(frozen=True)
class PatientGone(Fact):
    """The patient's page lost its connection, ``away_ms`` ago."""

    kind = "patient_gone"
    away_ms: int = 0


@dataclass(frozen=True)
class PatientBack(Fact):
    """A page of the patient is connected."""

    kind = "patient_back"


@dataclass(frozen=True)
class NodeRestarted(Fact):
    """The server came back after a crash: no page and no media is connected now."""

    kind = "node_restarted"


@dataclass(frozen=True)
class Expired(Fact):
    """The link's time is over and the patient never joined."""

    kind = "expired"


@dataclass(frozen=True)
class AnswerTimedOut(Fact):
    """The patient's page did not answer the physician."""

    kind = "answer_timed_out"


@dataclass(frozen=True)
class RetryDue(Fact):
    """Media should flow both ways by now: those who do not send are asked to connect again."""

    kind = "retry_due"


@dataclass(frozen=True)
class ConnectTimedOut(Fact):
    """Media never flowed both ways."""

    kind = "connect_timed_out"


@dataclass(frozen=True)
class PhysicianFreed(Fact):
    """The interruption lasted too long to keep the physician waiting."""

    kind = "physician_freed"


@dataclass(frozen=True)
class ReopenTimedOut(Fact):
    """The patient did not come back to the interrupted call."""

    kind = "reopen_timed_out"


@dataclass(frozen=True)
class HangUpTimedOut(Fact):
    """The patient did not come back to the call they hung up."""

    kind = "hang_up_timed_out"


@dataclass(frozen=True)
class WentOffline(Fact):
    """The patient's page is gone for so long that the queue shows them as offline."""

    kind = "went_offline"


@dataclass(frozen=True)
class Dropped(Fact):
    """The patient's page is gone for so long that they lose their place."""

    kind = "dropped"


@dataclass(frozen=True)
class RecordingFailed(Fact):
    """A recording could not be stored, ``reason`` for programs."""

    kind = "recording_failed"
    recording_id: str
    reason: str


@dataclass(frozen=True)
class LongestCall(Fact):
    """The call reached its longest duration."""

    kind = "longest_call"


@dataclass(frozen=True)
class QuotaExhausted(Fact):
    """All that is prepaid is used; ``topped_up_fen`` of it was added after the order."""

    kind = "quota_exhausted"
    topped_up_fen: int


def details(event: Event) -> dict[str, Any]:
    """The fields of an event, as JSON knows them; without those that `repr` does not show."""
    return {f.name: getattr(event, f.name) for f in fields(event) if f.repr}  # type: ignore[arg-type]  # all events are dataclasses


EVENTS: tuple[type[Event], ...] = (
    Joined, Left, PatientOffered, ModeAnswered, HungUp, Rejoined, Taken, Held, Resumed,
    ModeLowered, VideoProposed, PutBack, Finished, Invited, GuestRemoved, GuestJoined,
    GuestOpened, GuestLeft, MediaStarted, MediaStopped, PatientGone,
    PatientBack, NodeRestarted, Expired, AnswerTimedOut, RetryDue, ConnectTimedOut,
    PhysicianFreed, ReopenTimedOut, HangUpTimedOut, WentOffline, Dropped, LongestCall,
    RecordingProposed, RecordingAnswered, RecordingStopped, RecordingFailed,
    ToppedUp, QuotaExhausted,
)  # fmt: skip


# --- effects ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Engage:
    """The call may carry media and bill it: the patient answered, or is back, or a crash is over.

    What is billed within it is the meter's to say: both sides' media, not held.
    """

    physician_id: str
    mode: Mode


@dataclass(frozen=True)
class HoldMedia:
    """Nothing is carried and nothing is billed until :class:`ResumeMedia`."""


@dataclass(frozen=True)
class ResumeMedia:
    """The end of a hold."""


@dataclass(frozen=True)
class SwitchMode:
    """What is carried and billed from now on."""

    mode: Mode


@dataclass(frozen=True)
class Disengage:
    """Nothing is carried or billed until the next :class:`Engage`; all media is disconnected, but
    the physician's stays where the patient ``hung_up``.
    """

    cause: DisengageCause
    party: Party | None


@dataclass(frozen=True)
class Settle:
    """The consult is over: close the media and write its one record, with its last event."""

    end_cause: EndCause
    end_party: Party | None


@dataclass(frozen=True)
class Discard:
    """The consult is over and never became a call: nothing is billed, forget what was prepared."""


@dataclass(frozen=True)
class Release:
    """This physician is free to take the next patient."""

    physician_id: str


@dataclass(frozen=True)
class AskReconnect:
    """These sides should send an offer with a new connection."""

    sides: tuple[Party, ...]


@dataclass(frozen=True)
class StartRecording:
    """What is delivered is recorded too, also after a crash, until the call or it is stopped.

    ``proposed_n`` and ``agreed_n`` are the consult's events that hold both consents.
    """

    recording_id: str
    proposed_n: int
    agreed_n: int


@dataclass(frozen=True)
class StopRecording:
    """Nothing is recorded any more; without effect where nothing was."""


@dataclass(frozen=True)
class Dismiss:
    """This guest's media is to be disconnected."""

    guest_id: str


@dataclass(frozen=True)
class Grant:
    """So much, in all, was prepaid after the order: the limit grows at once."""

    topped_up_fen: int


Effect = (
    Engage | HoldMedia | ResumeMedia | SwitchMode | Disengage | Settle | Discard | Release
    | AskReconnect | StartRecording | StopRecording | Dismiss | Grant
)  # fmt: skip
EFFECTS: tuple[type[Effect], ...] = get_args(Effect)
