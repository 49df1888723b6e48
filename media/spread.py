"""Periodic work on many things, spread over the period: all at once would make packets wait."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")

AT_ONCE: Final = 4
SHORTEST_S: Final = 0.005


async def spread(
    items: Sequence[T], act: Callable[[T], None], period_s: float, at_once: int = AT_ONCE
) -> None:
    """Act on each item once, in order, and return when the period is over.

    Up to `at_once` items are acted on together, at the end of the period; of more, so many each
    time, but not sooner than `SHORTEST_S` after the last. Who cancels it does not know how far
    it came. `act` must not raise.
    """
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    pieces = max(1, min(len(items) // at_once, round(period_s / SHORTEST_S)))
    for piece in range(pieces):
        await asyncio.sleep(start_s + period_s * (piece + 1) / pieces - loop.time())
        for item in items[len(items) * piece // pieces : len(items) * (piece + 1) // pieces]:
            act(item)
