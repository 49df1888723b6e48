"""The socket.io namespace ``/patient``: a page that a link opened."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio
import structlog
from pydantic import ValidationError
from socketio.exceptions import ConnectionRefusedError

from signaling.errors import ConsultError, LinkInvalid, Stopping, StorageTrouble
from signaling.messages import PATIENT_COMMAND, PatientAuth
from signaling.pages import Pages
from signaling.ports import Audit, Identities

log = structlog.get_logger()

IDENTITY_TIMEOUT_S = 10


def refuse(error: ConsultError) -> ConnectionRefusedError:
    """What a page that may not connect is told: the code as message and in the data."""
    return ConnectionRefusedError(error.code, {"code": error.code})


class PatientNamespace(socketio.AsyncNamespace):  # type: ignore[misc]  # the library has no types
    """Handlers validate, line up, and return: none waits for a consult."""

    def __init__(self, pages: Pages, identities: Identities, audit: Audit) -> None:
        super().__init__("/patient")
        self._pages, self._identities, self._audit = pages, identities, audit

    async def on_connect(self, sid: str, _environ: dict[str, Any], auth: Any) -> None:
        """Let in who has a link; every link that opens nothing is refused alike."""
        if self._pages.stopping:
            raise refuse(Stopping())
        try:
            who = PatientAuth.model_validate(auth)
        except ValidationError:
            raise refuse(LinkInvalid()) from None
        try:
            async with asyncio.timeout(IDENTITY_TIMEOUT_S):
                consult_id = await self._identities.patient(who.token)
        except Exception as error:
            log.warning("identity_unknown", error=type(error).__name__)
            raise refuse(StorageTrouble()) from None
        if consult_id is None:
            self._audit("link_refused", {})
            raise refuse(LinkInvalid())
        self._pages.patient_came(sid, consult_id, who)

    async def on_disconnect(self, sid: str, _reason: str) -> None:
        """The page is gone."""
        self._pages.gone(sid)

    async def on_command(self, sid: str, data: Any) -> None:
        """One command, or something malformed, which closes the page."""
        try:
            command = PATIENT_COMMAND.validate_python(data)
        except ValidationError:
            self._pages.malformed(sid)
            return
        self._pages.patient_says(sid, command)
