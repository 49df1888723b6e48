"""The task that tells endpoints how far their ledger is settled.

The tables say who has not been told what; hints and deadlines only say when to look. So a restart,
a lost hint or an attempt whose outcome could not be written costs a message that comes late or
twice, and never one. Each endpoint has one attempt under way at most, in a task of its own: a slow
one holds up nobody. Whatever was settled meanwhile is one message.

One process delivers: two on one database would send everything twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog
from sqlalchemy.exc import SQLAlchemyError

from metering.record import rfc3339
from server.accounts import new_id
from server.auditor import Auditor
from server.clock import wall_ms
from server.storage import Storage
from server.webhooks import signing, store
from server.webhooks.schedule import Outcome, after, wait_ms
from server.webhooks.sender import Sender
from signaling.tasks import Tasks

MAX_UNDER_WAY: Final = 64
POLL_S: Final = 30.0
GAP_S: Final = 0.1
"""Between two looks at the tables, however many hints come."""
HOLD_S: Final = 30.0
"""How long an endpoint is left alone whose outcome the database did not take."""
log = structlog.get_logger()


class Deliverer:
    """:meth:`run` must run in a task of the owner, who must call :meth:`close` in the end."""

    def __init__(
        self,
        storage: Storage,
        sender: Sender,
        auditor: Auditor,
        *,
        now_ms: Callable[[], int] = wall_ms,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``now_ms``: epoch milliseconds. ``chance``: 0 to 1."""
        self._storage, self.sender, self._auditor = storage, sender, auditor
        self._now_ms, self._chance = now_ms, chance
        self._woken = asyncio.Event()
        self._under_way: set[str] = set()
        self._tasks = Tasks()
        self._waiting_since: int | None = None
        self.results: Counter[str] = Counter()
        """Attempts by what came of them: ``delivered``, or an error of `Outcome`."""
        self.disabled = 0
        """Endpoints that were given up, as of the last look."""

    def hint(self) -> None:
        """A record may have been settled, or an endpoint changed; never blocks."""
        self._woken.set()

    def oldest_ms(self) -> int:
        """For how long the endpoint that is furthest behind has not been told; 0: all are."""
        since = self._waiting_since
        return 0 if since is None else max(0, self._now_ms() - since)

    async def run(self) -> None:
        """Deliver. Runs until cancelled."""
        while True:
            self._woken.clear()
            wait_s = await self._look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._woken.wait()
            await asyncio.sleep(GAP_S)

    async def close(self) -> None:
        """End the attempts under way; the next start makes them again."""
        await self._tasks.close()
        self.sender.close()

    async def test(self, organization_id: str, webhook_id: str) -> Outcome | None:
        """Send a message that only shows whether messages arrive; None: no such endpoint."""
        now_ms = self._now_ms()
        async with self._storage.read() as conn:
            row = await store.find(conn, organization_id, webhook_id)
            secrets = await store.signing_secrets(conn, webhook_id, now_ms)
        if row is None:
            return None
        body = signing.test(organization_id, webhook_id, rfc3339(now_ms))
        headers = signing.headers(secrets, new_id("msg"), now_ms // 1000, body)
        return await self.sender.post(row["url"], headers, body)

    async def _look(self) -> float:
        """Start what is due. Returns how long there is nothing to do, seconds."""
        try:
            async with self._storage.read() as conn:
                behind = await store.pending(conn)
                self.disabled = await store.disabled(conn)
        except (SQLAlchemyError, OSError) as error:
            log.warning("webhooks_unread", error=type(error).__name__)
            return POLL_S
        self._waiting_since = min((one.waiting_since for one in behind), default=None)
        now_ms, soonest_ms = self._now_ms(), round(POLL_S * 1000)
        for one in behind:
            left_ms = wait_ms(one.next_attempt_at, now_ms)
            if left_ms:
                soonest_ms = min(soonest_ms, left_ms)
            elif one.id not in self._under_way and len(self._under_way) < MAX_UNDER_WAY:
                self._under_way.add(one.id)
                self._tasks.start("webhook", self._attempt(one.id))
        return soonest_ms / 1000

    async def _attempt(self, webhook_id: str) -> None:
        try:
            await self._deliver(webhook_id)
        except (SQLAlchemyError, OSError) as error:
            log.warning("webhook_unwritten", webhook_id=webhook_id, error=type(error).__name__)
            await asyncio.sleep(HOLD_S)  # else the receiver would get it again and again
        finally:
            self._under_way.discard(webhook_id)
            self._woken.set()

    async def _deliver(self, webhook_id: str) -> None:
        started_ms = self._now_ms()
        async with self._storage.read() as conn:
            job = await store.job(conn, webhook_id, started_ms)
        if job is None or wait_ms(job.progress.next_attempt_at, started_ms):
            return  # it was told, or tried, since the look
        body = signing.available(job.organization_id, job.head)
        message_id = signing.message_id(job.id, job.head.seq)
        headers = signing.headers(job.secrets, message_id, started_ms // 1000, body)
        outcome = await self.sender.post(job.url, headers, body)
        self.results[outcome.error or "delivered"] += 1
        now_ms = self._now_ms()
        progress = after(job.progress, outcome, now_ms, self._chance())
        async with self._storage.write() as conn:
            await store.note(conn, job, outcome, progress, now_ms)
        if progress.disabled_reason is not None:
            why = progress.disabled_reason
            log.warning("webhook_disabled", webhook_id=webhook_id, reason=why)
            self._auditor.note("server", "webhook_disabled", None, f"{webhook_id} {why}")
