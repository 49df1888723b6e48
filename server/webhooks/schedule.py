"""When an endpoint is tried again, and when it is given up. Pure: times and chance come in.

Times are epoch milliseconds, since they must outlive a restart. A clock that was set back delays
nothing for longer than the longest delay, and one that was set forward gives up no endpoint that
was hardly tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DELAYS_S: Final = (5, 30, 120, 600, 3_600, 21_600)
"""After the first failure, the second, ...; the last for all that follow."""
JITTER: Final = 0.2
GIVE_UP_MS: Final = 3 * 24 * 3_600_000
LEAST_ATTEMPTS: Final = 10
LONGEST_MS: Final = round(DELAYS_S[-1] * 1000 * (1 + JITTER))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt. ``error`` is None when it was delivered.

    ``error``: ``status`` (an answer that is no 2xx), ``redirect``, ``timeout``, ``connection``,
    ``tls``, ``unresolved`` or ``address_refused``.
    """

    status: int | None
    error: str | None
    duration_ms: int = 0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has it."""
        return self.error is None

    @property
    def gone(self) -> bool:
        """Whether the receiver asks for no more messages."""
        return self.status == 410


@dataclass(frozen=True, slots=True)
class Progress:
    """Where an endpoint stands. ``attempt`` counts failures in a row."""

    attempt: int = 0
    failing_since: int | None = None
    next_attempt_at: int | None = None
    disabled_reason: str | None = None


def after(progress: Progress, outcome: Outcome, now_ms: int, chance: float) -> Progress:
    """Where an endpoint stands after an attempt.

    Args:
        chance: 0 to 1; spreads the attempts of endpoints that failed together.
    """
    if outcome.delivered:
        return Progress()
    attempt = progress.attempt + 1
    since = now_ms if progress.failing_since is None else progress.failing_since
    if outcome.gone:
        return Progress(attempt, since, None, "gone")
    over = since + GIVE_UP_MS
    if now_ms >= over and attempt >= LEAST_ATTEMPTS:
        return Progress(attempt, since, None, "failing")
    delay_ms = DELAYS_S[min(attempt, len(DELAYS_S)) - 1] * 1000
    next_at = now_ms + round(delay_ms * (1 - JITTER + 2 * JITTER * chance))
    if now_ms < over:  # the last attempt is at the end of the three days, not hours later
        next_at = min(next_at, over)
    return Progress(attempt, since, next_at)


def wait_ms(next_attempt_at: int | None, now_ms: int) -> int:
    """How long to wait before the next attempt; 0: it is due."""
    if next_attempt_at is None:
        return 0
    left = next_attempt_at - now_ms
    return left if 0 < left <= LONGEST_MS else 0
