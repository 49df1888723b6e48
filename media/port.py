"""The UDP and the TCP socket of all calls, and who each datagram is for (RFC 7983).

Only addresses that passed a signed STUN check reach DTLS and SRTP. Everything else costs one
dictionary look-up and a count.
"""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from media.counters import MediaCounters
from media.datagrams import MAX_BATCH, Destination, Inbox, Outbox, Spares
from media.dtls import MAX_DATAGRAM_BYTES, PacketBuffer, warm_up
from media.endpoint import Endpoint
from media.ice import Address, username_ufrag
from media.inbound import Shared
from media.pace import IntervalTimer, Pace
from media.probes import Probes
from media.room import Room, RoomListener
from media.sockets import MediaSettings, Sockets, bind, host_candidates
from media.spread import spread
from media.stun import address as address_of
from media.tcp import TcpConnection, TcpLimits

__all__ = ["MediaPort", "MediaSettings", "UdpPath"]

log = logging.getLogger(__name__)

TICK_S: Final = 0.1
MAX_LOOK: Final = 4 * MAX_BATCH
"""Datagrams taken before other work gets its turn."""

BEHIND_MS: Final = 50
"""How long nothing is asked for again after so many were waiting."""

LISTEN_BACKLOG: Final = 1_024
"""Connections that wait to be taken: all pages come back at once after a network's outage."""

_FAULT_LOG_MS: Final = 60_000


class UdpPath:
    """One validated UDP address.

    Attributes:
        holder: Whose address it is, None until a check held.
        endpoint: The same while it is the selected address, else None: `media.endpoint.Path`.
        queue: Send the first bytes of a packet with the others of its batch.
    """

    __slots__ = (
        "_counters",
        "_sendto",
        "address",
        "destination",
        "endpoint",
        "holder",
        "queue",
        "transport",
    )

    def __init__(
        self, udp: socket.socket, outbox: Outbox, key: bytes, counters: MediaCounters
    ) -> None:
        """`key` is the address as the inbox gives it."""
        self.transport = "udp"
        self.destination = Destination(key)
        self.address = address_of("udp", *self.destination.raw)
        self.holder: Endpoint | None = None
        self.endpoint: Endpoint | None = None
        self.queue: Callable[[PacketBuffer, int], None] = partial(
            outbox.add, self.destination.pointer
        )
        self._sendto = udp.sendto
        self._counters = counters

    def send(self, data: bytes | memoryview) -> None:
        """Send one datagram at once; a full socket buffer or an unreachable peer loses it."""
        try:
            self._sendto(data, self.destination.raw)
        except OSError:
            self._counters.drop("send_failed")


