"""What is prepaid is a limit to the millisecond, whoever looks when; a top-up prolongs."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metering.errors import MeterError
from metering.events import (
    Closed,
    Engaged,
    Event,
    FlowSeen,
    FlowStarted,
    Granted,
    Held,
    ModeChanged,
    Opened,
    Resumed,
    Tick,
)
from metering.frozen import freeze, restore
from metering.meter import Meter, open_meter, reading, runs_out_ms, step
from metering.rating import rate
from metering.tariff import Tariff, make_tariff
from metering.terms import EndCause, Mode, Party, Side
from tests.metering.scripts import WALL_MS, Script, scripts
from tests.metering.strategies import tariffs

PATIENT, PHYSICIAN = Side.PATIENT, Side.PHYSICIAN
TARIFF = make_tariff({"voice_fen_per_min": 1097, "video_fen_per_min": 2207})
LIMITS = st.one_of(st.integers(1, 3_000), st.integers(1, 100_000))


def run(meter: Meter, events: Iterable[Event]) -> Meter:
    for event in events:
        meter = step(meter, event)
    return meter


def seen(at_ms: int) -> tuple[Event, Event]:
    return FlowSeen(PATIENT, at_ms), FlowSeen(PHYSICIAN, at_ms)


def prepaid(limit_fen: int, mode: Mode = Mode.VOICE, tariff: Tariff = TARIFF) -> Meter:
    """A call that bills from 0 on."""
    meter = open_meter(Opened(0, WALL_MS, "phy_1", mode))
    both = FlowStarted(PATIENT, 0), FlowStarted(PHYSICIAN, 0)
    return run(meter, [Granted(limit_fen, tariff, 0), Engaged(0), *both])


def patient_fen(tariff: Tariff, meter: Meter) -> int:
    return rate(tariff, reading(meter).seconds()).split.patient_fen


class Purse:
    """The rule in its own words: a millisecond may be billed if its whole second is covered."""

    def __init__(self, tariff: Tariff, grants: list[tuple[int, int]]) -> None:
        self.tariff, self.grants = tariff, sorted(grants)
        self.totals = dict.fromkeys(Mode, 0)
        self.empty_since: int | None = None

    def limit(self, at_ms: int) -> int:
        return max((fen for granted_ms, fen in self.grants if granted_ms <= at_ms), default=0)

    def spend(self, start_ms: int, end_ms: int, mode: Mode) -> None:
        """Bill what may be billed of an interval within which the limit does not change."""
        limit_fen = self.limit(start_ms)
        if self.empty_since is not None and self.limit(self.empty_since) == limit_fen:
            return
        self.empty_since = None
        at_ms = start_ms
        while at_ms < end_ms:
            second = self.totals[mode] // 1000 + 1
            seconds = {other: self.totals[other] // 1000 for other in Mode} | {mode: second}
            if rate(self.tariff, seconds).split.patient_fen > limit_fen:
                self.empty_since = at_ms
                return
            more_ms = min(end_ms - at_ms, second * 1000 - self.totals[mode])
            self.totals[mode] += more_ms
            at_ms += more_ms


def played(script: Script, tariff: Tariff, grants: list[tuple[int, int]]) -> Meter:
    """Play a call with what is prepaid until when, told when it happens."""
    told = [(at_ms, 0, Granted(fen, tariff, at_ms)) for at_ms, fen in grants]
    events = [*told, *((at_ms, 1, event) for at_ms, event in script.events())]
    ordered = sorted(events, key=lambda one: one[:2])
    meter = run(open_meter(script.opened), (event for _, _, event in ordered))
    return step(meter, script.closed)


@settings(deadline=None)
@given(script=scripts(), tariff=tariffs(), limit_fen=LIMITS, topped_up=st.lists(
    st.tuples(st.integers(0, 40_000), LIMITS), max_size=3
))  # fmt: skip
def test_no_call_costs_more_than_is_prepaid_and_none_ends_before(
    script: Script, tariff: Tariff, limit_fen: int, topped_up: list[tuple[int, int]]
) -> None:
    """For any tariff, any call and any top-ups, to the millisecond."""
    grants = [(0, limit_fen), *topped_up]
    meter = played(script, tariff, grants)
    purse = Purse(tariff, grants)
    for piece in script.pieces(script.end_ms, *(at_ms for at_ms, _ in grants)):
        purse.spend(*piece)
    assert {mode: meter.totals.of(mode) for mode in Mode} == purse.totals
    assert reading(meter).exhausted == (
        purse.empty_since is not None
        and purse.limit(purse.empty_since) == purse.limit(script.end_ms)
    )
    seconds = reading(meter).seconds()
    if any(meter.totals.of(mode) for mode in Mode):
        assert rate(tariff, seconds).split.patient_fen <= purse.limit(script.end_ms)
    for mode in Mode:
        pieces = [one.duration_ms for one in meter.segments if one.mode is mode]
        assert sum(pieces) == meter.totals.of(mode)


@settings(deadline=None)
@given(
    tariff=tariffs(),
    limit_fen=LIMITS,
    ticks=st.lists(st.integers(0, 900_000), max_size=15),
    switch_ms=st.integers(0, 900_000),
    end_ms=st.integers(0, 900_000),
)
def test_how_often_somebody_looks_changes_nothing(
    tariff: Tariff, limit_fen: int, ticks: list[int], switch_ms: int, end_ms: int
) -> None:
    """Not even where a look, a crash and what goes on after it meet the very end."""

    def call(looks: list[int], *, crash: bool) -> Meter:
        meter = prepaid(limit_fen, Mode.VIDEO, tariff)
        for at_ms in sorted({*looks, switch_ms, end_ms}):
            if at_ms == switch_ms:
                meter = step(meter, ModeChanged(Mode.VOICE, at_ms))
            meter = run(meter, [Tick(at_ms), *seen(at_ms)] if at_ms <= end_ms else [])
            if crash and at_ms <= end_ms:
                frozen = json.loads(json.dumps(freeze(meter)))
                meter = restore(frozen, at_ms, WALL_MS + at_ms, meter.epoch + 1, tariff)
                both = FlowStarted(PATIENT, at_ms), FlowStarted(PHYSICIAN, at_ms)
                meter = run(meter, [Granted(limit_fen, tariff, at_ms), Engaged(at_ms), *both])
        return step(meter, Closed(end_ms, EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN))

    plain = call([], crash=False)
    for other in (call(ticks, crash=False), call(ticks, crash=True)):
        assert other.totals.seconds() == plain.totals.seconds()
        assert (other.totals.voice_ms, other.totals.video_ms) == (
            plain.totals.voice_ms,
            plain.totals.video_ms,
        )
        assert reading(other).exhausted == reading(plain).exhausted


@settings(deadline=None)
@given(tariff=tariffs(), first_fen=LIMITS, more_fen=LIMITS, after=st.floats(0, 1))
def test_a_top_up_in_time_is_as_good_as_having_had_it_from_the_start(
    tariff: Tariff, first_fen: int, more_fen: int, after: float
) -> None:
    limit_fen = first_fen + more_fen
    meter = prepaid(first_fen, tariff=tariff)
    out_ms = runs_out_ms(meter)
    end_ms = 200_000 if out_ms is None else out_ms
    at_ms = min(round(after * end_ms), end_ms - 1)
    far_ms = end_ms + 3_000_000
    if at_ms > 0:
        later = run(meter, [*seen(at_ms), Granted(limit_fen, tariff, at_ms), *seen(far_ms)])
        from_the_start = run(prepaid(limit_fen, tariff=tariff), seen(far_ms))
        assert later.totals.voice_ms == from_the_start.totals.voice_ms
        assert [one.duration_ms for one in later.segments] == [
            one.duration_ms for one in from_the_start.segments
        ], "a top-up cuts nothing"


def test_fifty_yuan_of_voice_last_for_273_seconds() -> None:
    """METERING.md's example, looked at every 700 ms."""
    meter = prepaid(5_000)
    assert (reading(meter).left_ms, runs_out_ms(meter)) == (273_000, 273_000)
    for at_ms in range(700, 300_000, 700):
        meter = run(meter, seen(at_ms))
    assert meter.totals.voice_ms == 273_000
    assert patient_fen(TARIFF, meter) == 4_991
    (segment,) = meter.segments
    assert (segment.end_cause, segment.duration_ms) == (EndCause.QUOTA_EXHAUSTED, 273_000)
    now = reading(meter)
    assert (now.exhausted, now.running, now.left_ms) == (True, False, 0)
    assert now.stopped_by is EndCause.QUOTA_EXHAUSTED
    assert runs_out_ms(meter) is None


