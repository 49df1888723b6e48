"""The socket.io server, made strict: the one place that touches the library's inside.

python-socketio 5.18 reads binary packets with any number of attachments, lets a client call the
handlers of ``connect`` and ``disconnect`` by events of these names, logs every malformed packet
with a traceback and goes on, and parses JSON of any depth before anybody has looked at it. Here
a frame is checked before it is parsed, whoever sends a malformed one is closed, and so is who
floods, or connects and then says nothing. tests/signaling/test_socket.py pins what this relies on.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

import socketio
from aiohttp import web
from engineio.async_drivers import aiohttp as aiohttp_driver
from socketio import packet as sio_packet

from signaling.messages import MAX_MESSAGE_BYTES
from signaling.ports import Clock
from signaling.tasks import Tasks

MAX_DEPTH = 8
MAX_NUMBER_CHARS = 20
PING_S = 10
SILENT_S = 10
COMMANDS_PER_S = 20
BURST = 60
MAX_REFUSALS = 3
EVENT = "command"
Fault = Literal["malformed", "flooding"]


class StrictJson:
    """JSON as the protocol uses it: shallow, and without numbers that take long to read."""

    @staticmethod
    def dumps(value: Any, **options: Any) -> str:
        """As :func:`json.dumps`, in UTF-8 rather than escapes."""
        return json.dumps(value, ensure_ascii=False, **options)

    @staticmethod
    def loads(text: str) -> Any:
        """As :func:`json.loads`.

        Raises:
            ValueError: no JSON, nested deeper than :data:`MAX_DEPTH`, or an endless number.
        """
        if _too_deep(text):
            raise ValueError("nested too deep")
        return json.loads(text, parse_int=_integer, parse_constant=_no_constant)


_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+"')


def _too_deep(text: str) -> bool:
    # the number of openers bounds the depth: nearly every message is settled by this line
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return False
    depth = 0
    for char in re.sub(r"[^\[\]{}]+", "", _STRINGS.sub("", text)):
        depth += 1 if char in "[{" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError("number too long")
    return int(text)


def _no_constant(text: str) -> Any:
    raise ValueError(text)


_CONNECT = str(sio_packet.CONNECT)
_EVENT = str(sio_packet.EVENT)


class StrictPacket(sio_packet.Packet):  # type: ignore[misc]  # the library has no types
    """A socket.io packet of the kinds that pages send, and no other."""

    uses_binary_events = False
    json = StrictJson

    def decode(self, encoded_packet: str) -> int:
        """Read a packet.

        Raises:
            ValueError: it is none that a page of ours sends.
        """
        attachments = super().decode(encoded_packet)
        kind, data = self.packet_type, self.data
        if kind == sio_packet.EVENT:
            named = isinstance(data, list) and len(data) == 2 and data[0] == EVENT
            if not named or self.id is not None:
                raise ValueError("no such event")
        elif kind == sio_packet.CONNECT:
            if data is not None and not isinstance(data, dict):
                raise ValueError("auth is an object")
        elif kind != sio_packet.DISCONNECT:
            raise ValueError("no such packet")
        if attachments:
            raise ValueError("nothing is attached")
        return 0


class StrictWebSocket(aiohttp_driver.WebSocket):  # type: ignore[misc]
    """A WebSocket that ends at the first frame that is no engine.io text packet.

    It is not compressed: messages have some hundred bytes, and a compressor for each page would
    hold 300 KB.
    """

    async def __call__(self, environ: dict[str, Any]) -> web.WebSocketResponse:
        """Serve one connection until it is over."""
        request = environ["aiohttp.request"]
        self._sock = web.WebSocketResponse(
            compress=False, max_msg_size=self.server.max_http_buffer_size
        )
        await self._sock.prepare(request)
        self.environ = environ
        await self.handler(self)
        return self._sock

    async def wait(self) -> str:
        """The next frame.

        Raises:
            OSError: the connection is over.
        """
        text = await super().wait()
        if not isinstance(text, str) or not text or text[0] not in "0123456":
            raise OSError("not a packet")
        return text


@dataclass
class _Bucket:
    tokens: float
    at_ms: int
    refusals: int = 0

    def take(self, now_ms: int) -> bool:
        grown = self.tokens + (now_ms - self.at_ms) * COMMANDS_PER_S / 1000
        self.tokens, self.at_ms = min(BURST, grown) - 1, now_ms
        return self.tokens >= 0


class SocketServer:
    """The socket.io server and its guard. After use you must ``await close()``.

    ``farewell(eio_sid, fault)`` is asked before a connection is closed for a fault; it returns
    whether it will see to that itself (a page gets its goodbye first).
    """

    def __init__(
        self, clock: Clock, allowed_origins: Collection[str], silent_s: float = SILENT_S
    ) -> None:
        self._clock, self._silent_s = clock, silent_s
        self._tasks = Tasks()
        self._buckets: dict[str, _Bucket] = {}
        self.farewell: Callable[[str, Fault], bool] = lambda _eio_sid, _fault: False
        self.sio = socketio.AsyncServer(
            async_mode="aiohttp",
            async_handlers=False,
            always_connect=False,
            namespaces=[
                "/patient",
                "/console",
                "/guest",
            ],  # and not "/", which is served by default
            serializer=StrictPacket,
            json=StrictJson,
            transports=["websocket"],
            allow_upgrades=False,
            http_compression=False,
            max_http_buffer_size=MAX_MESSAGE_BYTES,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            logger=False,
            engineio_logger=False,
            cors_allowed_origins=_origins(allowed_origins),
        )
        eio = self.sio.eio
        eio._async = {**eio._async, "websocket": StrictWebSocket}
        self._open: Callable[[str, dict[str, Any]], Awaitable[Any]] = eio.handlers["connect"]
        self._read: Callable[[str, str], Awaitable[None]] = eio.handlers["message"]
        self._over: Callable[[str, str], Awaitable[None]] = eio.handlers["disconnect"]
        eio.on("connect", self._on_open)
        eio.on("message", self._on_message)
        eio.on("disconnect", self._on_over)

    async def send(self, namespace: str, eio_sid: str, message: str) -> None:
        """Queue a message, as JSON, for a page; nothing happens when it is gone.

        It is what `AsyncServer.emit` comes to for one page, without rooms and acknowledgements.
        """
        if eio_sid in self.sio.eio.sockets:
            await self.sio.eio.send(eio_sid, f'{_EVENT}{namespace},["message",{message}]')

    def connected(self, namespace: str, sid: str) -> bool:
        """Whether the page has been told that it is connected."""
        return bool(self.sio.manager.is_connected(sid, namespace))

    def backlog(self, eio_sid: str) -> int:
        """How many packets wait because the page does not read them."""
        socket = self.sio.eio.sockets.get(eio_sid)
        return socket.queue.qsize() if socket else 0

    def connection(self, namespace: str, sid: str) -> str:
        """The connection that carries this page."""
        eio_sid = self.sio.manager.eio_sid_from_sid(sid, namespace)
        return eio_sid or ""

    async def disconnect(self, eio_sid: str) -> None:
        """Close a connection, after what was sent on it has gone out."""
        socket = self.sio.eio.sockets.get(eio_sid)
        if socket is None:
            return
        request = self.sio.environ.get(eio_sid, {}).get("aiohttp.request")
        try:
            async with asyncio.timeout(PING_S):
                await self.sio.eio.disconnect(eio_sid)
        except TimeoutError:
            # it does not even read its goodbye
            if request is not None and request.transport is not None:
                request.transport.abort()
        # the library would wait for the other end to close, which it need not do
        await socket.queue.put(None)

    async def close(self) -> None:
        """Close every connection, and end what watches them."""
        eio = self.sio.eio
        await asyncio.gather(*(self.disconnect(eio_sid) for eio_sid in list(eio.sockets)))
        await self._tasks.close()
        if eio.service_task_handle is not None:
            await self.sio.shutdown()

    async def _on_open(self, eio_sid: str, environ: dict[str, Any]) -> Any:
        self._buckets[eio_sid] = _Bucket(BURST, self._clock.now_ms())
        self._tasks.start("silent", self._close_if_silent(eio_sid))
        return await self._open(eio_sid, environ)

    async def _close_if_silent(self, eio_sid: str) -> None:
        await asyncio.sleep(self._silent_s)
        if not self._namespaces(eio_sid):
            await self.disconnect(eio_sid)

    def _namespaces(self, eio_sid: str) -> int:
        """How many namespaces have let this connection in."""
        manager = self.sio.manager
        return sum(
            manager.sid_from_eio_sid(eio_sid, namespace) is not None
            for namespace in manager.get_namespaces()
        )

    async def _on_message(self, eio_sid: str, data: str) -> None:
        bucket = self._buckets.get(eio_sid)
        if bucket is None:
            return  # closed already, its last frames are still coming
        if not bucket.take(self._clock.now_ms()):
            self._fault(eio_sid, "flooding")
            return
        connects = data.startswith(_CONNECT)
        before = self._namespaces(eio_sid) if connects else 0
        try:
            await self._read(eio_sid, data)
            if connects and self._namespaces(eio_sid) <= before:
                bucket.refusals += 1
        except (ValueError, TypeError, AttributeError, RecursionError):
            # what the library's parser does with packets that are none
            self._fault(eio_sid, "malformed")
        if bucket.refusals >= MAX_REFUSALS:
            self._fault(eio_sid, "flooding")

    def _fault(self, eio_sid: str, fault: Fault) -> None:
        if self._buckets.pop(eio_sid, None) is None:
            return
        if not self.farewell(eio_sid, fault):
            self._tasks.start("close", self.disconnect(eio_sid))

    async def _on_over(self, eio_sid: str, reason: str) -> None:
        self._buckets.pop(eio_sid, None)
        await self._over(eio_sid, reason)


def _origins(allowed: Collection[str]) -> Callable[[str, dict[str, Any]], bool]:
    """A page of the host it asks, by whichever scheme a proxy speaks, or one of the named."""

    def accept(origin: str, environ: dict[str, Any]) -> bool:
        host = environ.get("HTTP_HOST")
        return origin in allowed or origin in (f"http://{host}", f"https://{host}")

    return accept
