"""Whether a new call may begin on this node. Pure.

A node is full when its packets or its lag say so, not by a count of rooms: a voice call weighs a
fifth of a video call. Calls that run are never touched, and neither is a place in the queue. Calls
that are being set up count with what a video call will send, so that a burst of them cannot
overshoot before their packets are seen.
"""

from dataclasses import dataclass
from typing import Final, Literal

CALL_PACKETS_PER_S: Final = 600
"""A video call: 50 packets of voice and 100 of pictures from each side, received and sent on."""

MEASURED_AFTER_MS: Final = 3_000
"""So long after media began to flow, the measured rate contains it."""

REOPEN_SHARE: Final = 0.9
LAGS_TO_CLOSE: Final = 2
LAGS_TO_OPEN: Final = 5
Why = Literal["packets", "lag"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node carries; 0 is no limit. `setup_ms`: a call is set up within, or given up."""

    max_packets_per_s: int = 0
    max_loop_lag_ms: int = 0
    setup_ms: int = 75_000


class Admission:
    """Decides from one observation a second, and from what was promised since.

    Attributes:
        packets_per_s: As observed last, received and sent on.
        refused: How often `admit` said no.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._until_ms: dict[str, int] = {}  # calls being set up, and how long they count
        self._too_many = self._lags = False
        self._streak = 0  # observations that contradict `_lags`
        self.packets_per_s = 0
        self.refused = 0

    def observe(self, packets_per_s: int, loop_lag_ms: int, now_ms: int) -> None:
        """Take what was measured; call it about once a second.

        Args:
            loop_lag_ms: How late the event loop typically was, not its worst moment.
        """
        self.packets_per_s = packets_per_s
        self._until_ms = {who: at for who, at in self._until_ms.items() if at > now_ms}
        self._weigh()
        self._note_lag(loop_lag_ms)

    def reserve(self, consult_id: str, now_ms: int) -> None:
        """A call was admitted, or comes back after a restart; safe to repeat."""
        self._until_ms[consult_id] = now_ms + self._limits.setup_ms
        self._weigh()

    def flows(self, consult_id: str, now_ms: int) -> None:
        """Media of a call flows both ways; safe to repeat."""
        until_ms = self._until_ms.get(consult_id)
        if until_ms is not None:
            self._until_ms[consult_id] = min(until_ms, now_ms + MEASURED_AFTER_MS)

    def release(self, consult_id: str) -> None:
        """A call will not be set up, or is over; safe to repeat."""
        if self._until_ms.pop(consult_id, None) is not None:
            self._weigh()

    def admit(self) -> bool:
        """Whether a new call may begin now. If it does, `reserve` it."""
        if self.full is None:
            return True
        self.refused += 1
        return False

    @property
    def full(self) -> Why | None:
        """Why no call may begin; None: one may."""
        if self._too_many:
            return "packets"
        return "lag" if self._lags else None

    @property
    def expected_calls(self) -> int:
        """Calls being set up, that count with what they are going to send."""
        return len(self._until_ms)

    def _weigh(self) -> None:
        limit = self._limits.max_packets_per_s
        load = self.packets_per_s + CALL_PACKETS_PER_S * len(self._until_ms)
        if not limit or not load:
            self._too_many = False  # even a limit below one call lets one in
        elif load + CALL_PACKETS_PER_S > limit:
            self._too_many = True
        elif load + CALL_PACKETS_PER_S <= REOPEN_SHARE * limit:
            self._too_many = False

    def _note_lag(self, loop_lag_ms: int) -> None:
        limit = self._limits.max_loop_lag_ms
        if not limit:
            return
        contradicts = loop_lag_ms <= limit // 2 if self._lags else loop_lag_ms > limit
        self._streak = self._streak + 1 if contradicts else 0
        if self._streak >= (LAGS_TO_OPEN if self._lags else LAGS_TO_CLOSE):
            self._lags, self._streak = not self._lags, 0
