"""What is reported and asked for."""

from hypothesis import given
from hypothesis import strategies as st

from media.feedback import (
    KEYFRAME_INTERVAL_MS,
    MAX_MISSING,
    NACK_ATTEMPTS,
    NACK_INTERVAL_MS,
    REMB_LIFETIME_MS,
    START_BITRATE_BPS,
    Estimates,
    KeyframeRequests,
    ReceiveTracker,
)


@given(
    start=st.integers(0, 65_535),
    lost=st.sets(st.integers(1, 198)),
)
def test_what_is_lost_is_asked_for_and_reported(start: int, lost: set[int]) -> None:
    tracker = ReceiveTracker(1, 90_000)
    for n in range(200):
        if n not in lost:
            assert tracker.accept(start + n & 0xFFFF, 0, 0)
    due = tracker.due_nacks(0)
    expected = [start + n & 0xFFFF for n in sorted(lost)]
    assert due == expected[-MAX_MISSING:]
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


def test_a_gap_is_given_up_after_some_attempts() -> None:
    tracker = ReceiveTracker(1, 90_000)
    for sequence in (1, 3):
        tracker.accept(sequence, 0, 0)
    asked = [bool(tracker.due_nacks(n * NACK_INTERVAL_MS)) for n in range(NACK_ATTEMPTS + 2)]
    assert asked == [True] * NACK_ATTEMPTS + [False, False]
    assert not tracker.missing
    assert not tracker.accept(2, 0, 0)


def test_a_gap_is_not_asked_for_again_at_once() -> None:
    tracker = ReceiveTracker(1, 90_000)
    for sequence in (1, 3):
        tracker.accept(sequence, 0, 0)
    assert tracker.due_nacks(0) == [2]
    assert tracker.due_nacks(NACK_INTERVAL_MS - 1) == []


def test_a_large_jump_is_not_asked_for() -> None:
    tracker = ReceiveTracker(1, 90_000)
    tracker.accept(1, 0, 0)
    tracker.accept(5_000, 0, 0)
    assert tracker.due_nacks(0) == []


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


def test_the_weakest_receiver_counts() -> None:
    estimates = Estimates()
    assert estimates.lowest_bps(0) == START_BITRATE_BPS
    estimates.put("a", 2_000_000, 0)
    estimates.put("b", 1_500_000, 0)
    assert estimates.lowest_bps(0) == 1_500_000
    estimates.put("a", 2_000_000, REMB_LIFETIME_MS - 1)
    assert estimates.lowest_bps(REMB_LIFETIME_MS) == 2_000_000


def test_a_receiver_counts_low_only_after_its_estimate_fell() -> None:
    """An estimate that only rises from little says nothing about the path."""
    estimates = Estimates()
    estimates.put("a", 60_000, 0)
    estimates.put("a", 65_000, 1_000)
    assert estimates.lowest_bps(1_000) == START_BITRATE_BPS
    estimates.put("a", 40_000, 2_000)
    assert estimates.lowest_bps(2_000) == 40_000
    estimates.put("a", 45_000, 3_000)
    assert estimates.lowest_bps(3_000) == 45_000
    estimates.put("a", 50_000, 3_000 + REMB_LIFETIME_MS)
    assert estimates.lowest_bps(3_000 + REMB_LIFETIME_MS) == START_BITRATE_BPS
