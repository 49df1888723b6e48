"""Every message between a page and the server, in and out, as a model: the protocol.

A page sends one kind of socket.io event, ``command``, and receives one, ``message``. Each
command carries an ``id`` that the page chose; the server answers it with exactly one
:class:`Answer`, and a repeated id gets the first answer again, whatever happened since.

What both pages show of a consult comes as a whole :class:`PatientView` or
:class:`PhysicianView` with the number ``n`` of the last event it contains: a page that lost its
connection names the last ``n`` it saw and receives the events after it and the view of now.

Units are in the names: ``_ms`` milliseconds, ``_fen`` minor units of the currency, ``_at`` RFC 3339
UTC. `docs/protocol.md` is checked against this module by a test.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from signaling.commands import (
    CONSOLE_COMMAND,
    PATIENT_COMMAND,
    AnswerMode,
    ConsoleAuth,
    ConsoleCommand,
    Finish,
    HangUp,
    Hold,
    Join,
    Leave,
    PatientAuth,
    PatientCommand,
    PatientOffer,
    PatientSetMode,
    PhysicianOffer,
    PhysicianSetMode,
    PutBack,
    Rejoin,
    Resume,
    Take,
)
from signaling.consent import (
    AnswerRecording,
    PatientStopRecording,
    PhysicianStopRecording,
    Record,
    Recording,
)
from signaling.guest_messages import (
    GUEST_COMMAND,
    Elapsed,
    GuestAuth,
    GuestCard,
    GuestCommand,
    GuestHello,
    GuestLeave,
    GuestOffer,
    GuestUpdate,
    GuestView,
    Invite,
    RemoveGuest,
    RoomRole,
    Roster,
    Seated,
    StopScreen,
)
from signaling.paths import IceServer, IceServers, Probe
from signaling.prepaid import Prepaid, PrepaidLeft
from signaling.quality import Line, LineReading, LineReason, Quality
from signaling.trouble import LineTrouble
from signaling.wire import (
    MAX_MESSAGE_BYTES,
    MAX_SDP_CHARS,
    CommandId,
    ConsultId,
    Digest,
    EndCause,
    GuestId,
    GuestRole,
    Incoming,
    Mid,
    Mode,
    Outgoing,
    Party,
    Pause,
    State,
)

__all__ = [
    "CONSOLE_COMMAND",
    "GUEST_COMMAND",
    "MAX_MESSAGE_BYTES",
    "MAX_SDP_CHARS",
    "PATIENT_COMMAND",
    "Answer",
    "AnswerMode",
    "AnswerRecording",
    "ChargeLine",
    "CommandId",
    "ConsoleAuth",
    "ConsoleCommand",
    "ConsoleHello",
    "ConsoleMessage",
    "ConsultId",
    "ConsultView",
    "Digest",
    "Elapsed",
    "EndCause",
    "Event",
    "Finish",
    "Goodbye",
    "GuestAuth",
    "GuestCard",
    "GuestCommand",
    "GuestHello",
    "GuestId",
    "GuestLeave",
    "GuestMessage",
    "GuestOffer",
    "GuestRole",
    "GuestUpdate",
    "GuestView",
    "HangUp",
    "Hold",
    "IceServer",
    "IceServers",
    "Incoming",
    "Invite",
    "Join",
    "Leave",
    "Line",
    "LineReading",
    "LineReason",
    "LineTrouble",
    "MeterTick",
    "Mid",
    "Mode",
    "Outgoing",
    "Party",
    "PatientAuth",
    "PatientCommand",
    "PatientHello",
    "PatientMessage",
    "PatientOffer",
    "PatientSetMode",
    "PatientStopRecording",
    "PatientUpdate",
    "PatientView",
    "Pause",
    "PhysicianOffer",
    "PhysicianSetMode",
    "PhysicianStopRecording",
    "PhysicianUpdate",
    "PhysicianView",
    "Place",
    "Prepaid",
    "PrepaidLeft",
    "Price",
    "Probe",
    "Problem",
    "Proposal",
    "PutBack",
    "Quality",
    "QueueChange",
    "QueueItem",
    "ReconnectMedia",
    "Record",
    "Recording",
    "Rejoin",
    "Released",
    "RemoveGuest",
    "Resume",
    "RoomRole",
    "Roster",
    "Seated",
    "Service",
    "State",
    "StopScreen",
    "Summary",
    "Take",
]


# --- what pages receive ------------------------------------------------------------------------


class Service(Outgoing):
    """Who treats, where and as what."""

    physician_name: str
    physician_title: str
    organization: str
    department: str


class Price(Outgoing):
    """The tariff the patient is asked to agree to; ``digest`` names exactly this one.

    ``fee_on_top``: the part of the charge that the patient pays besides it, as an exact decimal;
    ``"0"`` for none. ``insurer_base_fen``: what an insurer pays of it at most.
    """

    voice_fen_per_min: int
    video_fen_per_min: int
    currency: str
    initial_s: int
    increment_s: int
    minimum_fen: int
    free_s: int
    cap_fen: int | None
    fee_on_top: str
    insurer_base_fen: int
    digest: Digest


class Proposal(Outgoing):
    """A mode the physician proposed; the patient has not answered yet."""

    id: CommandId
    mode: Mode
    fen_per_min: int


class ChargeLine(Outgoing):
    """One step of the arithmetic, for the page to say in its own language.

    ``allowance`` and ``increment``: ``seconds`` that are left, or counted, of ``mode``. ``price``
    and ``sum``: an exact amount in sixtieths of a fen. The others: an amount in fen.
    """

    step: Literal[
        "waived",
        "allowance",
        "increment",
        "price",
        "sum",
        "minimum",
        "cap",
        "charge",
        "insurer",
        "patient",
    ]
    mode: Mode | None = None
    seconds: int | None = None
    fen_60ths: int | None = None
    fen: int | None = None


class Summary(Outgoing):
    """What the consult came to. ``final`` once the record is in the ledger."""

    voice_s: int
    video_s: int
    charge_fen: int
    currency: str
    lines: tuple[ChargeLine, ...]
    end_cause: EndCause | None
    final: bool
    record_id: str | None


class ConsultView(Outgoing):
    """What both sides see. ``pause`` says why nothing is billed, None while it is."""

    consult_id: ConsultId
    n: int
    state: State
    mode: Mode
    pause: Pause | None
    patient_online: bool
    physician_online: bool
    proposal: Proposal | None
    recording: Recording | None
    service: Service
    price: Price
    prepaid: Prepaid | None
    created_at: str
    answer_by_ms: int | None
    """Milliseconds left to answer while ``offered``, as of the sending of this view."""
    summary: Summary | None
    guests: tuple[GuestCard, ...]
    """A patient's page is told of those who are in the call, a physician's of all invited."""


class PatientView(ConsultView):
    """The consult as its patient sees it. ``patient_name`` is how the clinic addresses them."""

    party: Literal["patient"] = "patient"
    patient_name: str
    terms_version: str
    may_rejoin: bool


class PhysicianView(ConsultView):
    """The consult as its physician sees it."""

    party: Literal["physician"] = "physician"
    patient_name: str
    complaint: str
    returning: bool
    waited_ms: int
    outcome: str | None
    may_record: bool


class Event(Outgoing):
    """One entry of a consult's history."""

    n: int
    kind: str
    at: str
    by: Literal["patient", "physician", "guest", "server", "clinic"]


