"""`wenzhen tariffs …`: a clinic's prices, without a running server or beside one."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select

from metering import versions
from metering.tariff import parse_tariff
from server import migrate
from server.clock import wall_ms
from server.errors import OrganizationUnclear
from server.prices import NewPrices, require_physician, set_prices, shown
from server.settings import Settings
from server.storage import Storage
from server.tables import organizations
from signaling.case import rfc3339

ACTOR = "cli"
BATCH = 500


async def print_list(settings: Settings, organization_id: str, physician_id: str | None) -> int:
    """Print every version, one JSON text a line, in the order in which they were made."""
    async with _opened(settings, organization_id) as storage:
        now_ms, after = wall_ms(), 0
        async with storage.read() as conn:
            if physician_id is not None:
                await require_physician(conn, organization_id, physician_id)
            in_force = await versions.in_force(conn, organization_id, now_ms)
        while True:
            async with storage.read() as conn:
                found = await versions.page(conn, organization_id, physician_id, after, BATCH)
            if not found:
                return 0
            for version in found:
                print(json.dumps(shown(version, in_force, now_ms), ensure_ascii=False))
            after = found[-1].number


async def set_version(
    settings: Settings,
    organization_id: str,
    physician_id: str | None,
    tariff_text: bytes,
    valid_from_ms: int | None,
) -> int:
    """Add a version and print its id.

    Raises:
        TariffError, ValidFromPast, PhysicianUnknown, OrganizationUnclear: nothing was changed.
    """
    tariff = parse_tariff(tariff_text)
    new = NewPrices(organization_id, physician_id, tariff, valid_from_ms)
    async with _opened(settings, organization_id) as storage, storage.write() as conn:
        version = await set_prices(conn, new, ACTOR, wall_ms())
    print(f"{version.id} valid from {rfc3339(version.valid_from_ms)}, digest {version.digest}")
    return 0


@asynccontextmanager
async def _opened(settings: Settings, organization_id: str) -> AsyncIterator[Storage]:
    storage = await Storage.open(settings.sql_url)
    try:
        await migrate.upgrade(storage)
        async with storage.read() as conn:
            known = (await conn.execute(select(organizations.c.id))).scalars().all()
        if organization_id not in known:
            raise OrganizationUnclear(known)
        yield storage
    finally:
        await storage.close()
