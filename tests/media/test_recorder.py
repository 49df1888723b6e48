"""The pure core of recording: order, frames, times, parts."""

import random
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from media.flow import Flow
from media.recorder import (
    HEARD_MS,
    MAX_PENDING_BYTES,
    PREROLL_MS,
    Begin,
    End,
    Recorder,
    Step,
    TrackPlan,
    TrackTap,
    Write,
)
from media.reorder import MAX_HELD, WAIT_MS, Packet, Reorder
from media.sdp import Codec, Section
from media.timeline import ParticipantClock, Report, TrackClock, report_of
from media.tracks import IncomingTrack, Source
from media.vp8 import Assembler, Frame, descriptor, frame_of
from tests.media.packets import rtp
from tests.media.vp8_stream import payloads

KEY = bytes.fromhex("100000 9d012a 8002 e001")  # 640x480
DELTA = bytes.fromhex("110000")


def packet(number: int, arrived_ms: int = 0) -> Packet:
    return Packet(number, False, bytes((number & 0xFF,)), arrived_ms)


# --- order ---------------------------------------------------------------------------------------


@given(st.permutations(range(40)), st.sets(st.integers(1, 39)), st.integers(0, 0xFFFF))
def test_packets_come_out_in_order_once_each(order: list[int], lost: set[int], first: int) -> None:
    """Whatever the network did: no packet twice, none out of order, each gap is marked."""
    reorder, out = Reorder(), []
    out += reorder.push(first, packet(0))
    for number in [n for n in order if n and n not in lost]:
        out += reorder.push(first + number & 0xFFFF, packet(number))
        out += reorder.push(first + number & 0xFFFF, packet(number))
    out += reorder.flush()
    numbers = [p.timestamp for p in out]
    assert numbers == [n for n in range(40) if n not in lost]
    for before, after in pairwise(out):
        assert after.lost == (after.timestamp != before.timestamp + 1)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 3_000)), max_size=200))
def test_any_numbers_are_taken_and_little_is_held(steps: list[tuple[int, int]]) -> None:
    reorder, now_ms, given_, taken = Reorder(), 0, 0, 0
    for sequence, later_ms in steps:
        now_ms += later_ms
        taken += len(reorder.push(sequence, packet(sequence, now_ms)))
        taken += len(reorder.release(now_ms))
        given_ += 1
    taken += len(reorder.flush())
    assert taken <= given_
    assert reorder.flush() == []


def test_a_missing_packet_is_waited_for_only_so_long() -> None:
    reorder = Reorder()
    assert len(reorder.push(10, packet(10, 0))) == 1
    assert reorder.push(12, packet(12, 100)) == []
    assert reorder.release(100 + WAIT_MS - 1) == []
    (late,) = reorder.release(100 + WAIT_MS)
    assert (late.timestamp, late.lost) == (12, True)
    assert reorder.push(11, packet(11, 900)) == []
    flood = [reorder.push(14 + n, packet(0, 900)) for n in range(MAX_HELD + 1)]
    assert sum(map(len, flood)) > 0


def test_after_a_pause_any_number_may_follow() -> None:
    """A hold of eleven minutes takes the numbers half around."""
    reorder = Reorder()
    reorder.push(10, packet(10, 0))
    (after,) = reorder.push(10 + 0xFFF0 & 0xFFFF, packet(1, 700_000))
    assert after.lost
    (again,) = reorder.push(30_000, packet(2, 700_001))
    assert again.lost


# --- VP8 -----------------------------------------------------------------------------------------


@given(st.binary(max_size=40), st.booleans(), st.booleans())
@example(b"\x90\x80\x80", True, False)
def test_garbage_makes_no_frame_and_no_exception(payload: bytes, marker: bool, lost: bool) -> None:
    assembler = Assembler()
    descriptor(payload)
    frame_of(0, payload)
    frame = assembler.push(1, marker, payload, lost)
    assert frame is None or frame.is_keyframe


