"""The two clocks of the process: one to measure with, one to label with."""

from __future__ import annotations

import time


class Clock:
    """Both clocks, as the lifecycle takes them (:class:`signaling.ports.Clock`)."""

    def now_ms(self) -> int:
        """Monotonic milliseconds."""
        return monotonic_ms()

    def at_ms(self) -> int:
        """Epoch milliseconds, UTC."""
        return wall_ms()


def monotonic_ms() -> int:
    """Milliseconds of a clock that nobody can set: for every duration and every deadline."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """Epoch milliseconds, UTC: for labels only."""
    return time.time_ns() // 1_000_000
