"""The bad lines: what happens to each, when, and over which time a side is judged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.e2e.chairs import let_pass
from tests.e2e.impairment import CLEAN, Impairment
from tests.e2e.line import Line

STEADY_S = 13.0
AFTER_S = 5.0


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds of the wall clock: judged from `start_s` to `end_s`, recovery counted from
    `event_s`, until `observed_s`."""

    start_s: float
    event_s: float
    end_s: float
    observed_s: float


Strike = Callable[[Line, Callable[[], float]], Awaitable[Stretch]]


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the table.

    Attributes:
        before: The line as the call is set up.
        strike: What happens in the call. It gets the line and the wall clock.
        recovers_from: The moment that "seconds to recover" counts from, in words.
    """

    name: str
    words: str
    strike: Strike
    recovers_from: str
    before: Impairment = CLEAN
    blocked_from_start: bool = False


def _steady(impairment: Impairment) -> Strike:
    async def strike(line: Line, now_s: Callable[[], float]) -> Stretch:
        start_s = now_s()
        await line.become(impairment)
        await let_pass(STEADY_S)
        await line.become()
        end_s = now_s()
        await let_pass(AFTER_S)
        return Stretch(start_s, end_s, end_s, now_s())

    return strike


async def _outage(line: Line, now_s: Callable[[], float]) -> Stretch:
    start_s = now_s()
    await line.become(Impairment(cut=True))
    await let_pass(2.0)
    await line.become()
    event_s = now_s()
    await let_pass(STEADY_S - 2.0)
    return Stretch(start_s, event_s, now_s(), now_s())


async def _move(line: Line, now_s: Callable[[], float]) -> Stretch:
    start_s = now_s()
    line.move()
    await let_pass(STEADY_S + AFTER_S)
    return Stretch(start_s, start_s, now_s(), now_s())


async def _block(line: Line, now_s: Callable[[], float]) -> Stretch:
    start_s = now_s()
    await line.become(Impairment(no_udp=True))
    await let_pass(STEADY_S + AFTER_S)
    return Stretch(start_s, start_s, now_s(), now_s())


async def _wait(_line: Line, now_s: Callable[[], float]) -> Stretch:
    start_s = now_s()
    await let_pass(STEADY_S)
    return Stretch(start_s, start_s, now_s(), now_s())


CONDITIONS = (
    Condition("clean", "nothing", _wait, "-"),
    Condition("loss10", "10 % loss", _steady(Impairment(loss=0.1)), "its end"),
    Condition(
        "loss20",
        "20 % loss, 200 ms more each way",
        _steady(Impairment(loss=0.2, delay_ms=200)),
        "its end",
    ),
    Condition("rate300", "300 kbit/s", _steady(Impairment(rate_kbit_s=300)), "its end"),
    Condition("outage", "nothing passes for 2 s", _outage, "its end"),
    Condition("address", "the patient gets another address", _move, "the change"),
    Condition(
        "no-udp",
        "UDP blocked",
        _wait,
        "the click that calls",
        before=Impairment(no_udp=True),
        blocked_from_start=True,
    ),
    Condition("no-udp-later", "UDP blocked in the call", _block, "the block"),
)
