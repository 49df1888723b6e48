"""Both sides' signaling of Janus' videocall plugin, over one WebSocket."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import aiohttp

WITHIN_S = 30.0
PLUGIN = "janus.plugin.videocall"


class Side:
    """A session with one handle of the plugin."""

    def __init__(self, api: JanusPages, name: str) -> None:
        self._api, self.name = api, name
        self.events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._session = self._handle = 0

    async def open(self) -> None:
        """Create session and handle, and register the name."""
        self._session = (await self._api.ask({"janus": "create"}))["data"]["id"]
        self._api.sides[self._session] = self
        attach = {"janus": "attach", "plugin": PLUGIN, "session_id": self._session}
        self._handle = (await self._api.ask(attach))["data"]["id"]
        await self.send({"request": "register", "username": self.name})
        await self.event("registered")

    async def send(self, body: dict[str, Any], jsep: dict[str, str] | None = None) -> None:
        """Send a request to the plugin."""
        message = {
            "janus": "message",
            "session_id": self._session,
            "handle_id": self._handle,
            "body": body,
        }
        if jsep is not None:
            message["jsep"] = jsep
        await self._api.ask(message)

    async def event(self, wanted: str) -> dict[str, Any]:
        """The plugin's next event of this name, others are dropped.

        Raises:
            RuntimeError: the plugin refused something.
        """
        async with asyncio.timeout(WITHIN_S):
            while True:
                event = await self.events.get()
                data = event["plugindata"]["data"]
                if "error" in data:
                    raise RuntimeError(f"Janus: {data}")
                if data.get("result", {}).get("event") == wanted:
                    return event


class JanusPages:
    """Two sides a call. `setup`: `url` of the WebSocket."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._url = setup["url"]
        self._transactions = itertools.count(1)
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._http: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self.sides: dict[int, Side] = {}

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        if self._socket is None:
            self._http = aiohttp.ClientSession()
            self._socket = await self._http.ws_connect(self._url, protocols=["janus-protocol"])
            self._reader = asyncio.create_task(self._read(self._socket))
        return self._socket

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for frame in socket:
            message = frame.json()
            answer = self._answers.get(message.get("transaction", ""))
            if message["janus"] == "event" and message["sender"]:
                self.sides[message["session_id"]].events.put_nowait(message)
            elif answer is not None and not answer.done():
                answer.set_result(message)

    async def ask(self, message: dict[str, Any]) -> dict[str, Any]:
        """Send a request; its acknowledgement or answer.

        Raises:
            RuntimeError: Janus refused it.
        """
        assert self._socket is not None
        name = str(next(self._transactions))
        answer = self._answers[name] = asyncio.get_running_loop().create_future()
        await self._socket.send_json(message | {"transaction": name})
        async with asyncio.timeout(WITHIN_S):
            found: dict[str, Any] = await answer
        del self._answers[name]
        if found["janus"] == "error":
            raise RuntimeError(f"Janus: {found['error']}")
        return found

    async def call(self, number: int, sdps: list[str]) -> list[str]:
        """One side calls, the other accepts."""
        if self._reader is None:
            await self._open()
        caller, callee = Side(self, f"caller{number}"), Side(self, f"callee{number}")
        await caller.open()
        await callee.open()
        offer = {"type": "offer", "sdp": sdps[0]}
        await caller.send({"request": "call", "username": callee.name}, offer)
        incoming = await callee.event("incomingcall")
        await callee.send({"request": "accept"}, {"type": "answer", "sdp": sdps[1]})
        accepted = await caller.event("accepted")
        return [accepted["jsep"]["sdp"], incoming["jsep"]["sdp"]]

    async def metrics(self) -> dict[str, float]:
        """Janus tells nothing of use here."""
        return {}

    async def close(self) -> None:
        """Close the WebSocket: Janus then ends all sessions."""
        if self._http is not None:
            await self._http.close()
