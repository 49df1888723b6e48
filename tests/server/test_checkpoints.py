"""What it costs to write down the open calls: one transaction a second, whatever their number."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from sqlalchemy import event

from server.calls import TICK_S
from tests.server.clinic import Clinic
from tests.server.party import another_physician, in_call

SECONDS = 4


@pytest.mark.parametrize("calls", [1, 4])
async def test_open_calls_cost_one_transaction_a_second(clinic: Clinic, calls: int) -> None:
    written: list[int] = []

    def execute(
        _c: Any, _cursor: Any, statement: str, rows: Any, _context: Any, many: bool
    ) -> None:
        if statement.startswith("UPDATE meters"):
            written.append(len(rows) if many else 1)

    async with AsyncExitStack() as stack:
        for number in range(calls):
            await another_physician(clinic, f"doctor{number}")
            ordered = await clinic.api("POST", "/api/v1/consults", json={})
            link = ordered.json["join_url"]
            call = in_call(clinic, link=link, username=f"doctor{number}")
            patient, _ = await stack.enter_async_context(call)
            await patient.metered("video", 300)
        event.listen(clinic.services.storage.engine.sync_engine, "before_cursor_execute", execute)
        await asyncio.sleep(SECONDS * TICK_S)
    assert SECONDS - 1 <= len(written) <= SECONDS + 1
    assert set(written) == {calls}, "every open call is in each of them"
