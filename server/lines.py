"""The lines of all calls: shown on their pages, summed up for their records, counted for /metrics.

Once a second, spread over it: all at once would make the packets of every call wait.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final, Protocol

import structlog

from media.quality import LineQuality, Reading
from media.spread import spread
from metering import quality as evidence
from metering.terms import Side
from server.call import PARTIES, Call
from server.clock import monotonic_ms
from signaling import messages as m

PASS_S: Final = 1.0
DIRECTIONS: Final = ("up", "down")
log = structlog.get_logger()


class Pages(Protocol):
    """Where lines are shown."""

    def push_quality(self, consult_id: str, quality: m.Quality) -> None:
        """To all pages of a consult; never blocks."""


class Histogram:
    """Counts of values by upper bound, as Prometheus wants them."""

    def __init__(self, *bounds: float) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, float]]:
        """Each bound, and how many values are not above it."""
        total, found = 0, []
        for bound, count in zip((*self._bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
        return found


class Lines:
    """Judges all calls each second; ``run`` it as long as there are calls.

    Attributes:
        levels: How many lines had so many bars in the last second.
        rtt_s: Of all lines.
        jitter_s, loss, mos: By direction; loss is 0 to 1.
    """

    def __init__(self, calls: Callable[[], Iterable[Call]], pages: Pages) -> None:
        self._calls, self._pages = calls, pages
        self.levels: Mapping[int, int] = {}
        self.rtt_s = Histogram(0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
        self.jitter_s = {d: Histogram(0.005, 0.01, 0.02, 0.05, 0.1, 0.2) for d in DIRECTIONS}
        self.loss = {d: Histogram(0.0, 0.005, 0.01, 0.03, 0.1, 0.2, 0.5) for d in DIRECTIONS}
        self.mos = {d: Histogram(2.0, 2.6, 3.1, 3.6, 4.0, 4.3) for d in DIRECTIONS}

    async def run(self) -> None:
        """Judge every call once a second. Runs until cancelled."""
        while True:
            levels: Counter[int] = Counter()
            judged = partial(self._contained, levels)
            await spread(tuple(self._calls()), judged, PASS_S, at_once=1)
            self.levels = levels

    def _contained(self, levels: Counter[int], call: Call) -> None:
        """Keep one call's fault from the others."""
        try:
            levels.update(self._judge(call, monotonic_ms()))
        except Exception:
            log.exception("call_failed", what="lines", consult_id=call.consult_id)

    def _judge(self, call: Call, now_ms: int) -> list[int]:
        if call.room is None or not call.engaged:
            return []
        lines = call.room.quality(now_ms)
        if call.running:
            for party in PARTIES:
                if party in lines:
                    call.tally = evidence.plus(call.tally, Side(party), _sample(lines[party]))
        for line in lines.values():
            self._count(line)
        shown = tuple(_shown(who, line) for who, line in lines.items())
        self._pages.push_quality(
            call.consult_id, m.Quality(consult_id=call.consult_id, lines=shown)
        )
        return [line.level for line in lines.values()]

    def _count(self, line: LineQuality) -> None:
        if line.up.rtt_ms is not None:
            self.rtt_s.add(line.up.rtt_ms / 1000)
        for direction, reading in (("up", line.up), ("down", line.down)):
            if reading.jitter_ms is not None:
                self.jitter_s[direction].add(reading.jitter_ms / 1000)
            if reading.loss_percent is not None:
                self.loss[direction].add(reading.loss_percent / 100)
            if reading.mos is not None:
                self.mos[direction].add(reading.mos)


def _shown(participant_id: str, line: LineQuality) -> m.Line:
    return m.Line(
        participant_id=participant_id,
        level=line.level,
        reason=line.reason,
        up=_reading(line.up),
        down=_reading(line.down),
    )


def _reading(reading: Reading) -> m.LineReading:
    loss, mos = reading.loss_percent, reading.mos
    return m.LineReading(
        rtt_ms=reading.rtt_ms,
        jitter_ms=reading.jitter_ms,
        loss_pct=None if loss is None else round(loss, 1),
        bitrate_bps=reading.bitrate_bps,
        fps=reading.fps,
        mos=None if mos is None else round(mos, 2),
    )


def _sample(line: LineQuality) -> evidence.Sample:
    return evidence.Sample(
        level=line.level,
        rtt_ms=line.up.rtt_ms,
        up=_direction(line.up),
        down=_direction(line.down),
    )


def _direction(reading: Reading) -> evidence.DirectionSample:
    mos_x100 = None if reading.mos is None else round(reading.mos * 100)
    return evidence.DirectionSample(mos_x100, reading.expected, reading.lost)
