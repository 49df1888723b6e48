"""How often somebody may try: a bucket that never gives more than it says, in bounded memory."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.security import Throttle

TIMES = st.lists(st.floats(0, 100, allow_nan=False), max_size=80).map(sorted)


@given(st.integers(1, 20), st.floats(0.05, 50), TIMES)
def test_nobody_gets_more_than_the_burst_and_the_rate(
    burst: int, per_s: float, times: list[float]
) -> None:
    throttle = Throttle(burst=burst, per_s=per_s)
    allowed = [now for now in times if throttle.wait_s("x", now) == 0.0]
    for start, first in enumerate(allowed):
        for n, last in enumerate(allowed[start:], 1):
            assert n <= burst + (last - first) * per_s + 1e-6


@given(st.integers(1, 20), st.floats(0.05, 50), TIMES)
def test_who_waits_as_long_as_told_is_let_in(burst: int, per_s: float, times: list[float]) -> None:
    throttle = Throttle(burst=burst, per_s=per_s)
    for now in times:
        wait_s = throttle.wait_s("x", now)
        assert 0 <= wait_s <= 1 / per_s + 1e-6
    last = times[-1] if times else 0.0
    wait_s = throttle.wait_s("x", last)
    if wait_s:
        assert throttle.wait_s("x", last + wait_s + 1e-6) == 0.0


def test_one_name_does_not_hold_up_another() -> None:
    throttle = Throttle(burst=1, per_s=0.1)
    assert throttle.wait_s("a", 0) == 0
    assert throttle.wait_s("a", 0) == 10
    assert throttle.wait_s("b", 0) == 0


@given(st.lists(st.integers(0, 50), max_size=200))
def test_memory_is_bounded(names: list[int]) -> None:
    """An attacker has as many names as they like."""
    throttle = Throttle(burst=1, per_s=1, names=8)
    for name in names:
        throttle.wait_s(str(name), 0)
    assert len(throttle._buckets) <= 8


def test_the_busiest_name_is_not_the_one_forgotten() -> None:
    throttle = Throttle(burst=1, per_s=0.001, names=4)
    for other in range(100):
        throttle.wait_s("busy", 0)
        throttle.wait_s(str(other), 0)
    assert throttle.wait_s("busy", 0) > 0
