"""Consults as a clinic orders them: a link for a patient, a price, who treats."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from server import tables
from server.accounts import digest, new_id, new_token
from server.clock import Clock
from server.errors import PhysicianUnknown
from server.prices import prices_at
from signaling import store
from signaling.case import Case, NewConsult

TERMS_VERSION = "2026-11"
EARLY_MS = 10 * 60_000
LATE_MS = 15 * 60_000
ON_DEMAND_MS = 24 * 3600_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a booking system asks for. ``starts_at`` in epoch ms; None: on demand, for a day."""

    patient_name: str
    patient_ref: str = ""
    complaint: str = ""
    department: str = ""
    physician_id: str | None = None
    returning: bool = False
    starts_at: int | None = None
    max_video_kbps: int = 0
    prepaid_fen: int | None = None


async def create_consult(
    conn: AsyncConnection, organization_id: str, order: Order, clock: Clock
) -> tuple[Case, str]:
    """Store a new consult.

    Returns:
        The consult, and the token of its link, which is not stored and shown this once.

    Raises:
        PhysicianUnknown: ``order.physician_id`` is not of this organization.
        NoPrices: the organization has none for that time.
    """
    organization = await _row(conn, tables.organizations, organization_id)
    assert organization is not None, "an API key and a demo belong to an organization"
    physician = None
    if order.physician_id is not None:
        physician = await _row(conn, tables.physicians, order.physician_id)
        if physician is None or physician["organization_id"] != organization_id:
            raise PhysicianUnknown(order.physician_id)
    token, now = new_token(), clock.at_ms()
    takes_place_at = now if order.starts_at is None else order.starts_at
    tariff = await prices_at(conn, organization_id, order.physician_id, takes_place_at)
    opens_at = now if order.starts_at is None else order.starts_at - EARLY_MS
    closes_at = now + ON_DEMAND_MS if order.starts_at is None else order.starts_at + LATE_MS
    new = NewConsult(
        id=new_id("c"),
        organization_id=organization_id,
        organization=organization["name"],
        department=order.department
        or (physician["department"] if physician else organization["department"]),
        channel=tariff.channel.value,
        patient_ref=order.patient_ref or new_id("p"),
        patient_name=order.patient_name,
        tariff=tariff.canonical.decode(),
        tariff_digest=tariff.digest,
        terms_version=TERMS_VERSION,
        link_hash=digest(token),
        opens_at=opens_at,
        closes_at=closes_at,
        complaint=order.complaint,
        returning=order.returning,
        max_video_kbps=order.max_video_kbps,
        prepaid_fen=order.prepaid_fen,
        booked_physician_id=physician["id"] if physician else None,
        booked_physician_name=physician["name"] if physician else "",
        booked_physician_title=physician["title"] if physician else "",
    )
    return await store.create(conn, new, clock), token


async def _row(conn: AsyncConnection, table: Any, row_id: str) -> Any:
    return (await conn.execute(select(table).where(table.c.id == row_id))).mappings().first()