def test_the_end_is_known_beforehand_and_moves_with_mode_hold_and_top_up() -> None:
    meter = run(prepaid(1_000), seen(10_400))
    assert runs_out_ms(meter) == 54_000
    meter = run(meter, [ModeChanged(Mode.VIDEO, 10_400), *seen(10_400)])
    # 10 s of voice are 182.8 fen: of the 1,000, 22 s of video are left
    assert runs_out_ms(meter) == 10_400 + 22_000
    held = step(meter, Held(11_000))
    assert runs_out_ms(run(held, seen(12_000))) is None
    assert reading(run(held, seen(12_000))).left_ms == 21_400
    again = run(held, [*seen(12_000), Resumed(12_000), *seen(12_500)])
    assert runs_out_ms(again) == 12_000 + 21_400
    more = run(again, [Granted(2_000, TARIFF, 12_600), *seen(12_600)])
    assert runs_out_ms(more) == 12_000 + 21_400 + 27_000
    assert runs_out_ms(run(more, [Granted(1_500, TARIFF, 12_700), *seen(12_700)])) == 60_400


def test_what_is_granted_after_the_end_prolongs_from_then_on() -> None:
    """The time between is not billed; a top-up and the end may miss each other by milliseconds."""
    meter = run(prepaid(1_000), seen(60_000))
    assert reading(meter).exhausted
    meter = run(meter, [Granted(2_000, TARIFF, 61_000), *seen(70_000)])
    assert reading(meter).running
    assert meter.totals.voice_ms == 54_000 + 9_000
    assert meter.totals.interrupted_ms == 7_000
    assert [one.end_cause for one in meter.segments] == [EndCause.QUOTA_EXHAUSTED]


