"""Six Chromium participants in one room, guests leaving and joining at random.

``python -m tests.e2e.six [--seconds 60] [--seed 1] [--camera 320x240@10] [--pictures FOLDER]``
prints a table and one JSON object on its last line. It takes six browser processes: no part of the
suite. Each page is looked at every 250 ms (`sampler.js`): for each tile, whether its picture moves
and whether it is black; "left" counts those that stayed so for more than 5 s. A join is timed from
the click until everybody else is seen moving and heard; one way of leaving is the button, the other
a page that is closed without a word: then it is timed until nobody shows that tile as live.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Error, async_playwright

from tests.e2e.chairs import CONNECTION_LOST, Chair, Guest, let_pass
from tests.e2e.clinic import Browsers, Clinic, open_browser, open_clinic
from tests.e2e.server import ROOT

SAMPLER = Path(__file__).with_name("sampler.js").read_text("utf-8")
CAMERA = "320x240@10"
"""So that two cores can encode six pictures and decode thirty; and voice is taken as it comes."""
SMALL_CAMERA = """
const devices = navigator.mediaDevices; // an empty page has none
const open = devices?.getUserMedia.bind(devices);
const small = { width: WIDTH, height: HEIGHT, frameRate: RATE };
const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
if (open)
  devices.getUserMedia = (wanted) =>
    open({ video: wanted.video && small, audio: wanted.audio && plain });
MediaStreamTrack.prototype.applyConstraints = async () => {}; // as small as it is
"""
VIEW = {"viewport": {"width": 800, "height": 600}}
ROLES = ("specialist", "family", "interpreter", "nurse")
SEEN_WITHIN_MS = 15_000
PATIENCE_MS = 60_000
"""Six browsers may share two cores."""
GONE_WITHIN_MS = 10_000
LOOKS = ((390, 844), (1280, 800))
EVENT_S = (2.0, 4.0)
"""Between two comings and goings."""
END_S = 4.0
KEPT = ROOT / "test-results" / "six"
"""What explains a failure."""


@dataclass
class Room:
    """Who is where."""

    clinic: Clinic
    chance: random.Random
    links: dict[str, str] = field(default_factory=dict)
    captions: dict[str, str] = field(default_factory=dict)
    here: list[Chair] = field(default_factory=list)
    joins_ms: list[tuple[str, float | None]] = field(default_factory=list)
    leaves: int = 0
    vanished_ms: list[float | None] = field(default_factory=list)
    figures: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def sampled(self, chair: Chair) -> None:
        """Begin to look at this page."""
        chair.context.set_default_timeout(PATIENCE_MS)
        await chair.page.evaluate(SAMPLER)
        await chair.page.evaluate("() => window.sampler.start()")

    async def join(self, guest: Guest) -> None:
        """In by the button; time until everybody is seen and heard."""
        if guest.page.url == "about:blank":
            await guest.page.goto(self.links[guest.name])
            await guest.sees("invited-by", PATIENCE_MS / 1000)
            await self.sampled(guest)
        await guest.page.wait_for_function(READY)
        for chair in self.here:
            await chair.page.evaluate(BACK, [self.captions[guest.name]])
        await guest.page.evaluate(BACK, list(self.captions.values()))  # it may have missed some
        others = len(self.here)
        script = f"""() => {{
          document.querySelector('[data-testid="join"]').click();
          return window.sampler.everybody({others}, {SEEN_WITHIN_MS});
        }}"""
        self.joins_ms.append((guest.name, await guest.page.evaluate(script)))
        self.here.append(guest)

    async def leave(self, guest: Guest) -> None:
        """Out: by the button, or the page is closed without a word."""
        self.here.remove(guest)
        self.leaves += 1
        if self.chance.random() < 0.5:
            await guest.leave_call()
        else:
            await self.keep(guest)
            await guest.page.goto("about:blank")
            script = "([name, withinMs]) => window.sampler.gone(name, withinMs)"
            asked = (
                c.page.evaluate(script, [self.captions[guest.name], GONE_WITHIN_MS])
                for c in self.here
            )
            found = await asyncio.gather(*asked)
            self.vanished_ms.append(None if None in found else max(found))

    async def keep(self, chair: Chair) -> None:
        """Add what this load of the page has seen to the chair's figures."""
        try:
            seen: dict[str, Any] = await chair.page.evaluate("() => window.sampler.result")
        except Error:
            return  # an empty page has seen nothing
        known = self.figures.setdefault(chair.name, dict.fromkeys(("samples", "tileSamples"), 0))
        for name in ("samples", "tileSamples", "frozen", "black", "left"):
            known[name] = known.get(name, 0) + seen[name]
        known.setdefault("spells", []).extend(seen["spells"])
        if seen["longestFreezeMs"] >= known.get("longestFreezeMs", 0):
            known |= {"longestFreezeMs": seen["longestFreezeMs"], "worst": seen["worst"]}

    async def at_the_end(self, chair: Chair) -> None:
        """Every tile must show a picture that moves."""
        script = f"() => window.sampler.everybody({len(self.here) - 1}, {SEEN_WITHIN_MS})"
        all_move_ms = await chair.page.evaluate(script)
        self.figures[chair.name]["moving_at_the_end"] = all_move_ms is not None


