"""A real database of each kind, and a whole process that runs in the loop of a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import settings

from server import migrate
from server.storage import Storage
from tests.server.clinic import Clinic, opened

# a busy machine is slow, not wrong
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database; each test runs once per kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'wenzhen.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
async def storage(database_url: str) -> AsyncIterator[Storage]:
    """A database of each kind with every table in it."""
    opened = await Storage.open(database_url)
    await migrate.upgrade(opened)
    yield opened
    await opened.close()


@pytest.fixture
async def clinic(tmp_path: Path) -> AsyncIterator[Clinic]:
    """A running process on SQLite, as `make run` starts it."""
    async with opened(tmp_path) as running:
        yield running


@pytest.fixture
async def either(database_url: str, tmp_path: Path) -> AsyncIterator[Clinic]:
    """A running process on each kind of database."""
    async with opened(tmp_path, database_url=database_url) as running:
        yield running