class QueueItem(Outgoing):
    """One waiting patient on the console."""

    consult_id: ConsultId
    patient_name: str
    department: str
    complaint: str
    mode: Mode
    waiting_since: str
    online: bool
    returning: bool
    mine: bool
    """Booked with the physician who looks; others may take them too when they may see them."""


class PatientHello(Outgoing):
    """First message on a patient's connection: what was missed, and how things stand."""

    kind: Literal["hello"] = "hello"
    events: tuple[Event, ...]
    view: PatientView


class ConsoleHello(Outgoing):
    """First message on a console's connection."""

    kind: Literal["hello"] = "hello"
    physician_name: str
    physician_title: str
    queue: tuple[QueueItem, ...]
    events: tuple[Event, ...]
    call: PhysicianView | None


class PatientUpdate(Outgoing):
    """The consult changed."""

    kind: Literal["consult"] = "consult"
    event: Event
    view: PatientView


class PhysicianUpdate(Outgoing):
    """The physician's consult changed."""

    kind: Literal["consult"] = "consult"
    event: Event
    view: PhysicianView


class Place(Outgoing):
    """The patient's place in the queue, 1 for the next; ``waiting`` counts everybody."""

    kind: Literal["place"] = "place"
    place: int
    waiting: int


class MeterTick(Outgoing):
    """What is metered so far, once a second while in a call and at every change."""

    kind: Literal["meter"] = "meter"
    consult_id: ConsultId
    voice_ms: int
    video_ms: int
    charge_fen: int
    currency: str
    running: bool
    pause: Pause | None
    prepaid: PrepaidLeft | None = None


class QueueChange(Outgoing):
    """Who came to the queue or changed in it, and who left it."""

    kind: Literal["queue"] = "queue"
    upsert: tuple[QueueItem, ...] = ()
    remove: tuple[ConsultId, ...] = ()


class Released(Outgoing):
    """The physician's call is over for them: the console may take the next patient."""

    kind: Literal["released"] = "released"
    consult_id: ConsultId


class Problem(Outgoing):
    """Why a command was refused. ``code`` is for programs, ``message`` for people."""

    code: str
    message: str


class Answer(Outgoing):
    """The one answer to a command."""

    kind: Literal["answer"] = "answer"
    command_id: str
    ok: bool
    result: dict[str, str] = Field(default_factory=dict)
    error: Problem | None = None


class ReconnectMedia(Outgoing):
    """The server lost this page's media connection: send an offer with a new connection."""

    kind: Literal["reconnect_media"] = "reconnect_media"
    consult_id: ConsultId


class Goodbye(Outgoing):
    """The server closes this connection and says why; the page does not retry, save for
    ``server_stopping``.
    """

    kind: Literal["goodbye"] = "goodbye"
    code: Literal["moved", "signed_out", "removed", "flooding", "malformed", "server_stopping"]


PatientMessage = Annotated[
    PatientHello
    | PatientUpdate
    | Place
    | MeterTick
    | Quality
    | LineTrouble
    | IceServers
    | Roster
    | Answer
    | ReconnectMedia
    | Goodbye,
    Field(discriminator="kind"),
]
ConsoleMessage = Annotated[
    ConsoleHello
    | PhysicianUpdate
    | QueueChange
    | MeterTick
    | Quality
    | LineTrouble
    | Roster
    | Released
    | IceServers
    | Answer
    | ReconnectMedia
    | Goodbye,
    Field(discriminator="kind"),
]
GuestMessage = Annotated[
    GuestHello
    | GuestUpdate
    | Elapsed
    | Quality
    | Roster
    | IceServers
    | Answer
    | ReconnectMedia
    | Goodbye,
    Field(discriminator="kind"),
]
