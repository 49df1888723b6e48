"""The bad line of the other tests does what it says; else their figures would mean nothing."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.e2e.impairment import CLEAN, UDP, Direction, Impairment
from tests.e2e.line import ROOT, SERVER_HOST, Line, open_line
from tests.e2e.network import Network, inside

DATAGRAM = bytes(9) + bytes([UDP]) + bytes(190)
SEGMENT = bytes(9) + bytes([6]) + bytes(190)


def carry(impairment: Impairment, packets: int, gap_s: float = 0.01) -> list[float]:
    """When each of so many packets arrived that got through, in seconds."""
    way = Direction(seed=7)
    way.impairment = impairment
    arrivals: list[float] = []
    for number in range(packets):
        way.take(DATAGRAM, number * gap_s)
    while way.next_s is not None:
        at_s = way.next_s
        arrivals += [at_s] * len(way.arrived(at_s))
    return arrivals


def test_a_clean_line_delivers_at_once() -> None:
    assert carry(CLEAN, 3, gap_s=1.0) == [0.0, 1.0, 2.0]


def test_loss_is_as_said_and_the_same_in_every_run() -> None:
    """Otherwise two systems would be compared on different lines."""
    first = carry(Impairment(loss=0.1), 5000)
    assert len(first) == pytest.approx(4500, abs=100)
    assert first == carry(Impairment(loss=0.1), 5000)


def test_a_rate_spaces_packets_and_drops_what_would_wait_too_long() -> None:
    """200 bytes at 160 kbit/s take 10 ms each: of a burst, 100 ms worth may wait."""
    arrivals = carry(Impairment(rate_kbit_s=160, queue_ms=100), 50, gap_s=0.0)
    assert arrivals == pytest.approx([0.01 * n for n in range(1, 12)])


@given(
    st.lists(st.floats(0, 0.1), min_size=1, max_size=50),
    st.floats(0, 300),
    st.floats(0, 100),
    st.sampled_from([0.0, 50.0, 2000.0]),
)
def test_packets_never_overtake_each_other(
    gaps_s: list[float], delay_ms: float, jitter_ms: float, rate: float
) -> None:
    """A reordering line would measure something else: whatever the changes in between."""
    way = Direction(seed=3)
    now_s = 0.0
    sent: list[bytes] = []
    for number, gap_s in enumerate(gaps_s):
        now_s += gap_s
        odd = number % 2 == 1
        way.impairment = CLEAN if odd else Impairment(0, delay_ms, jitter_ms, rate, 1e9)
        sent.append(number.to_bytes(2, "big"))
        way.take(sent[-1], now_s)
    assert way.arrived(now_s + 1e6) == sent


def test_a_cut_stops_all_and_no_udp_only_datagrams() -> None:
    way = Direction(seed=1)
    for impairment in (Impairment(cut=True), Impairment(no_udp=True)):
        way.impairment = impairment
        way.take(DATAGRAM, 0.0)
        way.take(SEGMENT, 0.0)
    assert way.arrived(0.0) == [SEGMENT]
    assert (way.passed, way.dropped) == (1, 3)


# --- the real thing: namespaces, devices, the process ---------------------------------------------


@asynccontextmanager
async def echoing(line: Line) -> AsyncIterator[None]:
    """Somebody on the server's side who sends everything back."""
    argv = line.server.command(sys.executable, "-m", "tests.e2e.echo", "serve", SERVER_HOST)
    process = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        await process.stdout.readline()
        yield
    finally:
        process.kill()
        await process.wait()


async def trips_ms(network: Network, count: int = 300, size: int = 200) -> list[float]:
    """Round trips of the datagrams that came back."""
    argv = ("-m", "tests.e2e.echo", "ask", SERVER_HOST, str(count), str(size))
    process = await asyncio.create_subprocess_exec(
        *network.command(sys.executable, *argv), stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    out, _ = await process.communicate()
    found: list[float] = json.loads(out)
    return found


@pytest.mark.e2e
async def test_datagrams_cross_the_line_as_the_test_says() -> None:
    """Both directions: loss counts twice, delay counts twice, and a clean line adds little."""
    async with open_line() as line, echoing(line):
        clean = await trips_ms(line.client)
        assert len(clean) == 300
        assert median(clean) < 2.0, "under 1 ms each way"

        await line.become(Impairment(loss=0.1, delay_ms=50))
        bad = await trips_ms(line.client)
        assert len(bad) == pytest.approx(300 * 0.81, abs=30)
        assert min(bad) >= 100
        assert median(bad) < 105

        await line.become(Impairment(no_udp=True))
        assert await trips_ms(line.client, 10) == []


@pytest.mark.e2e
async def test_the_client_gets_another_address_and_still_reaches_the_server() -> None:
    async with open_line() as line, echoing(line):
        before = line.client_host
        line.move()
        shown = inside(line.client, "ip", "-brief", "address")
        assert line.client_host in shown
        assert before not in shown
        assert len(await trips_ms(line.client, 10)) == 10