@given(
    st.lists(st.sampled_from([KEY, DELTA]), min_size=1, max_size=30),
    st.integers(0, 0x7FFF),
    st.booleans(),
    st.randoms(use_true_random=False),
    st.floats(0, 0.5),
)
def test_only_what_a_decoder_can_use_is_kept(
    kinds: list[bytes], first_id: int, long_ids: bool, dice: random.Random, loss: float
) -> None:
    """Each picture but a keyframe refers to the one before it: that one must be there."""
    kinds[0] = KEY
    reorder, assembler, kept = Reorder(), Assembler(), []
    sent, number = [], 0
    for index, kind in enumerate(kinds):
        data = kind + bytes((index,)) * dice.randrange(1, 30)
        parts = payloads(data, first_id + index, size=12, long_id=long_ids)
        for at, part in enumerate(parts):
            sent.append((number & 0xFFFF, index, at == len(parts) - 1, part))
            number += 1
    arrived = [p for p in sent if p[0] == 0 or dice.random() >= loss]
    dice.shuffle(arrived)
    arrived.sort(key=lambda p: p[0] // 8)  # reordered within eight
    if arrived[0][0] != 0:
        arrived.sort(key=lambda p: p[0])
    for sequence, index, marker, part in arrived:
        for p in reorder.push(sequence, Packet(index, marker, part, 0)):
            kept.append(assembler.push(p.timestamp, p.marker, p.payload, p.lost))
    kept += [assembler.push(p.timestamp, p.marker, p.payload, p.lost) for p in reorder.flush()]
    frames = [frame for frame in kept if frame is not None]
    shown = [frame.timestamp for frame in frames]
    assert shown == sorted(set(shown))
    there = {index for index in range(len(kinds))}
    whole = {i for i in there if all(p in arrived for p in sent if p[1] == i)}
    for frame in frames:
        assert frame.timestamp in whole
        assert frame.is_keyframe == (kinds[frame.timestamp] is KEY)
        assert frame.is_keyframe or frame.timestamp - 1 in shown
    if loss == 0:
        assert shown == list(range(len(kinds)))


def test_a_keyframe_says_its_size() -> None:
    (frame,) = (Assembler().push(5, True, part, False) for part in payloads(KEY, 3))
    assert frame == Frame(5, KEY, True, 640, 480)


def test_lost_padding_costs_no_keyframe() -> None:
    """The picture id goes on: nothing of the picture is missing."""
    assembler = Assembler()
    assembler.push(1, True, payloads(KEY, 0x7FFF)[0], False)
    assert assembler.push(2, True, payloads(DELTA + b"x", 0)[0], True) is not None
    assert assembler.push(3, True, payloads(DELTA + b"x", 2)[0], True) is None
    assert assembler.needs_keyframe
    assert assembler.push(4, True, payloads(KEY, 3)[0], False) is not None
    without = Assembler()
    without.push(1, True, payloads(KEY, None)[0], False)
    assert without.push(2, True, payloads(DELTA + b"x", None)[0], True) is None


# --- time ----------------------------------------------------------------------------------------


def test_lips_and_voice_stay_in_step_whatever_the_way_of_each_took() -> None:
    """Video came 180 ms later; the sender's reports say that both were said at one time."""
    owner = ParticipantClock()
    voice, picture = TrackClock(48_000, owner), TrackClock(90_000, owner)
    said = report_of(1_000 << 32, 48_000)
    seen = Report(1_000_000.0, 900_000)
    assert voice.at_ms(48_000, 5_000, said) == 5_000
    assert picture.at_ms(900_000, 5_180, seen) == 5_000


@given(st.lists(st.tuples(st.integers(0, 0xFFFFFFFF), st.integers(-50, 4_000)), max_size=60))
def test_times_never_go_back_and_stay_near_the_arrival(steps: list[tuple[int, int]]) -> None:
    clock, now_ms, last = TrackClock(90_000, ParticipantClock()), 1_000, -1
    for timestamp, later_ms in steps:
        now_ms += max(0, later_ms)
        at_ms = clock.at_ms(timestamp, now_ms, None)
        assert at_ms > last
        last = at_ms


def test_a_pause_is_a_gap_of_the_same_length() -> None:
    clock = TrackClock(48_000, ParticipantClock())
    assert clock.at_ms(0, 1_000, None) == 1_000
    assert clock.at_ms(960, 1_025, None) == 1_020
    assert clock.at_ms(960 + 48_000 * 60, 61_020, None) == 61_020
    assert clock.at_ms(7, 80_000, None) == 80_000  # a count of its own
    assert clock.at_ms(7, 80_000, None) == 80_001


def test_late_reports_move_a_track_little_by_little() -> None:
    owner = ParticipantClock()
    owner.offset_ms = 0.0
    clock = TrackClock(48_000, owner)
    clock.at_ms(0, 1_000, None)
    report = Report(1_020.0, 960)  # it runs 40 ms late
    for n in range(1, 200):
        clock.at_ms(960 * n, 1_000 + 20 * n, Report(report.sender_ms - 40, 960))
    assert abs(clock.at_ms(960 * 200, 5_000, Report(980.0, 960)) - 4_960) <= 1


# --- parts ---------------------------------------------------------------------------------------


class Nobody:
    """A sender that is asked for keyframes."""

    def request_keyframes(self, now_ms: int) -> None:
        """Not here."""

    def limit(self, receiver_id: str, bitrate_bps: int, now_ms: int) -> None:
        """Not here."""


def track(kind: str, role: str = "") -> IncomingTrack:
    codec = Codec(96, "VP8", 90_000) if kind == "video" else Codec(111, "opus", 48_000)
    section = Section(kind=kind, mid=kind, direction="sendrecv", codec=codec)
    made = IncomingTrack(section, codec, role or kind, Flow(), Nobody())
    made.current = Source(1, made, is_rtx=False)
    return made


class Line:
    """One track as it is sent."""

    def __init__(self, recorder: Recorder, who: str, kind: str, role: str = "") -> None:
        self.track = track(kind, role)
        tap = recorder.tap(who, self.track)
        assert isinstance(tap, TrackTap)
        self.tap, self.kind, self.sequence = tap, kind, 0

    def send(self, at_ms: int, frame: bytes = b"opus") -> None:
        rate = 90 if self.kind == "video" else 48
        picture = self.sequence if self.kind == "video" else None
        parts = payloads(frame, picture) if self.kind == "video" else [frame]
        for payload in parts:
            data = bytearray(rtp(self.sequence, payload, at_ms * rate))
            data[1] |= 0x80 if payload is parts[-1] else 0
            fields = (self.sequence & 0xFFFF, at_ms * rate, 1)
            self.tap(data, len(data), 12, fields, at_ms)
            self.sequence += 1


def written(steps: list[Step]) -> list[tuple[str, str, int]]:
    return [(*s.key, s.at_ms) for step in steps if isinstance(step, Write) for s in step.samples]


def begun(steps: list[Step]) -> list[tuple[TrackPlan, ...]]:
    return [step.tracks for step in steps if isinstance(step, Begin)]


def test_a_part_begins_once_every_sender_has_a_frame() -> None:
    recorder = Recorder(lambda _who: True)
    voice, picture = Line(recorder, "patient", "audio"), Line(recorder, "patient", "video")
    voice.send(0)
    picture.send(10, DELTA + b"x")
    assert recorder.take(20) == []
    voice.send(20)
    picture.send(50, KEY)
    steps = recorder.take(60)
    assert begun(steps) == [
        (TrackPlan("patient", "video", 640, 480), TrackPlan("patient", "audio")),
    ]
    assert isinstance(steps[0], Begin)
    assert steps[0].origin_ms == 0
    assert written(steps) == [
        ("patient", "audio", 0),
        ("patient", "audio", 20),
        ("patient", "video", 50),
    ]
    recorder.stop()
    assert recorder.take(100) == [End()]
    assert recorder.tap("patient", voice.track) is None


def test_a_camera_that_sends_no_keyframe_holds_up_nobody_for_long() -> None:
    recorder = Recorder(lambda _who: True)
    voice, picture = Line(recorder, "patient", "audio"), Line(recorder, "patient", "video")
    for at_ms in range(0, PREROLL_MS, 20):
        voice.send(at_ms)
        picture.send(at_ms, DELTA + b"x")
        assert recorder.take(at_ms) == []
    steps = recorder.take(PREROLL_MS)
    assert begun(steps) == [(TrackPlan("patient", "audio"),)]


def test_who_joins_later_begins_another_part_with_keyframes() -> None:
    recorder = Recorder(lambda _who: True)
    voice, picture = Line(recorder, "patient", "audio"), Line(recorder, "patient", "video")
    voice.send(0)
    picture.send(0, KEY)
    recorder.take(10)
    guest = Line(recorder, "guest-1", "audio")
    guest.send(20)
    picture.send(40, DELTA + b"x")
    voice.send(40)
    steps = recorder.take(50)
    assert steps == [End()]
    picture.send(80, KEY)
    (again,) = begun(recorder.take(90))
    assert {(plan.participant_id, plan.role) for plan in again} == {
        ("patient", "audio"),
        ("patient", "video"),
        ("guest-1", "audio"),
    }


def test_a_phone_that_is_turned_begins_another_part_and_a_smaller_picture_does_not() -> None:
    recorder = Recorder(lambda _who: True)
    picture = Line(recorder, "patient", "video")
    picture.send(0, KEY)
    recorder.take(1)
    picture.send(40, KEY[:6] + bytes.fromhex("4001 f000"))  # 320x240
    assert [type(step) for step in recorder.take(41)] == [Write]
    picture.send(80, KEY[:6] + bytes.fromhex("e001 8002"))  # 480x640
    steps = recorder.take(81)
    assert [type(step) for step in steps] == [End, Begin, Write]
    assert begun(steps) == [(TrackPlan("patient", "video", 480, 640),)]


def test_nobody_is_recorded_who_has_not_agreed() -> None:
    recorder = Recorder(lambda who: who != "guest-1")
    assert recorder.tap("guest-1", track("audio")) is None
    assert recorder.tap("patient", track("audio")) is not None


def test_a_disk_that_does_not_follow_costs_frames_and_not_memory() -> None:
    """What is left out is a gap, and pictures go on with a keyframe."""
    recorder = Recorder(lambda _who: True)
    picture = Line(recorder, "patient", "video")
    for at_ms in range(0, 40 * 30, 40):
        picture.send(at_ms, KEY + bytes(500_000))
    assert recorder.dropped == 30 - MAX_PENDING_BYTES // (500_000 + len(KEY))
    recorder.take(40 * 30)
    picture.send(40 * 30, DELTA + b"x")
    picture.send(40 * 31, KEY)
    assert written(recorder.take(40 * 31)) == [("patient", "video", 40 * 31)]


def test_a_reloaded_page_goes_on_in_the_same_part() -> None:
    recorder = Recorder(lambda _who: True)
    before = Line(recorder, "patient", "audio")
    before.send(0)
    recorder.take(1)
    after = Line(recorder, "patient", "audio")
    assert after.tap is before.tap
    after.send(9_000)
    assert written(recorder.take(9_001)) == [("patient", "audio", 9_000)]
    assert HEARD_MS < PREROLL_MS
