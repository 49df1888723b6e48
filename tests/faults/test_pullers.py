"""Pullers that are killed beside writers that settle at once miss nothing."""

from __future__ import annotations

from pathlib import Path

from tests.faults.pullers import Run
from tests.server.clinic import opened

SECONDS = 5


async def test_killed_pullers_see_every_record_in_order(database_url: str, tmp_path: Path) -> None:
    """`python -m tests.faults.pullers` does the same for a minute and more."""
    async with opened(tmp_path, database_url=database_url) as clinic:
        outcome = await Run(clinic, tmp_path, SECONDS).run()
    outcome.check()
    assert len(outcome.stored) > 50
    assert outcome.kills >= 6
