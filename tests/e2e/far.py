"""A patient far away: their browser behind a bad line, server and physician on its good side."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Playwright

from tests.e2e.clinic import Browsers, chromium, open_browsers
from tests.e2e.line import SERVER_HOST, Line, open_line


@asynccontextmanager
async def bad_line(driver: Playwright, port: int) -> AsyncIterator[tuple[Line, Browsers]]:
    """The line, the patient's browser behind it, and the physician's on the server's side.

    `port` is that of the pages: browsers give cameras to HTTPS alone, but where told otherwise.
    """
    with tempfile.TemporaryDirectory(prefix="wenzhen-lines-") as folder:
        async with open_line() as line:
            programs = [n.wrapper(chromium(), Path(folder)) for n in (line.client, line.server)]
            origin = f"http://{SERVER_HOST}:{port}"
            secure = f"--unsafely-treat-insecure-origin-as-secure={origin}"
            async with open_browsers(driver, *programs, more_args=[secure]) as browsers:
                yield line, browsers
