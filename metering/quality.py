"""What the lines of a consult were like over the billed time: evidence in its record. Pure.

The one who counts gives a sample of each side for each billed second. Everything is an integer:
the record is hashed, and fractions have no one way to be written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any, Final

from metering.terms import Side

LEVELS: Final = 5
"""0 to 4 bars."""


@dataclass(frozen=True, slots=True)
class DirectionSample:
    """One direction in one second. `mos_x100`: 1/100, 100 to 450; None where nothing is known."""

    mos_x100: int | None
    expected: int
    lost: int


@dataclass(frozen=True, slots=True)
class Sample:
    """A side's line in one second; `up` is what it sends, `down` what it gets."""

    level: int
    rtt_ms: int | None
    up: DirectionSample
    down: DirectionSample


@dataclass(frozen=True, slots=True)
class DirectionTally:
    """The sum of all samples of one direction."""

    mos_count: int = 0
    mos_sum_x100: int = 0
    mos_worst_x100: int | None = None
    expected: int = 0
    lost: int = 0

    def plus(self, sample: DirectionSample) -> DirectionTally:
        """With one more second."""
        tally = replace(
            self, expected=self.expected + sample.expected, lost=self.lost + sample.lost
        )
        mos = sample.mos_x100
        if mos is None:
            return tally
        worst = mos if self.mos_worst_x100 is None else min(self.mos_worst_x100, mos)
        return replace(
            tally,
            mos_count=self.mos_count + 1,
            mos_sum_x100=self.mos_sum_x100 + mos,
            mos_worst_x100=worst,
        )

    def summary(self) -> dict[str, int | None]:
        """As in a record; loss in 1/100 %."""
        return {
            "loss_pct_x100": _mean(10_000 * self.lost, self.expected),
            "mos_mean_x100": _mean(self.mos_sum_x100, self.mos_count),
            "mos_worst_x100": self.mos_worst_x100,
        }


@dataclass(frozen=True, slots=True)
class SideTally:
    """The sum of all samples of one side."""

    level_s: tuple[int, ...] = (0,) * LEVELS
    rtt_count: int = 0
    rtt_sum_ms: int = 0
    up: DirectionTally = DirectionTally()
    down: DirectionTally = DirectionTally()

    def plus(self, sample: Sample) -> SideTally:
        """With one more second."""
        levels = list(self.level_s)
        levels[sample.level] += 1
        return SideTally(
            level_s=tuple(levels),
            rtt_count=self.rtt_count + (sample.rtt_ms is not None),
            rtt_sum_ms=self.rtt_sum_ms + (sample.rtt_ms or 0),
            up=self.up.plus(sample.up),
            down=self.down.plus(sample.down),
        )

    def summary(self) -> dict[str, Any]:
        """As in a record: `level_s` are the seconds with 0, 1, 2, 3 and 4 bars."""
        return {
            "level_s": list(self.level_s),
            "rtt_mean_ms": _mean(self.rtt_sum_ms, self.rtt_count),
            "up": self.up.summary(),
            "down": self.down.summary(),
        }


Tally = Mapping[Side, SideTally]
"""Sides of which no second was measured are not in it."""


def plus(tally: Tally, side: Side, sample: Sample) -> Tally:
    """The tally with one more second of a side."""
    return {**tally, side: tally.get(side, SideTally()).plus(sample)}


def summary(tally: Tally) -> dict[str, Any] | None:
    """The member `quality` of a record; None when nothing was measured."""
    return {side.value: tally[side].summary() for side in Side if side in tally} or None


def freeze(tally: Tally) -> dict[str, Any]:
    """JSON to store with the meter's checkpoint."""
    return {
        side.value: [list(one.level_s), one.rtt_count, one.rtt_sum_ms]
        + [list(astuple(direction)) for direction in (one.up, one.down)]
        for side, one in tally.items()
    }


def restore(frozen: Mapping[str, Sequence[Any]] | None) -> Tally:
    """Go on from what `freeze` gave; None: nothing was measured yet."""
    return {Side(side): _side(row) for side, row in (frozen or {}).items()}


def _side(row: Sequence[Any]) -> SideTally:
    level_s, rtt_count, rtt_sum_ms, up, down = row
    return SideTally(
        tuple(level_s), rtt_count, rtt_sum_ms, DirectionTally(*up), DirectionTally(*down)
    )


def _mean(total: int, count: int) -> int | None:
    """Rounded half-up."""
    return (2 * total + count) // (2 * count) if count else None
