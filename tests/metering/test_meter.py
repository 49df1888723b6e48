"""The meter counts what was delivered, to the millisecond, at every moment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from metering.errors import MeterError
from metering.events import (
    Closed,
    Disengaged,
    Engaged,
    Event,
    FlowSeen,
    FlowStarted,
    FlowStopped,
    Held,
    ModeChanged,
    Opened,
    PhysicianChanged,
    Resumed,
    Tick,
)
from metering.frozen import freeze, restore
from metering.meter import Meter, _flow, _horizon, _settle, open_meter, reading, step
from metering.rating import rate
from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Party, Side
from tests.metering.scripts import WALL_MS, Script, scripts
from tests.metering.strategies import tariffs

PATIENT, PHYSICIAN = Side.PATIENT, Side.PHYSICIAN
FINISH = EndCause.PHYSICIAN_FINISH


def run(meter: Meter, events: Iterable[Event]) -> Meter:
    for event in events:
        meter = step(meter, event)
    return meter


def seen(at_ms: int) -> tuple[Event, Event]:
    return FlowSeen(PATIENT, at_ms), FlowSeen(PHYSICIAN, at_ms)


def flowing(at_ms: int = 0, *, mode: Mode = Mode.VIDEO) -> Meter:
    """Give a meter whose call is engaged, with media from both sides from `at_ms` on."""
    meter = open_meter(Opened(at_ms, WALL_MS + at_ms, "phy_1", mode))
    both = FlowStarted(PATIENT, at_ms), FlowStarted(PHYSICIAN, at_ms)
    return run(meter, [Engaged(at_ms), *both])


def totals(meter: Meter) -> dict[Mode, int]:
    return {Mode.VOICE: meter.totals.voice_ms, Mode.VIDEO: meter.totals.video_ms}


def played(script: Script) -> Meter:
    meter = run(open_meter(script.opened), (event for _, event in script.events()))
    return step(meter, script.closed)


def test_ten_seconds_video_a_hold_and_five_seconds_voice() -> None:
    """The call of the end-to-end test, as the meter sees it."""
    meter = run(
        flowing(),
        [
            *seen(10_004),
            Held(10_000 + 4),
            *seen(13_010),
            Resumed(13_004),
            ModeChanged(Mode.VOICE, 13_010),
            *seen(18_010),
            Closed(18_012, FINISH, Party.PHYSICIAN),
        ],
    )
    assert totals(meter) == {Mode.VIDEO: 10_004, Mode.VOICE: 5_000}
    assert meter.totals.held_ms == 3_006
    assert [one.end_cause for one in meter.segments] == [EndCause.HOLD, FINISH]


@given(script=scripts())
def test_the_meter_bills_exactly_what_was_delivered(script: Script) -> None:
    """Compared with a model that only knows intervals and intersects them."""
    assert totals(played(script)) == script.delivered(script.end_ms)


@settings(deadline=None)
@given(script=scripts())
@example(script=Script({PATIENT: (0, 700, 900), PHYSICIAN: (0, 600, 1_200)}, (Engaged(0),), 2_000))
def test_the_short_way_of_a_packet_comes_to_what_the_long_one_does(script: Script) -> None:
    """Nearly every step takes it; it has to be exact to the last field."""
    meter = open_meter(script.opened)
    for _, event in script.events():
        if isinstance(event, FlowSeen) and not meter.pending and meter.latest.billable:
            for last_ms in (event.last_ms, event.last_ms - 5_000, event.last_ms + 5_000):
                told = FlowSeen(event.side, last_ms)
                by_flow = _flow(meter, told)
                assert step(meter, told) == _settle(by_flow, _horizon(by_flow))
        meter = step(meter, event)


@given(script=scripts())
def test_at_no_moment_more_is_counted_than_was_delivered(script: Script) -> None:
    """A crash at any moment bills only what was delivered."""
    meter = open_meter(script.opened)
    for _, event in script.events():
        before = meter
        meter = step(meter, event)
        assert meter.cursor_ms >= before.cursor_ms
        if isinstance(event, Tick):  # the model is slow: once a poll is often enough
            assert totals(meter) == script.delivered(meter.cursor_ms)


@given(script=scripts())
def test_segments_are_the_totals_cut_into_disjoint_pieces(script: Script) -> None:
    meter = played(script)
    for mode in Mode:
        pieces = [one.duration_ms for one in meter.segments if one.mode is mode]
        assert sum(pieces) == totals(meter)[mode]
    end_at_ms = 0
    for one in meter.segments:
        assert end_at_ms <= one.start_at_ms < one.end_at_ms <= one.last_packet_at_ms
        assert one.duration_ms == one.end_at_ms - one.start_at_ms
        end_at_ms = one.end_at_ms


@given(script=scripts())
def test_the_time_of_a_call_is_billed_held_interrupted_or_before_its_first_media(
    script: Script,
) -> None:
    meter = played(script)
    counted = meter.totals
    after_first_ms = counted.voice_ms + counted.video_ms + counted.interrupted_ms + counted.held_ms
    assert after_first_ms <= script.end_ms
    if not script.commands[1:] and meter.first_media_at_ms is not None:
        assert after_first_ms == script.end_ms - (meter.first_media_at_ms - WALL_MS)


Piece = tuple[Mode, int, str]
CUTS = ["hold", "reconnect", "silence", "restore", "transfer", "tick"]


def cut(meter: Meter, how: str, at_ms: int) -> tuple[Meter, int]:
    """Interrupt a call that bills at `at_ms` and let it go on; give when it does."""
    match how:
        case "hold":
            return run(meter, [Held(at_ms), *seen(at_ms + 900), Resumed(at_ms + 900)]), at_ms + 900
        case "reconnect":
            return run(meter, [Disengaged(at_ms, FINISH), Engaged(at_ms)]), at_ms
        case "silence":
            later_ms = at_ms + 5_000
            meter = run(meter, [FlowStopped(PATIENT, at_ms), FlowSeen(PHYSICIAN, later_ms)])
            return step(meter, FlowStarted(PATIENT, later_ms)), later_ms
        case "restore":
            again = restore(json.loads(json.dumps(freeze(meter))), 50, WALL_MS, meter.epoch + 1)
            both = FlowStarted(PATIENT, 50), FlowStarted(PHYSICIAN, 50)
            return run(again, [Engaged(50), *both]), 50
        case "transfer":
            return step(meter, PhysicianChanged(f"phy_{at_ms}", at_ms)), at_ms
        case _:
            return step(meter, Tick(at_ms)), at_ms


@settings(deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.sampled_from(Mode), st.integers(0, 400_000), st.sampled_from(CUTS)),
        max_size=12,
    ),
    tariff=tariffs(),
)
def test_the_charge_ignores_where_the_call_was_cut(pieces: list[Piece], tariff: Tariff) -> None:
    """A reconnect splits a call into segments; the patient pays for the time, not the cuts."""
    meter, now_ms = flowing(), 0
    for mode, length_ms, how in pieces:
        meter = step(meter, ModeChanged(mode, now_ms))
        meter, now_ms = cut(run(meter, seen(now_ms + length_ms)), how, now_ms + length_ms)
    whole, whole_ms = flowing(), 0
    for mode in Mode:
        whole = step(whole, ModeChanged(mode, whole_ms))
        whole_ms += sum(length_ms for other, length_ms, _ in pieces if other is mode)
        whole = run(whole, seen(whole_ms))
    assert totals(meter) == totals(whole)
    seconds = reading(meter).seconds()
    assert seconds == {mode: ms // 1000 for mode, ms in totals(whole).items()}
    assert rate(tariff, seconds) == rate(tariff, reading(whole).seconds())


@given(script=scripts(), crash_ms=st.integers(0, 60_000), down_ms=st.integers(0, 600_000))
def test_a_restored_meter_stands_where_its_checkpoint_stood(
    script: Script, crash_ms: int, down_ms: int
) -> None:
    meter = open_meter(script.opened)
    frozen, checkpoint_ms, cursor_ms = freeze(meter), 0, 0
    for at_ms, event in script.events():
        if at_ms > crash_ms:
            break
        meter = step(meter, event)
        if at_ms >= checkpoint_ms + 1_000:
            frozen, checkpoint_ms, cursor_ms = freeze(meter), at_ms, meter.cursor_ms
    again = restore(json.loads(json.dumps(frozen)), 5, WALL_MS + crash_ms + down_ms, epoch=2)
    assert totals(again) == script.delivered(cursor_ms)
    for mode, delivered in script.delivered(crash_ms).items():
        assert 0 <= delivered - totals(again)[mode] <= crash_ms - cursor_ms
    assert again.estimated
    assert not reading(again).running


@given(first=scripts(), second=scripts())
def test_a_call_in_two_runs_bills_the_sum_of_both(first: Script, second: Script) -> None:
    meter = run(open_meter(first.opened), (event for _, event in first.events()))
    counted = first.delivered(meter.cursor_ms)
    meter = restore(freeze(meter), 0, WALL_MS + 10**9, epoch=2)
    state = meter.latest
    prelude: list[Event] = [Resumed(0), ModeChanged(Mode.VIDEO, 0)]
    meter = run(meter, prelude + [event for _, event in second.events()])
    meter = step(meter, second.closed)
    more = second.delivered(second.end_ms)
    assert totals(meter) == {mode: counted[mode] + more[mode] for mode in Mode}
    assert sum(one.duration_ms for one in meter.segments) == sum(totals(meter).values())
    assert state.engaged is False


def test_a_crash_ends_the_open_segment_at_the_checkpoint() -> None:
    meter = run(flowing(), seen(7_300))
    again = restore(freeze(meter), now_ms=99, wall_ms=WALL_MS + 20_000, epoch=2)
    (cut,) = again.segments
    assert (cut.end_cause, cut.estimated, cut.duration_ms) == (EndCause.NODE_LOST, True, 7_300)
    assert cut.end_at_ms == WALL_MS + 7_300
    assert again.totals.interrupted_ms == 12_700


def test_a_checkpoint_of_a_running_meter_changes_nothing_in_it() -> None:
    meter = run(flowing(), seen(7_300))
    freeze(meter)
    closed = run(meter, [*seen(8_000), Closed(8_000, FINISH, Party.PHYSICIAN)])
    assert [(one.duration_ms, one.estimated) for one in closed.segments] == [(8_000, False)]


def test_a_clock_set_back_while_the_node_was_down_turns_no_label_back() -> None:
    meter = run(flowing(), seen(7_300))
    again = restore(freeze(meter), now_ms=0, wall_ms=WALL_MS - 3_600_000, epoch=2)
    assert again.label(0) == WALL_MS + 7_300
    assert again.totals.interrupted_ms == 0


def test_a_held_call_is_still_held_after_a_crash() -> None:
    meter = run(flowing(), [*seen(5_000), Held(5_000), *seen(6_000)])
    again = restore(freeze(meter), now_ms=0, wall_ms=WALL_MS + 9_000, epoch=2)
    assert again.latest.held
    assert again.totals.held_ms == 4_000


def test_a_closed_meter_survives_a_crash_as_it_is() -> None:
    meter = run(flowing(), [*seen(5_000), Closed(5_000, FINISH, Party.PHYSICIAN)])
    again = restore(freeze(meter), now_ms=70, wall_ms=WALL_MS + 9_000, epoch=2)
    assert (again.segments, again.totals, again.estimated) == (meter.segments, meter.totals, False)
    assert again.closed is not None
    assert again.label(again.closed.at_ms) == WALL_MS + 5_000
    assert freeze(again) == freeze(meter) | {"epoch": 2, "as_of_at_ms": WALL_MS + 9_000}


def test_a_checkpoint_of_another_version_is_refused() -> None:
    with pytest.raises(MeterError):
        restore(freeze(flowing()) | {"version": 2}, 0, 0, 2)


def test_a_silent_patient_is_not_billed_from_the_last_packet_on() -> None:
    meter = run(flowing(), [*seen(4_980), FlowSeen(PHYSICIAN, 6_990)])
    assert meter.totals.video_ms == 4_980
    meter = step(meter, FlowStopped(PATIENT, 4_980))
    (lost,) = meter.segments
    assert (lost.end_cause, lost.duration_ms) == (EndCause.MEDIA_LOST_PATIENT, 4_980)
    assert reading(meter).stopped_by is EndCause.MEDIA_LOST_PATIENT
    meter = run(meter, [FlowStarted(PATIENT, 9_000), *seen(11_000)])
    meter = step(meter, Closed(11_000, FINISH, Party.PHYSICIAN))
    assert (meter.totals.video_ms, meter.totals.interrupted_ms) == (6_980, 4_020)


@pytest.mark.parametrize(
    ("after", "cause"),
    [
        (Held(5_100), EndCause.HOLD),
        (Disengaged(5_100, EndCause.PATIENT_HANGUP), EndCause.PATIENT_HANGUP),
        (Held(7_100), EndCause.MEDIA_LOST_PATIENT),
    ],
)
def test_silence_right_before_a_hold_or_an_end_is_its_effect(after: Event, cause: EndCause) -> None:
    """A page that is told to hold stops sending: its patient's media was not lost."""
    meter = run(flowing(), [*seen(5_000), after, FlowStopped(PATIENT, 5_000), Tick(20_000)])
    meter = run(meter, [FlowSeen(PHYSICIAN, 20_000)])
    assert [one.end_cause for one in meter.segments] == [cause]


