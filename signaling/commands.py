"""What a page sends: the ``auth`` of its connection and its commands."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from signaling.consent import (
    AnswerRecording,
    PatientStopRecording,
    PhysicianStopRecording,
    Record,
)
from signaling.guest_messages import Invite, RemoveGuest, StopScreen
from signaling.paths import Probe
from signaling.wire import CommandId, ConnectionId, ConsultId, Digest, Incoming, Mid, Mode, Sdp

# --- connecting -----------------------------------------------------------------------------


class PatientAuth(Incoming):
    """The ``auth`` of a connection to ``/patient``.

    ``page`` names this page load: a reconnecting page keeps it, another page replaces the
    former (the link on a second device moves the consult there). ``after`` is the last event
    number the page saw, 0 for none.
    """

    token: Annotated[str, Field(min_length=16, max_length=128)]
    page: CommandId
    after: Annotated[int, Field(ge=0)] = 0


class ConsoleAuth(Incoming):
    """The ``auth`` of a connection to ``/console``; who it is comes from the session cookie.

    ``consult_id`` and ``after`` name the call the page shows, if any.
    """

    page: CommandId
    consult_id: ConsultId | None = None
    after: Annotated[int, Field(ge=0)] = 0


# --- commands of the patient -----------------------------------------------------------------


class Join(Incoming):
    """I agree to this price and these terms, and want to wait: created → waiting."""

    kind: Literal["join"]
    id: CommandId
    mode: Mode
    tariff_digest: Digest
    terms_version: Annotated[str, Field(max_length=32)]
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]


class PatientOffer(Incoming):
    """An SDP offer (RFC 8829) of the page's connection; the answer's result is ``{"sdp": …}``.

    The first one while the consult is ``offered`` is the patient's answer to the physician.
    A known ``connection_id`` is renegotiated (ICE restart, more m-lines); a new one replaces the
    old. ``screen_mid``: the sendonly m-line of video that carries the screen this page shares.
    """

    kind: Literal["offer"]
    id: CommandId
    connection_id: ConnectionId
    sdp: Sdp
    screen_mid: Mid | None = None


class AnswerMode(Incoming):
    """The patient accepts, or not, the price of the proposed mode."""

    kind: Literal["answer_mode"]
    id: CommandId
    proposal_id: CommandId
    accept: bool


class PatientSetMode(Incoming):
    """The patient goes down to voice, at once."""

    kind: Literal["set_mode"]
    id: CommandId
    mode: Literal["voice"]


class HangUp(Incoming):
    """The patient leaves the call; billing stops at once. Hanging up is not finishing."""

    kind: Literal["hang_up"]
    id: CommandId


class Rejoin(Incoming):
    """The patient returns to a call they hung up, while it is not finished."""

    kind: Literal["rejoin"]
    id: CommandId


class Leave(Incoming):
    """The patient gives up waiting: waiting → cancelled."""

    kind: Literal["leave"]
    id: CommandId


PatientCommand = Annotated[
    Join
    | PatientOffer
    | AnswerMode
    | PatientSetMode
    | AnswerRecording
    | PatientStopRecording
    | Probe
    | HangUp
    | Rejoin
    | Leave,
    Field(discriminator="kind"),
]


# --- commands of the physician -----------------------------------------------------------------


class Take(Incoming):
    """Take this patient, or the next one: waiting → offered. Result ``{"consult_id": …}``."""

    kind: Literal["take"]
    id: CommandId
    consult_id: ConsultId | None = None


class PhysicianOffer(Incoming):
    """As :class:`PatientOffer`, for the physician's connection."""

    kind: Literal["offer"]
    id: CommandId
    consult_id: ConsultId
    connection_id: ConnectionId
    sdp: Sdp
    screen_mid: Mid | None = None


class Hold(Incoming):
    """Nobody hears or sees anybody, nothing is billed: active → held."""

    kind: Literal["hold"]
    id: CommandId
    consult_id: ConsultId


class Resume(Incoming):
    """The end of a hold."""

    kind: Literal["resume"]
    id: CommandId
    consult_id: ConsultId


class PhysicianSetMode(Incoming):
    """Voice at once; video is proposed and begins when the patient accepts the price."""

    kind: Literal["set_mode"]
    id: CommandId
    consult_id: ConsultId
    mode: Mode


class PutBack(Incoming):
    """The patient goes back to the same place of the queue: offered | connecting → waiting."""

    kind: Literal["put_back"]
    id: CommandId
    consult_id: ConsultId


class Finish(Incoming):
    """The consult is finished and settled."""

    kind: Literal["finish"]
    id: CommandId
    consult_id: ConsultId
    outcome: Literal["advised", "follow_up", "see_in_person", "other"] | None = None


ConsoleCommand = Annotated[
    Take
    | PhysicianOffer
    | Hold
    | Resume
    | PhysicianSetMode
    | Record
    | PhysicianStopRecording
    | PutBack
    | Finish
    | Invite
    | RemoveGuest
    | StopScreen,
    Field(discriminator="kind"),
]

PATIENT_COMMAND: TypeAdapter[PatientCommand] = TypeAdapter(PatientCommand)
CONSOLE_COMMAND: TypeAdapter[ConsoleCommand] = TypeAdapter(ConsoleCommand)
