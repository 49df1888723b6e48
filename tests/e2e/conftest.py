"""One browser process for all tests with pages; a server and fresh profiles for each."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from tests.e2e.clinic import Clinic, open_browser, open_clinic
from tests.e2e.server import ROOT, Server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Playwright's driver."""
    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[Browser]:
    """The browser process of the session."""
    browser = await open_browser(playwright)
    yield browser
    await browser.close()


class OpenClinic:
    """Opens clinics whose evidence, should the test fail, is kept under the test's name."""

    def __init__(self, browser: Browser, kept: Path) -> None:
        self._browser, self._kept = browser, kept

    def __call__(
        self, server: Server | None = None, browser: Browser | None = None
    ) -> AbstractAsyncContextManager[Clinic]:
        """See `open_clinic`."""
        return open_clinic(browser or self._browser, server, self._kept)


@pytest.fixture
def clinics(browser: Browser, request: pytest.FixtureRequest) -> OpenClinic:
    """Use as ``async with clinics() as clinic``."""
    name = re.sub(r"[^\w.-]+", "-", request.node.name)
    return OpenClinic(browser, ROOT / "test-results" / name)
