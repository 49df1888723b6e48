"""A process that appends records, says so of each, and is killed at a moment that it is told.

`python -m tests.faults.appender URL RECORDS POINT WHICH`: POINT is one of `POINTS`, and the
process ends itself there with SIGKILL in the WHICH-th transaction; with WHICH 0 it lives. It begins
with the first record each time, as a settling that is repeated after a crash.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any, Final

from sqlalchemy import event

from metering import ledger
from metering.record import epoch_ms
from server import migrate
from server.simulate import simulate
from server.storage import Storage

POINTS: Final = (
    "begun",
    "before the lock",
    "before the record",
    "before its shares",
    "before the head",
    "before the commit",
    "after the commit",
    "acknowledged",
)
_STATEMENTS: Final = {
    "before the lock": "FROM ledgers",
    "before the record": "INSERT INTO ledger_records",
    "before its shares": "INSERT INTO ledger_shares",
    "before the head": "UPDATE ledgers",
}


class Fate:
    """Ends the process at its point."""

    def __init__(self, point: str, which: int) -> None:
        self._point, self._left = point, which

    def reach(self, point: str) -> None:
        if point == self._point:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, storage: Storage) -> None:
        engine = storage.engine.sync_engine

        def execute(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            for point, part in _STATEMENTS.items():
                if part in statement:
                    self.reach(point)

        event.listen(engine, "before_cursor_execute", execute)
        event.listen(engine, "commit", lambda _conn: self.reach("before the commit"))


async def main(url: str, records: int, point: str, which: int) -> None:
    storage = await Storage.open(url)
    await migrate.upgrade(storage)
    fate = Fate(point, which)
    fate.watch(storage)
    for index in range(records):
        record = simulate(index, 1_767_261_600_000)
        async with storage.write() as conn:
            fate.reach("begun")
            appended = await ledger.append(conn, record, epoch_ms(str(record["ended_at"])))
        fate.reach("after the commit")
        print(appended.seq, appended.record["record_id"], flush=True)
        fate.reach("acknowledged")
    await storage.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])))
