"""Video gives way to voice on lines that cannot carry both, and comes back."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from media.estimates import LEAST_SHARE_BPS
from media.relief import (
    FIRST_WAIT_MS,
    LEAST_VIDEO_BPS,
    LONGEST_WAIT_MS,
    LOW_VIDEO_BPS,
    WEAK_AFTER_MS,
    LineState,
    Pictures,
    Relief,
)

SECOND = 1_000


def watch(
    state: Callable[[int, bool], LineState],
    seconds: int,
    relief: Relief | None = None,
    pictures: int = 1,
) -> list[bool]:
    """Judge a line each second; `state` is told the second and whether video is withheld."""
    relief = relief or Relief()
    shown = []
    for second in range(seconds):
        now = state(second, relief.suspended)
        delivered = min(pictures, (0, 1, pictures)[relief.pictures])
        relief.judge(now, delivered, second * SECOND)
        shown.append(relief.suspended)
    return shown


def breathing(round_trip_ms: int, second: int) -> int:
    """The round trip through a queue: never the same twice."""
    return round_trip_ms * (8 + second % 3) // 8


@given(
    estimates=st.lists(st.none() | st.integers(LEAST_VIDEO_BPS, 10**7), min_size=1, max_size=60),
    round_trip_ms=st.integers(0, 2_000),
    lost=st.integers(0, 50),
)
def test_a_line_that_only_loses_or_is_only_long_keeps_its_pictures(
    estimates: list[int | None], round_trip_ms: int, lost: int
) -> None:
    """Loss on the air and a satellite are no queue: less video would not help voice."""

    def state(second: int, _: bool) -> LineState:
        return LineState(
            estimates[second % len(estimates)], round_trip_ms, second * 50, second * lost
        )

    assert not any(watch(state, 60))


@given(round_trips=st.lists(st.none() | st.integers(0, 5_000), min_size=1, max_size=60))
def test_a_long_queue_without_loss_keeps_its_pictures(round_trips: list[int | None]) -> None:
    """The estimate falls by itself then: the sender adapts, and that is enough."""

    def state(second: int, _: bool) -> LineState:
        return LineState(500_000, round_trips[second % len(round_trips)], second * 50, 0)

    assert not any(watch(state, 60))


@given(dips=st.lists(st.integers(0, 2), min_size=1, max_size=30))
def test_a_short_dip_keeps_its_pictures(dips: list[int]) -> None:
    weak = [flag for dip in dips for flag in [*[True] * dip, False]]

    def state(second: int, _: bool) -> LineState:
        is_weak = weak[second % len(weak)]
        return LineState(50_000 if is_weak else 200_000, 500 if is_weak else 50, second * 50, 0)

    assert not any(watch(state, len(weak)))


@given(
    estimates=st.lists(st.none() | st.integers(0, 10**7), min_size=1, max_size=60),
    pictures=st.integers(1, 5),
)
def test_an_estimate_alone_takes_no_pictures(estimates: list[int | None], pictures: int) -> None:
    """A browser that stood still for a second says 30 kbit/s, and adds 8 % a second from there."""

    def state(second: int, _: bool) -> LineState:
        return LineState(estimates[second % len(estimates)], 50, second * 50, 0)

    assert not any(watch(state, 60, pictures=pictures))


@given(
    estimate_bps=st.integers(0, LEAST_VIDEO_BPS - 1), after=st.integers(1, 20), queues=st.booleans()
)
def test_a_line_below_the_least_picture_carries_voice_alone(
    estimate_bps: int, after: int, queues: bool
) -> None:
    def state(second: int, _: bool) -> LineState:
        if second < after:
            return LineState(500_000, 50, second * 50, 0)
        lost = 0 if queues else (second - after + 1) * 15
        return LineState(estimate_bps, breathing(500, second) if queues else 50, second * 50, lost)

    shown = watch(state, after + 8)
    assert shown.index(True) == after + WEAK_AFTER_MS // SECOND


@given(estimate_bps=st.integers(0, LEAST_VIDEO_BPS - 1), pictures=st.integers(2, 5))
def test_of_several_pictures_one_is_left_until_that_is_too_much(
    estimate_bps: int, pictures: int
) -> None:
    """A guest's picture never costs patient and physician theirs."""
    relief, left = Relief(), []
    for second in range(20):
        delivered = min(pictures, (0, 1, pictures)[relief.pictures])
        round_trip_ms = 50 if second < 5 else breathing(500, second)
        lost = max(0, second - 4) * 5
        state = LineState(estimate_bps, round_trip_ms, second * 50, lost)
        relief.judge(state, delivered, second * SECOND)
        left.append(relief.pictures)
    one, none = left.index(Pictures.ONE), left.index(Pictures.NONE)
    assert (one, none) == (8, 12)
    assert relief.leaves(0) == relief.leaves(1) == (relief.pictures == Pictures.ALL)


