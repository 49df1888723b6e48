"""One unbroken stream, whatever its source does."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from media.forwarder import Forwarder, OutgoingStream
from media.history import (
    HISTORY_MS,
    HISTORY_PACKETS,
    MAX_ON_ITS_WAY_MS,
    MIN_HISTORY_MS,
    MIN_RESEND_INTERVAL_MS,
    UNKNOWN_HISTORY_MS,
)
from media.rtp import ExtensionMap, header_bytes, read_header
from media.sdp import ABS_SEND_TIME_URI
from tests.media.packets import DELTA_FRAME, KEYFRAME, elements_of, rtp

AUDIO = OutgoingStream("audio", ssrc=900, payload_type=109, clock_rate=48_000, first_sequence=10)
VIDEO = OutgoingStream(
    "video",
    ssrc=901,
    payload_type=120,
    clock_rate=90_000,
    rtx_ssrc=902,
    rtx_payload_type=121,
    keeps_history=True,
    first_sequence=10,
    first_timestamp=1_000,
)
SAME = ExtensionMap({}, {}, "0", "0")


def begun(stream: OutgoingStream) -> Forwarder:
    forwarder = Forwarder(stream)
    forwarder.attach(SAME)
    return forwarder


def send(forwarder: Forwarder, packet: bytes, now_ms: int = 0) -> bytes | None:
    """What the receiver gets of a packet."""
    data = bytearray(packet) + bytes(50)
    length = len(packet)
    header = header_bytes(data, length)
    sent = forwarder.forward(data, length, header, read_header(data, 2), now_ms)
    if not sent:
        assert data[:length] == packet
    return bytes(data[:length]) if sent else None


def numbers(packets: list[bytes | None]) -> list[int]:
    return [read_header(p, 2)[0] for p in packets if p is not None]


@given(
    start=st.integers(0, 65_535),
    parts=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 70_000)), min_size=1, max_size=8),
)
def test_pauses_leave_no_gap(start: int, parts: list[tuple[int, int]]) -> None:
    """A gap would be taken for loss: the receiver would ask again for what never was."""
    forwarder, sequence, sent = begun(AUDIO), start, []
    for count, paused in parts:
        forwarder.start()
        for _ in range(count):
            sent.append(send(forwarder, rtp(sequence)))
            sequence += 1
        sequence += paused
    assert numbers(sent) == [(10 + i) % 65_536 for i in range(len(sent))]


@given(
    steps=st.lists(
        st.one_of(st.integers(-50, 200), st.sampled_from(("pause", "switch"))), max_size=80
    )
)
def test_no_number_is_ever_used_twice(steps: list[int | str]) -> None:
    """AEAD-GCM breaks when one index encrypts two packets (RFC 7714 §8.1)."""
    forwarder, sent = begun(AUDIO), []
    highest, seen = 30_000, set[int]()
    for step in steps:
        if step == "pause":
            forwarder.start()
        elif step == "switch":
            forwarder.attach(SAME)
            highest = highest * 7 % 30_000
            seen = set()
        elif isinstance(step, int) and highest + step not in seen:  # the tracker sees to that
            seen.add(highest + step)
            sent.append(send(forwarder, rtp(highest + step)))
            highest = max(highest, highest + step)
    out = numbers(sent)
    assert len(set(out)) == len(out)


@given(order=st.permutations(range(20)))
def test_reordered_packets_keep_their_order_numbers(order: list[int]) -> None:
    forwarder = begun(AUDIO)
    first = send(forwarder, rtp(999))
    sent = {n: send(forwarder, rtp(1_000 + n)) for n in order}
    assert numbers([first]) == [10]
    assert all(numbers([packet]) == [11 + n] for n, packet in sent.items())


def test_packets_from_before_the_start_are_dropped() -> None:
    """Their numbers belong to what was sent before the pause."""
    forwarder = begun(AUDIO)
    send(forwarder, rtp(5))
    send(forwarder, rtp(6))
    forwarder.start()
    assert send(forwarder, rtp(20)) is not None
    assert send(forwarder, rtp(19)) is None
    assert numbers([send(forwarder, rtp(21))]) == [13]


def test_video_begins_with_a_keyframe() -> None:
    forwarder = begun(VIDEO)
    assert send(forwarder, rtp(1, DELTA_FRAME)) is None
    assert forwarder.waiting
    assert numbers([send(forwarder, rtp(2, KEYFRAME))]) == [10]
    assert not forwarder.waiting
    assert numbers([send(forwarder, rtp(3, DELTA_FRAME))]) == [11]
    forwarder.start()
    assert send(forwarder, rtp(4, DELTA_FRAME)) is None


def test_voice_that_begins_again_is_marked() -> None:
    """RFC 3551 §4.1: the receiver may adapt its jitter buffer there."""
    forwarder = begun(AUDIO)
    marks = [(send(forwarder, rtp(n)) or b"..")[1] >> 7 for n in range(2)]
    forwarder.start()
    marks += [(send(forwarder, rtp(n)) or b"..")[1] >> 7 for n in range(2, 4)]
    assert marks == [1, 0, 1, 0]


@given(
    stamps=st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    passed_ms=st.integers(1, 3_600_000),
)
def test_time_goes_on_over_a_change_of_source(stamps: tuple[int, int], passed_ms: int) -> None:
    """A timestamp that jumps makes the receiver wait, or drop everything as late."""
    forwarder = begun(VIDEO)
    before = send(forwarder, rtp(1, KEYFRAME, stamps[0]), 0)
    forwarder.attach(SAME)
    after = send(forwarder, rtp(7_000, KEYFRAME, stamps[1]), passed_ms)
    assert before is not None
    assert after is not None
    assert read_header(before, 2)[1] == 1_000
    assert read_header(after, 2)[1] == (1_000 + passed_ms * 90) % 2**32
    assert numbers([before, after]) == [10, 11]


def test_a_pause_of_one_source_keeps_its_clock() -> None:
    forwarder = begun(AUDIO)
    send(forwarder, rtp(1, timestamp=500))
    forwarder.start()
    after = send(forwarder, rtp(2, timestamp=500 + 96_000), 2_000)
    assert after is not None
    assert read_header(after, 2)[1] == 96_000


def test_what_is_sent_is_counted_for_reports() -> None:
    forwarder = begun(AUDIO)
    send(forwarder, rtp(1, b"x" * 30))
    send(forwarder, rtp(2, b"x" * 12))
    assert (forwarder.packets, forwarder.octets) == (2, 42)


def test_a_nack_is_answered_as_rtx_with_a_number_of_its_own() -> None:
    forwarder = begun(VIDEO)
    sent = [send(forwarder, rtp(n, KEYFRAME), n) for n in range(3)]
    again = [forwarder.resend(10 + n, 100) for n in range(3)]
    assert all(p is not None and p[1] & 0x7F == 121 for p in again)
    assert numbers(list(again)) == [11, 12, 13]
    for packet, rtx in zip(sent, again, strict=True):
        assert packet is not None
        assert rtx is not None
        assert rtx[12:14] == packet[2:4]
        assert rtx[14:] == packet[12:]


def test_without_rtx_the_very_same_bytes_are_sent_again() -> None:
    stream = replace(VIDEO, rtx_ssrc=None, rtx_payload_type=None)
    forwarder = begun(stream)
    sent = send(forwarder, rtp(1, KEYFRAME))
    assert forwarder.resend(10, 100) == sent


def test_the_history_is_bounded() -> None:
    forwarder = begun(VIDEO)
    for n in range(HISTORY_PACKETS + 1):
        send(forwarder, rtp(n, KEYFRAME))
    assert forwarder.resend(10, 100) is None
    assert forwarder.resend(11, 100) is not None
    assert forwarder.resend(11 + HISTORY_PACKETS, 100) is None


def test_a_nack_storm_is_answered_once_an_interval() -> None:
    forwarder = begun(VIDEO)
    send(forwarder, rtp(1, KEYFRAME))
    assert forwarder.resend(10, 100) is not None
    assert forwarder.resend(10, 100 + MIN_RESEND_INTERVAL_MS - 1) is None
    assert forwarder.resend(10, 100 + MIN_RESEND_INTERVAL_MS) is not None


def test_a_nack_from_before_the_packet_could_arrive_is_not_answered() -> None:
    """A packet that came late to us too was asked for while it was on its way."""
    forwarder = begun(VIDEO)
    send(forwarder, rtp(1, KEYFRAME), 1_000)
    assert forwarder.resend(10, 1_149, 200) is None
    assert forwarder.resend(10, 1_150, 200) is not None
    assert forwarder.resend(10, 1_299, 200) is None
    assert forwarder.resend(10, 1_300, 200) is not None
    assert forwarder.resend(10, 1_300 + MAX_ON_ITS_WAY_MS, 60_000) is not None


def test_a_packet_sent_again_tells_its_new_sending_time() -> None:
    forwarder = Forwarder(VIDEO)
    forwarder.attach(ExtensionMap({ABS_SEND_TIME_URI: 3}, {ABS_SEND_TIME_URI: 5}, "0", "0"))
    send(forwarder, rtp(1, KEYFRAME, elements=[(3, bytes(3))]), 1_000)
    rtx = forwarder.resend(10, 2_000)
    assert rtx is not None
    assert elements_of(rtx) == [(5, (1 << 18).to_bytes(3, "big"))]


def test_probes_get_numbers_of_the_rtx_stream() -> None:
    """A receiver's estimate covers the whole path only if it sees the sender's probes."""
    forwarder = begun(VIDEO)
    probe = bytearray(rtp(77, b"\0\5" + KEYFRAME, 9, 2, 97))
    assert not forwarder.forward_probe(probe, len(probe), 12, read_header(probe, 2))
    send(forwarder, rtp(5, KEYFRAME, 9))
    assert forwarder.forward_probe(probe, len(probe), 12, read_header(probe, 2))
    assert read_header(probe, 2) == (11, 1_000, 902)
    assert probe[12:14] == (10).to_bytes(2, "big")
    assert probe[1] & 0x7F == 121


@given(
    gaps_ms=st.lists(st.integers(0, 300), min_size=1, max_size=1_200),
    tick_ms=st.integers(1, 1_500),
    round_trip_ms=st.none() | st.integers(0, 2_000),
)
def test_the_history_holds_what_may_be_asked_for_and_no_more(
    gaps_ms: list[int], tick_ms: int, round_trip_ms: int | None
) -> None:
    """What is kept of each call decides how many calls a machine can hold."""
    keep_ms = UNKNOWN_HISTORY_MS
    if round_trip_ms is not None:
        keep_ms = min(HISTORY_MS, MIN_HISTORY_MS + 4 * round_trip_ms)
    forwarder, now_ms, sent_ms, due_ms = begun(VIDEO), 0, list[int](), tick_ms
    for sequence, gap_ms in enumerate(gaps_ms):
        now_ms += gap_ms
        while due_ms <= now_ms:
            forwarder.expire(due_ms, round_trip_ms)
            due_ms += tick_ms
        send(forwarder, rtp(sequence, KEYFRAME), now_ms)
        sent_ms.append(now_ms)
    forwarder.expire(now_ms, round_trip_ms)
    assert forwarder._history is not None
    kept = len(forwarder._history)
    recent = [at for at in sent_ms[-HISTORY_PACKETS:] if now_ms - at <= keep_ms]
    assert kept == len(recent)
    last = VIDEO.first_sequence + len(sent_ms) - 1
    for back in range(len(recent)):
        assert forwarder.resend(last - back & 0xFFFF, now_ms) is not None


def test_a_second_copy_of_a_repair_has_a_number_of_its_own() -> None:
    """On a long way both are sent at once; one index for two packets would break AEAD-GCM."""
    forwarder = begun(VIDEO)
    send(forwarder, rtp(1, KEYFRAME))
    first, second = forwarder.resend(10, 500), forwarder.repeat(10, 500)
    assert first is not None
    assert second is not None
    assert read_header(first, 2)[0] + 1 == read_header(second, 2)[0]
    assert first[:2] + first[4:] == second[:2] + second[4:]
    assert forwarder.repeat(11, 500) is None
    assert begun(AUDIO).stream.rtx_ssrc is None
