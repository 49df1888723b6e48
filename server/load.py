"""Measures what this process carries and how late it is, for :mod:`server.admission`."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from statistics import median
from typing import Final

from media.counters import MediaCounters
from server.admission import Admission
from server.clock import monotonic_ms

PROBE_S: Final = 0.1
PROBES_PER_SECOND: Final = 10
WINDOW_S: Final = 3


class Load:
    """Wakes ten times a second to see how late that is; ``run`` it while the process serves."""

    def __init__(self, counters: MediaCounters, admission: Admission) -> None:
        self._counters, self._admission = counters, admission
        self._lags_ms: deque[int] = deque(maxlen=PROBES_PER_SECOND * WINDOW_S)
        self._packets: deque[tuple[float, int]] = deque(maxlen=WINDOW_S + 1)

    async def run(self) -> None:
        """Observe once a second. Runs until cancelled."""
        while True:
            self._observe()
            for _ in range(PROBES_PER_SECOND):
                before = time.monotonic()
                await asyncio.sleep(PROBE_S)
                late_s = time.monotonic() - before - PROBE_S
                self._lags_ms.append(max(0, round(late_s * 1000)))

    def _observe(self) -> None:
        now = time.monotonic()
        self._packets.append((now, self._counters.received + self._counters.forwarded))
        since, before = self._packets[0]
        passed_s = now - since
        rate = (self._packets[-1][1] - before) / passed_s if passed_s > 0 else 0.0
        # half of the probes were later than this: one long pause does not make a node full
        lag_ms = round(median(self._lags_ms)) if self._lags_ms else 0
        self._admission.observe(round(rate), lag_ms, monotonic_ms())
