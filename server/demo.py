"""The demo clinic: organization, physician, accountant, key, and a fresh link at every start."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict
from pathlib import Path

from sqlalchemy import insert, select, update

from metering.tariff import make_tariff
from server import tables
from server.accounts import SCOPES
from server.clinic import Order, create_consult
from server.clock import Clock, wall_ms
from server.errors import DataFolderUnusable
from server.prices import NewPrices, set_prices
from server.services import Demo, Services
from server.storage import Storage

ORGANIZATION, PHYSICIAN, USERNAME, KEY_NAME = "org_demo", "ph_demo", "doctor", "demo"
STAFF, STAFF_USERNAME = "staff_demo", "accountant"
TARIFF = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207}  # illustrative


async def prepare(services: Services) -> Demo:
    """Create what is missing, keep what still works, write `demo.json` readable by its owner.

    Raises:
        DataFolderUnusable: the file cannot be written.
    """
    file = services.settings.data_dir / "demo.json"
    before = _read(file)
    await create_clinic(services.storage)
    password = await _password(services, before.get("password", ""))
    await _accountant(services, password)
    api_key = await _api_key(services, before.get("api_key", ""))
    order = Order(patient_name="李秀英", complaint="头晕三天，血压偏高", returning=False)
    async with services.storage.write() as conn:
        _, token = await create_consult(conn, ORGANIZATION, order, Clock())
    base_url = services.base_url
    demo = Demo(
        base_url=base_url,
        console_url=f"{base_url}/console",
        username=USERNAME,
        password=password,
        patient_url=f"{base_url}/join#{token}",
        api_key=api_key,
    )
    _write(file, demo)
    return demo


def _read(file: Path) -> dict[str, str]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    fields = found.items() if isinstance(found, dict) else ()
    return {name: value for name, value in fields if isinstance(value, str)}


def _write(file: Path, demo: Demo) -> None:
    new = file.with_suffix(".new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            json.dump(asdict(demo), out, ensure_ascii=False, indent=2)
        new.replace(file)
    except OSError as error:
        raise DataFolderUnusable(str(file.parent), error.strerror or str(error)) from error


async def create_clinic(storage: Storage) -> None:
    """Create the demo's organization and physician, unless they are there."""
    async with storage.write() as conn:
        query = select(tables.organizations.c.id).where(tables.organizations.c.id == ORGANIZATION)
        if (await conn.execute(query)).first():
            return
        await conn.execute(
            insert(tables.organizations).values(
                id=ORGANIZATION,
                name="示范互联网医院 (Demo Hospital)",
                department="全科",
                created_at=wall_ms(),
            )
        )
        await conn.execute(
            insert(tables.physicians).values(
                id=PHYSICIAN,
                organization_id=ORGANIZATION,
                username=USERNAME,
                password_hash="",
                name="林薇 (Lin Wei)",
                title="主治医师",
                department="全科",
                created_at=wall_ms(),
            )
        )
        await set_prices(
            conn, NewPrices(ORGANIZATION, None, make_tariff(TARIFF)), "demo", wall_ms()
        )


async def _password(services: Services, before: str) -> str:
    if before and await services.accounts.check(USERNAME, before):
        return before
    password = "-".join(secrets.token_hex(2) for _ in range(3))
    hashed = await services.accounts.hash_password(password)
    async with services.storage.write() as conn:
        physicians = tables.physicians
        await conn.execute(
            update(physicians).where(physicians.c.id == PHYSICIAN).values(password_hash=hashed)
        )
    return password


async def _accountant(services: Services, password: str) -> None:
    """Let the accountant in with the physician's password, also where the demo has no such yet."""
    if await services.staff.check(STAFF_USERNAME, password):
        return
    staff, hashed = tables.staff, await services.accounts.hash_password(password)
    async with services.storage.write() as conn:
        mine = staff.c.id == STAFF
        if not (await conn.execute(select(staff.c.id).where(mine))).first():
            await conn.execute(
                insert(staff).values(
                    id=STAFF,
                    organization_id=ORGANIZATION,
                    username=STAFF_USERNAME,
                    password_hash="",
                    name="周敏 (Zhou Min)",
                    role="accountant",
                    created_at=wall_ms(),
                )
            )
        values = {"password_hash": hashed, "removed_at": None}
        await conn.execute(update(staff).where(mine).values(values))


async def _api_key(services: Services, before: str) -> str:
    found = await services.keys.find(before) if before else None
    if found is not None and found.scopes == SCOPES:
        return before
    async with services.storage.write() as conn:
        await services.keys.revoke_named(conn, ORGANIZATION, KEY_NAME)
        return (await services.keys.create(conn, ORGANIZATION, KEY_NAME, SCOPES)).key


def greeting(demo: Demo) -> str:
    """What `make run` prints: where to click, what to type."""
    return f"""
Wenzhen is running. Open both links in a browser, side by side:

  Physician   {demo.console_url}
              name: {demo.username}   password: {demo.password}
  Patient     {demo.patient_url}

Bills and statements of what was delivered, with the same password:

  Accountant  {demo.base_url}/billing
              name: {STAFF_USERNAME}   password: {demo.password}

The records that billing systems pull:

  curl -H 'Authorization: Bearer {demo.api_key}' {demo.base_url}/api/v1/records

Another patient link: press Ctrl-C and start again, or

  curl -H 'Authorization: Bearer {demo.api_key}' -H 'Content-Type: application/json' \\
       -d '{{"patient_name": "王芳"}}' {demo.base_url}/api/v1/consults
"""
