"""What may be asked for again is there, in no more memory than that takes."""

from hypothesis import given
from hypothesis import strategies as st

from media.history import (
    FIRST_PACKETS,
    HISTORY_MS,
    HISTORY_PACKETS,
    MIN_HISTORY_MS,
    UNKNOWN_HISTORY_MS,
    History,
)
from tests.media.packets import DELTA_FRAME, KEYFRAME, rtp


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
    kept_ms = UNKNOWN_HISTORY_MS
    if round_trip_ms is not None:
        kept_ms = min(HISTORY_MS, MIN_HISTORY_MS + 4 * round_trip_ms)
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


@given(
    first=st.integers(0, 65_535),
    missing=st.sets(st.integers(0, 59).map(lambda n: 5 * n)),
    step_ms=st.integers(1, 20),
    round_trip_ms=st.none() | st.integers(0, 600),
    patience_ms=st.integers(0, 2_000),
)
def test_what_cannot_be_sent_again_is_known_as_lost(
    first: int,
    missing: set[int],
    step_ms: int,
    round_trip_ms: int | None,
    patience_ms: int,
) -> None:
    """Who asks for it waits in vain; for what never came here the source is asked already."""
    history, now_ms, highest = History(first), 0, first
    for index in range(300):
        now_ms = index * step_ms
        if index not in missing:
            highest = first + index
            history.put(highest & 0xFFFF, bytearray(rtp(highest)), now_ms)
        if index % 10 == 0:
            history.expire(highest + 1 & 0xFFFF, now_ms, round_trip_ms)
    history.expire(highest + 1 & 0xFFFF, now_ms, round_trip_ms)
    for index in range(400):
        number = first + index & 0xFFFF
        is_late = now_ms - index * step_ms > patience_ms
        if history.find(number, now_ms) is None:
            is_late = index < 300
        is_sent = index < 300 and index not in missing
        assert history.is_lost(number, now_ms, patience_ms) == (is_sent and is_late)


@given(
    pictures=st.lists(st.tuples(st.booleans(), st.integers(1, 6)), min_size=1, max_size=30),
    lost=st.sets(st.integers(0, 100), max_size=4),
    since_ms=st.integers(0, 30),
)
def test_the_packets_of_the_latest_keyframe_are_found(
    pictures: list[tuple[bool, int]], lost: set[int], since_ms: int
) -> None:
    """Its first packet must be there: a receiver can do nothing with the others alone."""
    history, number, latest = History(65_500), 65_500, list[int]()
    for at_ms, (is_key, packets) in enumerate([(True, 2), *pictures]):
        kept = []
        for index in range(packets):
            is_last = index == packets - 1
            if number - 65_500 not in lost or number < 65_502 or is_last > (index == 0):
                history.put(number & 0xFFFF, picture(number, index, is_last, is_key), at_ms)
                kept.append((index, number & 0xFFFF))
            number += 1
        if is_key and at_ms >= since_ms and kept and kept[0][0] == 0:
            latest = [sequence for _, sequence in reversed(kept)]
    assert history.keyframe_since(number, since_ms) == latest


def test_a_keyframe_without_its_end_is_not_found() -> None:
    """More of it comes: it is sent again as a whole or not at all."""
    history = History(0)
    for index in range(2):
        history.put(index, picture(index, index, False, True), 0)
    assert history.keyframe_since(2, 0) == []


def picture(number: int, index: int, is_last: bool, is_key: bool) -> bytearray:
    """One packet of a picture."""
    payload = KEYFRAME if is_key else DELTA_FRAME
    packet = bytearray(rtp(number, b"\0" + payload[1:] if index else payload))
    packet[1] |= 0x80 if is_last else 0
    return packet