BACK = "(names) => names.forEach(window.sampler.back)"
READY = """() => {
  const join = document.querySelector('[data-testid="join"]');
  return join !== null && !join.disabled && join.checkVisibility();
}"""


def camera_script(camera: str) -> str:
    """`camera`: as "320x240@10"."""
    size, rate = camera.split("@")
    width, height = size.split("x")
    script = SMALL_CAMERA.replace("WIDTH", width).replace("HEIGHT", height)
    return script.replace("RATE", rate)


async def gather(room: Room, browsers: list[Browser], camera: str) -> list[Guest]:
    """A patient and a physician in a call, and four guests at their doors."""
    script = camera_script(camera)
    clinic = room.clinic
    physician = await clinic.physician(watched=False, **VIEW)
    patient = await clinic.patient(watched=False, **VIEW)
    for chair in (physician, patient):
        await chair.context.add_init_script(script)
    await physician.reload()
    await patient.join(clinic.server.demo["patient_url"])
    await physician.take()
    for chair in (patient, physician):
        await chair.sees("in-call")
        await room.sampled(chair)
        room.here.append(chair)
    guests = []
    for role, browser in zip(ROLES, browsers, strict=True):
        guest = await clinic.guest(browser, watched=False, **VIEW)
        guest.tolerate(CONNECTION_LOST)
        await guest.context.add_init_script(script)
        room.captions[guest.name] = f"Guest {role}"
        room.links[guest.name] = await physician.invite(f"Guest {role}", role)
        guests.append(guest)
    return guests


async def shoot(room: Room, folder: Path | None) -> None:
    """Pictures of what a patient, a physician and a guest see, on a phone and on a desk."""
    if folder is None:
        return
    for width, height in LOOKS:
        for chair in room.here[:3]:
            await chair.page.set_viewport_size({"width": width, "height": height})
            name = f"{len(room.here)}-{chair.name.replace(' ', '-')}-{width}x{height}.png"
            await chair.page.screenshot(path=folder / name)
            await chair.page.set_viewport_size(VIEW["viewport"])


