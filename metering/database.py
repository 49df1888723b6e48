"""What this package asks of a database. The engine belongs to whoever implements it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection


class Database(Protocol):
    """Transactions on SQLite or PostgreSQL (READ COMMITTED is enough)."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a write transaction that commits on a clean exit and rolls back otherwise.

        On SQLite it must hold the write lock from its first statement on (BEGIN IMMEDIATE).
        """
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Open a read transaction."""
        ...
