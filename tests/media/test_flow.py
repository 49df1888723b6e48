"""When a flow starts and stops."""

from hypothesis import given
from hypothesis import strategies as st

from media.flow import FLOW_TIMEOUT_MS, Flow


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
