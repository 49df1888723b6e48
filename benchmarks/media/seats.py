"""A clinic with a physician, a session and a consult for each call, in a database of its own."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from metering.tariff import make_tariff
from server import migrate, tables
from server.accounts import digest, new_id, new_token
from server.clinic import Order, create_consult
from server.clock import Clock, wall_ms
from server.prices import NewPrices, set_prices
from server.storage import Storage

TARIFF = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207}


async def seed(database_url: str, calls: int) -> list[dict[str, str]]:
    """Create the clinic in a database of its own; what each pair of pages needs."""
    storage = await Storage.open(database_url)
    await migrate.upgrade(storage)
    now = wall_ms()
    async with storage.write() as conn:
        organization = {
            "id": "org_bench",
            "name": "Bench",
            "department": "Bench",
            "created_at": now,
        }
        await conn.execute(insert(tables.organizations).values(organization))
        prices = NewPrices("org_bench", None, make_tariff(TARIFF))
        await set_prices(conn, prices, "bench", now)
        seats = [await _seat(conn, number, now) for number in range(calls)]
    await storage.close()
    return seats


async def _seat(conn: Any, number: int, now: int) -> dict[str, str]:
    physician_id, session = new_id("ph"), new_token()
    await conn.execute(
        insert(tables.physicians).values(
            id=physician_id,
            organization_id="org_bench",
            username=f"doctor{number}",
            password_hash="",
            name="Bench",
            title="Bench",
            department="Bench",
            created_at=now,
        )
    )
    await conn.execute(
        insert(tables.sessions).values(
            token_hash=digest(session),
            physician_id=physician_id,
            created_at=now,
            expires_at=now + 12 * 3_600_000,
        )
    )
    order = Order(patient_name="Bench", physician_id=physician_id)
    case, token = await create_consult(conn, "org_bench", order, Clock())
    return {"token": token, "session": session, "consult_id": case.core.id}
