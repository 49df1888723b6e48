"""Simulated records in a ledger, as the tests of what serves them need them."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from metering import ledger
from metering.record import epoch_ms
from server.demo import ORGANIZATION
from server.simulate import simulate

FIRST_DAY_AT_MS = 1_767_261_600_000


async def append(
    conn: AsyncConnection, count: int, first: int = 0, organization_id: str = ORGANIZATION
) -> list[ledger.Appended]:
    """Append ``count`` simulated records, from the ``first``-th on, each settled at its end."""
    records = [
        simulate(index, FIRST_DAY_AT_MS, 0, organization_id)
        for index in range(first, first + count)
    ]
    return await ledger.append_all(
        conn, [(record, epoch_ms(str(record["ended_at"]))) for record in records]
    )
