"""Messages of guests and of rooms with more than two: invitations, guests' pages, who is where."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from signaling.wire import (
    CommandId,
    ConnectionId,
    ConsultId,
    GuestId,
    GuestRole,
    Incoming,
    Mid,
    Mode,
    Outgoing,
    Pause,
    Sdp,
    State,
)

MAX_GUEST_NAME_CHARS = 60
RoomRole = Literal["patient", "physician", "specialist", "family", "interpreter", "nurse"]

GuestName = Annotated[
    str, Field(min_length=1, max_length=MAX_GUEST_NAME_CHARS, pattern=r"^\S([^\x00-\x1f]*\S)?$")
]


# --- connecting -----------------------------------------------------------------------------


class GuestAuth(Incoming):
    """The ``auth`` of a connection to ``/guest``: as that of a patient's page."""

    token: Annotated[str, Field(min_length=16, max_length=128)]
    page: CommandId
    after: Annotated[int, Field(ge=0)] = 0


# --- commands of a guest ----------------------------------------------------------------------


class GuestOffer(Incoming):
    """As a patient's ``offer``. A guest's first one is their coming into the call."""

    kind: Literal["offer"]
    id: CommandId
    connection_id: ConnectionId
    sdp: Sdp
    screen_mid: Mid | None = None


class GuestLeave(Incoming):
    """The guest leaves the call, and may come back with the same link."""

    kind: Literal["leave"]
    id: CommandId


GuestCommand = Annotated[GuestOffer | GuestLeave, Field(discriminator="kind")]
GUEST_COMMAND: TypeAdapter[GuestCommand] = TypeAdapter(GuestCommand)


# --- commands of the physician -----------------------------------------------------------------


class Invite(Incoming):
    """Invite a guest into the call. Result ``{"guest_id": …, "token": …}``.

    The token belongs behind the ``#`` of the link. It is shown this once, opens nothing after a
    while if nobody used it, and is lost with the answer: invite again then.
    """

    kind: Literal["invite"]
    id: CommandId
    consult_id: ConsultId
    role: GuestRole
    name: GuestName


class RemoveGuest(Incoming):
    """Send a guest out of the call, or take an invitation back; the link opens nothing more."""

    kind: Literal["remove_guest"]
    id: CommandId
    consult_id: ConsultId
    guest_id: GuestId


class StopScreen(Incoming):
    """Take the shared screen away, whoever shares it."""

    kind: Literal["stop_screen"]
    id: CommandId
    consult_id: ConsultId


# --- what pages receive ------------------------------------------------------------------------


class GuestCard(Outgoing):
    """Who is invited. ``here``: in the call now."""

    id: GuestId
    role: GuestRole
    name: str
    here: bool


class GuestView(Outgoing):
    """The consult as a guest sees it: no price, no complaint, no history."""

    consult_id: ConsultId
    n: int
    state: State
    mode: Mode
    pause: Pause | None
    open: bool
    """A guest may join now."""
    recorded: bool
    """What is said and shown now is kept; the page must say so."""
    me: GuestCard
    patient_name: str
    physician_name: str
    physician_title: str
    organization: str


class GuestHello(Outgoing):
    """First message on a guest's connection: how things stand."""

    kind: Literal["hello"] = "hello"
    view: GuestView


class GuestUpdate(Outgoing):
    """The consult changed."""

    kind: Literal["consult"] = "consult"
    view: GuestView


class Elapsed(Outgoing):
    """How long the call has lasted, once a second while in a call and at every change."""

    kind: Literal["elapsed"] = "elapsed"
    consult_id: ConsultId
    elapsed_ms: int
    running: bool
    pause: Pause | None


class Seated(Outgoing):
    """Somebody else in the room, and the m-lines of this page's connection that carry them.

    A mid is null while this page has offered no m-line for it.
    """

    id: str
    role: RoomRole
    name: str
    audio_mid: str | None
    video_mid: str | None


class Roster(Outgoing):
    """Who else is in the room now, and where this page gets whom.

    The page offers (on the same connection) until it has ``seats`` pairs of m-lines, audio and
    video: the first one sendrecv, the others recvonly. Whoever is there keeps their m-lines.
    ``seats`` counts who is invited too, and a guest is told it before they join: a first offer
    with so many pairs is the only one that their coming takes.
    ``screen_by`` shares a screen; ``screen_mid`` is where this page gets it.
    """

    kind: Literal["roster"] = "roster"
    consult_id: ConsultId
    participants: tuple[Seated, ...]
    seats: int
    screen_by: str | None
    screen_mid: str | None
