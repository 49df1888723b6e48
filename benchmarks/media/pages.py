"""The pages of all calls, in a process of their own: `python -m benchmarks.media.pages SERVER`.

Reads one JSON command a line and answers each with one line:
`{"calls": {"0": [SDP, SDP]}}` -> `{"0": [SDP, SDP]}`: connect these calls;
`{"metrics": true}` -> what the server says of itself.
The answer is `{"error": TEXT}` where it could not be done.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
from socketio.exceptions import SocketIOError

from benchmarks.media.janus_pages import JanusPages
from benchmarks.media.relay import RelayPages
from benchmarks.media.wenzhen_pages import WenzhenPages


class Pages(Protocol):
    """The pages of one server."""

    async def call(self, number: int, sdps: list[str]) -> list[str]:
        """Set a call up: both sides' descriptions in, the server's out."""

    async def metrics(self) -> dict[str, float]:
        """What the server says of itself."""

    async def close(self) -> None:
        """Close all pages."""


async def serve(pages: Pages) -> None:
    """Answer commands until the input ends."""
    reader = asyncio.StreamReader(limit=1 << 26)
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    while line := await reader.readline():
        try:
            found = await answer(pages, json.loads(line))
        except (RuntimeError, TimeoutError, SocketIOError, aiohttp.ClientError) as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(found), flush=True)
    await pages.close()


async def answer(pages: Pages, command: dict[str, Any]) -> dict[str, Any]:
    """Do what a command asks for."""
    if "calls" not in command:
        return await pages.metrics()
    calls = command["calls"]
    answers = await asyncio.gather(*(pages.call(int(n), sdps) for n, sdps in calls.items()))
    return dict(zip(calls, answers, strict=True))


async def main(kind: str, setup: dict[str, Any]) -> None:
    """Open the pages of one server."""
    kinds: dict[str, Callable[[dict[str, Any]], Pages]] = {
        "wenzhen": WenzhenPages,
        "janus": JanusPages,
        "aiortc": RelayPages,
    }
    await serve(kinds[kind](setup))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