def test_an_end_after_a_short_silence_is_not_lost_media() -> None:
    ended = step(run(flowing(), seen(5_000)), Closed(5_900, FINISH, Party.PHYSICIAN))
    assert [(one.end_cause, one.duration_ms) for one in ended.segments] == [(FINISH, 5_000)]
    lost = step(run(flowing(), seen(5_000)), Closed(9_000, FINISH, Party.PHYSICIAN))
    assert [one.end_cause for one in lost.segments] == [EndCause.MEDIA_LOST_PATIENT]


def test_a_transfer_cuts_the_segment_and_loses_nothing() -> None:
    meter = run(flowing(), [*seen(4_000), PhysicianChanged("phy_2", 4_000), *seen(9_500)])
    meter = step(meter, Closed(9_500, FINISH, Party.PHYSICIAN))
    assert [(one.physician_id, one.duration_ms, one.end_cause) for one in meter.segments] == [
        ("phy_1", 4_000, EndCause.TRANSFER),
        ("phy_2", 5_500, FINISH),
    ]


def test_a_flow_reported_two_seconds_late_loses_nothing() -> None:
    """The physician's media runs on while the report of the patient's is under way."""
    meter = open_meter(Opened(0, WALL_MS, "phy_1", Mode.VOICE))
    meter = run(meter, [Engaged(0), FlowStarted(PHYSICIAN, 0), FlowSeen(PHYSICIAN, 3_000)])
    meter = run(meter, [FlowStarted(PATIENT, 1_000), *seen(3_000)])
    assert meter.totals.voice_ms == 2_000


