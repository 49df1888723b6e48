"""A call on a bad line stays a call, and costs what was delivered. `make bench-lines` has figures.

The limits here are far from those figures: machines that run tests are busy.
"""

from __future__ import annotations

import pytest
from playwright.async_api import Playwright

from tests.e2e.chairs import let_pass
from tests.e2e.conftest import OpenClinic
from tests.e2e.far import bad_line
from tests.e2e.impairment import Impairment
from tests.e2e.line import SERVER_HOST
from tests.e2e.network import free_port
from tests.e2e.quality import quality
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_a_call_survives_loss_and_an_outage(
    clinics: OpenClinic, playwright: Playwright
) -> None:
    """Ten percent lost: seen and heard. Three seconds of nothing: the same connection goes on, and
    they are not billed (of two seconds it would be a matter of milliseconds)."""
    port = free_port()
    async with bad_line(playwright, port) as (line, browsers):
        server = Server(network=line.server, host=SERVER_HOST, port=port)
        async with clinics(server, browsers) as clinic:
            patient, physician = chairs = await clinic.call()
            await let_pass(2)
            await line.become(Impairment(loss=0.1))
            began_s = patient.now.at_s
            await let_pass(8)
            await line.become(Impairment(cut=True))
            await let_pass(3)
            await line.become()
            for chair in chairs:
                lossy = quality(chair.samples, began_s, began_s + 8)
                assert lossy.concealed_pct < 30, lossy
                assert lossy.fps > 4, lossy
                await chair.gets_video()
                await chair.gets_audio()
            assert [chair.now.connections for chair in chairs] == [1, 1]
            await let_pass(2)
            await physician.finish()

            settled = await clinic.settled()
            assert await patient.summary() == clinic.shown(settled.record)
            assert settled.record["interrupted_s"] >= 2
