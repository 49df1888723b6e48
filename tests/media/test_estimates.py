"""What senders are told of the bandwidth of those who get their video."""

from hypothesis import given
from hypothesis import strategies as st

from media.estimates import (
    LEAST_ALONE_BPS,
    LEAST_SHARE_BPS,
    REMB_LIFETIME_MS,
    RESUME_BITRATE_BPS,
    SPACING_MS,
    START_BITRATE_BPS,
    START_SHARE_BPS,
    VOICE_BITRATE_BPS,
    WITHHELD_BITRATE_BPS,
    Estimates,
    ReceiverEstimate,
)

BITRATES = st.integers(0, 10_000_000)
RECEIVERS = st.dictionaries(st.sampled_from("abcdef"), BITRATES, min_size=1)


def told(bitrates: dict[str, int]) -> Estimates:
    estimates = Estimates()
    for receiver, bitrate_bps in bitrates.items():
        estimates.put(receiver, bitrate_bps, 0)
    estimates.serve(bitrates.keys(), is_withheld=False)
    return estimates


@given(bitrates=RECEIVERS, gone=st.sets(st.sampled_from("abcdef")))
def test_the_weakest_receiver_counts_for_as_long_as_it_gets_video(
    bitrates: dict[str, int], gone: set[str]
) -> None:
    """A weak guest who has left must not keep everybody's picture small."""
    estimates = told(bitrates)
    assert estimates.bitrate_bps(0) == min(bitrates.values())
    left = {receiver: bps for receiver, bps in bitrates.items() if receiver not in gone}
    estimates.serve(left.keys(), is_withheld=False)
    assert estimates.bitrate_bps(0) == (min(left.values()) if left else None)
    estimates.serve(bitrates.keys(), is_withheld=False)
    assert estimates.bitrate_bps(0) == min(left.values(), default=START_BITRATE_BPS)


def test_what_a_silent_receiver_said_counts_for_a_while() -> None:
    estimates = told({"a": 2_000_000, "b": 1_500_000})
    estimates.put("a", 2_000_000, REMB_LIFETIME_MS - 1)
    assert estimates.bitrate_bps(REMB_LIFETIME_MS - 1) == 1_500_000
    assert estimates.bitrate_bps(REMB_LIFETIME_MS) == 2_000_000


@given(bitrate_bps=BITRATES, max_bps=st.integers(1, 5_000_000))
def test_no_more_is_asked_for_than_the_limit(bitrate_bps: int, max_bps: int) -> None:
    estimates = told({"a": bitrate_bps})
    estimates.max_bps = max_bps
    assert estimates.bitrate_bps(0) == min(bitrate_bps, max_bps + VOICE_BITRATE_BPS)


def test_a_sender_whose_video_nobody_gets_is_told_to_send_little() -> None:
    """Its pictures would take the bandwidth that its voice needs, and nobody sees them."""
    estimates = told({"a": 1_000_000})
    estimates.serve((), is_withheld=True)
    assert estimates.bitrate_bps(0) == WITHHELD_BITRATE_BPS
    estimates.serve((), is_withheld=False)
    assert estimates.bitrate_bps(0) is None


def test_a_sender_is_told_of_changes_and_not_in_a_rush() -> None:
    estimates = told({"a": 1_000_000})
    assert estimates.due_bps(0) == 1_000_000
    estimates.told(1_000_000, 0)
    assert estimates.due_bps(SPACING_MS) is None
    estimates.put("a", 900_000, SPACING_MS)
    assert estimates.due_bps(SPACING_MS - 1) is None
    assert estimates.due_bps(SPACING_MS) == 900_000


def test_a_receiver_counts_low_only_after_its_estimate_fell() -> None:
    """An estimate that only rises from little says nothing about the line."""
    estimate = ReceiverEstimate()
    for at_ms, bitrate_bps, counts_bps in [
        (0, 60_000, START_BITRATE_BPS),
        (1_000, 65_000, START_BITRATE_BPS),
        (2_000, 40_000, 40_000),
        (3_000, 45_000, 45_000),
        (3_000 + REMB_LIFETIME_MS, 50_000, START_BITRATE_BPS),
    ]:
        estimate.put(bitrate_bps, at_ms)
        assert estimate.share_bps(1) == counts_bps


@given(bitrate_bps=BITRATES, senders=st.integers(1, 5))
def test_a_receivers_bandwidth_is_shared(bitrate_bps: int, senders: int) -> None:
    estimate = ReceiverEstimate()
    estimate.put(bitrate_bps * 2 + 100, 0)
    estimate.put(bitrate_bps, 0)
    least_bps = LEAST_SHARE_BPS if senders > 1 else 0
    assert estimate.share_bps(senders) == max(bitrate_bps // senders, least_bps)
    least_bps = LEAST_SHARE_BPS if senders > 1 else LEAST_ALONE_BPS
    assert estimate.share_bps(senders, is_calm=True) == max(bitrate_bps // senders, least_bps)


def test_video_that_comes_back_begins_small() -> None:
    """What was just too much for the line must not fall upon it again."""
    estimate = ReceiverEstimate()
    estimate.put(90_000, 0)
    estimate.restart(10_000)
    assert estimate.share_bps(1) == RESUME_BITRATE_BPS
    estimate.put(70_000, 11_000)
    assert estimate.share_bps(1) == RESUME_BITRATE_BPS
    estimate.put(60_000, 12_000)
    assert estimate.share_bps(1) == 60_000


def test_each_of_several_senders_begins_smaller() -> None:
    """Five of them at once with what one may use would fill the line of who joins."""
    estimate = ReceiverEstimate()
    estimate.put(64_000, 0)
    assert estimate.share_bps(1) == START_BITRATE_BPS
    assert estimate.share_bps(5) == START_SHARE_BPS
