"""When a receiver's line is too weak for video, so that voice would suffer. Pure.

Video is withheld only where that helps voice: voice is lost or its round trip has grown far above
its base, a queue that overflows, while the estimate says that the senders cannot give way any
further. An estimate alone is no reason, since a browser that was busy for a moment says anything
and takes a quarter of a minute to take it back; nor are loss or a long way alone, since less video
would not help. Of several pictures all but one go first.

Pictures come back once the line has been calm for a while, to see whether it carries them again:
voice alone tells no bandwidth. Each relapse doubles that while.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from media.estimates import LEAST_SHARE_BPS

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

HEAVY_LOSS: Final = 0.25
"""So much is not lost on the air alone."""

STEADY_READINGS: Final = 2
QUEUE_GROWTH: Final = 1.0
"""Of the round trip (`Relief._growth`): voice is about to suffer."""

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


class Pictures(IntEnum):
    """How many pictures a receiver gets of those that there are."""

    NONE = 0
    ONE = 1
    """That of the first seat (`media.seating`): of patient and physician the other one."""
    ALL = 2


class Relief:
    """Whether video is withheld from one receiver. Call `judge` about once a second.

    Attributes:
        pictures: What is left.
        is_calm: At the last look nothing but the estimate spoke of a queue.
    """

    __slots__ = (
        "_base_ms", "_calm_since_ms", "_loss", "_loss_at_ms", "_lost", "_resumed_ms",
        "_round_trip_ms", "_sent", "_steady", "_wait_ms", "_weak_since_ms", "is_calm", "pictures",
    )  # fmt: skip

    def __init__(self) -> None:
        self.pictures = Pictures.ALL
        self.is_calm = True
        self._base_ms: int | None = None
        self._round_trip_ms: int | None = None  # the last reading
        self._steady = 0  # readings like the one before
        self._loss = 0.0
        self._loss_at_ms = 0
        self._sent = self._lost = 0
        self._weak_since_ms: int | None = None
        self._calm_since_ms = 0
        self._resumed_ms: int | None = None
        self._wait_ms = FIRST_WAIT_MS

    @property
    def suspended(self) -> bool:
        """Whether no video at all is left."""
        return self.pictures == Pictures.NONE

    def leaves(self, seat: int) -> bool:
        """Whether the picture of this seat is left."""
        return self.pictures == Pictures.ALL or (self.pictures == Pictures.ONE and seat == 0)

    def reset(self) -> None:
        """No video is to be delivered at all: nothing is withheld."""
        self.pictures = Pictures.ALL
        self._weak_since_ms = None

    def judge(self, state: LineState, delivered: int, now_ms: int) -> bool:
        """Take what is known now.

        Args:
            delivered: How many pictures the receiver is getting.
        Returns:
            Whether `pictures` has changed.
        """
        growth = self._growth(state.round_trip_ms)
        self._take_loss(state.voice_sent, state.voice_lost, now_ms)
        self.is_calm = growth <= QUEUE_GROWTH and self._loss <= HEAVY_LOSS
        is_weak = bool(delivered) and self._is_weak(state.estimate_bps, delivered, growth)
        if is_weak or self._loss > CALM_LOSS or growth > QUEUE_GROWTH:
            self._calm_since_ms = now_ms
        if not is_weak:
            self._weak_since_ms = None
            return self._give_back(now_ms)
        if self._weak_since_ms is None:
            self._weak_since_ms = now_ms
        if now_ms - self._weak_since_ms < WEAK_AFTER_MS:
            return False
        relapsed = self._resumed_ms is not None and now_ms - self._resumed_ms < RELAPSE_MS
        self._wait_ms = min(2 * self._wait_ms, LONGEST_WAIT_MS) if relapsed else FIRST_WAIT_MS
        self.pictures = Pictures.ONE if delivered > 1 else Pictures.NONE
        self._calm_since_ms, self._weak_since_ms, self._resumed_ms = now_ms, None, None
        return True

    def _is_weak(self, estimate_bps: int | None, delivered: int, growth: float) -> bool:
        """Whether voice suffers from so many pictures."""
        if estimate_bps is None:
            return False
        loses, queues = self._loss > CALM_LOSS, growth > QUEUE_GROWTH
        if self._loss > WEAK_LOSS and growth > 2 * QUEUE_GROWTH:
            return estimate_bps < max(LOW_VIDEO_BPS, delivered * LEAST_SHARE_BPS)
        # a page that has many to decode may be busy: then one of both is not proof enough
        suffers = loses and queues if delivered > 1 else queues or self._loss > HEAVY_LOSS
        return suffers and estimate_bps < LEAST_VIDEO_BPS

    def _give_back(self, now_ms: int) -> bool:
        """More pictures again, a step at a time, once the line was calm for long enough."""
        if self.pictures == Pictures.ALL or now_ms - self._calm_since_ms < self._wait_ms:
            return False
        self.pictures = Pictures(self.pictures + 1)
        self._resumed_ms = self._calm_since_ms = now_ms
        return True

    def _growth(self, round_trip_ms: int | None) -> float:
        """How far the round trip is above its base: 0 at it, 2 at more than twice as long.

        A round trip that stays as it is shows no queue, which breathes: the line has become longer.
        """
        if round_trip_ms is None:
            return 0.0
        base_ms, last_ms = round_trip_ms, self._round_trip_ms
        if last_ms is not None and abs(round_trip_ms - last_ms) <= max(4, round_trip_ms // 32):
            self._steady += 1
        else:
            self._steady = 0
        if self._base_ms is not None and self._steady < STEADY_READINGS:
            base_ms = min(round_trip_ms, self._base_ms + _BASE_GROWTH_MS)
        self._base_ms, self._round_trip_ms = base_ms, round_trip_ms
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
