"""Tasks with an owner: each is awaited, and a crash of one never ends another."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import structlog

log = structlog.get_logger()


async def supervise(name: str, work: Coroutine[None, None, object]) -> None:
    """Contain a crash: log it, with ids only."""
    try:
        await work
    except Exception:
        log.exception("task_crashed", task=name)


class Tasks:
    """The tasks of one owner, who must ``await close()`` in the end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, work: Coroutine[None, None, object]) -> asyncio.Task[None]:
        """Run this beside the others."""
        task = asyncio.get_running_loop().create_task(supervise(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def ended(self, timeout_s: float) -> None:
        """Wait until all have ended by themselves, for so long at most."""
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=timeout_s)

    async def close(self) -> None:
        """Cancel all that still run, and wait until they have ended."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
