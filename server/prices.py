"""A clinic's prices: set a new version, noted in the audit log in the same transaction."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering import versions
from metering.pricelist import Version, begins, standing
from metering.tariff import Tariff, parse_tariff
from server import tables
from server.accounts import new_id
from server.auditor import write_entry
from server.errors import NoPrices, PhysicianUnknown
from signaling.case import rfc3339


@dataclass(frozen=True, slots=True)
class NewPrices:
    """What is to be valid, for whom, from when on: epoch ms, None for from now on."""

    organization_id: str
    physician_id: str | None
    tariff: Tariff
    valid_from_ms: int | None = None


async def set_prices(conn: AsyncConnection, new: NewPrices, actor: str, now_ms: int) -> Version:
    """Add a version within the caller's write transaction; consults that are ordered keep theirs.

    Args:
        actor: Who does it, as the audit log has it: ``kind:id``.

    Raises:
        PhysicianUnknown: the organization has no such physician.
        ValidFromPast: it would be valid from before now.
    """
    valid_from_ms = begins(new.valid_from_ms, now_ms)
    organizations = tables.organizations
    mine = organizations.c.id == new.organization_id
    await conn.execute(select(organizations.c.id).where(mine).with_for_update())
    if new.physician_id is not None:
        await require_physician(conn, new.organization_id, new.physician_id)
    version = Version(
        id=new_id("tar"),
        organization_id=new.organization_id,
        number=await versions.next_number(conn, new.organization_id),
        physician_id=new.physician_id,
        valid_from_ms=valid_from_ms,
        body=new.tariff.canonical.decode(),
        digest=new.tariff.digest,
        created_at_ms=now_ms,
        created_by=actor,
    )
    await versions.add(conn, version)
    whose = new.physician_id or new.organization_id
    await write_entry(
        conn, actor, "tariff_set", None, f"{version.id} of {whose} from {valid_from_ms}"
    )
    return version


def shown(version: Version, in_force: Container[str], now_ms: int) -> dict[str, object]:
    """A version as the API and the command line give it, ready for JSON."""
    return {
        "id": version.id,
        "number": version.number,
        "physician_id": version.physician_id,
        "valid_from": rfc3339(version.valid_from_ms),
        "standing": standing(version, in_force, now_ms).value,
        "tariff": json.loads(version.body),
        "digest": version.digest,
        "created_at": rfc3339(version.created_at_ms),
        "created_by": version.created_by,
    }


async def require_physician(conn: AsyncConnection, organization_id: str, physician_id: str) -> None:
    """Check that a physician is one of the organization's.

    Raises:
        PhysicianUnknown: there is none, or another organization's.
    """
    physicians = tables.physicians
    query = select(physicians.c.organization_id).where(physicians.c.id == physician_id)
    if (await conn.execute(query)).scalar() != organization_id:
        raise PhysicianUnknown(physician_id)


async def prices_at(
    conn: AsyncConnection, organization_id: str, physician_id: str | None, at_ms: int
) -> Tariff:
    """The prices of a new consult that takes place at ``at_ms``, epoch milliseconds.

    Raises:
        NoPrices: the organization has none for that time.
    """
    version = await versions.valid(conn, organization_id, physician_id, at_ms)
    if version is None:
        raise NoPrices(organization_id)
    return parse_tariff(version.body)
