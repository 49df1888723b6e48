"""One participant of a room, and what is delivered to whom and from whom."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from media.endpoint import Endpoint
from media.flow import Flow
from media.quality import LineWatch
from media.tracks import IncomingTrack

GUEST: Final = "guest"


class Participant:
    """One participant of a room; it outlives its connections."""

    __slots__ = (
        "capped", "endpoint", "flows", "line", "participant_id", "retired", "seats", "side",
        "suspended",
    )  # fmt: skip

    def __init__(self, participant_id: str, side: str, flows: Mapping[str, Flow]) -> None:
        """`flows` by role: new ones, or those of its earlier stay in the room."""
        self.participant_id = participant_id
        self.side = side
        self.flows = flows
        self.endpoint: Endpoint | None = None
        self.line = LineWatch()
        self.retired: list[str] = []  # connections that newer ones replaced, oldest first
        self.seats: dict[str, int] = {}  # whom it gets where (media.seating)
        self.suspended = self.capped = False  # as the listener was told

    def sends(self, kinds: frozenset[str]) -> bool:
        """Whether media of any of these kinds flows from the participant."""
        return any(flow.on for kind, flow in self.flows.items() if kind in kinds)

    def tracks(self) -> list[IncomingTrack]:
        """What it sends, in the order of its m-lines."""
        return [] if self.endpoint is None else list(self.endpoint.inbound.tracks.values())

    def track(self, role: str) -> IncomingTrack | None:
        """What it sends in this role; of several m-lines the first."""
        return next((track for track in self.tracks() if track.role == role), None)


@dataclass(frozen=True, slots=True)
class Delivery:
    """What goes through now: the kinds of the mode, and whether both billed sides send them."""

    kinds: frozenset[str]
    both_send: bool

    def reaches(self, receiver: Participant) -> bool:
        """Whether the participant gets anything at all.

        Who sends only what the mode does not carry delivers nothing, and gets nothing.
        """
        if receiver.side == GUEST:
            return self.both_send
        return receiver.sends(self.kinds)

    def takes(self, sender: Participant, track: IncomingTrack) -> bool:
        """Whether the track goes to anybody."""
        if track.kind not in self.kinds or not track.flow.on:
            return False
        return self.both_send or (sender.side != GUEST and track.role != "screen")
