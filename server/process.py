"""The process from its first line to its exit status: signals, collector, greeting."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Sized
from contextlib import asynccontextmanager

import structlog
import uvloop

from server import demo, heap, logs
from server.app import running
from server.settings import Settings
from server.supervise import LOOP_ERRORS

COLLECT_S = 5
FULL_IDLE_S = 60
FULL_BUSY_S = 600
log = structlog.get_logger()


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ServerError: it cannot start; one sentence says why.
    """
    logs.configure(settings.log_format)
    if settings.redis_url:
        log.warning("redis_unused", why="one node needs no Redis; it is for several nodes")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(LOOP_ERRORS)
    async with running(settings) as services:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        if services.demo:
            print(demo.greeting(services.demo), flush=True)  # noqa: T201
        async with without_collector(services.calls):
            await ending.wait()
        log.info("draining", calls=len(services.calls))
        ending.clear()  # a second signal does not wait
        await _first(services.site.desk.drain(settings.drain_s), ending.wait())
    log.info("stopped")
    return 0


async def _first(*works: Coroutine[None, None, object]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def without_collector(calls: Sized) -> AsyncIterator[None]:
    """Keep the cyclic collector out of the packet path: its full runs were pauses of 43 ms.

    What lives now is frozen. Each five seconds the young objects are collected and free memory is
    given back, in a turn of the loop of their own; the old objects each minute without a call, or
    after ten with calls.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    collector = asyncio.create_task(_collect(calls), name="collector")
    try:
        yield
    finally:
        collector.cancel()
        gc.enable()


async def _collect(calls: Sized) -> None:
    seconds = 0
    while True:
        await asyncio.sleep(COLLECT_S)
        seconds += COLLECT_S
        full = seconds >= (FULL_BUSY_S if len(calls) else FULL_IDLE_S)
        gc.collect(2 if full else 1)
        heap.give_back()
        if full:
            seconds = 0
