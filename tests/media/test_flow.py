"""When a flow starts and stops."""

from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from media.flow import (
    FLOW_TIMEOUT_MS,
    PROBATION_GAP_MS,
    PROBATION_WINDOW_MS,
    PROBATIONS_MS,
    Flow,
)

TICK_MS = 100


class Gate:
    """A flow under packets and ticks, and when it was on though nothing came any more."""

    def __init__(self) -> None:
        self.flow = Flow()
        self.now_ms = 0
        self.free: list[tuple[int, int]] = []

    def wait(self, gap_ms: int) -> None:
        """Let time pass, with the ticks that fall into it."""
        until_ms = self.now_ms + gap_ms
        for at_ms in range(self.now_ms // TICK_MS * TICK_MS + TICK_MS, until_ms + 1, TICK_MS):
            last_ms = self.flow.expire(at_ms)
            if last_ms is not None:
                self.free.append((last_ms, at_ms))
        self.now_ms = until_ms

    def packet(self) -> bool:
        """Whether it is delivered; it counts for the meter only then."""
        was_on, before_ms = self.flow.on, self.flow.last_ms
        started = self.flow.arrived(self.now_ms)
        assert started == (self.flow.on and not was_on)
        assert self.flow.last_ms == (self.now_ms if self.flow.on else before_ms)
        return self.flow.on

    def time_out(self) -> None:
        """One packet that starts the flow, and silence."""
        assert self.packet()
        self.wait(FLOW_TIMEOUT_MS + TICK_MS)
        assert not self.flow.on

    def steady_until_on(self, gap_ms: int) -> int:
        """Send steadily until the flow starts; how long that took."""
        began_ms = self.now_ms
        while not self.packet():
            self.wait(gap_ms)
        return self.now_ms - began_ms


def worst_minute_ms(spans: list[tuple[int, int]]) -> int:
    """The most that any minute holds of the spans: that of one which begins or ends with a span."""
    minute = PROBATION_WINDOW_MS
    starts = [at for begin, end in spans for at in (begin, end - minute)]
    return max(
        (sum(max(0, min(b, at + minute) - max(a, at)) for a, b in spans) for at in starts),
        default=0,
    )


def timeouts_in_a_minute() -> int:
    """How many the rule allows: after each, its probation and two seconds until the next."""
    at_ms = 0
    for number in count(1):
        at_ms += PROBATIONS_MS[min(number, len(PROBATIONS_MS) - 1)] + FLOW_TIMEOUT_MS
        if at_ms > PROBATION_WINDOW_MS:
            return number
    raise AssertionError


def test_a_flow_starts_with_its_first_packet_only() -> None:
    flow = Flow()
    assert flow.arrived(10)
    assert not flow.arrived(30)
    assert (flow.on, flow.last_ms) == (True, 30)


def test_a_flow_that_never_was_does_not_expire() -> None:
    assert Flow().expire(10**9) is None
    assert Flow().stop() is None


@given(
    gaps=st.lists(st.integers(0, FLOW_TIMEOUT_MS - 1), min_size=1),
    start_ms=st.integers(0, 10**12),
    wait_ms=st.integers(0, 10_000),
)
def test_the_stop_counts_from_the_last_packet(gaps: list[int], start_ms: int, wait_ms: int) -> None:
    """The two seconds that it takes to notice are never billed."""
    flow, now_ms = Flow(), start_ms
    for gap in gaps:
        flow.arrived(now_ms)
        assert flow.expire(now_ms + gap) is None
        now_ms += gap
    flow.arrived(now_ms)
    expected = now_ms if wait_ms >= FLOW_TIMEOUT_MS else None
    assert flow.expire(now_ms + wait_ms) == expected
    assert flow.on == (expected is None)
    assert flow.expire(now_ms + wait_ms) is None


def test_leaving_stops_a_flow_at_its_last_packet() -> None:
    flow = Flow()
    flow.arrived(5)
    assert flow.stop() == 5
    assert not flow.on


PULSES = [(FLOW_TIMEOUT_MS + 150, 1)] * 28
CREEPER = [(PROBATION_GAP_MS, 17), (FLOW_TIMEOUT_MS + TICK_MS, 1)] * 8


@given(
    pattern=st.lists(
        st.tuples(
            st.one_of(
                st.integers(1, 10_000),
                st.sampled_from([20, PROBATION_GAP_MS, FLOW_TIMEOUT_MS + TICK_MS]),
            ),
            st.integers(1, 20),
        ),
        max_size=60,
    )
)
@example(pattern=PULSES)
@example(pattern=CREEPER)
def test_no_pattern_of_packets_gets_more_than_a_quarter_of_a_minute_free(
    pattern: list[tuple[int, int]],
) -> None:
    """One packet every 2.15 s had the gate open 56 s of each minute, and paid for nothing."""
    gate = Gate()
    for gap_ms, times in pattern:
        for _ in range(times):
            gate.packet()
            gate.wait(gap_ms)
    gate.wait(FLOW_TIMEOUT_MS + TICK_MS)
    bound_ms = timeouts_in_a_minute() * (FLOW_TIMEOUT_MS + TICK_MS)
    assert worst_minute_ms(gate.free) <= bound_ms <= PROBATION_WINDOW_MS // 4


def test_who_sends_as_little_as_possible_stays_within_the_bound() -> None:
    """Steady packets on probation, none once the flow is on, for a quarter of an hour."""
    gate = Gate()
    while gate.now_ms < 15 * PROBATION_WINDOW_MS:
        gate.steady_until_on(PROBATION_GAP_MS)
        gate.wait(FLOW_TIMEOUT_MS + TICK_MS)
    bound_ms = timeouts_in_a_minute() * (FLOW_TIMEOUT_MS + TICK_MS)
    assert 10_000 < worst_minute_ms(gate.free) <= bound_ms
    assert sum(end - begin for begin, end in gate.free) * 5 < gate.now_ms


def test_two_outages_in_a_minute_cost_nothing_and_each_more_costs_twice_as_much() -> None:
    gate = Gate()
    taken_ms = []
    for _ in range(7):
        taken_ms.append(gate.steady_until_on(20))
        gate.wait(FLOW_TIMEOUT_MS + TICK_MS)
    assert taken_ms == [0, 0, 2_000, 4_000, 8_000, 16_000, 16_000]


def test_timeouts_are_forgotten_after_a_minute() -> None:
    gate = Gate()
    gate.time_out()
    gate.time_out()
    gate.wait(PROBATION_WINDOW_MS)
    gate.time_out()
    gate.time_out()
    assert not gate.packet()


@given(timeouts=st.integers(0, 12))
def test_a_flow_that_bills_nobody_is_on_no_probation(timeouts: int) -> None:
    """A guest whose page was lost three times in a minute was not seen for 2 s, 4 s, 8 s."""
    gate = Gate()
    gate.flow = Flow(is_billed=False)
    for _ in range(timeouts):
        gate.time_out()
    assert gate.packet()


@pytest.mark.parametrize(("gap_ms", "starts"), [(PROBATION_GAP_MS, True), (1_001, False)])
def test_only_steady_packets_end_a_probation(gap_ms: int, starts: bool) -> None:
    gate = Gate()
    gate.time_out()
    gate.time_out()
    for _ in range(10):
        gate.packet()
        gate.wait(gap_ms)
    assert gate.flow.on == starts


@given(
    outages_ms=st.lists(st.integers(1, 30_000), max_size=12),
    gaps_ms=st.lists(st.integers(1, PROBATION_GAP_MS), min_size=1, max_size=20),
)
def test_a_continuous_sender_is_on_at_the_latest_after_the_longest_probation(
    outages_ms: list[int], gaps_ms: list[int]
) -> None:
    """And stays on: only silence takes a flow away."""
    gate = Gate()
    for outage_ms in outages_ms:
        gate.packet()
        gate.wait(outage_ms)
    began_ms = gate.now_ms
    while gate.now_ms < began_ms + 2 * PROBATIONS_MS[-1]:
        for gap_ms in gaps_ms:
            on = gate.packet()
            assert on or gate.now_ms - began_ms < PROBATIONS_MS[-1]
            gate.wait(gap_ms)


@given(leaves=st.integers(1, 20))
def test_leaving_is_no_timeout(leaves: int) -> None:
    gate = Gate()
    for _ in range(leaves):
        assert gate.packet()
        gate.flow.stop()
        gate.wait(100)
    gate.time_out()
    assert gate.packet()
