"""The path under the call changes, and the call and its record do not."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Playwright

from tests.e2e.chairs import let_pass
from tests.e2e.clinic import chromium, open_browsers
from tests.e2e.conftest import OpenClinic
from tests.e2e.network import free_port, refused_datagrams, without_udp
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_where_udp_is_refused_the_call_goes_over_tcp(
    clinics: OpenClinic, playwright: Playwright, tmp_path: Path
) -> None:
    """Hospital and hotel networks refuse UDP: the same port in TCP carries the same call."""
    media_port = free_port()
    with without_udp(media_port) as network:
        wrapper = network.wrapper(chromium(), tmp_path)
        server = Server(network=network, media_port=media_port)
        async with open_browsers(playwright, wrapper) as inside, clinics(server, inside) as clinic:
            patient, physician = await clinic.call()
            assert {patient.now.protocol, physician.now.protocol} == {"tcp"}
            assert refused_datagrams(network) > 0
            await let_pass(10)
            await physician.hold()
            await let_pass(3)
            await physician.resume()
            await physician.to_voice()
            await let_pass(5)
            for chair in (patient, physician):
                await chair.gets_audio()
            assert {patient.now.protocol, physician.now.protocol} == {"tcp"}
            await physician.finish()

            settled = await clinic.settled()
            assert await patient.summary() == clinic.shown(settled.record)


async def test_an_ice_restart_on_each_side_leaves_no_trace_in_the_record(
    clinics: OpenClinic,
) -> None:
    """Wi-Fi to mobile and back (RFC 8445 §2.4): new credentials, same DTLS, same segment."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        for restarting in (patient, physician):
            await let_pass(3)
            await restarting.restart_ice()
            for chair in (patient, physician):
                await chair.gets_video()
                await chair.gets_audio()
        await let_pass(2)
        await physician.hold()
        await let_pass(3)
        await physician.resume()
        await physician.to_voice()
        await let_pass(5)
        assert [patient.now.connections, physician.now.connections] == [1, 1]
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)
        modes = [segment["mode"] for segment in settled.record["segments"]]
        assert modes.count("video") <= 2, "a restart must not cut the video before the hold"
