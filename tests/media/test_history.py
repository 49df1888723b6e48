"""What may be asked for again is there, in no more memory than that takes."""

from hypothesis import given
from hypothesis import strategies as st

from media.history import FIRST_PACKETS, HISTORY_MS, HISTORY_PACKETS, MIN_HISTORY_MS, History
from tests.media.packets import rtp


@given(
    first=st.integers(0, 65_535),
    steps=st.lists(
        st.tuples(st.sampled_from((1, 1, 1, 2, 5, 90, 400, -1, -3)), st.integers(0, 40)),
        max_size=700,
    ),
    round_trip_ms=st.none() | st.integers(0, 400),
)
def test_what_was_sent_lately_is_found_by_its_number(
    first: int, steps: list[tuple[int, int]], round_trip_ms: int | None
) -> None:
    """Also after gaps, where packets were lost before they came here, and out of order."""
    kept_ms = HISTORY_MS
    if round_trip_ms is not None:
        kept_ms = min(HISTORY_MS, MIN_HISTORY_MS + 3 * round_trip_ms)
    history, highest, now_ms = History(first), first, 0
    history.expire(first, now_ms, round_trip_ms)
    sent: dict[int, int] = {}
    for ahead, gap_ms in steps:
        now_ms += gap_ms
        number = highest + ahead
        if number < first or number in sent:
            continue
        highest = max(highest, number)
        sent[number] = now_ms
        history.put(number & 0xFFFF, bytearray(rtp(number & 0xFFFF)), now_ms)
        if number % 7 == 0:
            history.expire(highest + 1 & 0xFFFF, now_ms, round_trip_ms)
    history.expire(highest + 1 & 0xFFFF, now_ms, round_trip_ms)
    for number, at_ms in sent.items():
        if number > highest - HISTORY_PACKETS + 3 and now_ms - at_ms <= kept_ms:
            assert history.find(number & 0xFFFF, now_ms) == (
                bytearray(rtp(number & 0xFFFF)),
                now_ms - at_ms,
            )


def test_the_ring_is_as_large_as_the_stream_needs() -> None:
    """An empty ring for a shared screen was 12 KB for each camera."""
    for packets_per_s, slots in ((100, FIRST_PACKETS), (600, 4 * FIRST_PACKETS)):
        history = History(0)
        history.expire(0, 0, 20)
        for number in range(10 * packets_per_s):
            now_ms = number * 1_000 // packets_per_s
            history.put(number, bytearray(rtp(number)), now_ms)
            if number % (packets_per_s // 10) == 0:
                history.expire(number + 1, now_ms, 20)
        assert len(history._packets) == slots