def test_late_and_repeated_commands_are_harmless() -> None:
    meter = run(flowing(), [*seen(5_000), Held(5_000), *seen(6_000), Held(5_500), Held(1)])
    meter = run(meter, [Resumed(2), *seen(7_000), Resumed(6_500), Engaged(3)])
    meter = step(meter, Closed(1, FINISH, Party.PHYSICIAN))
    assert meter.totals.video_ms == 6_000
    assert all(one.duration_ms > 0 for one in meter.segments)


@given(
    events=st.lists(
        st.integers(0, 20_000).flatmap(
            lambda at_ms: st.sampled_from(
                [
                    Engaged(at_ms),
                    Disengaged(at_ms, FINISH),
                    Held(at_ms),
                    Resumed(at_ms),
                    ModeChanged(Mode.VOICE, at_ms),
                    ModeChanged(Mode.VIDEO, at_ms),
                    Tick(at_ms),
                    *(FlowStarted(side, at_ms) for side in Side),
                    *(FlowSeen(side, at_ms) for side in Side),
                    *(FlowStopped(side, at_ms) for side in Side),
                    Closed(at_ms, FINISH, Party.PHYSICIAN),
                ]
            )
        ),
        max_size=30,
    )
)
@example(events=[Closed(0, FINISH, Party.PATIENT), Held(0)])
def test_events_in_any_order_never_make_a_negative_time(events: list[Event]) -> None:
    """Whatever a shell gets wrong, no total falls and no segment is negative."""
    meter = open_meter(Opened(0, WALL_MS, "phy_1", Mode.VOICE))
    for event in events:
        before = meter
        try:
            meter = step(meter, event)
        except MeterError:
            continue
        assert meter.cursor_ms >= before.cursor_ms
        for name in before.totals.__slots__:
            assert getattr(meter.totals, name) >= getattr(before.totals, name)
        assert all(one.duration_ms > 0 for one in meter.segments)
        assert meter.segments[: len(before.segments)] == before.segments


