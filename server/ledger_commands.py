"""`wenzhen ledger …`: the ledgers without a running server."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering import audit, ledger
from metering.chain import Verification
from metering.ranges import Period, span
from metering.record import epoch_ms
from metering.sheet import BOM, HEADER
from server import demo, exports, migrate
from server.errors import OrganizationUnclear
from server.settings import Settings
from server.simulate import CORRECTED_EACH, correction
from server.simulate import simulate as simulated
from server.storage import Storage
from server.tables import organizations

BATCH = 500
FIRST_DAY_AT_MS = 1_767_261_600_000  # 2026-01-01T10:00:00Z, an evening in China


async def verify(settings: Settings, *, charges: bool) -> int:
    """Recompute the chains. Returns 0 when whole, 1 with the first broken record of each named.

    With ``charges`` also what each record asks for, from its own segments and tariff.
    """
    storage = await _open(settings)
    try:
        found = await audit.verify_all(storage, charges=charges)
    finally:
        await storage.close()
    return _told(found)


def verify_file(file: Path, *, charges: bool) -> int:
    """Recompute exported records without any database; ``-`` reads what comes in."""
    try:
        with sys.stdin if str(file) == "-" else file.open(encoding="utf-8", newline="\n") as lines:
            found = audit.verify_lines(lines, charges=charges)
    except (OSError, UnicodeDecodeError) as error:
        print(f"wenzhen: {file} cannot be read: {error}", file=sys.stderr)
        return 1
    return _told(found)


def _told(found: Mapping[str, Verification]) -> int:
    for organization_id, verification in found.items():
        if verification.broken is not None:
            print(f"broken: {organization_id}: {verification.broken}", file=sys.stderr)
            continue
        head = verification.head
        print(f"whole: {head.seq} records, head {head.hash} ({organization_id})")
    if not found:
        print("whole: 0 records")
    return 1 if any(one.broken for one in found.values()) else 0


@dataclass(frozen=True, slots=True)
class Export:
    """What to print. ``organization_id`` None: every ledger, one after the other."""

    organization_id: str | None
    period: Period
    csv: bool
    bom: bool


async def export(settings: Settings, wanted: Export) -> int:
    """Print records in their order, UTF-8 whatever the terminal's encoding is."""
    storage, out = await _open(settings), sys.stdout.buffer
    try:
        async with storage.read() as conn:
            known = await ledger.organizations(conn)
        if wanted.csv:
            out.write((BOM + HEADER if wanted.bom else HEADER).encode())
        for one in _chosen(known, wanted.organization_id):
            async with storage.read() as conn:
                found = await span(conn, one, wanted.period)
            rows = exports.csv_rows if wanted.csv else exports.ndjson
            async for chunk in rows(storage, one, found):
                out.write(chunk)
    finally:
        await storage.close()
    return 0


async def simulate(settings: Settings, count: int, organization_id: str | None) -> int:
    """Append ``count`` plausible records to an organization's ledger, 500 to a transaction.

    Without ``organization_id`` it is the only one there is; where there is none, the demo clinic.
    """
    storage = await _open(settings)
    try:
        mine = await _organization(storage, organization_id)
        async with storage.read() as conn:
            first = (await ledger.head(conn, mine)).seq
        for start in range(first, first + count, BATCH):
            number = min(BATCH, first + count - start)
            corrections = number // CORRECTED_EACH
            entries = []
            for index in range(start, start + number - corrections):
                record = simulated(index, FIRST_DAY_AT_MS, first, mine)
                entries.append((record, epoch_ms(record["ended_at"])))
            async with storage.write() as conn:
                appended = await ledger.append_all(conn, entries)
                await _correct(conn, start, corrections, appended)
    finally:
        await storage.close()
    print(f"appended {count} records after position {first}")
    return 0


async def _correct(
    conn: AsyncConnection, start: int, number: int, appended: Sequence[ledger.Appended]
) -> None:
    """Append exactly ``number`` corrections, of records that cost something."""
    at_ms = epoch_ms(appended[-1].record["settled_at"])
    for one in appended:
        if not number:
            return
        record = correction(start + number, [one.record])
        if record is not None:
            await ledger.append(conn, record, at_ms)
            number -= 1


async def _organization(storage: Storage, wanted: str | None) -> str:
    async with storage.read() as conn:
        known = (await conn.execute(select(organizations.c.id))).scalars().all()
    if not known and wanted is None:
        await demo.create_clinic(storage)
        return demo.ORGANIZATION
    chosen = _chosen(known, wanted)
    if len(chosen) != 1:
        raise OrganizationUnclear(chosen)
    return chosen[0]


def _chosen(known: Sequence[str], wanted: str | None) -> Sequence[str]:
    if wanted is not None and wanted not in known:
        raise OrganizationUnclear(known)
    return known if wanted is None else [wanted]


async def _open(settings: Settings) -> Storage:
    storage = await Storage.open(settings.sql_url)
    await migrate.upgrade(storage)
    return storage
