"""The pages of all calls, in a process of their own: `python -m benchmarks.media.pages SERVER`.

Reads one JSON command a line and answers each with one line:
`{"calls": {"0": [SDP, SDP]}}` -> `{"0": [SDP, SDP]}`: connect these calls;
`{"metrics": true}` -> what the server says of itself.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any, Protocol

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
        command: dict[str, Any] = json.loads(line)
        if "calls" in command:
            calls = command["calls"]
            answers = await asyncio.gather(*(pages.call(int(n), s) for n, s in calls.items()))
            found: dict[str, Any] = dict(zip(calls, answers, strict=True))
        else:
            found = await pages.metrics()
        print(json.dumps(found), flush=True)
    await pages.close()


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
