"""A packet waits little, and a look finds several."""

import asyncio
import time

from hypothesis import given
from hypothesis import strategies as st

from media.pace import (
    EVENTS_BELOW_PER_S,
    LONGEST_US,
    PACED_FROM_PER_S,
    SHORTEST_US,
    WINDOW_MS,
    IntervalTimer,
    Pace,
)


def told(per_s: int, windows: int = 3, pace: Pace | None = None, now_ms: int = 0) -> Pace:
    """A pace that saw packets come evenly, counted each millisecond."""
    pace, came = pace or Pace(), 0
    for ms in range(1, windows * WINDOW_MS + 1):
        due = per_s * ms // 1_000
        pace.count(due - came, now_ms + ms)
        came = due
    return pace


@given(per_s=st.integers(0, 200_000))
def test_no_packet_waits_longer_than_the_longest_interval(per_s: int) -> None:
    """Little traffic is looked at when it comes: waiting would save nothing."""
    interval_us = told(per_s).interval_us
    assert interval_us == 0 or SHORTEST_US <= interval_us <= LONGEST_US
    if per_s < EVENTS_BELOW_PER_S:
        assert interval_us == 0
    if per_s > PACED_FROM_PER_S * 1.1:
        assert interval_us > 0
        assert per_s * interval_us / 1_000_000 > 1, "a look finds less than it costs"


@given(rates=st.lists(st.integers(0, 100_000), min_size=2, max_size=6))
def test_the_last_rate_decides_but_for_the_step_between_the_two_limits(rates: list[int]) -> None:
    """A rate at the limit must not switch to and fro: each switch costs system calls."""
    pace = Pace()
    for number, per_s in enumerate(rates):
        told(per_s, 4, pace, number * 4 * WINDOW_MS)
    last = rates[-1]
    if not EVENTS_BELOW_PER_S - 50 <= last <= PACED_FROM_PER_S + 50:
        assert pace.interval_us == told(last, 4).interval_us


def test_silence_ends_the_pace() -> None:
    pace = told(50_000)
    assert pace.interval_us
    assert pace.count(0, 1_000)
    assert pace.interval_us == 0


async def test_the_timer_fires_at_its_interval_until_it_is_stopped() -> None:
    timer, loop = IntervalTimer(), asyncio.get_running_loop()
    fired, enough = list[float](), asyncio.Event()

    def look() -> None:
        timer.fired()
        fired.append(time.monotonic())
        if len(fired) == 20:
            enough.set()

    loop.add_reader(timer.fd, look)
    started = time.monotonic()
    timer.start(400)
    async with asyncio.timeout(10):
        await enough.wait()
    assert fired[0] - started >= 0.0004
    timer.start(0)
    timer.fired()
    count = len(fired)
    await asyncio.sleep(0)
    assert len(fired) == count
    loop.remove_reader(timer.fd)
    timer.close()