def test_pictures_come_back_one_first() -> None:
    relief, left = Relief(), []
    for second in range(40):
        weak = 5 <= second < 9
        delivered = (0, 1, 5)[relief.pictures]
        lost = min(max(0, second - 4), 4) * 20
        round_trip_ms = breathing(600, second) if weak else 50
        state = LineState(50_000 if weak else 900_000, round_trip_ms, second * 50, lost)
        relief.judge(state, delivered, second * SECOND)
        left.append(relief.pictures)
    assert left[8] == Pictures.ONE
    assert left[-1] == Pictures.ALL
    assert relief.leaves(4)


@given(estimate_bps=st.integers(LOW_VIDEO_BPS, 5 * LEAST_SHARE_BPS - 1))
def test_five_pictures_cannot_shrink_as_far_as_one(estimate_bps: int) -> None:
    def state(second: int, _: bool) -> LineState:
        return LineState(
            estimate_bps,
            50 if second < 5 else breathing(900, second),
            second * 50,
            max(0, second - 4) * 20,
        )

    several, one = Relief(), Relief()
    watch(state, 12, several, pictures=5)
    watch(state, 12, one)
    assert (several.pictures, one.pictures) == (Pictures.ONE, Pictures.ALL)


@given(base_ms=st.integers(1, 300), lost=st.integers(10, 45))
def test_voice_that_is_lost_in_a_queue_stops_pictures(base_ms: int, lost: int) -> None:
    def line(estimate_bps: int) -> list[bool]:
        def state(second: int, _: bool) -> LineState:
            round_trip_ms = base_ms if second < 10 else breathing(base_ms * 4 + 300, second)
            voice_lost = max(0, second - 10) * lost
            return LineState(estimate_bps, round_trip_ms, second * 50, voice_lost)

        return watch(state, 20)

    shown = line(LOW_VIDEO_BPS - 1)
    assert not any(shown[:10])
    assert shown[-1]
    assert not any(line(LOW_VIDEO_BPS)), "the sender can still send less by itself"


@given(recovers=st.integers(5, 120))
def test_pictures_come_back_on_a_line_that_has_recovered(recovers: int) -> None:
    def state(second: int, suspended: bool) -> LineState:
        weak = 0 < second < recovers and not suspended
        round_trip_ms = breathing(500, second) if weak else 50
        return LineState(50_000 if weak else 500_000, round_trip_ms, second * 50)

    shown = watch(state, recovers + LONGEST_WAIT_MS // SECOND + WEAK_AFTER_MS // SECOND + 1)
    assert not shown[-1]


def test_each_relapse_doubles_the_wait() -> None:
    """A picture that comes for three seconds in every eight is worse than none."""

    def state(second: int, suspended: bool) -> LineState:
        round_trip_ms = breathing(500, second) if second and not suspended else 50
        return LineState(50_000, round_trip_ms, second * 50)

    shown = watch(state, 300)
    lengths, length = [], 0
    for suspended in shown:
        if suspended:
            length += 1
        elif length:
            lengths.append(length)
            length = 0
    first = FIRST_WAIT_MS // SECOND
    assert lengths[:6] == [first, 2 * first, 4 * first, 8 * first, 12 * first, 12 * first]


def test_nothing_comes_back_while_voice_still_suffers() -> None:
    def state(second: int, _: bool) -> LineState:
        lossy = second < 60
        return LineState(
            50_000 if second < 5 else None, 50, second * 50, min(second, 60) * 15 * lossy
        )

    shown = watch(state, 70)
    assert all(shown[4:60])
    assert not shown[-1]


def test_a_call_without_pictures_is_not_judged() -> None:
    relief = Relief()
    for second in range(20):
        relief.judge(LineState(10_000), 0, second * SECOND)
    assert not relief.suspended


def test_reports_that_stop_coming_do_not_keep_pictures_away() -> None:
    relief = Relief()
    for second in range(8):
        relief.judge(LineState(10_000, 50, second * 50, second * 20), 1, second * SECOND)
    assert relief.suspended
    for second in range(8, 40):
        relief.judge(LineState(None, 50, 400, 160), 0, second * SECOND)
    assert not relief.suspended


@given(
    before_ms=st.integers(1, 100),
    after_ms=st.integers(200, 2_000),
    lost=st.integers(0, 12),
    estimate_bps=st.integers(0, 10**6),
)
def test_a_line_that_became_longer_and_lossy_keeps_its_pictures(
    before_ms: int, after_ms: int, lost: int, estimate_bps: int
) -> None:
    """From Wi-Fi to a satellite: less video would help nobody, as the round trip shows no queue."""

    def state(second: int, _: bool) -> LineState:
        if second < 10:
            return LineState(800_000, before_ms, second * 50, 0)
        voice_lost = (second - 10) * lost
        return LineState(estimate_bps, after_ms + second % 3, second * 50, voice_lost)

    assert not any(watch(state, 60))
