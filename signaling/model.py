"""What a consult is at one moment, and what can be said about it without changing it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal

from signaling import events as ev
from signaling.events import Outcome, TimerKind
from signaling.messages import EndCause, GuestRole, Mode, Party, Pause, State

TERMINAL: Final[frozenset[State]] = frozenset(
    {
        "ended",
        "cancelled",
        "abandoned",
        "declined",
        "expired",
        "no_show_patient",
        "no_show_physician",
        "failed",
    }
)
IN_CALL: Final[tuple[State, ...]] = ("connecting", "active", "held", "interrupted")
WITH_PHYSICIAN: Final[tuple[State, ...]] = ("offered", *IN_CALL)


@dataclass(frozen=True)
class Timers:
    """How long each wait of the lifecycle may last, in milliseconds."""

    answer_ms: int = 45_000
    connecting_ms: int = 30_000
    connect_tries: int = 3
    """Within ``connecting_ms``: the first and two retries."""
    interrupted_ms: int = 120_000
    reopen_ms: int = 15 * 60_000
    hung_up_ms: int = 60_000
    offline_ms: int = 30_000
    dropped_ms: int = 10 * 60_000
    longest_call_ms: int = 60 * 60_000
    invitation_ms: int = 15 * 60_000
    """Until a guest's link is used first."""


@dataclass(frozen=True)
class OpenProposal:
    """A mode that the physician proposed and the patient has not answered."""

    id: str
    mode: Mode


@dataclass(frozen=True)
class OpenRecording:
    """A recording that is proposed, on, or failed to be stored (:mod:`signaling.recording`).

    ``proposed_n`` and ``agreed_n`` are the numbers of the events that hold the consents.
    """

    id: str
    state: Literal["proposed", "on", "failed"]
    terms_version: str
    proposed_n: int
    agreed_n: int = 0


@dataclass(frozen=True)
class Guest:
    """Whom the physician invited. ``opened``: the link was used; ``here``: in the call now."""

    id: str
    role: GuestRole
    name: str
    opened: bool = False
    here: bool = False


@dataclass(frozen=True)
class Consult:
    """The moving part of a consult. ``version`` is the number of its last event."""

    id: str
    state: State = "created"
    version: int = 0
    requested_mode: Mode = "video"
    mode: Mode = "video"
    """Agreed: what is carried and billed."""
    place: int | None = None
    """Orders the queue; kept until the end, so that who comes back has their place."""
    physician_id: str | None = None
    physician_name: str = ""
    physician_title: str = ""
    patient_here: bool = False
    """A page of the patient is connected."""
    patient_online: bool = False
    """As the queue shows it: a short loss of the page does not count."""
    patient_media: bool = False
    physician_media: bool = False
    proposal: OpenProposal | None = None
    recording: OpenRecording | None = None
    hung_up: bool = False
    freed: bool = False
    """``interrupted``, but the physician was freed: it may be re-opened by the patient."""
    connected: bool = False
    """Media flowed both ways since this physician took the patient."""
    answered_once: bool = False
    """The consult has been ``connecting`` before: its end is settled."""
    talked: bool = False
    """The consult has been ``active`` before."""
    lost: Party | None = None
    """Whose media went first in the present interruption."""
    deadlines: tuple[tuple[TimerKind, int], ...] = ()
    """What is due when, on the caller's monotonic clock; each kind at most once."""
    end_cause: EndCause | None = None
    end_party: Party | None = None
    outcome: Outcome | None = None
    guests: tuple[Guest, ...] = ()
    topped_up_fen: int = 0
    """Prepaid after the order."""

    def guest(self, guest_id: str) -> Guest | None:
        """The guest of this id, None for one who is not invited or not any more."""
        return next((guest for guest in self.guests if guest.id == guest_id), None)

    @property
    def live(self) -> bool:
        """Neither ended in any way nor still unopened."""
        return self.state not in TERMINAL and self.state != "created"

    @property
    def both_media(self) -> bool:
        """Media arrives from both sides."""
        return self.patient_media and self.physician_media

    @property
    def busy_physician_id(self) -> str | None:
        """The physician whom this consult keeps from taking another patient."""
        return self.physician_id if self.state in WITH_PHYSICIAN and not self.freed else None


TIMED_OUT: Final[Mapping[TimerKind, ev.Fact]] = {
    "answer": ev.AnswerTimedOut(),
    "retry": ev.RetryDue(),
    "connect": ev.ConnectTimedOut(),
    "free": ev.PhysicianFreed(),
    "reopen": ev.ReopenTimedOut(),
    "hang_up": ev.HangUpTimedOut(),
    "offline": ev.WentOffline(),
    "drop": ev.Dropped(),
    "longest": ev.LongestCall(),
}


@dataclass(frozen=True)
class Arm:
    """A change of deadlines: first ``off``, then ``on`` (kind to milliseconds from now)."""

    off: frozenset[TimerKind] = frozenset()
    on: Mapping[TimerKind, int] = field(default_factory=dict)


def arm(consult: Consult, now_ms: int, change: Arm) -> Consult:
    """The consult with other deadlines; one that is armed already keeps its time."""
    kept = {kind: at for kind, at in consult.deadlines if kind not in change.off}
    for kind, after_ms in change.on.items():
        kept.setdefault(kind, now_ms + after_ms)
    return replace(consult, deadlines=tuple(sorted(kept.items(), key=lambda item: item[1])))


def deadline_ms(consult: Consult, kind: TimerKind) -> int | None:
    """When this is due, None while it is not armed."""
    return dict(consult.deadlines).get(kind)


def next_deadline_ms(consult: Consult) -> int | None:
    """The earliest deadline, None without any."""
    return consult.deadlines[0][1] if consult.deadlines else None


def due(consult: Consult, now_ms: int) -> ev.Fact | None:
    """The fact that is due at ``now_ms``: the earliest, one at a time."""
    if consult.deadlines and consult.deadlines[0][1] <= now_ms:
        return TIMED_OUT[consult.deadlines[0][0]]
    return None


def pause(consult: Consult) -> Pause | None:
    """Why nothing is billed in a call; None while it is billed, and outside a call."""
    match consult.state:
        case "connecting" | "held" as same:
            return same
        case "interrupted" if consult.hung_up:
            return "hung_up"
        case "interrupted":
            if consult.physician_media and not consult.patient_media:
                return "patient_silent"
            if consult.patient_media and not consult.physician_media:
                return "physician_silent"
            return "both_silent"
        case _:
            return None


def may_offer(consult: Consult, party: Party | str) -> bool:
    """Whether this side, or the guest of this id, may connect media now."""
    if party not in ("patient", "physician"):
        return guest_may_join(consult) and consult.guest(party) is not None
    if consult.freed or (party == "patient" and consult.hung_up):
        return False
    return consult.state in WITH_PHYSICIAN


def guest_may_join(consult: Consult) -> bool:
    """Whether there is a call that guests can be in."""
    return consult.state in IN_CALL and not consult.freed