async def play(
    seconds: float, seed: int, camera: str = CAMERA, pictures: Path | None = None
) -> dict[str, Any]:
    """The whole run; prints its figures."""
    async with AsyncExitStack() as stack:
        playwright = await stack.enter_async_context(async_playwright())
        fps = camera.partition("@")[2]
        arguments = (f"--use-fake-device-for-media-stream=fps={fps}", "--mute-audio")
        browsers = []
        for _ in range(2 + len(ROLES)):
            browsers.append(await open_browser(playwright, None, *arguments))
            stack.push_async_callback(browsers[-1].close)
        clinic = await stack.enter_async_context(open_clinic(Browsers(*browsers[:2]), kept=KEPT))
        room = Room(clinic, random.Random(seed))
        guests = await gather(room, browsers[2:], camera)
        for guest in guests:
            await room.join(guest)
            if guest is guests[0]:
                await shoot(room, pictures)
        first_joins, room.joins_ms = room.joins_ms, []
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await let_pass(room.chance.uniform(*EVENT_S))
            guest = room.chance.choice(guests)
            await (room.leave(guest) if guest in room.here else room.join(guest))
        for guest in guests:
            if guest not in room.here:
                await room.join(guest)
        await let_pass(END_S)
        for chair in list(room.here):
            await room.keep(chair)
            await room.at_the_end(chair)
        await shoot(room, pictures)
        result = {"camera": camera} | figures(room, first_joins, seconds, seed)
        print(table(result), json.dumps(result), sep="\n")  # noqa: T201  # whatever the end brings
        await clinic.physicians[0].finish()
        return result


def figures(
    room: Room, first: list[tuple[str, float | None]], seconds: float, seed: int
) -> dict[str, Any]:
    """As the last line has them."""

    def rounded(joins: list[tuple[str, float | None]]) -> list[int | None]:
        return whole([ms for _, ms in joins])

    def whole(times_ms: list[float | None]) -> list[int | None]:
        return [None if ms is None else round(ms) for ms in times_ms]

    return {
        "seconds": seconds,
        "seed": seed,
        "leaves": room.leaves,
        "first_joins_ms": rounded(first),
        "late_joins_ms": rounded(room.joins_ms),
        "vanished_ms": whole(room.vanished_ms),
        "pages": {
            name: {
                "longest_freeze_ms": round(found.get("longestFreezeMs", 0)),
                "worst_tile": found.get("worst", ""),
                "looks_at_tiles": found["tileSamples"],
                "frozen_over_2_s": found.get("frozen", 0),
                "black": found.get("black", 0),
                "left_over_5_s": found.get("left", 0),
                "left_with": found.get("spells", []),
                "moving_at_the_end": found.get("moving_at_the_end", False),
            }
            for name, found in sorted(room.figures.items())
        },
        "load": round(os.getloadavg()[0], 1),
    }


def table(result: dict[str, Any]) -> str:
    """For people."""
    lines = [f"{'page':14}{'looks':>8}{'freeze ms':>11}{'> 2 s':>7}{'black':>7}{'left':>6}  end"]
    for name, page in result["pages"].items():
        end = "all move" if page["moving_at_the_end"] else "NOT ALL MOVE"
        lines.append(
            f"{name:14}{page['looks_at_tiles']:>8}{page['longest_freeze_ms']:>11}"
            f"{page['frozen_over_2_s']:>7}{page['black']:>7}{page['left_over_5_s']:>6}  {end}"
        )
    lines.append(f"left {result['leaves']} times; joined, ms until everybody was seen and heard:")
    lines.append(f"  one by one {result['first_joins_ms']}")
    lines.append(f"  later      {result['late_joins_ms']}")
    lines.append(
        f"closed without a word, ms until nobody showed it as live: {result['vanished_ms']}"
    )
    return "\n".join(lines)


def main() -> int:
    """0 when nobody was left with a frozen or black tile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--camera", default=CAMERA)
    parser.add_argument("--pictures", type=Path)
    asked = parser.parse_args()
    if asked.pictures is not None:
        asked.pictures.mkdir(parents=True, exist_ok=True)
    result = asyncio.run(play(asked.seconds, asked.seed, asked.camera, asked.pictures))
    pages = result["pages"].values()
    return 0 if all(p["moving_at_the_end"] and not p["left_over_5_s"] for p in pages) else 1


if __name__ == "__main__":
    sys.exit(main())
