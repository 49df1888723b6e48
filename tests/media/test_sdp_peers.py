"""Real peers accept our answers: aiortc, and Chromium through its own pages."""

import shutil
from collections.abc import Callable

import aiohttp.web
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from playwright.async_api import async_playwright

from media.sdp import parse_offer
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


@pytest.mark.e2e
async def test_chromium_accepts_the_answer_to_each_offer_and_to_a_restart() -> None:
    app = aiohttp.web.Application()
    app.router.add_get("/", _page)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "localhost", 0).start()
    url = f"http://localhost:{runner.addresses[0][1]}/"
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
            await page.goto(url)
            for name, (prepare, directions) in IN_CHROMIUM.items():
                await page.evaluate(f"async () => {{ {FRESH} {prepare} }}")
                first = parse_offer(await page.evaluate(NEGOTIATE))
                assert await page.evaluate(ACCEPT, reply_to(first)) == directions, name
                await page.evaluate("pc.restartIce()")
                second = parse_offer(await page.evaluate(NEGOTIATE))
                assert second.ice_ufrag != first.ice_ufrag
                renewed = reply_to(
                    second, ice_ufrag="srvrNext", ice_pwd="n" * 24, session_version=2
                )
                assert await page.evaluate(ACCEPT, renewed) == directions, name
            await browser.close()
    finally:
        await runner.cleanup()


async def _page(request: aiohttp.web.Request) -> aiohttp.web.Response:
    return aiohttp.web.Response(text="<!doctype html><title>x</title>", content_type="text/html")
