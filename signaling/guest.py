"""The socket.io namespace ``/guest``: a page that an invitation opened."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio
import structlog
from pydantic import ValidationError

from signaling.errors import LinkInvalid, Stopping, StorageTrouble
from signaling.messages import GUEST_COMMAND, GuestAuth
from signaling.pages import Pages
from signaling.patient import IDENTITY_TIMEOUT_S, refuse
from signaling.ports import Audit, Identities

log = structlog.get_logger()


class GuestNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the library has no types
    """Handlers validate, line up, and return: none waits for a consult."""

    def __init__(self, pages: Pages, identities: Identities, audit: Audit) -> None:
        super().__init__("/guest")
        self._pages, self._identities, self._audit = pages, identities, audit

    async def on_connect(self, sid: str, _environ: dict[str, Any], auth: Any) -> None:
        """Let in who was invited; every link that opens nothing is refused alike."""
        if self._pages.stopping:
            raise refuse(Stopping())
        try:
            who = GuestAuth.model_validate(auth)
        except ValidationError:
            raise refuse(LinkInvalid()) from None
        try:
            async with asyncio.timeout(IDENTITY_TIMEOUT_S):
                invited = await self._identities.guest(who.token)
        except Exception as error:
            log.warning("identity_unknown", error=type(error).__name__)
            raise refuse(StorageTrouble()) from None
        if invited is None:
            self._audit("link_refused", {})
            raise refuse(LinkInvalid())
        self._pages.guest_came(sid, invited, who)

    async def on_disconnect(self, sid: str, _reason: str) -> None:
        """The page is gone."""
        self._pages.gone(sid)

    async def on_command(self, sid: str, data: Any) -> None:
        """One command, or something malformed, which closes the page."""
        try:
            command = GUEST_COMMAND.validate_python(data)
        except ValidationError:
            self._pages.malformed(sid)
            return
        self._pages.guest_says(sid, command)
