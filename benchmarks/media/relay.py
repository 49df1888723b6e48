"""Two sides connected as aiortc's own examples do it: RTCPeerConnection and MediaRelay.

A server of its own: `python -m benchmarks.media.relay PORT`. It decodes each packet, and encodes
what it sends, so its packets are others than those that came.
"""

from __future__ import annotations

import sys
from typing import Any

import aiohttp
from aiohttp import web
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

CONNECTIONS: web.AppKey[list[RTCPeerConnection]] = web.AppKey("connections", list)


async def connect(request: web.Request) -> web.Response:
    """Relay two sides to each other: two offers in, two answers out."""
    relay = MediaRelay()
    sides = []
    for sdp in await request.json():
        side = RTCPeerConnection()
        await side.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        sides.append(side)
    answers = []
    for side, other in zip(sides, reversed(sides), strict=True):
        for transceiver in other.getTransceivers():
            side.addTrack(relay.subscribe(transceiver.receiver.track))
        await side.setLocalDescription(await side.createAnswer())
        answers.append(side.localDescription.sdp)
    request.app[CONNECTIONS].extend(sides)
    return web.json_response(answers)


def serve(port: int) -> None:
    """Run until SIGTERM."""
    app = web.Application()
    app[CONNECTIONS] = []
    app.router.add_post("/call", connect)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


class RelayPages:
    """`setup`: `url` to post both offers to."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._url = setup["url"]

    async def call(self, _number: int, sdps: list[str]) -> list[str]:
        """Offer both sides at once."""
        async with aiohttp.ClientSession() as http, http.post(self._url, json=sdps) as answer:
            found: list[str] = await answer.json()
        return found

    async def metrics(self) -> dict[str, float]:
        """It tells nothing."""
        return {}

    async def close(self) -> None:
        """Nothing is open."""


if __name__ == "__main__":
    serve(int(sys.argv[1]))
