"""What is reported and asked for."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from media.feedback import (
    KEEP_MS,
    KEYFRAME_BEGINS_MS,
    KEYFRAME_INTERVAL_MS,
    KEYFRAME_UNDER_WAY_MS,
    MAX_MISSING,
    NACK_INTERVALS_MS,
    REPAIR_MS,
    REPAIRS_MS,
    KeyframeRequests,
    ReceiveTracker,
)


@given(
    start=st.integers(0, 65_535),
    lost=st.sets(st.integers(1, 198), max_size=MAX_MISSING),
)
def test_what_is_lost_is_asked_for_and_reported(start: int, lost: set[int]) -> None:
    tracker = ReceiveTracker(1, 90_000)
    for n in range(200):
        if n not in lost:
            assert tracker.accept(start + n & 0xFFFF, 0, 0)
    due = tracker.due_nacks(0)
    expected = [start + n & 0xFFFF for n in sorted(lost)]
    assert due == expected
    assert not tracker.broken
    block = tracker.report(0)
    assert block is not None
    assert block.lost == len(lost)
    assert block.fraction_lost == len(lost) * 256 // 200
    assert block.highest == start + 199


@given(order=st.permutations(range(1, 40)))
def test_each_number_is_accepted_once(order: list[int]) -> None:
    """A number that is forwarded twice would break the receiver's encryption."""
    tracker = ReceiveTracker(1, 48_000)
    assert tracker.accept(0, 0, 0)
    accepted = [n for n in order + order if tracker.accept(n, 0, 0)]
    assert sorted(accepted) == sorted(order)
    assert not tracker.missing


def gap() -> ReceiveTracker:
    """Packet 2 is missing since 0 ms."""
    tracker = ReceiveTracker(1, 90_000)
    for sequence in (1, 3):
        tracker.accept(sequence, 0, 0)
    return tracker


