"""A PostgreSQL that is stopped in mid-call: calls go on, and no second and no record is lost.

`WENZHEN_TEST_AWAY_S` sets for how long; the suite takes a few seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgresServer, running_postgres
from tests.server.clinic import Clinic, opened
from tests.server.party import Party, another_physician, in_call

AWAY_S = float(os.environ.get("WENZHEN_TEST_AWAY_S", "6"))
CALLS = 3
SLACK_MS = 700


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that may be stopped: the other tests' one is shared."""
    with running_postgres() as server:
        server.psql("CREATE DATABASE away")
        yield server


async def calls(clinic: Clinic, stack: AsyncExitStack) -> list[tuple[Party, Party]]:
    """Several calls at once, each with a physician of its own."""
    under_way = []
    for number in range(CALLS):
        await another_physician(clinic, f"doctor{number}")
        ordered = await clinic.api("POST", "/api/v1/consults", json={})
        link = ordered.json["join_url"]
        call = in_call(clinic, link=link, username=f"doctor{number}")
        under_way.append(await stack.enter_async_context(call))
    return under_way


async def finish(physician: Party) -> dict[str, Any]:
    """Ask until it is done, as the page does."""
    while True:
        answer: dict[str, Any] = await physician.page.ask("finish", consult_id=physician.consult_id)
        if answer["ok"]:
            return answer
        assert answer["error"]["code"] == "storage_unavailable", answer
        await asyncio.sleep(0.2)


@pytest.mark.timeout(120 + AWAY_S)
async def test_calls_go_on_and_nothing_is_lost(
    own_postgres: PostgresServer, tmp_path: Path
) -> None:
    """One of the calls is finished while the database is away: it is settled when it is back."""
    async with opened(tmp_path, database_url=own_postgres.url("away")) as clinic:
        async with AsyncExitStack() as stack:
            under_way = await calls(clinic, stack)
            heard = [patient.heard() for patient, _ in under_way]
            before = [(await patient.metered("video", 500))["video_ms"] for patient, _ in under_way]
            began = time.monotonic()
            await asyncio.to_thread(own_postgres.stop)
            finishing = asyncio.create_task(finish(under_way[0][1]))
            refused = await clinic.api("GET", "/api/v1/records")
            refused.problem(503, "database_unavailable")
            assert refused.headers["Retry-After"]
            await asyncio.sleep(AWAY_S)
            for (patient, _), heard_before in zip(under_way[1:], heard[1:], strict=True):
                assert patient.heard() - heard_before > AWAY_S * 50, "media did not flow"
            await asyncio.to_thread(own_postgres.start)
            await finishing
            lasted_ms = (time.monotonic() - began) * 1000
            for (patient, physician), ms in zip(under_way[1:], before[1:], strict=True):
                await patient.metered("video", round(ms + lasted_ms - SLACK_MS))
                await finish(physician)
        records = (await clinic.api("GET", "/api/v1/records")).json["data"]
    assert len(records) == CALLS
    assert all(len(record["segments"]) == 1 for record in records)
    for record, ms in zip(records[1:], before[1:], strict=True):
        assert record["mode_seconds"]["video"] * 1000 >= ms + lasted_ms - SLACK_MS - 1000
        assert not record["estimated"]
