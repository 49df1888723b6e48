"""One call on a bad line, over this server or over Janus: the same browsers, line and measuring."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import psutil
from playwright.async_api import Playwright

from benchmarks.lines.conditions import Condition, Stretch
from benchmarks.lines.janus import run_janus
from tests.e2e.chairs import Chair, let_pass
from tests.e2e.clinic import open_clinic
from tests.e2e.clock import observe
from tests.e2e.far import bad_line
from tests.e2e.line import SERVER_HOST, Line
from tests.e2e.network import free_port
from tests.e2e.quality import Quality, quality, recovery_s
from tests.e2e.server import Server

CONNECT_WITHIN_S = 30.0
SETTLE_S = 4.0
"""From the first pictures until something happens: browsers go up to their bitrate meanwhile."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one person got. `recovered_s` is None if picture and sound did not come back."""

    quality: Quality
    recovered_s: float | None
    protocol: str
    connections: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of one call on one line.

    Attributes:
        lost_pct: Packets that the line dropped, of all that it was given in the call's time.
        idle_pct: Of the machine's cores meanwhile: without any, it was the machine that was bad.
        seen_s: Seconds that both sides were served, by the independent clock.
        metered_s: Seconds of the record; None where nobody keeps one.
    """

    patient: Side
    physician: Side
    seen_s: float
    metered_s: float | None
    lost_pct: float
    idle_pct: float


async def over_wenzhen(driver: Playwright, condition: Condition) -> Outcome:
    """A consult, through the product's own pages."""
    port = free_port()
    async with bad_line(driver, port) as (line, browsers):
        server = Server(network=line.server, host=SERVER_HOST, port=port)
        async with open_clinic(browsers, server) as clinic:
            physician, patient = await clinic.physician(), await clinic.patient()
            for chair in (physician, patient):
                chair.tolerate(".")  # a page may well complain of such a line
            await line.become(condition.before)
            await patient.join(server.demo["patient_url"])
            called_s = time.time()
            await physician.take()
            chairs = (patient, physician)
            stretch, idle_pct = await _endure(line, condition, chairs, called_s)
            sides = [_judge(chair, stretch) for chair in chairs]
            lost_pct = await _share_dropped(line)
            await physician.finish()
            record = await server.one_record()
        metered_s = sum(segment["duration_ms"] for segment in record["segments"]) / 1000
        return Outcome(*sides, _seen_s(chairs), metered_s, lost_pct, idle_pct)


async def over_janus(driver: Playwright, condition: Condition) -> Outcome:
    """A call over the videocall plugin, through a plain page (see `janus_page/page.js`)."""
    async with (
        bad_line(driver, 8090) as (line, browsers),
        run_janus(line.server, SERVER_HOST) as address,
    ):
        patient = await Chair.sit(browsers.patients, "patient")
        physician = await Chair.sit(browsers.physicians, "physician")
        await line.become(condition.before)
        for chair in (patient, physician):
            await chair.page.goto(f"{address}#{chair.name}")
            await chair.sees("ready")
        called_s = time.time()
        await physician.press("call")
        chairs = (patient, physician)
        stretch, idle_pct = await _endure(line, condition, chairs, called_s)
        sides = [_judge(chair, stretch) for chair in chairs]
        return Outcome(*sides, _seen_s(chairs), None, await _share_dropped(line), idle_pct)


SYSTEMS: Final[dict[str, Callable[[Playwright, Condition], Awaitable[Outcome]]]] = {
    "wenzhen": over_wenzhen,
    "janus": over_janus,
}


async def _endure(
    line: Line, condition: Condition, chairs: tuple[Chair, Chair], called_s: float
) -> tuple[Stretch, float]:
    """Wait until both are in the call, and let the condition strike; also `Outcome.idle_pct`."""
    for chair in chairs:
        await chair.gets_video(CONNECT_WITHIN_S)
        await chair.gets_audio(CONNECT_WITHIN_S)
    if not condition.blocked_from_start:
        await let_pass(SETTLE_S)
    psutil.cpu_times_percent(None)  # from here on
    found = await condition.strike(line, time.time)
    idle_pct: float = psutil.cpu_times_percent(None).idle
    if condition.blocked_from_start:
        found = Stretch(found.start_s, called_s, found.end_s, found.observed_s)
    return found, idle_pct


async def _share_dropped(line: Line) -> float:
    passed, dropped = await line.become()
    return 100 * dropped / max(1, passed + dropped)


def _judge(chair: Chair, stretch: Stretch) -> Side:
    return Side(
        quality(chair.samples, stretch.start_s, stretch.end_s),
        recovery_s(chair.samples, stretch.event_s, stretch.observed_s),
        chair.now.protocol,
        chair.now.connections,
    )


def _seen_s(chairs: tuple[Chair, Chair]) -> float:
    seen = observe([chairs[0].samples], [chairs[1].samples])
    return seen.voice_s + seen.video_s
