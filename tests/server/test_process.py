"""`wenzhen serve` as a process: what it prints, how it ends, and how it comes back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

COMMAND = Path(sys.executable).parent / "wenzhen"


@asynccontextmanager
async def serving(data: Path, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A started demo, ready once its greeting is out; ended whatever happens."""
    argv = ["serve", "--demo", "--port", "0", "--media-port", "0", "--data-dir", str(data)]
    process = await asyncio.create_subprocess_exec(
        COMMAND, *argv, "--log-format", "json", *more,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def greeting(process: asyncio.subprocess.Process) -> str:
    """What is printed at the start, to its last line."""
    assert process.stdout is not None
    lines = []
    async with asyncio.timeout(60):
        while "/api/v1/consults" not in (line := (await process.stdout.readline()).decode()):
            assert line, "the server ended at its start"
            lines.append(line)
    return "".join([*lines, line])


async def ended(process: asyncio.subprocess.Process) -> tuple[int, list[dict[str, Any]], str]:
    """The status, the log, and the log's text."""
    async with asyncio.timeout(60):
        _, log = await process.communicate()
    assert process.returncode is not None
    text = log.decode()
    return process.returncode, [json.loads(line) for line in text.splitlines()], text


async def test_it_greets_serves_and_ends_by_sigterm_with_status_0(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data) as process:
        shown = await greeting(process)
        demo = json.loads((data / "demo.json").read_text("utf-8"))
        for field in ("console_url", "patient_url", "username", "password", "api_key"):
            assert demo[field] in shown
        async with aiohttp.ClientSession() as http:
            async with http.get(demo["base_url"] + "/readyz") as answer:
                assert answer.status == 200
            headers = {"Authorization": f"Bearer {demo['api_key']}"}
            async with http.get(demo["base_url"] + "/api/v1/records", headers=headers) as answer:
                assert (await answer.json())["data"] == []
        process.send_signal(signal.SIGTERM)
        status, log, text = await ended(process)
    assert status == 0
    assert [entry["event"] for entry in log] == ["started", "draining", "stopped"], text
    for secret in (demo["password"], demo["api_key"], demo["patient_url"].split("#")[1]):
        assert secret not in text


async def test_after_kill_9_it_starts_again_with_the_same_login(tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with serving(data) as process:
        await greeting(process)
        first = json.loads((data / "demo.json").read_text("utf-8"))
        process.kill()
        assert await process.wait() == -signal.SIGKILL
    async with serving(data) as process:
        await greeting(process)
        second = json.loads((data / "demo.json").read_text("utf-8"))
        process.send_signal(signal.SIGINT)
        status, _, text = await ended(process)
    assert status == 0, text
    assert second["api_key"] == first["api_key"]
    assert second["password"] == first["password"]


async def test_a_redis_that_is_not_used_is_mentioned(tmp_path: Path) -> None:
    async with serving(tmp_path, "--redis-url", "redis://127.0.0.1:1") as process:
        await greeting(process)
        process.send_signal(signal.SIGTERM)
        status, log, _ = await ended(process)
    assert status == 0
    assert log[0]["event"] == "redis_unused"