class MediaPort:
    """The media sockets of a process, its rooms, and the clock that ticks for them.

    Create with `open`; `close` it on the same loop.

    Attributes:
        port: The number of both sockets.
        candidates: What answers tell about them.
    """

    def __init__(self, settings: MediaSettings, sockets: Sockets) -> None:
        self.port = sockets.port
        self.counters = MediaCounters()
        self.shared = Shared(self.counters, Spares(self._send_waiting))
        self.candidates = host_candidates(settings, sockets.port)
        self._loop = asyncio.get_running_loop()
        self._rooms: dict[str, Room] = {}
        self._by_ufrag: dict[str, Endpoint] = {}
        self._ufrags: dict[Endpoint, tuple[str, ...]] = {}
        self._udp_paths: dict[bytes, UdpPath] = {}  # by the keys of their addresses
        self._validated: dict[Address, UdpPath | TcpConnection] = {}
        self._packet = PacketBuffer()  # of the TCP frame that is being taken
        self._udp = sockets.udp
        if sockets.udp is not None:
            self._inbox = Inbox(sockets.udp)
            self._outbox = Outbox(sockets.udp, self.counters)
            self._pace, self._timer = Pace(), IntervalTimer()
        self._server: asyncio.Server | None = None
        self._probes = Probes(self)
        self._limits = TcpLimits(settings.max_tcp_connections, settings.max_tcp_per_address)
        self._ticker: asyncio.Task[None] | None = None
        self._silent_until_ms = 0

    @classmethod
    async def open(cls, settings: MediaSettings) -> "MediaPort":
        """Bind the sockets and begin to serve.

        Raises:
            PortUnavailable: with the reason in words.
        """
        sockets = bind(settings)
        warm_up()
        media_port = cls(settings, sockets)
        if sockets.udp is not None:
            media_port._set_pace()
        if sockets.tcp is not None:
            media_port._server = await media_port._loop.create_server(
                lambda: TcpConnection(media_port, media_port._limits, media_port.counters),
                sock=sockets.tcp,
                backlog=LISTEN_BACKLOG,
            )
        media_port._ticker = asyncio.create_task(media_port._tick(), name="media-tick")
        return media_port

    def room(self, room_id: str, listener: RoomListener, max_video_bps: int = 0) -> Room:
        """Open a room. It delivers nothing until `Room.deliver`.

        Args:
            max_video_bps: What each participant may send of video; 0 for no limit.
        Raises:
            ValueError: there is a room of this id already.
        """
        if room_id in self._rooms:
            raise ValueError(f"room {room_id} is open already")
        room = self._rooms[room_id] = Room(room_id, listener, self, self._drop_room, max_video_bps)
        return room

    def probe(self, name: str, sdp: str) -> str:
        """Answer the offer of a connection test of `name`, see `Probes.offer`."""
        return self._probes.offer(name, sdp)

    def _drop_room(self, room_id: str) -> None:
        self._rooms.pop(room_id, None)

    async def close(self) -> None:
        """Close every room and the sockets."""
        for room in tuple(self._rooms.values()):
            await room.close()
        self._probes.close()
        if self._ticker is not None:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        if self._udp is not None:
            self._loop.remove_reader(self._udp.fileno())
            self._loop.remove_reader(self._timer.fd)
            self._timer.close()
            self._udp.close()
        if self._server is not None:
            self._server.close()
        self._limits.close_all()
        if self._server is not None:
            await self._server.wait_closed()

    # For the rooms ------------------------------------------------------------------------------

    def now_ms(self) -> int:
        """Monotonic milliseconds."""
        return time.monotonic_ns() // 1_000_000

    def route(self, endpoint: Endpoint) -> None:
        """Send STUN that names one of the endpoint's ufrags to it, and to no other any more."""
        current = endpoint.local_ufrags
        for ufrag in self._ufrags.get(endpoint, ()):
            if ufrag not in current:
                self._by_ufrag.pop(ufrag, None)
        self._ufrags[endpoint] = current
        for ufrag in current:
            self._by_ufrag[ufrag] = endpoint

    def unroute(self, endpoint: Endpoint, addresses: tuple[Address, ...]) -> None:
        """Forget the endpoint and its addresses."""
        for ufrag in self._ufrags.pop(endpoint, ()):
            self._by_ufrag.pop(ufrag, None)
        self.forget(endpoint, addresses)

    def forget(self, endpoint: Endpoint, addresses: Sequence[Address]) -> None:
        """Take nothing for the endpoint from these addresses any more; TCP ones are closed.

        An address that belongs to another endpoint by now stays.
        """
        for address in addresses:
            path = self._validated.get(address)
            if path is None or path.holder is not endpoint:
                continue
            del self._validated[address]
            if isinstance(path, UdpPath):
                self._outbox.flush()  # what waits there points at the destination
                del self._udp_paths[path.destination.key]
            else:
                path.close()

    # Datagrams ----------------------------------------------------------------------------------

    def _arrived(self) -> None:
        """Something came while little comes: look at once."""
        if self._pace.count(self._read_udp(), self.now_ms()):
            self._set_pace()

    def _look(self) -> None:
        """Take what came since the last look."""
        self._timer.fired()
        total = count = self._read_udp()
        while count == MAX_BATCH and total < MAX_LOOK:
            count = self._read_udp()
            total += count
        if total >= MAX_LOOK:
            self.counters.behind_until_ms = self.now_ms() + BEHIND_MS
        if self._pace.count(total, self.now_ms()):
            self._set_pace()

    def _set_pace(self) -> None:
        """Watch the socket itself, or look at it at intervals."""
        if self._udp is None:
            return
        interval_us = self._pace.interval_us
        self._timer.start(interval_us)
        self._loop.remove_reader(self._udp.fileno())
        self._loop.remove_reader(self._timer.fd)
        if interval_us:
            self._loop.add_reader(self._timer.fd, self._look)
        else:
            self._loop.add_reader(self._udp.fileno(), self._arrived)

    def _read_udp(self) -> int:
        """Read one batch, so that other work gets its turn; what it leads to is sent together."""
        paths, counters = self._udp_paths, self.counters
        try:
            batch = self._inbox.receive()
        except OSError:
            counters.drop("receive_failed")
            return 0
        now_ms = time.monotonic_ns() // 1_000_000
        counters.received += len(batch)
        for packet, length, key in batch:
            counters.received_bytes += length
            path = paths.get(key)
            try:
                if path is not None and path.endpoint is not None:
                    data = packet.data
                    if 127 < data[0] < 192 and 12 <= length <= MAX_DATAGRAM_BYTES:
                        if 191 < data[1] < 224:
                            path.endpoint.receive_rtcp(bytes(packet.view[:length]), now_ms)
                        else:
                            path.endpoint.receive_rtp(packet, length, now_ms)
                        continue
                self._take_other(packet, length, key, now_ms)
            except Exception:
                self._note_fault(now_ms)
        self._outbox.flush()
        return len(batch)

    def _send_waiting(self) -> None:
        if self._udp is not None:
            self._outbox.flush()

    def _note_fault(self, now_ms: int) -> None:
        """Our own bug with one datagram: count it, tell of one in a minute, serve the others."""
        self.counters.drop("internal_error")
        if now_ms >= self._silent_until_ms:
            self._silent_until_ms = now_ms + _FAULT_LOG_MS
            log.exception("a datagram could not be handled; more within a minute are only counted")

    def _take_other(self, packet: PacketBuffer, length: int, key: bytes, now_ms: int) -> None:
        """Take a UDP datagram that is not RTP from a validated address."""
        path = self._udp_paths.get(key)
        if path is None and length and packet.data[0] < 4 and self._udp is not None:
            path = UdpPath(self._udp, self._outbox, key, self.counters)
        if path is None:
            self.counters.drop("stranger" if length else "empty")
        else:
            self._dispatch(path, packet, length, now_ms)

    def take_frame(self, connection: TcpConnection, frame: memoryview) -> None:
        """Take one frame of a TCP connection, at most `MAX_DATAGRAM_BYTES`."""
        length, now_ms = len(frame), self.now_ms()
        self.counters.received += 1
        self.counters.received_bytes += length
        self._packet.view[:length] = frame
        try:
            self._dispatch(connection, self._packet, length, now_ms)
        except Exception:
            self._note_fault(now_ms)
        self._send_waiting()

    def _dispatch(
        self, path: "UdpPath | TcpConnection", packet: PacketBuffer, length: int, now_ms: int
    ) -> None:
        """Tell by the first byte what a datagram is (RFC 7983 §7)."""
        endpoint, holder = path.endpoint, path.holder
        first, second = packet.data[0], packet.data[1]
        if not 12 <= length <= MAX_DATAGRAM_BYTES:
            self.counters.drop("too_long" if length else "empty")
        elif first < 4:
            self._take_stun(bytes(packet.view[:length]), path, now_ms)
        elif holder is None:
            self.counters.drop("stranger")
        elif 127 < first < 192:
            if endpoint is None:
                holder.receive_elsewhere(packet, length, path.address, now_ms)
            elif 191 < second < 224:
                endpoint.receive_rtcp(bytes(packet.view[:length]), now_ms)
            else:
                endpoint.receive_rtp(packet, length, now_ms)
        elif 19 < first < 64:
            holder.receive_dtls(bytes(packet.view[:length]), path, now_ms)
        else:
            self.counters.drop("garbage")

    def _take_stun(self, data: bytes, path: "UdpPath | TcpConnection", now_ms: int) -> None:
        ufrag = username_ufrag(data)
        endpoint = None if ufrag is None else self._by_ufrag.get(ufrag)
        if endpoint is None:
            self.counters.drop("stun")
            return
        if path.holder is not None and path.holder is not endpoint:
            if not path.holder.is_over:
                self.counters.drop("address_taken")  # a forged source: another call lives there
                return
            path.holder = path.endpoint = None
        result = endpoint.receive_stun(data, path, path.address, now_ms)
        if result.validated is None:
            self.counters.drop("stun")
            return
        path.holder = endpoint
        self._validated[path.address] = path
        if isinstance(path, UdpPath):
            self._udp_paths[path.destination.key] = path
        if result.forget:
            self.forget(endpoint, result.forget)
        if len(self._ufrags.get(endpoint, ())) > 1:
            self.route(endpoint)  # a restart may have ended the life of the older ufrag

    def lose_connection(self, connection: TcpConnection) -> None:
        """A TCP connection has ended. Another one from the same address may have come before."""
        if self._validated.get(connection.address) is not connection:
            return
        del self._validated[connection.address]
        if connection.holder is not None:
            connection.holder.lose_path(connection.address, self.now_ms())

    # Time ---------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        while True:
            await spread(tuple(self._rooms.values()), self._tick_room, TICK_S)
            now_ms = self.now_ms()
            try:
                self._probes.tick(now_ms)
                self._limits.close_strangers(now_ms)
            except Exception:  # without its ticks no call lasts
                self._note_fault(now_ms)

    def _tick_room(self, room: Room) -> None:
        try:
            room.tick(self.now_ms())
        except Exception:
            log.exception("the tick of room %s failed", room.room_id)
