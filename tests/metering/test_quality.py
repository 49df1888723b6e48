"""The evidence of how good a consult's lines were: it adds up, whatever happened in between."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from metering.quality import DirectionSample, Sample, Tally, freeze, plus, restore, summary
from metering.record import build_record
from metering.terms import Side
from tests.metering.samples import FACTS, TARIFF, metered

COUNT = st.integers(0, 10_000)
DIRECTIONS = st.builds(
    DirectionSample,
    mos_x100=st.none() | st.integers(100, 450),
    expected=COUNT,
    lost=st.just(0),
).flatmap(lambda one: st.integers(0, one.expected).map(lambda lost: replace(one, lost=lost)))
SAMPLES = st.builds(
    Sample,
    level=st.integers(0, 4),
    rtt_ms=st.none() | st.integers(0, 60_000),
    up=DIRECTIONS,
    down=DIRECTIONS,
)
SECONDS = st.lists(st.tuples(st.sampled_from(Side), SAMPLES), max_size=40)


def tallied(seconds: list[tuple[Side, Sample]], start: Tally | None = None) -> Tally:
    tally: Tally = start or {}
    for side, sample in seconds:
        tally = plus(tally, side, sample)
    return tally


@given(seconds=SECONDS, cut=st.integers(0, 40))
def test_a_restart_in_between_changes_nothing(seconds: list[tuple[Side, Sample]], cut: int) -> None:
    """A crash loses at most what was measured since the last checkpoint, like billing."""
    stored = json.loads(json.dumps(freeze(tallied(seconds[:cut]))))
    assert tallied(seconds[cut:], restore(stored)) == tallied(seconds)


@given(seconds=SECONDS)
def test_a_summary_stays_within_what_was_measured(seconds: list[tuple[Side, Sample]]) -> None:
    found = summary(tallied(seconds)) or {}
    for side in Side:
        own = [sample for who, sample in seconds if who is side]
        if not own:
            assert side.value not in found
            continue
        line = found[side.value]
        assert sum(line["level_s"]) == len(own)
        times = [sample.rtt_ms for sample in own if sample.rtt_ms is not None]
        assert (line["rtt_mean_ms"] is None) == (not times)
        if times:
            assert min(times) <= line["rtt_mean_ms"] <= max(times)
        marks = [sample.up.mos_x100 for sample in own if sample.up.mos_x100 is not None]
        if marks:
            assert line["up"]["mos_worst_x100"] == min(marks)
            assert min(marks) <= line["up"]["mos_mean_x100"] <= max(marks)
        loss = line["down"]["loss_pct_x100"]
        assert loss is None or 0 <= loss <= 10_000


@given(seconds=SECONDS)
def test_every_summary_fits_into_a_record(seconds: list[tuple[Side, Sample]]) -> None:
    quality = summary(tallied(seconds))
    record = build_record(replace(FACTS, quality=quality), metered(), TARIFF)
    assert record["quality"] == quality


def test_a_tenth_lost_is_a_thousand_hundredths_of_a_percent() -> None:
    sample = Sample(3, 80, DirectionSample(401, 100, 10), DirectionSample(None, 0, 0))
    assert summary(plus({}, Side.PATIENT, sample)) == {
        "patient": {
            "level_s": [0, 0, 0, 1, 0],
            "rtt_mean_ms": 80,
            "up": {"loss_pct_x100": 1000, "mos_mean_x100": 401, "mos_worst_x100": 401},
            "down": {"loss_pct_x100": None, "mos_mean_x100": None, "mos_worst_x100": None},
        }
    }
