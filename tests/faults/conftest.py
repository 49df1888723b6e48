"""A real database of each kind for the ledger's faults."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database; each test runs once per kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'wenzhen.sqlite3'}"
    url: str = request.getfixturevalue("postgres_url")
    return url
