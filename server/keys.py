"""API keys: made, found, replaced, revoked, and when each was last used.

A key is shown once and stored as SHA-256. Its scopes never change; a key is replaced by another of
the same name and scopes, and the former one goes on for a while, so that nobody is locked out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from sqlalchemy import ColumnElement, RowMapping, bindparam, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from server import tables
from server.accounts import SCOPES, digest, new_id, new_token
from server.clock import wall_ms
from server.errors import KeyUnknown, OrganizationUnclear, ScopeUnknown
from server.storage import Storage

USED_EACH_S: Final = 60.0
MAX_USED: Final = 10_000
MAX_NAME: Final = 100
log = structlog.get_logger()
_k = tables.api_keys.c


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What a key allows."""

    id: str
    organization_id: str
    scopes: frozenset[str]

    @property
    def actor(self) -> str:
        """As the audit log names it."""
        return f"key:{self.id}"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made: ``key`` itself is stored nowhere. ``expires_at``: epoch ms."""

    id: str
    key: str
    organization_id: str
    scopes: frozenset[str]
    expires_at: int | None


class Keys:
    """API keys in SQL."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def find(self, key: str) -> ApiKey | None:
        """What this key allows, None when it is unknown, revoked or over."""
        query = select(tables.api_keys).where(_k.key_hash == digest(key), _works(wall_ms()))
        async with self._storage.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        if row is None:
            return None
        return ApiKey(row["id"], row["organization_id"], frozenset(row["scopes"].split()))

    async def create(
        self,
        connection: AsyncConnection,
        organization_id: str,
        name: str,
        scopes: Iterable[str],
        life_ms: int | None = None,
    ) -> NewKey:
        """Store a new key; it is shown this once.

        Args:
            life_ms: How long it works; None: until it is revoked.

        Raises:
            ScopeUnknown: one of ``scopes`` is none, or there is none at all.
            OrganizationUnclear: there is no such organization.
        """
        wanted = frozenset(scopes)
        if not wanted or not wanted <= SCOPES:
            raise ScopeUnknown(sorted(wanted - SCOPES), sorted(SCOPES))
        known = (await connection.execute(select(tables.organizations.c.id))).scalars().all()
        if organization_id not in known:
            raise OrganizationUnclear(known)
        now = wall_ms()
        expires_at = None if life_ms is None else now + life_ms
        new = NewKey(new_id("key"), "wz_" + new_token(), organization_id, wanted, expires_at)
        await connection.execute(
            insert(tables.api_keys).values(
                id=new.id,
                organization_id=organization_id,
                name=name[:MAX_NAME],
                key_hash=digest(new.key),
                scopes=" ".join(sorted(wanted)),
                created_at=now,
                expires_at=expires_at,
            )
        )
        return new

    async def rotate(self, connection: AsyncConnection, key_id: str, overlap_ms: int) -> NewKey:
        """Make a key of the same name, scopes and length of life; the former ends after a while.

        Raises:
            KeyUnknown: there is none of this id that works and was not replaced yet.
        """
        now = wall_ms()
        mine = (_k.id == key_id) & _k.replaced_by.is_(None) & _works(now)
        query = select(tables.api_keys).where(mine).with_for_update()
        row = (await connection.execute(query)).mappings().first()
        if row is None:
            raise KeyUnknown(key_id)
        ends = row["expires_at"]
        life_ms = None if ends is None else ends - row["created_at"]
        scopes = row["scopes"].split()
        new = await self.create(connection, row["organization_id"], row["name"], scopes, life_ms)
        last = now + overlap_ms if ends is None else min(ends, now + overlap_ms)
        await connection.execute(
            update(tables.api_keys)
            .where(_k.id == key_id)
            .values(expires_at=last, replaced_by=new.id)
        )
        return new

    async def revoke(self, connection: AsyncConnection, key_id: str) -> None:
        """End a key at once.

        Raises:
            KeyUnknown: there is none of this id, or it was revoked before.
        """
        mine = (_k.id == key_id) & _k.revoked_at.is_(None)
        done = await connection.execute(
            update(tables.api_keys).where(mine).values(revoked_at=wall_ms())
        )
        if not done.rowcount:
            raise KeyUnknown(key_id)

    async def revoke_named(
        self, connection: AsyncConnection, organization_id: str, name: str
    ) -> None:
        """End every key of this name of an organization."""
        mine = (_k.organization_id == organization_id) & (_k.name == name)
        await connection.execute(
            update(tables.api_keys)
            .where(mine, _k.revoked_at.is_(None))
            .values(revoked_at=wall_ms())
        )

    async def listed(self, organization_id: str | None = None) -> Sequence[RowMapping]:
        """Every key, of one organization or of all, the oldest first; without its hash."""
        columns = [column for column in _k if column is not _k.key_hash]
        query = select(*columns).order_by(_k.organization_id, _k.created_at, _k.id)
        if organization_id is not None:
            query = query.where(_k.organization_id == organization_id)
        async with self._storage.read() as connection:
            return (await connection.execute(query)).mappings().all()


class KeyUses:
    """When each key was last used, written once a minute for all of them together.

    :meth:`run` must run in a task of the owner; call :meth:`flush` after it has ended.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._used: dict[str, int] = {}

    def note(self, key_id: str) -> None:
        """This key was used now; never blocks."""
        if key_id in self._used or len(self._used) < MAX_USED:
            self._used[key_id] = wall_ms()

    async def run(self) -> None:
        """Write down what was noted, once a minute. Runs until cancelled."""
        while True:
            await asyncio.sleep(USED_EACH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write down what was noted; what the database does not take now is tried again."""
        if not self._used:
            return
        taken, self._used = self._used, {}
        write = update(tables.api_keys).where(_k.id == bindparam("key_id"))
        rows: list[dict[str, Any]] = [{"key_id": i, "at": at} for i, at in taken.items()]
        try:
            async with self._storage.write() as connection:
                await connection.execute(write.values(last_used_at=bindparam("at")), rows)
        except (SQLAlchemyError, OSError) as error:
            log.error("key_uses_failed", keys=len(rows), error=type(error).__name__)
            self._used = taken | self._used


def _works(now_ms: int) -> ColumnElement[bool]:
    return _k.revoked_at.is_(None) & or_(_k.expires_at.is_(None), _k.expires_at > now_ms)
