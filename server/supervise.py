"""Tasks that outlive a failure, and the loop's last word on errors nobody awaits."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from signaling.tasks import supervise

RESTART_S = 1.0
log = structlog.get_logger()


async def keep_running(name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Start ``work`` again, a second later, whenever it fails. Runs until cancelled."""
    while True:
        await supervise(name, work())
        await asyncio.sleep(RESTART_S)


class LoopErrors:
    """Counts and logs what reaches the event loop's exception handler."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The handler for `loop.set_exception_handler`."""
        self.count += 1
        error = context.get("exception")
        log.error("loop_error", message=context.get("message"), exc_info=error)


LOOP_ERRORS = LoopErrors()
"""Of this process: a process has one loop."""
