"""Transactions on both databases: one writer, nothing half written, readers see what is committed.

HOSTILE.md: nothing acknowledged is lost, so a commit is on disk before it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from server import tables
from server.errors import StorageUnavailable
from server.storage import Storage


async def add(conn: AsyncConnection, audit_id: str) -> None:
    row = {"id": audit_id, "at": 1, "actor": "test", "action": "test", "detail": ""}
    await conn.execute(tables.audit.insert().values(row))


async def ids(storage: Storage) -> set[str]:
    async with storage.read() as conn:
        return set((await conn.execute(select(tables.audit.c.id))).scalars())


async def test_a_clean_exit_commits(storage: Storage) -> None:
    async with storage.write() as conn:
        await add(conn, "one")
    assert await ids(storage) == {"one"}


async def test_an_error_rolls_all_of_it_back(storage: Storage) -> None:
    async def fail() -> None:
        async with storage.write() as conn:
            await add(conn, "one")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await fail()
    assert await ids(storage) == set()


async def test_a_cancelled_write_is_rolled_back_and_the_next_one_goes_on(storage: Storage) -> None:
    """A request that is cut off leaves neither a row nor a lock."""
    reached = asyncio.Event()

    async def cut_off() -> None:
        async with storage.write() as conn:
            await add(conn, "one")
            reached.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(cut_off())
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5), storage.write() as conn:
        await add(conn, "two")
    assert await ids(storage) == {"two"}


@pytest.mark.parametrize("turns", range(24))
async def test_cancelled_at_any_moment_no_transaction_keeps_its_lock(
    storage: Storage, turns: int
) -> None:
    """Abandoned in the middle of BEGIN IMMEDIATE, a connection kept all writers out for 10 s."""

    async def work(context: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        async with context() as conn:
            await conn.execute(text("SELECT 1"))
            await conn.execute(text("SELECT 2"))

    tasks = [asyncio.create_task(work(c)) for c in (storage.write, storage.read) * 4]
    for _ in range(turns * 2):
        await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    async with asyncio.timeout(5):
        await asyncio.gather(*(work(c) for c in (storage.write, storage.read) * 4))


async def test_closing_waits_for_who_still_reads(storage: Storage) -> None:
    """A connection that is taken while the others close would stay open for ever."""
    reading = asyncio.Event()

    async def read() -> None:
        async with storage.read() as conn:
            reading.set()
            for _ in range(5):
                await conn.execute(text("SELECT 1"))

    task = asyncio.create_task(read())
    await reading.wait()
    await storage.close()
    assert task.done()
    assert task.exception() is None


async def test_a_timeout_in_the_middle_of_a_statement_is_still_a_timeout(tmp_path: Path) -> None:
    """The cancellation is put off, and comes as what it was."""
    storage = await Storage.open(f"sqlite:///{tmp_path / 'w.sqlite3'}")
    slow = text(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000)"
        " SELECT max(x) FROM n"
    )

    async def run() -> None:
        async with asyncio.timeout(0.01):
            async with storage.read() as conn:
                await conn.execute(slow)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await run()
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    await storage.close()


async def test_readers_see_only_what_is_committed(storage: Storage) -> None:
    async with storage.write() as conn:
        await add(conn, "one")
        assert await ids(storage) == set()
    assert await ids(storage) == {"one"}


async def test_many_readers_while_one_writes(storage: Storage) -> None:
    """A long write (a ledger of a hundred records) holds up nobody who reads."""
    async with storage.write() as conn:
        await add(conn, "one")
        async with asyncio.timeout(5):
            assert await asyncio.gather(*(ids(storage) for _ in range(12))) == [set()] * 12


async def test_writers_never_lose_each_others_counts(storage: Storage) -> None:
    """Read, add one, write, from 20 tasks: each sees the last one's commit."""
    async with storage.write() as conn:
        await add(conn, "one")

    async def count_up() -> None:
        async with storage.write() as conn:
            query = select(tables.audit.c.at).where(tables.audit.c.id == "one")
            at = (await conn.execute(query.with_for_update())).scalar_one()
            await asyncio.sleep(0)
            await conn.execute(tables.audit.update().values(at=at + 1))

    await asyncio.gather(*(count_up() for _ in range(20)))
    async with storage.read() as conn:
        assert (await conn.execute(select(tables.audit.c.at))).scalar_one() == 21


async def test_sqlite_has_one_writing_transaction_at_a_time(tmp_path: Path) -> None:
    """SQLite before 3.51.3 can lose a commit when two writers share a WAL."""
    storage = await Storage.open(f"sqlite:///{tmp_path / 'w.sqlite3'}")
    inside = most = 0

    async def one() -> None:
        nonlocal inside, most
        async with storage.write() as conn:
            inside += 1
            most = max(most, inside)
            await conn.execute(text("SELECT 1"))
            inside -= 1

    await asyncio.gather(*(one() for _ in range(10)))
    await storage.close()
    assert most == 1


async def test_sqlite_is_durable_and_checks_references(tmp_path: Path) -> None:
    storage = await Storage.open(f"sqlite:///{tmp_path / 'w.sqlite3'}")
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    for context in (storage.read, storage.write):
        async with context() as conn:
            for pragma, value in wanted.items():
                got = (await conn.execute(text(f"PRAGMA {pragma}"))).scalar()
                assert got == value, pragma
    await storage.close()


async def test_sqlite_makes_the_folder_of_its_file(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "w.sqlite3"
    storage = await Storage.open(f"sqlite:///{file}")
    await storage.close()
    assert file.exists()


async def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StorageUnavailable) as caught:
        await Storage.open("postgresql://wenzhen:hunter2@127.0.0.1:1/clinic")
    assert "127.0.0.1:1/clinic" in str(caught.value)
    assert "hunter2" not in str(caught.value)


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "w.sqlite3"
    file.write_bytes(b"not a database, but long enough to look like a header" * 40)
    with pytest.raises(StorageUnavailable) as caught:
        await Storage.open(f"sqlite:///{file}")
    assert str(file) in str(caught.value)


async def test_a_path_below_a_file_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made: no right of any user changes that."""
    (tmp_path / "file").touch()
    with pytest.raises(StorageUnavailable):
        await Storage.open(f"sqlite:///{tmp_path / 'file' / 'w.sqlite3'}")
