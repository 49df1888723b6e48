"""The two clocks of the process: one to measure with, one to label with."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def monotonic_ms() -> int:
    """Milliseconds of a clock that nobody can set: for every duration and every deadline."""
    return time.monotonic_ns() // 1_000_000


def wall_ms() -> int:
    """Epoch milliseconds, UTC: for labels only."""
    return time.time_ns() // 1_000_000


def wall_at() -> datetime:
    """The wall clock as an aware UTC datetime: for labels only."""
    return datetime.now(UTC)
