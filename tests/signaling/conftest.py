"""Fixtures: the same signaling side on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from server.storage import Storage
from tests.signaling.world import World, sqlite_url, storage_at, world_on


@pytest.fixture
async def storage(tmp_path: Path) -> AsyncIterator[Storage]:
    async with storage_at(sqlite_url(tmp_path)) as opened:
        yield opened


@pytest.fixture(params=["sqlite", "postgresql"])
async def either_storage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Storage]:
    url = sqlite_url(tmp_path)
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    async with storage_at(url) as opened:
        yield opened


@pytest.fixture
async def world(storage: Storage) -> AsyncIterator[World]:
    async with world_on(storage) as running:
        yield running


@pytest.fixture
async def either_world(either_storage: Storage) -> AsyncIterator[World]:
    async with world_on(either_storage) as running:
        yield running
