"""Endpoints in SQL: where messages go, with which secrets, and how far each has been told."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import (
    ColumnElement,
    Row,
    RowMapping,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from metering import ledger
from metering.chain import Head
from metering.record import epoch_ms
from metering.tables import ledgers, records
from server.accounts import new_id
from server.tables import organizations, webhook_secrets, webhooks
from server.webhooks.schedule import Outcome, Progress
from server.webhooks.signing import SECRET_BYTES, secret_of

MAX_ENDPOINTS: Final = 10
OVERLAP_MS: Final = 24 * 3_600_000
MAX_PENDING: Final = 1_000
_w, _s = webhooks.c, webhook_secrets.c
_BEHIND: Final = _w.disabled_at.is_(None) & (ledgers.c.seq > _w.delivered_through_seq)


class TooMany(Exception):
    """The organization has as many endpoints as it may have."""


class AlreadyThere(Exception):
    """The organization has an endpoint with this URL."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An endpoint that has not been told all. Times in epoch ms.

    ``waiting_since``: when the first record that it was not told of was settled.
    """

    id: str
    next_attempt_at: int | None
    waiting_since: int


@dataclass(frozen=True, slots=True)
class Job:
    """What one attempt needs."""

    id: str
    organization_id: str
    url: str
    secrets: tuple[str, ...]
    head: Head
    progress: Progress


async def create(conn: AsyncConnection, organization_id: str, url: str, now_ms: int) -> Any:
    """Store an endpoint, to be told of what is settled from now on.

    Returns:
        Its row, and its secret.

    Raises:
        TooMany: `MAX_ENDPOINTS` are there.
        AlreadyThere: one has this URL.
    """
    owner = select(organizations.c.id).where(organizations.c.id == organization_id)
    await conn.execute(owner.with_for_update())  # so that two at once are counted
    mine = _w.organization_id == organization_id
    urls = (await conn.execute(select(_w.url).where(mine))).scalars().all()
    if url in urls:
        raise AlreadyThere
    if len(urls) >= MAX_ENDPOINTS:
        raise TooMany
    head = await ledger.head(conn, organization_id)
    webhook_id = new_id("wh")
    await conn.execute(
        insert(webhooks).values(
            id=webhook_id,
            organization_id=organization_id,
            url=url,
            created_at=now_ms,
            delivered_through_seq=head.seq,
            attempt=0,
        )
    )
    secret = await _add_secret(conn, webhook_id, now_ms)
    return await find(conn, organization_id, webhook_id), secret


async def listed(conn: AsyncConnection, organization_id: str) -> Sequence[RowMapping]:
    """Every endpoint of an organization, the oldest first."""
    mine = select(webhooks).where(_w.organization_id == organization_id)
    return (await conn.execute(mine.order_by(_w.created_at, _w.id))).mappings().all()


async def find(conn: AsyncConnection, organization_id: str, webhook_id: str) -> RowMapping | None:
    """One endpoint; None if this organization has no such one."""
    query = select(webhooks).where(_mine(organization_id, webhook_id))
    return (await conn.execute(query)).mappings().first()


async def remove(conn: AsyncConnection, organization_id: str, webhook_id: str) -> bool:
    """Remove an endpoint with its secrets; False if there is none."""
    if await find(conn, organization_id, webhook_id) is None:
        return False
    await conn.execute(delete(webhook_secrets).where(_s.webhook_id == webhook_id))
    await conn.execute(delete(webhooks).where(_w.id == webhook_id))
    return True


async def rotate(
    conn: AsyncConnection, organization_id: str, webhook_id: str, now_ms: int
) -> tuple[str, int] | None:
    """Make a new secret; the one before signs too for a day, and all older ones end.

    Returns:
        The new secret, and until when the former signs, epoch ms; None if there is no endpoint.
    """
    query = select(_w.id).where(_mine(organization_id, webhook_id)).with_for_update()
    if (await conn.execute(query)).first() is None:
        return None
    until = now_ms + OVERLAP_MS
    current = (_s.webhook_id == webhook_id) & _s.expires_at.is_(None)
    await conn.execute(
        delete(webhook_secrets).where(_s.webhook_id == webhook_id, _s.expires_at.is_not(None))
    )
    await conn.execute(update(webhook_secrets).where(current).values(expires_at=until))
    return await _add_secret(conn, webhook_id, now_ms), until


async def enable(conn: AsyncConnection, organization_id: str, webhook_id: str) -> bool:
    """Try an endpoint anew, at once, whether it was given up or waits; False: there is none."""
    fresh = {"attempt": 0, "failing_since": None, "next_attempt_at": None}
    done = await conn.execute(
        update(webhooks)
        .where(_mine(organization_id, webhook_id))
        .values(**fresh, disabled_at=None, disabled_reason=None)
    )
    return bool(done.rowcount)


async def signing_secrets(conn: AsyncConnection, webhook_id: str, now_ms: int) -> tuple[str, ...]:
    """The secrets that sign now, the newest first."""
    valid = or_(_s.expires_at.is_(None), _s.expires_at > now_ms)
    query = select(_s.secret).where(_s.webhook_id == webhook_id, valid)
    newest = query.order_by(_s.expires_at.is_not(None), _s.created_at.desc())
    return tuple((await conn.execute(newest)).scalars())


# --- what the task that delivers needs ----------------------------------------------------------


async def pending(conn: AsyncConnection) -> list[Pending]:
    """The endpoints behind their ledger, up to `MAX_PENDING`, those due longest first."""
    told = (records.c.organization_id == _w.organization_id) & (
        records.c.seq == _w.delivered_through_seq + 1
    )
    query = (
        select(_w.id, _w.next_attempt_at, records.c.settled_at)
        .join_from(webhooks, ledgers, ledgers.c.organization_id == _w.organization_id)
        .join(records, told)
        .where(_BEHIND)
        .order_by(func.coalesce(_w.next_attempt_at, 0), records.c.settled_at, _w.id)
        .limit(MAX_PENDING)
    )
    return [Pending(row[0], row[1], epoch_ms(row[2])) for row in await conn.execute(query)]


async def disabled(conn: AsyncConnection) -> int:
    """How many endpoints were given up."""
    query = select(func.count()).select_from(webhooks).where(_w.disabled_at.is_not(None))
    return int((await conn.execute(query)).scalar_one())


async def job(conn: AsyncConnection, webhook_id: str, now_ms: int) -> Job | None:
    """What to send to an endpoint now; None: there is nothing, or it is no more."""
    query = (
        select(webhooks, ledgers.c.seq, ledgers.c.hash, ledgers.c.settled_at)
        .join_from(webhooks, ledgers, ledgers.c.organization_id == _w.organization_id)
        .where(_w.id == webhook_id, _BEHIND)
    )
    row: Row[Any] | None = (await conn.execute(query)).first()
    if row is None:
        return None
    return Job(
        row.id,
        row.organization_id,
        row.url,
        await signing_secrets(conn, webhook_id, now_ms),
        Head(row.seq, row.hash, row.settled_at),
        Progress(row.attempt, row.failing_since, row.next_attempt_at),
    )


async def note(
    conn: AsyncConnection, done: Job, outcome: Outcome, progress: Progress, now_ms: int
) -> None:
    """Write down what came of an attempt; without effect where the endpoint is no more."""
    values: dict[str, Any] = {
        "attempt": progress.attempt,
        "failing_since": progress.failing_since,
        "next_attempt_at": progress.next_attempt_at,
        "disabled_reason": progress.disabled_reason,
        "disabled_at": now_ms if progress.disabled_reason else None,
        "last_attempt_at": now_ms,
        "last_status": outcome.status,
        "last_error": outcome.error,
    }
    if outcome.delivered:
        values |= {"delivered_through_seq": done.head.seq, "last_delivered_at": now_ms}
    await conn.execute(update(webhooks).where(_w.id == done.id).values(**values))


async def _add_secret(conn: AsyncConnection, webhook_id: str, now_ms: int) -> str:
    secret = secret_of(secrets.token_bytes(SECRET_BYTES))
    await conn.execute(
        insert(webhook_secrets).values(
            id=new_id("whs"), webhook_id=webhook_id, secret=secret, created_at=now_ms
        )
    )
    return secret


def _mine(organization_id: str, webhook_id: str) -> ColumnElement[bool]:
    return (_w.organization_id == organization_id) & (_w.id == webhook_id)
