"""The server is killed while it settles a call: there is one record, of what was delivered."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest

from metering.audit import verify_all
from server.demo import Demo
from server.services import Services
from server.storage import Storage
from tests.e2e.server import COMMAND, Server
from tests.faults.doomed import POINTS
from tests.server.clinic import Clinic
from tests.server.party import in_call, page_of_physician

BILLED_MS = 1_500


@dataclass
class Doomable(Server):
    """A server process that runs another program first."""

    doom: str | None = None

    @property
    def program(self) -> tuple[str, ...]:
        if self.doom is None:
            return (str(COMMAND),)
        return (sys.executable, "-m", "tests.faults.doomed", self.doom)


@asynccontextmanager
async def asked(server: Server) -> AsyncIterator[Clinic]:
    """A process elsewhere, as the tests of one in this loop see theirs."""
    media = SimpleNamespace(port=server.media_port)
    services = cast(Services, SimpleNamespace(base_url=server.base_url, media=media))
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http:
        yield Clinic(services, Demo(**server.demo), http)


async def killed_while_it_settles(server: Server) -> int:
    """A call that the physician finishes; the process dies of it. The milliseconds shown then."""
    async with asked(server) as clinic, in_call(clinic) as (patient, physician):
        shown = await patient.metered("video", BILLED_MS)
        await physician.page.send("finish", consult_id=physician.consult_id)
        assert server.process is not None
        assert await asyncio.wait_for(server.process.wait(), 10) == -signal.SIGKILL
    server.process = None
    return int(shown["video_ms"])


async def finished_again(server: Server) -> None:
    """The physician comes back and finishes, unless it is over already."""
    async with asked(server) as clinic:
        physician = await page_of_physician(clinic)
        call = (await physician.next("hello"))["call"]
        if call is not None and call["state"] != "ended":
            answer = await physician.ask("finish", consult_id=call["consult_id"])
            assert answer["ok"], answer
        await physician.leave()


@pytest.mark.parametrize("point", POINTS)
async def test_a_call_is_settled_once_wherever_the_server_dies(point: str, tmp_path: Path) -> None:
    server = Doomable(folder=tmp_path, doom=point)
    try:
        await server.start()
        shown_ms = await killed_while_it_settles(server)
        server.doom = None
        await server.start()
        await finished_again(server)
        record = await server.one_record()
        await server.stop()
        storage = await Storage.open(f"sqlite:///{server.data_dir / 'wenzhen.sqlite3'}")
        try:
            (verification,) = (await verify_all(storage, charges=True)).values()
        finally:
            await storage.close()
        assert verification.broken is None
        total_ms = sum(one["duration_ms"] for one in record["segments"])
        assert shown_ms - 1_000 <= total_ms <= shown_ms + 2_000
        assert record["estimated"] == (point != "after the commit")
    finally:
        await server.discard()