@pytest.mark.parametrize(
    "event",
    [FlowStarted(PATIENT, 5), FlowStarted(PHYSICIAN, 5)],
)
def test_a_flow_cannot_start_twice(event: Event) -> None:
    with pytest.raises(MeterError):
        step(flowing(), event)


@pytest.mark.parametrize("event", [FlowSeen(PATIENT, 5), FlowStopped(PHYSICIAN, 5)])
def test_a_flow_that_never_started_is_neither_seen_nor_stopped(event: Event) -> None:
    with pytest.raises(MeterError):
        step(open_meter(Opened(0, WALL_MS, "phy_1", Mode.VOICE)), event)


def test_after_the_end_media_is_ignored_and_commands_are_refused() -> None:
    meter = run(flowing(), [*seen(5_000), Closed(5_000, FINISH, Party.PHYSICIAN)])
    assert run(meter, [*seen(6_000), FlowStopped(PATIENT, 6_000), Tick(9_000)]) == meter
    for event in (Held(6_000), Closed(6_000, FINISH, Party.PATIENT)):
        with pytest.raises(MeterError):
            step(meter, event)


def test_a_reading_says_why_it_stands_still() -> None:
    meter = open_meter(Opened(0, WALL_MS, "phy_1", Mode.VOICE))
    assert reading(meter).stopped_by is None
    meter = run(meter, [Engaged(0), FlowStarted(PATIENT, 0)])
    assert reading(meter).stopped_by is EndCause.MEDIA_LOST_PHYSICIAN
    meter = step(meter, FlowStarted(PHYSICIAN, 10))
    assert reading(meter).running
    meter = step(meter, Held(20))
    assert (reading(meter).running, reading(meter).stopped_by) == (False, EndCause.HOLD)


def test_the_wall_clock_only_labels() -> None:
    late = replace(run(flowing(), seen(5_000)), anchor_wall_ms=0)
    assert late.totals == run(flowing(), seen(5_000)).totals
