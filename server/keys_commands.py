"""`wenzhen keys …` and `wenzhen audit`: without a running server, or beside one."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from sqlalchemy import select

from metering.record import rfc3339
from server import migrate
from server.auditor import write_entry
from server.clock import wall_ms
from server.keys import Keys, NewKey
from server.settings import Settings
from server.storage import Storage
from server.tables import audit

ACTOR: Final = "cli"
BATCH: Final = 1_000
_TIMES: Final = ("created_at", "expires_at", "last_used_at", "revoked_at")


async def create(
    settings: Settings,
    organization_id: str,
    name: str,
    scopes: Sequence[str],
    life_ms: int | None,
) -> int:
    """Make a key; it alone goes to stdout, this once, and what it is goes to stderr."""
    async with _opened(settings) as storage, storage.write() as conn:
        new = await Keys(storage).create(conn, organization_id, name, scopes, life_ms)
        await write_entry(conn, ACTOR, "key_created", None, f"{new.id} {_scopes(new)}")
    _show(new)
    return 0


async def rotate(settings: Settings, key_id: str, overlap_ms: int) -> int:
    """Replace a key; the former one works for ``overlap_ms`` more."""
    async with _opened(settings) as storage, storage.write() as conn:
        new = await Keys(storage).rotate(conn, key_id, overlap_ms)
        await write_entry(conn, ACTOR, "key_rotated", None, f"{key_id} {new.id}")
    _show(new)
    return 0


async def revoke(settings: Settings, key_id: str) -> int:
    """End a key at once, in a running server too."""
    async with _opened(settings) as storage, storage.write() as conn:
        await Keys(storage).revoke(conn, key_id)
        await write_entry(conn, ACTOR, "key_revoked", None, key_id)
    print(f"revoked {key_id}")
    return 0


async def list_keys(settings: Settings, organization_id: str | None) -> int:
    """Print every key, one JSON text a line; the keys themselves are stored nowhere."""
    async with _opened(settings) as storage:
        rows = await Keys(storage).listed(organization_id)
    for row in rows:
        times = {name: None if row[name] is None else rfc3339(row[name]) for name in _TIMES}
        shown = {**row, **times, "scopes": row["scopes"].split(), "state": _state(row)}
        print(json.dumps(shown, ensure_ascii=False))
    return 0


async def print_audit(settings: Settings, since_ms: int, actor: str | None) -> int:
    """Print what was done, one JSON text a line, the oldest first.

    Args:
        since_ms: Epoch milliseconds, or a negative number of them before now.
        actor: All of it (``key:key_x``) or its kind (``key``).
    """
    async with _opened(settings) as storage:
        async for row in _entries(storage, since_ms if since_ms >= 0 else wall_ms() + since_ms):
            if actor is None or actor in (row["actor"], row["actor"].partition(":")[0]):
                print(json.dumps({**row, "at": rfc3339(row["at"])}, ensure_ascii=False))
    return 0


async def _entries(storage: Storage, since_ms: int) -> AsyncIterator[Any]:
    """In batches, one short transaction each: nobody who writes waits for a slow reader."""
    after = (since_ms, "")
    a = audit.c
    while True:
        behind = (a.at > after[0]) | ((a.at == after[0]) & (a.id > after[1]))
        query = select(audit).where(behind).order_by(a.at, a.id).limit(BATCH)
        async with storage.read() as conn:
            rows = (await conn.execute(query)).mappings().all()
        for row in rows:
            yield row
            after = (row["at"], row["id"])
        if len(rows) < BATCH:
            return


def _state(row: Any) -> str:
    if row["revoked_at"] is not None:
        return "revoked"
    if row["expires_at"] is None:
        return "works"
    return "works" if row["expires_at"] > wall_ms() else "expired"


def _scopes(key: NewKey) -> str:
    return ",".join(sorted(key.scopes))


def _show(new: NewKey) -> None:
    until = "revoked" if new.expires_at is None else rfc3339(new.expires_at)
    print(new.key)
    print(
        f"{new.id} of {new.organization_id}, scopes {_scopes(new)}, works until {until};"
        " the key is shown this once",
        file=sys.stderr,
    )


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Storage]:
    storage = await Storage.open(settings.sql_url)
    try:
        await migrate.upgrade(storage)
        yield storage
    finally:
        await storage.close()
