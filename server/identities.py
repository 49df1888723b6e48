"""Who a connecting page is: implements :class:`signaling.ports.Identities`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from server.accounts import Accounts, digest
from server.api.session import token_of
from server.clock import Clock
from server.storage import Storage
from signaling import store
from signaling.case import Physician
from signaling.ports import Invited

SHOWN_AFTER_END_MS = 24 * 3600_000


class SignedIn:
    """Links open consults, cookies open consoles."""

    def __init__(self, storage: Storage, accounts: Accounts) -> None:
        self._storage, self._accounts = storage, accounts

    async def patient(self, token: str) -> str | None:
        """The consult this link opens now: within its time; once joined, to a day past its end."""
        clock = Clock()
        async with self._storage.read() as conn:
            case = await store.by_link_hash(conn, digest(token), clock)
        if case is None:
            return None
        ended_at = case.marks.ended_at
        if ended_at is not None and clock.at_ms() > ended_at + SHOWN_AFTER_END_MS:
            return None
        opened = case.order.opens_at <= clock.at_ms() <= case.order.closes_at
        return case.core.id if opened or case.core.state != "created" else None

    async def guest(self, token: str) -> Invited | None:
        """Whom an invitation lets in now: until it expires unused; once used, as the patient."""
        clock = Clock()
        async with self._storage.read() as conn:
            found = await store.by_invitation(conn, digest(token), clock)
        if found is None:
            return None
        case, invited = found
        ended_at = case.marks.ended_at
        over = ended_at is not None and clock.at_ms() > ended_at + SHOWN_AFTER_END_MS
        return None if over else invited

    async def physician(self, environ: Mapping[str, Any]) -> Physician | None:
        """Who the session cookie stands for."""
        request: web.Request = environ["aiohttp.request"]
        token = token_of(dict(request.cookies))
        return await self._accounts.session(token) if token else None
