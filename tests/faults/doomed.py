"""A server that is killed at a moment of the transaction that settles a call.

`python -m tests.faults.doomed POINT serve …`: the whole `wenzhen` command, which ends itself with
SIGKILL at POINT of the first transaction that appends a record.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from server import app
from server.cli import main
from server.storage import Storage

STATEMENTS: Final = {
    "before the record": "INSERT INTO ledger_records",
    "before the head": "UPDATE ledgers",
    "after the head": "command_answers",
}
POINTS: Final = (*STATEMENTS, "before the commit", "after the commit")


class Doomed(Storage):
    """A storage that ends its process."""

    point = ""
    settling = False

    @classmethod
    async def open(cls, url: str) -> Self:
        storage = await super().open(url)
        engine = storage.engine.sync_engine
        event.listen(engine, "before_cursor_execute", storage._execute)
        event.listen(engine, "commit", storage._commit)
        return storage

    def _execute(self, _conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if STATEMENTS["before the record"] in statement:
            self.settling = True
        for point, part in STATEMENTS.items():
            if part in statement:
                self._reach(point)

    def _commit(self, _conn: Any) -> None:
        self._reach("before the commit")

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        async with super().write() as conn:
            yield conn
        self._reach("after the commit")

    def _reach(self, point: str) -> None:
        if self.settling and point == self.point:
            os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    Doomed.point = sys.argv[1]
    app.Storage = Doomed  # type: ignore[misc]
    sys.exit(main(sys.argv[2:]))
