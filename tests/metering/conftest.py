"""A real database of each kind, with this package's tables in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from metering.tables import metadata
from server.storage import Storage


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the address of an empty database; each test runs once per kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'wenzhen.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def db(database_url: str) -> AsyncIterator[Storage]:
    """Give a database with this package's tables."""
    storage = await Storage.open(database_url)
    async with storage.write() as conn:
        await conn.run_sync(metadata.create_all)
    yield storage
    await storage.close()
