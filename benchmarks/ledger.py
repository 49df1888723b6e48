"""What the ledger costs: appending, a page at its start and at its end, a full pull, verifying.

The real code on a real database (SQLite, or a PostgreSQL started for this): records made by the
meter and the rating, appended in transactions of their own by concurrent writers, pulled over HTTP
from a real server process by this one, verified by the command. The peer of each append is a bare
insert of the same text and a commit, with the same storage and the same writers: what the database
alone takes.

Prints a table, then one JSON object on the last line.
`python -m benchmarks.ledger --records 100000 --database sqlite|postgresql`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager, contextmanager, nullcontext
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import orjson
from sqlalchemy import text
from sqlalchemy.engine import make_url

from metering import ledger
from metering.record import epoch_ms
from server import demo, migrate
from server.demo import ORGANIZATION
from server.keys import Keys
from server.ledger_commands import FIRST_DAY_AT_MS
from server.simulate import simulate
from server.storage import Storage
from tests.e2e.network import free_port
from tests.postgres import running_postgres

COMMAND = Path(sys.executable).parent / "wenzhen"
WRITERS = (1, 8, 64)
SECONDS = 4.0
PAGE = 1000
PAGES = 31
CHUNK = 500
Entry = tuple[dict[str, Any], int]


def made(first: int, number: int, seed: int) -> list[Entry]:
    """Simulated records, each with the time at which it is settled."""
    records = (simulate(i, FIRST_DAY_AT_MS, seed, ORGANIZATION) for i in range(first, number))
    return [(record, epoch_ms(str(record["ended_at"]))) for record in records]


async def fill(storage: Storage, records: int) -> float:
    """Append what is missing of `records` through the real code, made on both cores; seconds."""
    began = time.perf_counter()
    async with storage.read() as conn:
        there = (await ledger.head(conn, ORGANIZATION)).seq
    loop = asyncio.get_running_loop()
    with ProcessPoolExecutor(2) as makers:
        waiting: list[asyncio.Future[list[Entry]]] = []
        starts = iter(range(there, records, CHUNK))
        while True:
            while len(waiting) < 4 and (start := next(starts, None)) is not None:
                end = min(start + CHUNK, records)
                waiting.append(loop.run_in_executor(makers, made, start, end, 0))
            if not waiting:
                return time.perf_counter() - began
            entries = await waiting.pop(0)
            async with storage.write() as conn:
                await ledger.append_all(conn, entries)


async def per_second(writers: int, seconds: float, once: Callable[[], Awaitable[None]]) -> float:
    """How often a second `writers` at once get `once` done."""
    done = 0
    until = time.perf_counter() + seconds

    async def writer() -> None:
        nonlocal done
        while time.perf_counter() < until:
            await once()
            done += 1

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for _ in range(writers):
            tasks.create_task(writer())
    return done / (time.perf_counter() - began)


def stock() -> Iterator[Entry]:
    """Records without an end, made beforehand in thousands."""
    for batch in count():
        yield from made(batch * 1000, batch * 1000 + 1000, 7)


async def appends(storage: Storage, seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Appends a second for each number of writers: of ours, and of the bare inserts."""
    ready = list(next_of(stock(), 40_000))
    entries = iter(ready)
    numbers = count()

    async def append() -> None:
        record, at_ms = next(entries)
        async with storage.write() as conn:
            await ledger.append(conn, record, at_ms)

    async def insert() -> None:
        body = orjson.dumps(ready[0][0]).decode()
        async with storage.write() as conn:
            statement = text("INSERT INTO bench_bare (id, body) VALUES (:id, :body)")
            await conn.execute(statement, {"id": next(numbers), "body": body})

    async with storage.write() as conn:
        await conn.execute(text("CREATE TABLE bench_bare (id BIGINT PRIMARY KEY, body TEXT)"))
    ours, bare = {}, {}
    for writers in WRITERS:
        ours[str(writers)] = await per_second(writers, seconds, append)
        bare[str(writers)] = await per_second(writers, seconds, insert)
    async with storage.write() as conn:
        await conn.execute(text("DROP TABLE bench_bare"))
    return ours, bare


def next_of(entries: Iterator[Entry], number: int) -> Iterator[Entry]:
    for _, entry in zip(range(number), entries, strict=False):
        yield entry


