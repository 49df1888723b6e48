"""Periodic work on many things leaves packets their turn."""

import asyncio
import time

import pytest

from media.spread import AT_ONCE, spread


@pytest.mark.parametrize("count", [0, 1, AT_ONCE, 5 * AT_ONCE + 1, 1_000])
async def test_each_comes_once_in_order_within_the_period(count: int) -> None:
    seen: list[int] = []
    started = time.monotonic()
    await spread(range(count), seen.append, 0.05)
    assert seen == list(range(count))
    assert time.monotonic() - started >= 0.049


async def test_other_work_gets_its_turn_between_a_few() -> None:
    """A burst of work on all calls would be the latency of all calls."""
    turns: list[int] = []
    seen: list[int] = []
    busy = asyncio.create_task(spread(range(20 * AT_ONCE), seen.append, 0.1))
    while not busy.done():
        before = len(seen)
        await asyncio.sleep(0)
        turns.append(len(seen) - before)
    assert max(turns) <= AT_ONCE
