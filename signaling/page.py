"""One connected page: what it is sent, in order, and how it is closed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

import structlog

from signaling import messages as m
from signaling.socket import SocketServer

log = structlog.get_logger()

MAX_WAITING = 256
MAX_BACKLOG = 512
CONNECT_TIMEOUT_S = 5
Farewell = Literal["moved", "signed_out", "removed", "flooding", "malformed", "server_stopping"]


class Page:
    """A page's connection; ``name`` is the page's own name for this load of it.

    Messages go out in the order in which :meth:`send` was called, the hello first: what comes
    before it is dropped, because the hello tells how things stand, save for answers, which wait
    for it. :meth:`run` must run in a task of the owner.
    """

    def __init__(self, socket: SocketServer, namespace: str, sid: str, name: str) -> None:
        self.namespace, self.sid, self.name = namespace, sid, name
        self.eio_sid = socket.connection(namespace, sid)
        self._socket = socket
        self._outbox: asyncio.Queue[m.Outgoing | None] = asyncio.Queue(MAX_WAITING)
        self._greeted = False
        self._early: list[m.Answer] = []
        self.closed = False

    @property
    def greeted(self) -> bool:
        """Whether the hello is on its way or there."""
        return self._greeted

    def greet(self, hello: m.PatientHello | m.ConsoleHello | m.GuestHello) -> None:
        """Send the hello, then the answers that waited for it."""
        self._greeted = True
        self.send(hello)
        for answer in self._early:
            self.send(answer)
        self._early.clear()

    def send(self, message: m.Outgoing) -> None:
        """Line up a message. Never blocks; a page that does not read is closed, and resumes."""
        if self.closed:
            return
        if not self._greeted and not isinstance(message, m.Goodbye):
            if isinstance(message, m.Answer) and len(self._early) < MAX_WAITING:
                self._early.append(message)
            return
        try:
            self._outbox.put_nowait(message)
        except asyncio.QueueFull:
            log.info("page_too_slow", sid=self.sid)
            self._end()

    def close(self, code: Farewell | None) -> None:
        """Say goodbye, or nothing to a page that was replaced by its own reconnection."""
        if code is not None:
            self.send(m.Goodbye(code=code))
        self._end()

    def _end(self) -> None:
        """Nothing more goes out after what waits already."""
        if self.closed:
            return
        self.closed = True
        if self._outbox.full():
            self._outbox.get_nowait()
        self._outbox.put_nowait(None)

    async def run(self, gone: Callable[[], None]) -> None:
        """Send until the page is closed or gone."""
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                # the handler that made this page returns before the page is told so
                while not (self._socket.connected(self.namespace, self.sid) or self.closed):  # noqa: ASYNC110
                    await asyncio.sleep(0.001)  # the library tells nobody
        except TimeoutError:
            self._end()
        while (message := await self._outbox.get()) is not None:
            await self._socket.send(self.namespace, self.eio_sid, message.json_text)
            if self._socket.backlog(self.eio_sid) > MAX_BACKLOG:
                log.info("page_does_not_read", sid=self.sid)
                self._end()
        await self._socket.disconnect(self.eio_sid)
        gone()
