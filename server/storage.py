"""The one SQL engine of the process: SQLite by default, PostgreSQL by URL.

SQLite runs in WAL mode with ``synchronous=FULL`` and a single writer connection, because SQLite
before 3.51.3 can lose a commit when two writers share a WAL. A write transaction there is
``BEGIN IMMEDIATE``: it holds the write lock from its first statement, so a read inside it is
never older than what it writes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import StaticPool

from server.errors import StorageUnavailable
from server.sqlite import connect

READERS = 4
CLOSE_TIMEOUT_S = 5


class Storage:
    """Read and write transactions on one database.

    Use :meth:`open`; after use you must ``await close()``. Both transaction contexts raise
    whatever the driver raises (``sqlalchemy.exc.DBAPIError``); nothing is committed then.
    """

    def __init__(self, writer: AsyncEngine, reader: AsyncEngine) -> None:
        self._writer, self._reader = writer, reader
        self._one_writer = asyncio.Lock() if self.dialect == "sqlite" else None
        self._under_way = 0
        self._quiet = asyncio.Event()
        self._quiet.set()

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self._writer.dialect.name

    @property
    def engine(self) -> AsyncEngine:
        """The writing engine, for migrations."""
        return self._writer

    @classmethod
    async def open(cls, url: str) -> Self:
        """Connect to ``sqlite:///PATH`` or ``postgresql://…``.

        Raises:
            StorageUnavailable: nothing answers there, or the file cannot be written.
        """
        address = make_url(url)
        if address.get_backend_name() == "sqlite":
            try:
                storage = cls(*_sqlite(address))
            except OSError as error:
                raise StorageUnavailable(str(address)) from error
        else:
            engine = create_async_engine(
                address.set(drivername="postgresql+asyncpg"),
                pool_size=8,
                pool_pre_ping=True,
                hide_parameters=True,
            )
            storage = cls(engine, engine)
        try:
            async with storage.read() as connection:
                await connection.execute(text("SELECT 1"))
        except Exception as error:
            await storage.close()
            raise StorageUnavailable(address.render_as_string(hide_password=True)) from error
        return storage

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One write transaction: committed on a clean exit, rolled back otherwise.

        On SQLite a cancellation in the middle of a statement is raised once the caller awaits
        something else, which may be after the commit (:mod:`server.sqlite`).
        """
        with self._counted():
            if self._one_writer is None:
                async with self._writer.begin() as connection:
                    yield connection
                return
            async with self._one_writer, self._writer.begin() as connection:
                yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One read transaction: sees a single state of the database throughout."""
        with self._counted():
            async with self._reader.connect() as connection:
                yield connection

    @contextlib.contextmanager
    def _counted(self) -> Iterator[None]:
        self._under_way += 1
        self._quiet.clear()
        try:
            yield
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._quiet.set()

    async def close(self) -> None:
        """End all connections, once the transactions under way have ended, or 5 s later."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await self._quiet.wait()
        await self._writer.dispose()
        if self._reader is not self._writer:
            await self._reader.dispose()


def _sqlite(address: URL) -> tuple[AsyncEngine, AsyncEngine]:
    if address.database:
        Path(address.database).parent.mkdir(parents=True, exist_ok=True)
    address = address.set(drivername="sqlite+aiosqlite")
    # autocommit mode of the driver: this module says when a transaction begins
    connect_args = {"isolation_level": None, "timeout": 10, "async_creator_fn": connect}
    # errors are logged: the rows that they would quote hold names
    common: dict[str, Any] = {"connect_args": connect_args, "hide_parameters": True}
    writer = create_async_engine(address, poolclass=StaticPool, **common)
    reader = create_async_engine(address, pool_size=READERS, max_overflow=0, **common)
    for engine, begin in ((writer, "BEGIN IMMEDIATE"), (reader, "BEGIN")):
        event.listen(engine.sync_engine, "connect", _pragmas)
        event.listen(engine.sync_engine, "begin", _begins(begin))
    return writer, reader


def _pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=10000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begins(statement: str) -> Any:
    def begin(connection: Any) -> None:
        connection.exec_driver_sql(statement)

    return begin
