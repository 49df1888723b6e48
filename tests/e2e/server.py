"""The real server process of a test: started, killed, restarted, asked through its API."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.fetch import fetch
from tests.e2e.network import Network, free_port

ROOT = Path(__file__).resolve().parents[2]
COMMAND = Path(sys.executable).parent / "wenzhen"
START_WITHIN_S = 20.0
STOP_WITHIN_S = 15.0
SETTLE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05


@dataclass
class Server:
    """`wenzhen serve --demo` on free ports with a data folder of its own."""

    network: Network = field(default_factory=Network)
    host: str = "127.0.0.1"
    port: int = field(default_factory=free_port)
    media_port: int = field(default_factory=free_port)
    options: tuple[str, ...] = ("--drain-s", "2")
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="wenzhen-e2e-")))
    process: asyncio.subprocess.Process | None = None

    @property
    def program(self) -> tuple[str, ...]:
        """What is run: the command as it is installed."""
        return (str(COMMAND),)

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    @property
    def base_url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def demo(self) -> dict[str, str]:
        """What the server wrote for those who try it."""
        found: dict[str, str] = json.loads((self.data_dir / "demo.json").read_text("utf-8"))
        return found

    async def start(self) -> None:
        """Start the process and wait until it says it is ready."""
        at = ["--host", self.host, "--port", str(self.port), "--media-port", str(self.media_port)]
        argv = ["serve", "--demo", *at, "--data-dir", str(self.data_dir), *self.options]
        with self.log_file.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *self.network.command(*self.program, *argv), stdout=log, stderr=log, cwd=ROOT
            )
        async with asyncio.timeout(START_WITHIN_S):
            while not await self._ready():
                if await self._ended_within(LOOK_EVERY_S):
                    raise RuntimeError(f"the server ended at its start:\n{self.log()}")

    async def _ready(self) -> bool:
        try:
            status, _ = await self._fetch("GET", "/readyz", None, None)
        except OSError:
            return False
        return status == 200 and (self.data_dir / "demo.json").exists()

    async def _ended_within(self, seconds: float) -> bool:
        assert self.process is not None
        try:
            await asyncio.wait_for(asyncio.shield(self.process.wait()), seconds)
        except TimeoutError:
            return False
        return True

    async def kill9(self) -> None:
        """End the process in the middle of whatever it does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()
        self.process = None

    async def restart(self) -> None:
        """Start again after `kill9`, on the same ports and the same data."""
        assert self.process is None
        await self.start()

    async def stop(self) -> None:
        """SIGTERM: the process must end with status 0, and have logged no crash."""
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        ended = await self._ended_within(STOP_WITHIN_S)
        if not ended:
            await self.kill9()
            raise AssertionError(f"SIGTERM did not end the server:\n{self.log()}")
        status, self.process = self.process.returncode, None
        assert status == 0, f"the server ended with {status}:\n{self.log()}"
        assert not self.crashes(), f"the server logged a crash:\n{self.log()}"

    async def discard(self) -> None:
        """Whatever happened: no process and no folder stay behind."""
        if self.process is not None and self.process.returncode is None:
            await self.kill9()
        shutil.rmtree(self.folder, ignore_errors=True)

    def log(self) -> str:
        """All that every process of this server has printed."""
        return self.log_file.read_text("utf-8", errors="replace")

    def crashes(self) -> list[str]:
        """Lines of the log that only a fault of ours writes."""
        return re.findall(
            r".*(?:Traceback|never retrieved|\[error|\"level\": ?\"error).*", self.log()
        )

    # --- the API, as a clinic's systems use it --------------------------------------------------

    async def api(self, method: str, path: str, body: Any = None, once: str | None = None) -> Any:
        """One call with the demo clinic's key; the parsed answer of a success.

        `once` is the `Idempotency-Key` of what moves money.
        """
        status, text = await self._fetch(method, path, self.demo["api_key"], body, once)
        assert 200 <= status < 300, f"{method} {path}: {status} {text}"
        return json.loads(text)

    async def order(self, patient_name: str, **more: Any) -> str:
        """Create a consult; returns its patient's link."""
        made = await self.api("POST", "/api/v1/consults", {"patient_name": patient_name, **more})
        link: str = made["join_url"]
        return link

    async def records(self) -> list[dict[str, Any]]:
        """Every record of the ledger, pulled page by page as a billing system does."""
        pulled: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            at = "" if cursor is None else f"&cursor={cursor}"
            page = await self.api("GET", f"/api/v1/records?limit=100{at}")
            pulled += page["data"]
            cursor = page["next_cursor"]
            if not page["has_more"]:
                return pulled

    async def one_record(self) -> dict[str, Any]:
        """The ledger's one record, as soon as it is settled; more than one is a fault."""
        async with asyncio.timeout(SETTLE_WITHIN_S):
            while not (found := await self.records()):
                assert not await self._ended_within(LOOK_EVERY_S), self.log()
        assert len(found) == 1, found
        return found[0]

    async def _fetch(
        self, method: str, path: str, key: str | None, body: Any, once: str | None = None
    ) -> tuple[int, str]:
        asked: dict[str, Any] = {"method": method, "url": self.base_url + path, "key": key}
        asked |= {"body": body, "once": once}
        if self.network.namespace is None:
            return await asyncio.to_thread(fetch, **asked)
        process = await asyncio.create_subprocess_exec(
            *self.network.command(sys.executable, "-m", "tests.e2e.fetch"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        out, error = await process.communicate(json.dumps(asked).encode())
        if process.returncode:
            raise OSError(error.decode().strip())
        status, text = json.loads(out)
        return status, text
