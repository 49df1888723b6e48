"""The network changes under a call: it goes on within seconds, and one record tells of it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from playwright.async_api import Playwright

from tests.e2e.chairs import Chair, let_pass
from tests.e2e.clinic import Clinic, chromium, open_browsers
from tests.e2e.conftest import OpenClinic
from tests.e2e.coturn import RELAYED_FROM, SECRET, coturn
from tests.e2e.firewall import block_from, block_udp, deaden, longest_gap_s, rebind
from tests.e2e.network import free_port, loopback
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

log = logging.getLogger(__name__)
BACK_WITHIN_S = 5.0


async def recovered(clinic: Clinic, since_s: float) -> None:
    """Wait until both get media again; it must not have taken longer than it may."""
    for chair in clinic.chairs:
        await chair.gets_audio()
        await chair.gets_video()
    await let_pass(2)
    gaps_s = {chair.name: longest_gap_s(chair.samples, since_s) for chair in clinic.chairs}
    log.info("seconds without sound: %s", gaps_s)
    assert max(gaps_s.values()) <= BACK_WITHIN_S, gaps_s


def protocols(chairs: list[Chair]) -> set[str]:
    return {chair.now.protocol for chair in chairs}


@pytest.mark.parametrize("target", ["REJECT", "DROP"])
async def test_udp_blocked_in_mid_call_goes_on_over_tcp(
    clinics: OpenClinic, playwright: Playwright, tmp_path: Path, target: str
) -> None:
    """A firewall that changes its mind, or a phone that walks into the hospital's Wi-Fi."""
    media_port = free_port()
    with loopback() as network:
        wrapper = network.wrapper(chromium(), tmp_path)
        server = Server(network=network, media_port=media_port)
        async with open_browsers(playwright, wrapper) as inside, clinics(server, inside) as clinic:
            patient, physician = await clinic.call()
            assert protocols(clinic.chairs) == {"udp"}
            await let_pass(3)
            since_s = patient.now.at_s
            block_udp(network, media_port, target)
            await recovered(clinic, since_s)
            assert protocols(clinic.chairs) == {"tcp"}
            await let_pass(2)
            await physician.finish()
            await clinic.settled()


async def test_a_new_source_address_is_followed(
    clinics: OpenClinic, playwright: Playwright, tmp_path: Path
) -> None:
    """A NAT forgets both parties and gives them new addresses, and no page is told."""
    media_port = free_port()
    with loopback() as network:
        wrapper = network.wrapper(chromium(), tmp_path)
        server = Server(network=network, media_port=media_port)
        async with open_browsers(playwright, wrapper) as inside, clinics(server, inside) as clinic:
            patient, physician = await clinic.call()
            await let_pass(3)
            since_s = patient.now.at_s
            rebind(network, media_port)
            await recovered(clinic, since_s)
            assert protocols(clinic.chairs) == {"udp"}
            await physician.finish()
            await clinic.settled()


async def test_another_network_under_every_socket_is_survived(
    clinics: OpenClinic, playwright: Playwright, tmp_path: Path
) -> None:
    """Wi-Fi to mobile: media and WebSocket die together, no event tells of it, new ones work."""
    media_port = free_port()
    with loopback() as network:
        wrapper = network.wrapper(chromium(), tmp_path)
        server = Server(network=network, media_port=media_port)
        async with open_browsers(playwright, wrapper) as inside, clinics(server, inside) as clinic:
            patient, physician = await clinic.call()
            await let_pass(3)
            since_s = patient.now.at_s
            deaden(network, (server.port, media_port))
            await recovered(clinic, since_s)
            await physician.finish()
            await clinic.settled()


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_where_only_a_relay_is_reached_the_call_goes_through_it(
    clinics: OpenClinic, playwright: Playwright, tmp_path: Path, transport: str
) -> None:
    """The media port is closed to everybody but the real coturn, which checks the credentials."""
    media_port = free_port()
    with loopback() as network:
        block_from(network, media_port, allowed=[RELAYED_FROM])
        wrapper = network.wrapper(chromium(), tmp_path)
        async with (
            coturn(network, transport, tmp_path) as relay,
            open_browsers(playwright, wrapper) as inside,
        ):
            options = ("--drain-s", "2", *relay.options)
            server = Server(network=network, media_port=media_port, options=options)
            async with clinics(server, inside) as clinic:
                patient, physician = await clinic.call()
                for chair in clinic.chairs:
                    stats = await chair.page.evaluate("() => window.wenzhen.stats()")
                    assert stats["relay"] == transport, stats
                await let_pass(5)
                for chair in clinic.chairs:
                    await chair.gets_video()
                    await chair.gets_audio()
                await physician.finish()
                settled = await clinic.settled()
                assert await patient.summary() == clinic.shown(settled.record)
                assert SECRET not in server.log()
            assert settled.record["consult_id"] not in "".join(relay.lines)