@asynccontextmanager
async def serving(url: str, folder: Path) -> AsyncIterator[str]:
    """A real server process on this database; the address of its API."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    argv = ["serve", "--port", str(port), "--media-port", str(free_port())]
    argv += ["--data-dir", str(folder), "--database-url", url]
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(str(COMMAND), *argv, stdout=log, stderr=log)
    try:
        await ready(base, process)
        yield base
    finally:
        process.terminate()
        await process.wait()


async def ready(base: str, process: asyncio.subprocess.Process) -> None:
    async with asyncio.timeout(60), aiohttp.ClientSession() as http:
        while True:
            assert process.returncode is None, "the server ended at its start"
            try:
                async with http.get(base + "/readyz") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)


class Puller:
    """A billing system: it reads every page and parses every record."""

    def __init__(self, http: aiohttp.ClientSession, base: str, key: str) -> None:
        self._http, self._base = http, base
        self._headers = {"Authorization": f"Bearer {key}"}

    async def page(self, cursor: str | None) -> tuple[bytes, str, float]:
        """One page of a thousand, the cursor behind it, and milliseconds until its last byte."""
        query = {"limit": str(PAGE)} | ({} if cursor is None else {"cursor": cursor})
        began = time.perf_counter()
        url = f"{self._base}/api/v1/records"
        while True:
            async with self._http.get(url, params=query, headers=self._headers) as answer:
                body = await answer.read()
            if answer.status == 200:
                took_ms = (time.perf_counter() - began) * 1000
                return body, answer.headers["Wenzhen-Next-Cursor"], took_ms
            assert answer.status == 429, body  # the limit of requests for each key
            await asyncio.sleep(int(answer.headers["Retry-After"]))

    async def pull(self) -> tuple[float, int, list[str | None]]:
        """Everything from the first record on: seconds, records, and the cursors on the way.

        A header has the next cursor, so the next page is asked for before this one is parsed.
        """
        began, records = time.perf_counter(), 0
        cursors: list[str | None] = [None]
        coming = asyncio.create_task(self.page(None))
        while True:
            body, cursor, _ = await coming
            coming = asyncio.create_task(self.page(cursor))
            await asyncio.sleep(0)  # it is sent
            found = orjson.loads(body)
            for seq, record in enumerate(found["data"], records + 1):
                assert record["seq"] == seq
            records += len(found["data"])
            if not found["has_more"]:
                await coming
                return time.perf_counter() - began, records, cursors
            cursors.append(found["next_cursor"])

    async def pages(self, cursors: Sequence[str | None]) -> dict[str, float]:
        """The first and the last full page, in turns: median milliseconds of each."""
        last = cursors[-2] if len(cursors) > 1 else None
        times: dict[str, list[float]] = {"first": [], "last": []}
        for _ in range(PAGES):
            for name, cursor in (("first", None), ("last", last)):
                _, _, took = await self.page(cursor)
                times[name].append(took)
        return {name: median(values) for name, values in times.items()}


@contextmanager
def database(kind: str, folder: Path) -> Iterator[str]:
    """The address of an empty database of this kind."""
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'ledger.sqlite3'}"
        return
    with running_postgres() as server:
        server.psql("CREATE DATABASE bench")
        yield server.url("bench")


async def filled(url: str, records: int) -> float:
    """A clinic with so many records in its ledger; seconds that it took."""
    storage = await Storage.open(url)
    try:
        await migrate.upgrade(storage)
        await demo.create_clinic(storage)
        fill_s = await fill(storage, records)
    finally:
        await storage.close()
    print(f"filled with {records} records in {fill_s:.1f} s", flush=True)
    return fill_s


async def measure(url: str, folder: Path, records: int, seconds: float) -> dict[str, Any]:
    fill_s = await filled(url, records)
    storage = await Storage.open(url)
    try:
        ours, bare = await appends(storage, seconds)
        async with storage.write() as conn:
            key = await Keys(storage).create(conn, ORGANIZATION, "bench", {"records"})
    finally:
        await storage.close()
    for writers in WRITERS:
        of, peer = ours[str(writers)], bare[str(writers)]
        print(f"{writers:3d} writers: {of:8.0f} appends/s, bare inserts {peer:8.0f}/s")
    async with serving(url, folder) as base, aiohttp.ClientSession() as http:
        puller = Puller(http, base, key.key)
        pull_s, pulled, cursors = await puller.pull()
        page_ms = await puller.pages(cursors)
    print(f"{pulled} records pulled in {pull_s:.1f} s, page {page_ms}")
    return {
        "append_per_s": {name: round(value, 1) for name, value in ours.items()},
        "page_ms": {name: round(value, 2) for name, value in page_ms.items()},
        "pull_s": round(pull_s, 2),
        "bare_insert_per_s": {name: round(value, 1) for name, value in bare.items()},
        "records": pulled,
        "fill_s": round(fill_s, 1),
    }


def verified(url: str) -> float:
    """Seconds of `wenzhen ledger verify`, the start of the process included."""
    began = time.perf_counter()
    command = [str(COMMAND), "ledger", "verify", "--database-url", url]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    took_s = time.perf_counter() - began
    print(f"verified in {took_s:.1f} s: {said.strip()}")
    return took_s


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--url", help="a database that stays: only what is missing is appended")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each number of writers")
    parser.add_argument("--fill", action="store_true", help="only fill it")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory("-wenzhen") as name:
        folder = Path(name)
        with nullcontext(args.url) if args.url else database(args.database, folder) as url:
            if args.fill:
                asyncio.run(filled(url, args.records))
                return
            figures = asyncio.run(measure(url, folder, args.records, args.seconds))
            figures["verify_s"] = round(verified(url), 2)
    print(json.dumps({"database": make_url(url).get_backend_name(), **figures}))


if __name__ == "__main__":
    main()
