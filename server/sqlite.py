"""SQLite connections whose operations are never abandoned halfway.

An operation runs in the connection's own thread and cannot be stopped. A caller that was cancelled
in the middle of ``BEGIN IMMEDIATE`` left a connection behind that held the write lock, and every
writer waited for it until its timeout. Here the operation ends first, and so does the transaction
unless it awaits something else: the cancellation comes at the next such await.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

T = TypeVar("T")


async def whole(work: Awaitable[T]) -> T:
    """The result of ``work``; a cancellation meanwhile is put off until the caller awaits again."""
    task, caller, cancelled = asyncio.ensure_future(work), asyncio.current_task(), False
    assert caller is not None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
            caller.uncancel()  # taken back here and made again below: timeouts count them
    if cancelled:
        caller.cancel()
    return task.result()


class Connection(aiosqlite.Connection):
    """As aiosqlite's, for callers that may be cancelled at any moment."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        work = super()._execute(fn, *args, **kwargs)  # type: ignore[no-untyped-call]
        return await whole(work)

    async def _connect(self) -> aiosqlite.Connection:
        return await whole(super()._connect())


def connect(database: str | Path, **options: Any) -> Connection:
    """A connection that opens when awaited; its thread keeps no process from ending."""
    connection = Connection(partial(sqlite3.connect, database, **options), 64)
    connection._thread.daemon = True
    return connection
