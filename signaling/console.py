"""The socket.io namespace ``/console``: the page of a physician who is signed in."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio
import structlog
from pydantic import ValidationError

from signaling.errors import NotSignedIn, Stopping, StorageTrouble
from signaling.messages import CONSOLE_COMMAND, ConsoleAuth
from signaling.pages import Pages
from signaling.patient import IDENTITY_TIMEOUT_S, refuse
from signaling.ports import Identities

log = structlog.get_logger()

CHECK_SESSIONS_S = 60


class ConsoleNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the library has no types
    """Handlers validate, line up, and return: none waits for a consult."""

    def __init__(self, pages: Pages, identities: Identities) -> None:
        super().__init__("/console")
        self._pages, self._identities = pages, identities

    async def on_connect(self, sid: str, environ: dict[str, Any], auth: Any) -> None:
        """Let in whom the session cookie stands for."""
        if self._pages.stopping:
            raise refuse(Stopping())
        try:
            page = ConsoleAuth.model_validate(auth)
        except ValidationError:
            raise refuse(NotSignedIn()) from None
        try:
            async with asyncio.timeout(IDENTITY_TIMEOUT_S):
                physician = await self._identities.physician(environ)
        except Exception as error:
            log.warning("identity_unknown", error=type(error).__name__)
            raise refuse(StorageTrouble()) from None
        if physician is None:
            raise refuse(NotSignedIn())
        self._pages.console_came(sid, physician, page)

    async def check_sessions(self, every_s: float) -> None:
        """Close the consoles whose session is over by now. Runs until cancelled."""
        while True:
            await asyncio.sleep(every_s)
            for page in self._pages.consoles():
                environ = self.server.get_environ(page.sid, self.namespace)
                if environ is None:
                    continue  # it is gone
                try:
                    async with asyncio.timeout(IDENTITY_TIMEOUT_S):
                        physician = await self._identities.physician(environ)
                except Exception as error:  # who cannot be looked up now stays, and is asked again
                    log.warning("identity_unknown", error=type(error).__name__)
                    continue
                if physician is None:
                    page.close("signed_out")

    async def on_disconnect(self, sid: str, _reason: str) -> None:
        """The page is gone."""
        self._pages.gone(sid)

    async def on_command(self, sid: str, data: Any) -> None:
        """One command, or something malformed, which closes the page."""
        try:
            command = CONSOLE_COMMAND.validate_python(data)
        except ValidationError:
            self._pages.malformed(sid)
            return
        self._pages.console_says(sid, command)
