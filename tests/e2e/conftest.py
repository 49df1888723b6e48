"""Two browser processes for all tests with pages; a server and fresh profiles for each."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Playwright, async_playwright

from tests.e2e.clinic import Browsers, Clinic, open_browsers, open_clinic
from tests.e2e.server import ROOT, Server


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """Playwright's driver."""
    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browsers(playwright: Playwright) -> AsyncIterator[Browsers]:
    """The browsers of the session."""
    async with open_browsers(playwright) as browsers:
        yield browsers


class OpenClinic:
    """Opens clinics whose evidence, should the test fail, is kept under the test's name."""

    def __init__(self, browsers: Browsers, kept: Path) -> None:
        self._browsers, self._kept = browsers, kept

    def __call__(
        self, server: Server | None = None, browsers: Browsers | None = None
    ) -> AbstractAsyncContextManager[Clinic]:
        """See `open_clinic`."""
        return open_clinic(browsers or self._browsers, server, self._kept)


@pytest.fixture
def clinics(browsers: Browsers, request: pytest.FixtureRequest) -> OpenClinic:
    """Use as ``async with clinics() as clinic``."""
    name = re.sub(r"[^\w.-]+", "-", request.node.name)
    return OpenClinic(browsers, ROOT / "test-results" / name)
