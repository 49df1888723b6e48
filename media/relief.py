"""When a receiver's line is too weak for video, so that voice would suffer. Pure.

Video is withheld from a receiver whose estimate stays below what the smallest useful picture needs,
or is low while the receiver loses voice and its round trip has grown far above its base: a queue
that overflows. Loss and a long way alone are no reason: less video would not help. It comes back
once the line has been calm for a while, to see whether it carries video again: voice alone tells no
bandwidth. Each relapse doubles that while.
"""

from dataclasses import dataclass
from typing import Final

LEAST_VIDEO_BPS: Final = 100_000
LOW_VIDEO_BPS: Final = 300_000
"""With more than this a sender still has room to send less by itself."""

WEAK_LOSS: Final = 0.15
CALM_LOSS: Final = 0.05
WEAK_AFTER_MS: Final = 3_000
FIRST_WAIT_MS: Final = 5_000
LONGEST_WAIT_MS: Final = 60_000
RELAPSE_MS: Final = 20_000
"""Weak again so soon after video came back: it came back too early."""

_BASE_GROWTH_MS: Final = 2  # a judgement: the base follows a line that has become longer
_LEAST_SENT: Final = 20  # packets of voice that loss is taken from
_LOSS_LIFETIME_MS: Final = 12_000  # browsers report on voice each 5 s


@dataclass(frozen=True, slots=True)
class LineState:
    """What is known of a receiver's line now; None where nothing is.

    Attributes:
        estimate_bps: What the receiver can take, all senders together.
        voice_sent, voice_lost: Packets of voice as the receiver last reported them, so far.
    """

    estimate_bps: int | None = None
    round_trip_ms: int | None = None
    voice_sent: int = 0
    voice_lost: int = 0


class Relief:
    """Whether video is withheld from one receiver. Call `judge` about once a second.

    Attributes:
        suspended: It is.
    """

    __slots__ = (
        "_base_ms", "_calm_since_ms", "_loss", "_loss_at_ms", "_lost", "_resumed_ms",
        "_sent", "_wait_ms", "_weak_since_ms", "suspended",
    )  # fmt: skip

    def __init__(self) -> None:
        self.suspended = False
        self._base_ms: int | None = None
        self._loss = 0.0
        self._loss_at_ms = 0
        self._sent = self._lost = 0
        self._weak_since_ms: int | None = None
        self._calm_since_ms = 0
        self._resumed_ms: int | None = None
        self._wait_ms = FIRST_WAIT_MS

    def reset(self) -> None:
        """No video is to be delivered at all: nothing is withheld."""
        self.suspended = False
        self._weak_since_ms = None

    def judge(self, state: LineState, gets_video: bool, now_ms: int) -> bool:
        """Take what is known now.

        Args:
            gets_video: Video is being delivered to the receiver.
        Returns:
            Whether `suspended` has changed.
        """
        growth = self._growth(state.round_trip_ms)
        self._take_loss(state.voice_sent, state.voice_lost, now_ms)
        if self.suspended:
            if self._loss > CALM_LOSS or growth > 1:
                self._calm_since_ms = now_ms
            if now_ms - self._calm_since_ms < self._wait_ms:
                return False
            self.suspended, self._resumed_ms = False, now_ms
            return True
        queueing = self._loss > WEAK_LOSS and growth > 2
        least_bps = LOW_VIDEO_BPS if queueing else LEAST_VIDEO_BPS
        starved = state.estimate_bps is not None and state.estimate_bps < least_bps
        if not gets_video or not starved:
            self._weak_since_ms = None
            return False
        if self._weak_since_ms is None:
            self._weak_since_ms = now_ms
        if now_ms - self._weak_since_ms < WEAK_AFTER_MS:
            return False
        relapsed = self._resumed_ms is not None and now_ms - self._resumed_ms < RELAPSE_MS
        self._wait_ms = min(2 * self._wait_ms, LONGEST_WAIT_MS) if relapsed else FIRST_WAIT_MS
        self.suspended, self._calm_since_ms, self._weak_since_ms = True, now_ms, None
        return True

    def _growth(self, round_trip_ms: int | None) -> float:
        """How far the round trip is above its base: 0 at it, 2 at more than twice as long."""
        if round_trip_ms is None:
            return 0.0
        base_ms = round_trip_ms
        if self._base_ms is not None:
            base_ms = min(round_trip_ms, self._base_ms + _BASE_GROWTH_MS)
        self._base_ms = base_ms
        return (round_trip_ms - base_ms) / (base_ms / 2 + 50)

    def _take_loss(self, sent: int, lost: int, now_ms: int) -> None:
        """Loss between two reports; both counts may begin anew with another stream."""
        if sent < self._sent or now_ms - self._loss_at_ms > _LOSS_LIFETIME_MS:
            self._loss, self._loss_at_ms = 0.0, now_ms
        elif sent - self._sent >= _LEAST_SENT:
            self._loss = max(0, lost - self._lost) / (sent - self._sent)
            self._loss_at_ms = now_ms
        else:
            return
        self._sent, self._lost = sent, lost
