"""Real peers accept our answers: aiortc, and Chromium through its own pages."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiohttp.web
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from playwright.async_api import Page, async_playwright

from media.ice import IceCredentials, IceLite
from media.sdp import Candidate, parse_offer
from tests.media.lite_server import LiteServer
from tests.media.sdp_samples import reply_to


@pytest.mark.parametrize("kinds", [("audio",), ("audio", "video"), ("video", "audio")])
async def test_aiortc_accepts_the_answer_to_its_offer(kinds: tuple[str, ...]) -> None:
    make: dict[str, Callable[[], MediaStreamTrack]] = {
        "audio": AudioStreamTrack,
        "video": VideoStreamTrack,
    }
    peer = RTCPeerConnection()
    try:
        for kind in kinds:
            peer.addTrack(make[kind]())
        await peer.setLocalDescription(await peer.createOffer())
        offer = parse_offer(peer.localDescription.sdp)
        assert [s.kind for s in offer.sections] == list(kinds)
        text = reply_to(offer, candidates=())
        await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        assert peer.signalingState == "stable"
        assert [t.currentDirection for t in peer.getTransceivers()] == ["sendrecv"] * len(kinds)
    finally:
        await peer.close()


CAMERA = "const s = await navigator.mediaDevices.getUserMedia({audio: true, video: true});"
SEND_BOTH = f"{CAMERA} for (const t of s.getTracks()) pc.addTrack(t, s);"
IN_CHROMIUM = {
    "audio and video": (SEND_BOTH, ["sendrecv", "sendrecv"]),
    "audio only": (f"{CAMERA} pc.addTrack(s.getAudioTracks()[0], s);", ["sendrecv"]),
    "recvonly": (
        "for (const k of ['audio', 'video']) pc.addTransceiver(k, {direction: 'recvonly'});",
        ["recvonly", "recvonly"],
    ),
    "data channel": (f"{SEND_BOTH} pc.createDataChannel('x');", ["sendrecv", "sendrecv"]),
    "three parties and a screen": (
        f"{SEND_BOTH} for (const k of ['audio', 'video', 'video'])"
        " pc.addTransceiver(k, {direction: 'recvonly'});"
        " pc.getTransceivers()[1].direction = 'sendonly';",
        ["sendrecv", "sendonly", "recvonly", "recvonly", "recvonly"],
    ),
}
FRESH = (
    "globalThis.pc?.close(); globalThis.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});"
)
NEGOTIATE = "async () => { await pc.setLocalDescription(); return pc.localDescription.sdp; }"
ACCEPT = """async (sdp) => {
  await pc.setRemoteDescription({type: 'answer', sdp});
  return pc.getTransceivers().map((t) => t.currentDirection);
}"""


@asynccontextmanager
async def chromium_page() -> AsyncIterator[Page]:
    """A page of a real Chromium with a fake camera, on localhost, where cameras are allowed."""
    app = aiohttp.web.Application()
    app.router.add_get("/", _page)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "localhost", 0).start()
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=[
                    "--no-sandbox",
                    "--use-fake-device-for-media-stream",
                    "--use-fake-ui-for-media-stream",
                    "--disable-background-networking",
                ],
            )
            page = await browser.new_page()
            await page.goto(f"http://localhost:{runner.addresses[0][1]}/")
            yield page
            await browser.close()
    finally:
        await runner.cleanup()


async def _page(request: aiohttp.web.Request) -> aiohttp.web.Response:
    return aiohttp.web.Response(text="<!doctype html><title>x</title>", content_type="text/html")


@pytest.mark.e2e
async def test_chromium_accepts_the_answer_to_each_offer_and_to_a_restart() -> None:
    async with chromium_page() as page:
        for name, (prepare, directions) in IN_CHROMIUM.items():
            await page.evaluate(f"async () => {{ {FRESH} {prepare} }}")
            first = parse_offer(await page.evaluate(NEGOTIATE))
            assert await page.evaluate(ACCEPT, reply_to(first)) == directions, name
            await page.evaluate("pc.restartIce()")
            second = parse_offer(await page.evaluate(NEGOTIATE))
            assert second.ice_ufrag != first.ice_ufrag
            renewed = reply_to(second, ice_ufrag="srvrNext", ice_pwd="n" * 24, session_version=2)
            assert await page.evaluate(ACCEPT, renewed) == directions, name


@pytest.mark.e2e
async def test_chromium_connects_to_the_lite_agent_and_again_after_a_restart() -> None:
    """The browser's own checks, nominations and restart meet ours over UDP."""
    local, renewed = (IceCredentials.generate(os.urandom(24)) for _ in range(2))
    async with chromium_page() as page:
        await page.evaluate(f"async () => {{ {FRESH} {SEND_BOTH} }}")
        offer = parse_offer(await page.evaluate(NEGOTIATE))
        ice = IceLite(local, offer.ice_ufrag)
        transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: LiteServer(ice), local_addr=("127.0.0.1", 0)
        )
        try:
            port = transport.get_extra_info("sockname")[1]
            candidates = (Candidate("udp", "127.0.0.1", port, 2_130_706_431, "1"),)
            text = reply_to(offer, ice_ufrag=local.ufrag, ice_pwd=local.pwd, candidates=candidates)
            await page.evaluate(ACCEPT, text)
            await server.until(lambda: ice.selected is not None)
            await page.wait_for_function("pc.iceConnectionState === 'connected'")

            await page.evaluate("pc.restartIce()")
            again = parse_offer(await page.evaluate(NEGOTIATE))
            ice.restart(renewed, again.ice_ufrag)
            text = reply_to(
                again,
                ice_ufrag=renewed.ufrag,
                ice_pwd=renewed.pwd,
                candidates=candidates,
                session_version=2,
            )
            await page.evaluate(ACCEPT, text)
            await server.until(lambda: ice.local_ufrags == (renewed.ufrag,))
            await page.wait_for_function("pc.iceConnectionState === 'connected'")
        finally:
            transport.close()
