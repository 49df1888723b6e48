"""When media flows from a participant: what the meter bills by and what gates delivery.

A flow is authenticated RTP with a payload of one kind. It starts with its first packet and has
stopped when none came for two seconds; the stop counts from the last packet, so the wait that it
took to notice is never billed. It belongs to the participant, not to a connection: an ICE restart
or a new page that comes within two seconds does not interrupt it.
"""

from dataclasses import dataclass, field
from typing import Final

FLOW_TIMEOUT_MS: Final = 2_000


class Flow:
    """The flow of one kind from one participant.

    The packet path inlines `arrived`: it writes `last_ms`, and calls `arrived` only while not `on`.

    Attributes:
        on: Media of this kind is flowing.
        last_ms: Monotonic time of the last packet, milliseconds; None before the first.
    """

    __slots__ = ("last_ms", "on")

    def __init__(self) -> None:
        self.on = False
        self.last_ms: int | None = None

    def arrived(self, now_ms: int) -> bool:
        """Count a packet; True if the flow starts with it."""
        self.last_ms = now_ms
        started = not self.on
        self.on = True
        return started

    def expire(self, now_ms: int) -> int | None:
        """Stop the flow if no packet came for `FLOW_TIMEOUT_MS`.

        Returns:
            When it stopped: the time of the last packet. None if it goes on, or was off already.
        """
        last_ms = self.last_ms
        if not self.on or last_ms is None or now_ms - last_ms < FLOW_TIMEOUT_MS:
            return None
        self.on = False
        return last_ms

    def stop(self) -> int | None:
        """Stop the flow at once, because its participant left; as `expire`."""
        was_on, self.on = self.on, False
        return self.last_ms if was_on else None


@dataclass(frozen=True, slots=True)
class FlowReading:
    """What flows from a participant: per kind ("audio", "video"), now and last."""

    on: dict[str, bool] = field(default_factory=dict)
    last_ms: dict[str, int | None] = field(default_factory=dict)

    @property
    def any_on(self) -> bool:
        """Whether media of any kind flows."""
        return any(self.on.values())