@given(round_trip_ms=st.none() | st.integers(0, 5_000), step_ms=st.integers(5, 100))
def test_a_gap_is_asked_for_often_in_a_round_trip_then_given_up(
    round_trip_ms: int | None, step_ms: int
) -> None:
    """Repairs get lost as well, and on a long way four of them are worth waiting for."""
    tracker = gap()
    least, unknown, most = NACK_INTERVALS_MS
    wait_ms = unknown if round_trip_ms is None else max(least, min(most, round_trip_ms // 5))
    asked = [at for at in range(0, KEEP_MS, step_ms) if tracker.due_nacks(at, round_trip_ms)]
    assert asked[0] == 0
    longest_ms = REPAIR_MS
    if round_trip_ms is not None:
        longest_ms = max(REPAIR_MS, min(REPAIRS_MS[1], round_trip_ms * 9 // 2))
    assert longest_ms - wait_ms - step_ms <= asked[-1] < longest_ms
    pauses = [later - sooner for sooner, later in pairwise(asked)]
    assert all(wait_ms <= pause < wait_ms + step_ms for pause in pauses)


@given(round_trip_ms=st.integers(0, 5_000))
def test_a_keyframe_is_wanted_when_two_repairs_did_not_come(round_trip_ms: int) -> None:
    """It needs a round trip too: to be back within two seconds it must be asked for beside them."""
    tracker, least_ms = gap(), REPAIRS_MS[0]
    broken = 0
    while not tracker.broken:
        broken += 10
        tracker.due_nacks(broken, round_trip_ms)
    assert max(least_ms, min(2 * round_trip_ms, REPAIR_MS)) <= broken <= REPAIR_MS


def test_what_was_given_up_is_taken_when_it_comes_after_all() -> None:
    """A receiver still waits for the frame: dropping the packet would only cost a keyframe."""
    tracker = gap()
    tracker.due_nacks(REPAIR_MS)
    assert tracker.broken
    assert tracker.accept(2, 0, REPAIR_MS)
    assert tracker.due_nacks(REPAIR_MS) == []
    assert not tracker.broken
    assert not tracker.accept(2, 0, REPAIR_MS)


def test_a_gap_is_forgotten_in_the_end() -> None:
    tracker = gap()
    tracker.due_nacks(KEEP_MS)
    assert not tracker.missing
    assert not tracker.broken
    assert not tracker.accept(2, 0, KEEP_MS)


@given(lost=st.sets(st.integers(1, 99)), at=st.integers(1, 100), age_ms=st.integers(0, REPAIR_MS))
def test_a_keyframe_makes_older_gaps_moot(lost: set[int], at: int, age_ms: int) -> None:
    """Repairing pictures that nobody decodes any more takes bandwidth from the new one."""
    tracker = ReceiveTracker(1, 90_000)
    for n in range(101):
        if n not in lost:
            tracker.accept(65_500 + n & 0xFFFF, 0, 0)
    tracker.due_nacks(age_ms)
    tracker.keyframe_began(65_500 + at & 0xFFFF)
    assert set(tracker.missing) == {65_500 + n & 0xFFFF for n in lost if n > at}
    assert tracker.broken == (age_ms == REPAIR_MS and bool(tracker.missing))


def test_a_large_jump_is_not_asked_for() -> None:
    """So much cannot be sent again in time, and a keyframe is smaller."""
    tracker = ReceiveTracker(1, 90_000)
    tracker.accept(1, 0, 0)
    tracker.accept(2 + MAX_MISSING, 0, 0)
    assert not tracker.broken
    tracker.accept(4_000, 0, 0)
    assert tracker.due_nacks(0) == []
    assert tracker.broken
    tracker.keyframe_began(4_000)
    assert not tracker.broken
    assert not tracker.missing


def test_the_report_lets_the_source_compute_the_round_trip() -> None:
    tracker = ReceiveTracker(1, 48_000)
    assert tracker.report(0) is None
    tracker.accept(1, 0, 0)
    tracker.sender_reported(0x1111_2222_3333_4444, 1_000)
    block = tracker.report(1_500)
    assert block is not None
    assert (block.last_sr, block.delay_since_sr) == (0x2222_3333, 32_768)


@given(spread_ms=st.integers(0, 200))
def test_jitter_follows_the_spread_of_arrivals(spread_ms: int) -> None:
    tracker = ReceiveTracker(1, 48_000)
    for n in range(400):
        tracker.accept(n, n * 960, 10_000 + n * 20 + (spread_ms if n % 2 else 0))
    block = tracker.report(0)
    assert block is not None
    assert abs(block.jitter / 48 - spread_ms) <= 1


def test_keyframes_are_not_asked_for_in_a_rush() -> None:
    """A receiver in trouble asks with each packet; each keyframe costs as much as a second."""
    requests = KeyframeRequests()
    assert not requests.due(0)
    requests.want()
    assert requests.due(0)
    requests.want()
    assert not requests.due(KEYFRAME_INTERVAL_MS - 1)
    assert requests.due(KEYFRAME_INTERVAL_MS)
    assert not requests.due(10 * KEYFRAME_INTERVAL_MS)


def test_who_waits_for_a_keyframe_is_not_given_a_second_one() -> None:
    """One who joins made everybody send two, half a second apart: the rest got both."""
    requests = KeyframeRequests()
    requests.want_again(0)
    assert requests.due(0)
    for now_ms in range(0, KEYFRAME_INTERVAL_MS, 100):
        requests.want_again(now_ms)
    assert not requests.due(KEYFRAME_INTERVAL_MS)  # it came meanwhile, and nobody waits
    requests.want_again(KEYFRAME_INTERVAL_MS)
    assert requests.due(KEYFRAME_INTERVAL_MS)  # it did not


def test_a_keyframe_that_is_under_way_is_waited_for() -> None:
    """On 300 kbit/s each one takes a second: asking twice a second sends nothing but keyframes."""
    requests = KeyframeRequests()
    asked = []
    for now_ms in range(0, 4 * KEYFRAME_UNDER_WAY_MS, 20):
        requests.want_repair(now_ms)
        if requests.due(now_ms):
            asked.append(now_ms)
    assert asked == [0, 1_500, 3_000, 4_500]


@given(round_trip_ms=st.integers(0, 5_000))
def test_a_keyframe_that_does_not_begin_is_asked_for_again(round_trip_ms: int) -> None:
    """It was lost, or the request was; when it begins, nothing before it is missing any more."""
    requests = KeyframeRequests()
    requests.want()
    assert requests.due(0)
    begins_ms = min(KEYFRAME_BEGINS_MS + round_trip_ms, KEYFRAME_UNDER_WAY_MS)
    requests.want_repair(begins_ms - 1, round_trip_ms)
    assert not requests.due(begins_ms - 1)
    requests.want_repair(begins_ms, round_trip_ms)
    assert requests.due(begins_ms)
