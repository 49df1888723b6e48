"""The two people of a consult. They act through their pages alone, as a person would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from playwright.async_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    expect,
)

from tests.e2e.clock import Sample

BYSTANDER = Path(__file__).with_name("bystander.js").read_text("utf-8")
WITHIN_S = 15.0
NOT_SIGNED_IN = r"401 .*/api/v1/session$"
"""A console that asks who is signed in gets 401 when nobody is, and Chromium notes each 401."""
CONNECTION_LOST = r"ERR_CONNECTION_REFUSED|WebSocket connection to .* failed|ERR_CONNECTION_RESET"


@dataclass(frozen=True, slots=True)
class Shown:
    """The figures of a summary as the page shows them."""

    voice_s: int
    video_s: int
    charge_fen: int


class Chair:
    """One page of one person, with a camera and a microphone that Chromium makes up."""

    def __init__(self, name: str, context: BrowserContext, page: Page) -> None:
        self.name, self.context, self.page = name, context, page
        self.samples: list[Sample] = []
        self.errors: list[str] = []
        self._tolerated: list[str] = []
        self._sampled = asyncio.Event()

    @classmethod
    async def sit(
        cls, browser: Browser, name: str, *, watched: bool = True, **options: Any
    ) -> Self:
        """A new browser profile with one empty page; `options` as of Playwright's new_context.

        `watched`: let the bystander sample what arrives, which a benchmark does without.
        """
        context = await browser.new_context(**{"locale": "en-US", **options})
        context.set_default_timeout(WITHIN_S * 1000)
        chair = cls(name, context, await context.new_page())
        if watched:
            await context.expose_binding("bystanderReport", chair._report)
            await context.add_init_script(BYSTANDER)
        chair.page.on("console", chair._console)
        chair.page.on("pageerror", chair._page_error)
        return chair

    async def leave(self) -> None:
        """Close the profile and all its pages."""
        await self.context.close()

    # --- what the page and the browser report ----------------------------------------------------

    def _report(self, _source: Any, report: dict[str, Any]) -> None:
        self.samples.append(Sample.of(report))
        self._sampled.set()

    def _console(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.errors.append(f"{message.text} {message.location.get('url', '')}")

    def _page_error(self, error: Error) -> None:
        self.errors.append(f"uncaught: {error.message}\n{error.stack}")

    def tolerate(self, pattern: str) -> None:
        """Errors that match are what this test provokes, not faults."""
        self._tolerated.append(pattern)

    def faults(self) -> list[str]:
        """Errors of the page that nothing in the test explains."""
        known = [re.compile(pattern) for pattern in self._tolerated]
        return [error for error in self.errors if not any(p.search(error) for p in known)]

    # --- looking and touching --------------------------------------------------------------------

    def find(self, test_id: str) -> Locator:
        """The element, visible or not."""
        return self.page.get_by_test_id(test_id)

    async def press(self, test_id: str) -> None:
        """Click it as soon as it can be clicked."""
        await self.find(test_id).click()

    async def sees(self, test_id: str, within_s: float = WITHIN_S) -> Locator:
        """Wait until it is on the page."""
        found = self.find(test_id)
        await expect(found).to_be_visible(timeout=within_s * 1000)
        return found

    async def sees_no(self, test_id: str, within_s: float = WITHIN_S) -> None:
        """Wait until it is not on the page any more."""
        await expect(self.find(test_id)).to_be_hidden(timeout=within_s * 1000)

    async def elapsed_s(self) -> int:
        """The time shown in the call."""
        minutes, seconds = (await self.find("elapsed").inner_text()).split(":")
        return int(minutes) * 60 + int(seconds)

    async def cost_fen(self) -> int:
        """The cost shown in the call."""
        digits = re.sub(r"[^0-9.]", "", await self.find("cost").inner_text())
        yuan, _, fen = digits.partition(".")
        return int(yuan) * 100 + int(fen.ljust(2, "0") or 0)

    async def reload(self) -> None:
        """Load the page again, as with F5."""
        await self.page.reload()

    async def touch(self) -> None:
        """Touch the page anywhere: a browser lets no page sound before that."""
        await self.page.mouse.click(5, 5)

    # --- what arrives -----------------------------------------------------------------------------

    @property
    def now(self) -> Sample:
        """The newest sample."""
        return self.samples[-1]

    async def until(
        self, wanted: Callable[[Sample], bool], what: str, within_s: float = WITHIN_S
    ) -> Sample:
        """Wait for a sample that satisfies `wanted`, from the newest on."""
        try:
            async with asyncio.timeout(within_s):
                while not (self.samples and wanted(self.samples[-1])):
                    self._sampled.clear()
                    await self._sampled.wait()
        except TimeoutError:
            last = self.samples[-1] if self.samples else None
            raise AssertionError(f"{self.name}: no {what} within {within_s} s; {last}") from None
        return self.samples[-1]

    async def bytes_per_audio_packet(self) -> list[float]:
        """The mean payload of audio packets, sent and received."""
        return list(await self.page.evaluate("bystander.bytesPerAudioPacket()"))

    async def gets_video(self, within_s: float = WITHIN_S) -> Sample:
        """Wait until ten more frames of the other party are decoded."""
        start = self._counted()
        return await self.until(
            lambda s: self._grew(s, start, "frames", 10), "video", within_s=within_s
        )

    async def gets_audio(self, within_s: float = WITHIN_S) -> Sample:
        """Wait until the other party is heard: packets come, and they are no silence."""
        start = self._counted()
        return await self.until(
            lambda s: (
                self._grew(s, start, "audio_packets", 10)
                and self._grew(s, start, "audio_energy", 0)
            ),
            "sound",
            within_s=within_s,
        )

    def _counted(self) -> Sample | None:
        return self.samples[-1] if self.samples else None

    @staticmethod
    def _grew(sample: Sample, start: Sample | None, name: str, by: float) -> bool:
        base = getattr(start, name) if start and start.load == sample.load else 0
        grown: float = getattr(sample, name) - base
        return grown > by

    async def silence(self) -> None:
        """Send nothing any more."""
        await self.page.evaluate("() => window.bystander.silence()")

    async def speak(self) -> None:
        """Send again what `silence` took away."""
        await self.page.evaluate("() => window.bystander.speak()")

    async def restart_ice(self) -> None:
        """An ICE restart, as after a change of network; returns when the new names are in use."""
        before = self.now.ufrag
        await self.page.evaluate("() => void window.wenzhen.restartIce()")
        await self.until(lambda s: s.ufrag not in ("", before), "new ICE credentials")


class Patient(Chair):
    """Who came by a link."""

    async def arrive(self, link: str) -> None:
        """Open the link."""
        await self.page.goto(link)

    async def join(self, link: str) -> None:
        """Open the link, agree to the price and wait to be called."""
        await self.arrive(link)
        await self.find("agree").check()
        await self.press("join")
        await self.sees("waiting")

    async def accept_video(self) -> None:
        await self.press("accept-video")

    async def to_voice(self) -> None:
        await self.press("to-voice")

    async def hang_up(self) -> None:
        await self.press("hang-up")
        await self.sees("summary")

    async def rejoin(self) -> None:
        await self.press("rejoin")

    async def summary(self) -> Shown:
        """The final summary, once it is on the page."""
        found = await self.sees("summary")
        await expect(found).to_have_attribute("data-final", "true")
        figures = {
            name: int(await found.get_attribute(f"data-{name.replace('_', '-')}") or -1)
            for name in ("voice_s", "video_s", "charge_fen")
        }
        return Shown(**figures)


class Physician(Chair):
    """Who treats."""

    async def sign_in(self, demo: dict[str, str]) -> None:
        """Open the console and sign in."""
        self.tolerate(NOT_SIGNED_IN)
        await self.page.goto(demo["console_url"])
        await self.find("username").fill(demo["username"])
        await self.find("password").fill(demo["password"])
        await self.press("sign-in")
        await self.sees_no("password")

    async def take(self) -> None:
        """Take the first patient of the queue."""
        await self.find("queue-item").first.get_by_test_id("take").click()

    async def hold(self) -> None:
        await self.press("hold")
        await self.sees("resume")

    async def resume(self) -> None:
        await self.press("resume")
        await self.sees_no("resume")

    async def to_voice(self) -> None:
        await self.press("to-voice")

    async def to_video(self) -> None:
        await self.press("to-video")

    async def invite(self, name: str, role: str = "family") -> str:
        """Invite a guest; the link that they are to be sent."""
        await self.press("guests")
        former = await self.find("guest-link").input_value()
        await self.find("guest-name").fill(name)
        await self.find("guest-role").select_option(role)
        await self.press("invite")
        shown = await self.sees("guest-link")
        await expect(shown).not_to_have_value(former)
        link = await shown.input_value()
        await self.press("guests-close")
        return link

    async def finish(self) -> None:
        """Finish the consult, confirming where asked."""
        await self.press("finish")
        await self.press("finish-confirm")
        await self.sees_no("in-call")


class Guest(Chair):
    """Whom the physician invited."""

    async def join(self, link: str) -> None:
        """Open the invitation, look who sent it, and join."""
        await self.page.goto(link)
        await self.sees("invited-by")
        await self.press("join")

    async def leave_call(self) -> None:
        await self.press("hang-up")
        await self.sees("invited-by")


async def let_pass(seconds: float) -> None:
    """Let people talk, or be silent: the one place where tests wait for time itself."""
    try:
        await asyncio.wait_for(asyncio.Event().wait(), seconds)
    except TimeoutError:
        return
