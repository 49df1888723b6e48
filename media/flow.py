"""When media flows from a participant: what the meter bills by and what gates delivery.

A flow is authenticated RTP with a payload of one kind. It starts with its first packet and has
stopped when none came for two seconds; the stop counts from the last packet, so the wait that it
took to notice is never billed. It belongs to the participant, not to a connection: an ICE restart
or a new page that comes within two seconds does not interrupt it.

Those two seconds are delivered free. Lest somebody live on them, with one packet each time, a flow
that timed out again and again within a minute is on probation: it starts once its packets have come
steadily for a while, and that while, neither delivered nor billed, doubles with each timeout. A
flow that bills nobody is on none: there is nothing to live on.
"""

from dataclasses import dataclass, field
from typing import Final

FLOW_TIMEOUT_MS: Final = 2_000

PROBATION_WINDOW_MS: Final = 60_000
"""How long a timeout counts."""

PROBATION_GAP_MS: Final = 1_000
"""A longer gap between two packets begins the probation anew."""

PROBATIONS_MS: Final = (0, 0, 2_000, 4_000, 8_000, 16_000)
"""How long packets must have come before the flow starts, by the timeouts that count. The last
holds for more of them too. Two outages in a minute are honest bad luck and cost nothing."""


class Flow:
    """The flow of one kind from one participant.

    The packet path inlines `arrived`: it writes `last_ms` while `on`, and calls it only otherwise.

    Attributes:
        on: Media of this kind is flowing.
        last_ms: Monotonic time of the flow's last packet, milliseconds; None before the first.
            Packets on probation do not count.
    """

    __slots__ = ("_heard_ms", "_is_billed", "_steady_ms", "_timeouts_ms", "last_ms", "on")

    def __init__(self, *, is_billed: bool = True) -> None:
        """`is_billed`: Time is billed by it, so that its timeouts count."""
        self._is_billed = is_billed
        self.on = False
        self.last_ms: int | None = None
        self._heard_ms: int | None = None  # the last packet that came while not on
        self._steady_ms = 0  # since when such packets come without a gap
        self._timeouts_ms: tuple[int, ...] = ()  # when the latest were noticed, oldest first

    def arrived(self, now_ms: int) -> bool:
        """Count a packet; True if the flow starts with it."""
        if not self.on:
            if self._heard_ms is None or now_ms - self._heard_ms > PROBATION_GAP_MS:
                self._steady_ms = now_ms
            self._heard_ms = now_ms
            if now_ms - self._steady_ms < self._probation_ms(now_ms):
                return False
        self.last_ms = now_ms
        started = not self.on
        self.on = True
        return started

    def _probation_ms(self, now_ms: int) -> int:
        counting = [at for at in self._timeouts_ms if now_ms - at < PROBATION_WINDOW_MS]
        return PROBATIONS_MS[len(counting)]

    def expire(self, now_ms: int) -> int | None:
        """Stop the flow if no packet came for `FLOW_TIMEOUT_MS`.

        Returns:
            When it stopped: the time of the last packet. None if it goes on, or was off already.
        """
        last_ms = self.last_ms
        if not self.on or last_ms is None or now_ms - last_ms < FLOW_TIMEOUT_MS:
            return None
        self.on = False
        if self._is_billed:
            self._timeouts_ms = (*self._timeouts_ms, now_ms)[1 - len(PROBATIONS_MS) :]
        return last_ms

    def stop(self) -> int | None:
        """Stop the flow at once, because its participant left; as `expire`, but no timeout."""
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
