"""`wenzhen ledger …`: the ledger without a running server."""

from __future__ import annotations

import sys

from metering import ledger
from server import migrate
from server.settings import Settings
from server.simulate import simulate as simulated
from server.storage import Storage

BATCH = 100
FIRST_DAY_AT_MS = 1_767_261_600_000  # 2026-01-01T10:00:00Z, an evening in China


async def verify(settings: Settings) -> int:
    """Recompute the chain. Returns 0 when whole, 1 with the first broken record named."""
    storage = await _open(settings)
    try:
        verification = await ledger.verify_all(storage)
    finally:
        await storage.close()
    head = verification.head
    if verification.broken is not None:
        print(f"broken: {verification.broken}", file=sys.stderr)
        return 1
    print(f"whole: {head.seq} records, head {head.hash}")
    return 0


async def export(settings: Settings) -> int:
    """Print every record in order, as NDJSON."""
    storage = await _open(settings)
    try:
        async for body in ledger.export(storage):
            print(body)
    finally:
        await storage.close()
    return 0


async def simulate(settings: Settings, count: int) -> int:
    """Append ``count`` plausible records, a hundred to a transaction."""
    storage = await _open(settings)
    try:
        async with storage.read() as conn:
            first = (await ledger.head(conn)).seq
        for start in range(first, first + count, BATCH):
            async with storage.write() as conn:
                for index in range(start, min(start + BATCH, first + count)):
                    await ledger.append(conn, simulated(index, FIRST_DAY_AT_MS, first))
    finally:
        await storage.close()
    print(f"appended {count} records after position {first}")
    return 0


async def _open(settings: Settings) -> Storage:
    storage = await Storage.open(settings.sql_url)
    await migrate.upgrade(storage)
    return storage
