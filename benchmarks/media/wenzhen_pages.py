"""Patients' and physicians' pages of our server: real socket.io clients."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
from pathlib import Path
from typing import Any

import aiohttp
import socketio

WITHIN_S = 30.0


class Page:
    """One page: sends commands, remembers the last view, counts the meter's ticks."""

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._ids = itertools.count(1)
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._changed = asyncio.Event()
        self.hello: Any = None
        self.state = ""
        self.sio = socketio.AsyncClient(reconnection=False, logger=False)
        self.sio.on("message", self._take, namespace=namespace)

    async def _take(self, message: dict[str, Any]) -> None:
        match message["kind"]:
            case "hello":
                self.hello = message
            case "consult":
                self.state = message["view"]["state"]
            case "answer":
                self._answers.pop(message["command_id"]).set_result(message)
            case _:
                return
        self._changed.set()

    async def open(self, url: str, auth: dict[str, Any], headers: dict[str, str]) -> None:
        """Connect and wait for the hello."""
        await self.sio.connect(
            url,
            headers=headers,
            auth=auth,
            transports=["websocket"],
            namespaces=[self._namespace],
            wait_timeout=WITHIN_S,
        )
        await self._until(lambda: self.hello is not None)

    async def is_in(self, state: str) -> None:
        """Wait until the consult is in a state."""
        await self._until(lambda: self.state == state)

    async def _until(self, holds: Any) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    async def ask(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Send a command; its result.

        Raises:
            RuntimeError: the server refused it.
        """
        name = f"command-{next(self._ids):04d}-{id(self):x}"
        answer = self._answers[name] = asyncio.get_running_loop().create_future()
        command = {"kind": kind, "id": name, **fields}
        await self.sio.emit("command", command, namespace=self._namespace)
        async with asyncio.timeout(WITHIN_S):
            found = await answer
        if not found["ok"]:
            raise RuntimeError(f"{kind}: {found['error']}")
        result: dict[str, Any] = found["result"]
        return result


class WenzhenPages:
    """Two pages a call. `setup`: `url`, and `seats`, a file with a token and a cookie a call."""

    def __init__(self, setup: dict[str, Any]) -> None:
        self._url = setup["url"]
        self._seats: list[dict[str, str]] = json.loads(Path(setup["seats"]).read_text())
        self._pages: list[Page] = []

    async def call(self, number: int, sdps: list[str]) -> list[str]:
        """A patient joins, their physician takes them, both offer."""
        seat = self._seats[number]
        patient, physician = Page("/patient"), Page("/console")
        self._pages += [patient, physician]
        auth: dict[str, Any] = {"token": seat["token"], "page": f"page-of-patient-{number}"}
        await patient.open(self._url, auth, {})
        cookie = {"Cookie": f"wenzhen_session={seat['session']}"}
        await physician.open(self._url, {"page": f"page-of-physician-{number}"}, cookie)
        view = patient.hello["view"]
        agreed = {"tariff_digest": view["price"]["digest"], "terms_version": view["terms_version"]}
        await patient.ask("join", mode="video", language="zh-CN", **agreed)
        consult = await physician.ask("take", consult_id=seat["consult_id"])
        await patient.is_in("offered")
        one = await patient.ask("offer", connection_id=f"patient-{number:04d}", sdp=sdps[0])
        two = await physician.ask(
            "offer", connection_id=f"physician-{number:04d}", sdp=sdps[1], **consult
        )
        return [one["sdp"], two["sdp"]]

    async def metrics(self) -> dict[str, float]:
        """Every figure without a label."""
        async with aiohttp.ClientSession() as http, http.get(f"{self._url}/metrics") as answer:
            text = await answer.text()
        found = re.findall(r"^(wenzhen_\w+(?:\{[^}]*\})?) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    async def close(self) -> None:
        """Close all pages."""
        await asyncio.gather(*(page.sio.disconnect() for page in self._pages))
