"""What a line is like: figures, the estimate of what people hear, and bars that do not flicker."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.feedback import ReceiveTracker
from media.quality import (
    FALL_AFTER_MS,
    RISE_AFTER_MS,
    Bars,
    Counts,
    LineQuality,
    LineWatch,
    level_of,
    mos_of,
    r_factor,
    read,
    voice_mos,
)
from media.reports import MAX_TIME_MS, Reports
from media.rtcp import ReportBlock

LOSS = st.floats(0, 100)
TIME_MS = st.integers(0, MAX_TIME_MS)
U32 = st.integers(0, 2**32 - 1)
BIG = st.integers(-(2**32), 2**32)


@given(loss=LOSS, rtt_ms=TIME_MS, jitter_ms=TIME_MS)
def test_an_opinion_is_between_one_and_four_and_a_half(
    loss: float, rtt_ms: int, jitter_ms: int
) -> None:
    assert 1 <= voice_mos(loss, rtt_ms, jitter_ms) <= 4.5


@given(losses=st.tuples(LOSS, LOSS), delay_ms=st.floats(0, 5_000))
def test_more_loss_is_never_better(losses: tuple[float, float], delay_ms: float) -> None:
    less, more = sorted(losses)
    assert mos_of(r_factor(less, delay_ms)) >= mos_of(r_factor(more, delay_ms))


@given(loss=LOSS, delays_ms=st.tuples(st.floats(0, 5_000), st.floats(0, 5_000)))
def test_more_delay_is_never_better(loss: float, delays_ms: tuple[float, float]) -> None:
    less, more = sorted(delays_ms)
    assert mos_of(r_factor(loss, less)) >= mos_of(r_factor(loss, more))


@given(rs=st.tuples(st.floats(-200, 200), st.floats(-200, 200)))
def test_the_opinion_grows_with_the_rating(rs: tuple[float, float]) -> None:
    """The standard's polynomial dips below 1 for very bad lines; nobody is told 0.99."""
    less, more = sorted(rs)
    assert mos_of(less) <= mos_of(more)


@pytest.mark.parametrize(
    ("loss", "rtt_ms", "least", "most"),
    [(0, 20, 4.3, 4.5), (1, 60, 4.2, 4.4), (10, 60, 3.1, 3.6), (20, 400, 1.0, 2.7)],
)
def test_known_lines_get_the_marks_people_give(
    loss: float, rtt_ms: int, least: float, most: float
) -> None:
    assert least <= voice_mos(loss, rtt_ms, 2) <= most


COUNTS = st.builds(
    Counts,
    at_ms=st.integers(0, 10**9),
    expected=BIG,
    lost=BIG,
    voice_expected=BIG,
    unrepaired=BIG,
    octets=st.integers(0, 2**48),
    frames=st.integers(0, 2**32),
    jitter_ms=st.none() | TIME_MS,
)


@given(old=COUNTS, last=COUNTS, now=COUNTS, rtt_ms=st.none() | TIME_MS)
def test_whatever_was_counted_a_reading_makes_sense(
    old: Counts, last: Counts, now: Counts, rtt_ms: int | None
) -> None:
    """Half of the counters are what a browser claims."""
    reading = read(old, last, now, rtt_ms)
    assert reading.loss_percent is None or 0 <= reading.loss_percent <= 100
    assert reading.mos is None or 1 <= reading.mos <= 4.5
    assert 0 <= reading.lost <= reading.expected
    assert reading.bitrate_bps >= 0
    assert reading.fps >= 0
    assert 1 <= level_of(reading) <= 4


def test_a_second_of_a_call_in_figures() -> None:
    before = Counts(1_000, 100, 2, 50, 0, 10_000, 30, 5)
    after = Counts(2_000, 250, 17, 100, 5, 110_000, 60, 7)
    reading = read(before, before, after, 80)
    assert reading.loss_percent == pytest.approx(10)
    assert (reading.bitrate_bps, reading.fps, reading.jitter_ms) == (800_000, 30, 7)
    assert (reading.expected, reading.lost) == (150, 15)
    assert reading.mos == pytest.approx(voice_mos(10, 80, 7)), "voice alone, after repair"


@given(raws=st.lists(st.integers(0, 4), max_size=60), every_ms=st.integers(1, 3_000))
def test_bars_move_only_after_a_lasting_change(raws: list[int], every_ms: int) -> None:
    """An icon that flickers says nothing, and a screen reader would never stop reading it out."""
    bars, moved_ms = Bars(), 0
    for at, raw in enumerate(raws):
        now_ms = at * every_ms
        before, bars = bars, bars.seen(raw, now_ms)
        if bars.level != before.level:
            shortest = FALL_AFTER_MS if bars.level < before.level else RISE_AFTER_MS
            assert now_ms - moved_ms >= shortest
            assert min(raws[: at + 1]) <= bars.level <= max(raws[: at + 1])
            moved_ms = now_ms


