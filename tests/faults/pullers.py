"""Writers that settle at once, and pullers that are killed and come back, on a running server.

`python -m tests.faults.pullers --seconds 60 --database sqlite|postgresql` for as long as one likes.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import signal
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from metering import ledger
from metering.audit import verify_ledger
from metering.record import epoch_ms
from server.demo import ORGANIZATION
from server.simulate import simulate
from tests.postgres import running_postgres
from tests.server.clinic import Clinic, opened

WRITERS, PULLERS = 8, 3
ROOT = Path(__file__).resolve().parents[2]
CATCH_UP_S = 30


@dataclass
class Outcome:
    """What the ledger has, and what each puller kept of it, in the order in which it came."""

    whole: bool
    stored: list[tuple[int, str, str]]
    kept: list[list[tuple[int, str, str]]]
    kills: int

    def check(self) -> None:
        """Every puller saw every record exactly in order, none missing."""
        assert self.whole
        assert [seq for seq, _, _ in self.stored] == list(range(1, len(self.stored) + 1))
        for kept in self.kept:
            reached = 0
            for row in kept:
                seq = row[0]
                assert seq <= reached + 1, f"{reached + 1} is missing before {seq}"
                assert self.stored[seq - 1] == row
                reached = max(reached, seq)
            assert reached == len(self.stored)


@dataclass
class Run:
    """One run on a clinic that serves."""

    clinic: Clinic
    folder: Path
    seconds: float
    kills: int = 0
    numbers: count[int] = field(default_factory=count)
    random: random.Random = field(default_factory=lambda: random.Random(7))

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        until = loop.time() + self.seconds
        writing = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for name in range(PULLERS):
                tasks.create_task(self._puller(name, until, writing))
            async with asyncio.TaskGroup() as writers:
                for _ in range(WRITERS):
                    writers.create_task(self._writer(until))
            writing.set()
        stored, storage = [], self.clinic.services.storage
        async for body in ledger.export(storage, ORGANIZATION):
            stored.append(_row(body))
        verification = await verify_ledger(storage, ORGANIZATION)
        kept = [self._kept(name) for name in range(PULLERS)]
        return Outcome(verification.broken is None, stored, kept, self.kills)

    async def _writer(self, until: float) -> None:
        """Settle, as fast as it goes; one transaction in seven rolls back after its append."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            record = simulate(next(self.numbers), 1_767_261_600_000, 0, ORGANIZATION)
            fails = self.random.random() < 1 / 7
            try:
                async with self.clinic.services.storage.write() as conn:
                    await ledger.append(conn, record, epoch_ms(str(record["ended_at"])))
                    if fails:
                        raise RuntimeError
            except RuntimeError:
                pass

    async def _puller(self, name: int, until: float, written: asyncio.Event) -> None:
        """Start it, kill it at random, start it again; in the end let it catch up."""
        loop = asyncio.get_running_loop()
        folder = self.folder / f"puller-{name}"
        folder.mkdir()
        while loop.time() < until:
            process = await self._start(folder)
            lives_s = min(self.random.uniform(0.2, 3), max(0.0, until - loop.time()))
            await asyncio.sleep(lives_s)
            process.send_signal(signal.SIGKILL)
            assert await process.wait() == -signal.SIGKILL, "a puller failed by itself"
            self.kills += 1
        await written.wait()
        async with self.clinic.services.storage.read() as conn:
            last = (await ledger.head(conn, ORGANIZATION)).seq
        process = await self._start(folder)
        try:
            async with asyncio.timeout(CATCH_UP_S):
                while not (kept := self._kept(name)) or max(kept)[0] < last:
                    with contextlib.suppress(TimeoutError):
                        ended = await asyncio.wait_for(asyncio.shield(process.wait()), 0.1)
                        raise AssertionError(f"a puller ended with {ended}")
        finally:
            process.kill()
            await process.wait()

    async def _start(self, folder: Path) -> asyncio.subprocess.Process:
        arguments = [self.clinic.services.base_url, self.clinic.demo.api_key, str(folder)]
        command = [sys.executable, "-m", "tests.faults.puller", *arguments]
        return await asyncio.create_subprocess_exec(*command, cwd=ROOT)

    def _kept(self, name: int) -> list[tuple[int, str, str]]:
        file = self.folder / f"puller-{name}" / "records"
        lines = file.read_text().splitlines(keepends=True) if file.exists() else []
        rows = [line.split() for line in lines if line.endswith("\n")]
        return [(int(row[0]), row[1], row[2]) for row in rows]


def _row(body: str) -> tuple[int, str, str]:
    record = json.loads(body)
    return record["seq"], record["record_id"], record["hash"]


async def main(database: str, seconds: float) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory("-wenzhen")))
        url = ""
        if database == "postgresql":
            server = stack.enter_context(running_postgres())
            server.psql("CREATE DATABASE pullers")
            url = server.url("pullers")
        async with opened(folder, database_url=url) as clinic:
            outcome = await Run(clinic, folder, seconds).run()
    outcome.check()
    seen = ", ".join(str(len(kept)) for kept in outcome.kept)
    print(
        f"{database}: {WRITERS} writers settled {len(outcome.stored)} records in {seconds:.0f} s;"
        f" {PULLERS} pullers, killed {outcome.kills} times, kept {seen} lines: all in order,"
        " none missing"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    asyncio.run(main(given.database, given.seconds))
