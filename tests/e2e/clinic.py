"""A clinic for one test: the server, the chairs in front of it, and what must hold at the end."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Playwright

from tests.e2e.bill import charge_fen
from tests.e2e.chairs import Chair, Guest, Patient, Physician, Shown
from tests.e2e.clock import Observed, observe
from tests.e2e.server import Server

log = logging.getLogger(__name__)

BROWSER_ARGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--disable-background-networking",
    "--disable-gpu",  # where there is none, an emulated one costs more than it draws
)


def chromium() -> str:
    """The browser of these tests: `WENZHEN_CHROMIUM`, or the one the machine has.

    Raises:
        RuntimeError: there is none.
    """
    named = os.environ.get("WENZHEN_CHROMIUM")
    for candidate in (named, "/usr/bin/chromium", shutil.which("chromium")):
        if candidate and Path(candidate).exists():
            return candidate
    raise RuntimeError("these tests need Chromium: install it, or name it in WENZHEN_CHROMIUM")


@dataclass(frozen=True, slots=True)
class Browsers:
    """Two browser processes, as on two machines.

    In one process both parties would share one made-up camera, and when a call begins it stood
    still for 2 s in half of the runs.
    """

    patients: Browser
    physicians: Browser


@asynccontextmanager
async def open_browsers(
    playwright: Playwright,
    executable: str | Path | None = None,
    physicians: str | Path | None = None,
    more_args: Sequence[str] = (),
) -> AsyncIterator[Browsers]:
    """Headless, each with a made-up camera and microphone.

    `executable` starts both, or the patients' alone where `physicians` names another.
    """
    async with AsyncExitStack() as stack:
        both: list[Browser] = []
        for program in (executable, physicians or executable):
            both.append(await open_browser(playwright, program, *more_args))
            stack.push_async_callback(both[-1].close)
        yield Browsers(*both)


async def open_browser(
    playwright: Playwright, executable: str | Path | None = None, *more: str
) -> Browser:
    """One browser process, headless, with a made-up camera; close it after use."""
    return await playwright.chromium.launch(
        executable_path=executable or chromium(), headless=True, args=[*BROWSER_ARGS, *more]
    )


@dataclass(frozen=True, slots=True)
class Settled:
    """A finished consult: what the billing system pulled, and what the test saw itself."""

    record: dict[str, Any]
    seen: Observed


class Clinic:
    """One running server and everybody who sits in front of it. Open with `open_clinic`."""

    def __init__(self, server: Server, browsers: Browsers) -> None:
        self.server, self.browsers = server, browsers
        self.patients: list[Patient] = []
        self.physicians: list[Physician] = []
        self.guests: list[Guest] = []

    @property
    def chairs(self) -> list[Chair]:
        """Everybody."""
        return [*self.patients, *self.physicians, *self.guests]

    async def patient(self, **options: Any) -> Patient:
        """A patient's browser; `options` as of `Chair.sit`."""
        name = f"patient-{len(self.patients) + 1}"
        self.patients.append(await Patient.sit(self.browsers.patients, name, **options))
        return self.patients[-1]

    async def physician(self, **options: Any) -> Physician:
        """A physician's browser, signed in; `options` as of `Chair.sit`."""
        name = f"physician-{len(self.physicians) + 1}"
        self.physicians.append(await Physician.sit(self.browsers.physicians, name, **options))
        await self.physicians[-1].sign_in(self.server.demo)
        return self.physicians[-1]

    async def guest(self, browser: Browser, **options: Any) -> Guest:
        """A guest in a browser of their own, with its own camera; `options` as of `Chair.sit`."""
        name = f"guest-{len(self.guests) + 1}"
        self.guests.append(await Guest.sit(browser, name, **options))
        return self.guests[-1]

    async def call(self) -> tuple[Patient, Physician]:
        """A patient and a physician in a video call, both seen and heard."""
        physician, patient = await self.physician(), await self.patient()
        await patient.join(self.server.demo["patient_url"])
        await physician.take()
        for chair in (patient, physician):
            await chair.sees("in-call")
            await chair.gets_video()
            await chair.gets_audio()
        return patient, physician

    async def settled(self, end_cause: str = "physician_finish") -> Settled:
        """Pull the one record, and check it against the independent clock and the tariff.

        Seconds per mode are those the pages received, ± 1; the charge is METERING's rule on the
        record's seconds, which every page that shows a summary shows too.
        """
        record = await self.server.one_record()
        seen = observe([p.samples for p in self.patients], [p.samples for p in self.physicians])
        recorded_ms = sum(segment["duration_ms"] for segment in record["segments"])
        log.info(
            "voice %.2f s, video %.2f s seen; recorded %s, %+d ms in all",
            seen.voice_s,
            seen.video_s,
            record["mode_seconds"],
            recorded_ms - round((seen.voice_s + seen.video_s) * 1000),
        )
        assert seen.agrees_with(record["mode_seconds"]), f"seen {seen}, recorded {record}"
        assert record["end_cause"] == end_cause, record
        assert record["billable_s"] == sum(record["mode_seconds"].values()), record
        assert record["charge_fen"] == self.charge_fen(record), record
        return Settled(record, seen)

    @staticmethod
    def charge_fen(record: dict[str, Any]) -> int:
        """What the record's seconds cost by its tariff."""
        rates = {mode: record["tariff"][f"{mode}_fen_per_min"] for mode in ("voice", "video")}
        return charge_fen(record["mode_seconds"], rates)

    @staticmethod
    def shown(record: dict[str, Any]) -> Shown:
        """What a summary page must show of the record."""
        seconds = record["mode_seconds"]
        return Shown(seconds.get("voice", 0), seconds.get("video", 0), record["charge_fen"])

    def check_pages(self) -> None:
        """No page reported an error that its test did not provoke."""
        faults = {chair.name: found for chair in self.chairs if (found := chair.faults())}
        assert not faults, faults

    async def keep(self, folder: Path) -> None:
        """Save what explains a failure: pictures, samples and the server's log."""
        self._keep_texts(folder)
        for chair in self.chairs:
            await chair.page.screenshot(path=folder / f"{chair.name}.png")

    def _keep_texts(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "server.log").write_text(self.server.log(), "utf-8")
        for chair in self.chairs:
            lines = [*map(repr, chair.samples), *chair.errors]
            (folder / f"{chair.name}.txt").write_text("\n".join(lines), "utf-8")


@asynccontextmanager
async def open_clinic(
    browsers: Browsers, server: Server | None = None, kept: Path | None = None
) -> AsyncIterator[Clinic]:
    """Run a server for the time of the context; then everything must have been clean.

    Page errors, a crash in the server's log and an unclean end fail the test that used it. What
    explains a failure is saved under `kept`.
    """
    server = server or Server()
    clinic = Clinic(server, browsers)
    try:
        await server.start()
        try:
            yield clinic
            clinic.check_pages()
        except BaseException:
            if kept is not None:
                await clinic.keep(kept)
            raise
        finally:
            for chair in clinic.chairs:
                await chair.leave()
        await server.stop()
    finally:
        await server.discard()