@given(start=st.lists(st.integers(0, 4), max_size=20), raw=st.integers(0, 4))
def test_bars_arrive_where_the_line_stays(start: list[int], raw: int) -> None:
    bars = Bars()
    for at, one in enumerate([*start, *[raw] * 12]):
        bars = bars.seen(one, at * 1_000)
    assert bars.level == raw


@given(low=st.integers(0, 3), count=st.integers(2, 40))
def test_bars_between_two_levels_stand_still(low: int, count: int) -> None:
    bars = Bars(level=low)
    for at in range(count):
        bars = bars.seen(low + at % 2, at * 1_000)
    assert bars.level == low


class Line:
    """A line under constant conditions, a second each step."""

    def __init__(self) -> None:
        self.watch = LineWatch()
        self.now_ms = 0
        self.up = self.down = Counts(0)

    def step(
        self, up_loss: int = 0, down_loss: int = 0, rtt_ms: int = 40, flows: bool = True
    ) -> LineQuality:
        self.now_ms += 1_000
        self.up = self._more(self.up, up_loss)
        self.down = self._more(self.down, down_loss)
        return self.watch.take(self.up, self.down, rtt_ms, flows)

    def _more(self, counts: Counts, loss: int) -> Counts:
        return Counts(
            self.now_ms,
            counts.expected + 100,
            counts.lost + loss,
            counts.voice_expected + 50,
            counts.unrepaired + loss // 2,
            counts.octets + 50_000,
            counts.frames + 25,
            3,
        )

    def last(self, **conditions: int) -> LineQuality:
        for _ in range(14):
            found = self.step(**conditions)
        return found


def test_the_reason_names_the_side_of_the_line_that_is_weak() -> None:
    """What helps depends on it: sit nearer to the router, or wait for the other."""
    assert (Line().last().level, Line().last().reason) == (4, "ok")
    assert Line().last(up_loss=20).reason == "upload_weak"
    assert Line().last(down_loss=20).reason == "download_weak"
    assert Line().last(rtt_ms=900).reason == "delay"
    line = Line()
    line.last(up_loss=30)
    assert line.last().reason == "ok", "it recovers"


def test_who_sends_nothing_is_silent_at_once() -> None:
    line = Line()
    line.last()
    assert (found := line.step(flows=False)).level == 0
    assert found.reason == "silent"


def test_a_new_connection_begins_with_new_counters() -> None:
    """Counters that fall back to zero are no loss, and no bitrate of a gigabit."""
    line = Line()
    line.last()
    line.up = line.down = Counts(line.now_ms)
    found = line.step()
    assert (found.level, found.up.loss_percent, found.up.bitrate_bps) == (4, None, 0)
    assert line.step().up.loss_percent == 0


def tracker(missing: int) -> ReceiveTracker:
    """A source of which `missing` packets have not come."""
    found = ReceiveTracker(1, 48_000)
    found.accept(0, 0, 0)
    found.accept(missing + 1, 0, 0)
    return found


def block(lost: int = 0, last_sr: int = 0, delay: int = 0, jitter: int = 0) -> ReportBlock:
    return ReportBlock(1, 0, lost, 0, jitter, last_sr, delay)


def test_the_round_trip_comes_from_the_echo_of_a_sender_report() -> None:
    reports = Reports(48_000)
    reports.sent(0x1234_5678_9ABC_DEF0, 1_000)
    assert reports.take(block(last_sr=0x5678_9ABC, delay=65_536), 0, None, 2_070) == 70
    assert reports.take(block(last_sr=0x1111_1111), 0, None, 2_070) is None
    assert reports.take(block(last_sr=0x5678_9ABC, delay=2**32 - 1), 0, None, 2_070) == 0


@given(last_sr=U32, delay=U32, jitter=U32, lost=st.integers(-(2**23), 2**23 - 1), now_ms=U32)
def test_no_report_makes_times_that_cannot_be(
    last_sr: int, delay: int, jitter: int, lost: int, now_ms: int
) -> None:
    reports = Reports(48_000)
    reports.sent(last_sr << 16, 0)
    round_trip_ms = reports.take(block(lost, last_sr, delay, jitter), 5, None, now_ms)
    assert round_trip_ms is not None
    assert 0 <= round_trip_ms <= MAX_TIME_MS
    assert reports.reception is not None
    assert 0 <= reports.reception.jitter_ms <= MAX_TIME_MS


def test_what_never_came_here_is_not_lost_on_the_way_there() -> None:
    """Else the other party's weak upload would be shown as one's own weak download."""
    reports, source = Reports(48_000), tracker(0)
    reports.take(block(lost=0), 10, source, 0)
    source.accept(21, 0, 0)
    reports.take(block(lost=19), 11, source, 0)
    assert reports.reception is not None
    assert reports.reception.lost == 0
    reports.take(block(lost=19), 12, tracker(7), 0)
    assert reports.reception.lost == 0, "another source begins anew"
