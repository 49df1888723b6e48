"""The connection test on the check page tells which way works, against the real port and relay."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import pytest
from playwright.async_api import Playwright, expect

from tests.e2e.chairs import Patient
from tests.e2e.clinic import chromium, open_browsers
from tests.e2e.conftest import OpenClinic
from tests.e2e.coturn import RELAYED_FROM, coturn
from tests.e2e.firewall import block_from, block_udp, uplink
from tests.e2e.network import free_port, loopback
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

log = logging.getLogger(__name__)


async def told(patient: Patient, verdict: str) -> None:
    """Open the check; the page must come to this verdict, and say it."""
    await patient.find("agree").check()
    begin_s = time.monotonic()
    way = patient.find("way")
    await expect(way).to_have_attribute("data-verdict", verdict, timeout=10_000)
    log.info("%s after %.1f s: %s", verdict, time.monotonic() - begin_s, await way.inner_text())
    await expect(patient.find("join")).to_be_enabled()


async def test_each_way_that_closes_is_told_in_words(
    clinics: OpenClinic, playwright: Playwright, tmp_path: Path
) -> None:
    """A patient who knows that the hotel's Wi-Fi blocks calls can change it before the call."""
    media_port = free_port()
    with loopback() as network:
        uplink(network)
        wrapper = network.wrapper(chromium(), tmp_path)
        async with coturn(network, "udp", tmp_path) as relay:
            options = ("--drain-s", "2", *relay.options)
            server = Server(network=network, media_port=media_port, options=options)
            async with (
                open_browsers(playwright, wrapper) as inside,
                clinics(server, inside) as clinic,
            ):
                patient = await clinic.patient(watched=False)
                await patient.arrive(server.demo["patient_url"])
                await told(patient, "fast")
                block_from(network, media_port, allowed=[RELAYED_FROM], protocols=["udp"])
                await patient.reload()
                await told(patient, "slow")
                block_from(network, media_port, allowed=[RELAYED_FROM], protocols=["tcp"])
                await patient.reload()
                await told(patient, "detour")
                block_udp(network, media_port, "DROP", first=True)
                await patient.reload()
                await told(patient, "none")
                await patient.press("join")
                await patient.sees("waiting")