def test_a_mode_of_which_no_second_is_covered_ends_the_call_at_once() -> None:
    tariff = make_tariff(
        {"voice_fen_per_min": 600, "video_fen_per_min": 1_200, "initial_s": 60, "increment_s": 60}
    )
    meter = run(prepaid(1_000, tariff=tariff), seen(20_000))
    assert reading(meter).left_ms == 40_000
    meter = run(meter, [ModeChanged(Mode.VIDEO, 20_000), *seen(30_000)])
    assert (meter.totals.voice_ms, meter.totals.video_ms) == (20_000, 0)
    assert [one.end_cause for one in meter.segments] == [EndCause.MODE_CHANGE]
    assert reading(meter).exhausted


def test_a_limit_that_is_never_reached_is_none() -> None:
    capped = make_tariff({"voice_fen_per_min": 600, "video_fen_per_min": 600, "cap_fen": 900})
    meter = run(prepaid(900, tariff=capped), seen(10_000_000))
    assert (reading(meter).left_ms, reading(meter).exhausted) == (None, False)


def test_a_checkpoint_with_a_limit_needs_its_tariff() -> None:
    meter = run(prepaid(1_000), seen(60_000))
    with pytest.raises(MeterError):
        restore(freeze(meter), 0, WALL_MS, 2)
    again = restore(freeze(meter), 0, WALL_MS, 2, TARIFF)
    assert (reading(again).exhausted, reading(again).left_ms) == (True, 0)


def test_a_checkpoint_of_before_there_were_limits_has_none() -> None:
    frozen = freeze(run(prepaid(1_000), seen(5_000)))
    del frozen["limit_fen"], frozen["funded"]
    assert reading(restore(frozen, 0, WALL_MS, 2, TARIFF)).left_ms is None
