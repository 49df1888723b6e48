"""The real coturn, for the time of a test, in the network of the test."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.e2e.network import ADMIN_PATH, Network

SECRET = "the-clinic-and-its-relay-know-this"
RELAYED_FROM = "127.0.0.99"
START_WITHIN_S = 10.0
PORT = 3478


@dataclass
class Coturn:
    """A running relay. Its peers see `RELAYED_FROM`.

    Attributes:
        lines: What it has logged.
    """

    transport: str
    lines: list[str]

    @property
    def options(self) -> tuple[str, ...]:
        """For a server whose pages shall use it."""
        url = f"turn:127.0.0.1:{PORT}?transport={self.transport}"
        return ("--turn-urls", url, "--turn-secret", SECRET, "--turn-ttl-s", "60")


@asynccontextmanager
async def coturn(network: Network, transport: str, folder: Path) -> AsyncIterator[Coturn]:
    """Run it until the context ends; `transport` is that of its clients, udp or tcp."""
    program = shutil.which("turnserver", path=ADMIN_PATH)
    if program is None:
        raise RuntimeError("these tests need the program turnserver (package coturn)")
    process = await asyncio.create_subprocess_exec(
        *network.command(program, "-n", "--no-cli", "--no-tls", "--no-dtls"),
        *("--allow-loopback-peers", "--verbose"),
        *("--listening-ip", "127.0.0.1", "--listening-port", str(PORT)),
        *("--relay-ip", RELAYED_FROM, "--realm", "wenzhen", "--simple-log", "--log-file", "stdout"),
        *("--use-auth-secret", "--static-auth-secret", SECRET),
        *("--pidfile", str(folder / "turn.pid"), "--userdb", str(folder / "turn.db")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    relay = Coturn(transport, [])
    ready = asyncio.Event()
    reader = asyncio.create_task(_read(process, relay.lines, ready))
    try:
        async with asyncio.timeout(START_WITHIN_S):
            await ready.wait()
        yield relay
    finally:
        process.kill()
        await process.wait()
        await reader


async def _read(
    process: asyncio.subprocess.Process, lines: list[str], ready: asyncio.Event
) -> None:
    assert process.stdout is not None
    async for line in process.stdout:
        lines.append(line.decode(errors="replace"))
        if "DB connection success" in lines[-1]:
            ready.set()
