"""ICE-TCP, passive side: RFC 4571 frames on one connection (RFC 6544)."""

import asyncio
import ipaddress
import struct
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from media.counters import MediaCounters
from media.dtls import MAX_DATAGRAM_BYTES, PacketBuffer
from media.endpoint import Endpoint
from media.ice import Address
from media.stun import address

STRANGER_TIMEOUT_MS: Final = 10_000
"""How long a connection may stay without a signed STUN check. After that consent rules."""

MAX_BACKLOG_BYTES: Final = 256 << 10
"""Unsent bytes of one connection; what comes on top is lost, as it would be with UDP."""

_LENGTH: Final = struct.Struct("!H")


class FrameTaker(Protocol):
    """Where frames go: the port."""

    def take_frame(self, connection: "TcpConnection", frame: memoryview) -> None:
        """Take one frame, valid during the call only."""

    def lose_connection(self, connection: "TcpConnection") -> None:
        """The connection has ended."""


def network_of(host: str) -> str:
    """What counts as one host: an IPv4 address, or the IPv6 network of 64 bits it is free to use.

    `host` is an IP address as a socket names it, with a zone or without.
    """
    ip = ipaddress.ip_address(host)
    return host if ip.version == 4 else ip.packed[:8].hex()


@dataclass(slots=True)
class TcpLimits:
    """The open connections of a port, and how many there may be, by `network_of` their hosts."""

    total: int
    per_address: int
    connections: set["TcpConnection"] = field(default_factory=set)
    by_host: Counter[str] = field(default_factory=Counter)

    def admit(self, connection: "TcpConnection") -> bool:
        """Count a connection; False if there are too many."""
        host = network_of(connection.address[1])
        if len(self.connections) >= self.total or self.by_host[host] >= self.per_address:
            return False
        self.connections.add(connection)
        self.by_host[host] += 1
        return True

    def release(self, connection: "TcpConnection") -> None:
        """Stop counting a connection, if it was counted."""
        if connection in self.connections:
            host = network_of(connection.address[1])
            self.connections.remove(connection)
            self.by_host[host] -= 1
            if not self.by_host[host]:
                del self.by_host[host]

    def close_strangers(self, now_ms: int) -> None:
        """Close connections that carried no signed STUN check in `STRANGER_TIMEOUT_MS`."""
        for connection in tuple(self.connections):
            if connection.holder is None and now_ms - connection.since_ms > STRANGER_TIMEOUT_MS:
                connection.counters.tcp_refused += 1
                connection.close()

    def close_all(self) -> None:
        """Close every connection at once."""
        for connection in tuple(self.connections):
            connection.close()


class TcpConnection(asyncio.Protocol):
    """One TCP connection of a participant; a path like a UDP address (`media.port.UdpPath`)."""

    def __init__(self, taker: FrameTaker, limits: TcpLimits, counters: MediaCounters) -> None:
        self.transport = "tcp"
        self.address: Address = ("tcp", "", 0)
        self.holder: Endpoint | None = None
        self.endpoint: Endpoint | None = None
        self.since_ms = time.monotonic_ns() // 1_000_000
        self.counters = counters
        self._taker = taker
        self._limits = limits
        self._stream: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection, or end it."""
        self._stream = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if peer is None:  # reset before it was taken
            self.close()
            return
        self.address = address("tcp", *peer[:2])
        if not self._limits.admit(self):
            self.counters.tcp_refused += 1
            self.close()

    def data_received(self, data: bytes) -> None:
        """Cut the stream into frames (RFC 4571 §2)."""
        data = self._rest + data if self._rest else data
        view, at, end = memoryview(data), 0, len(data)
        while at + 2 <= end and self._stream is not None:
            (length,) = _LENGTH.unpack_from(data, at)
            if length > MAX_DATAGRAM_BYTES:
                self.counters.tcp_refused += 1
                self.close()
                return
            if at + 2 + length > end:
                break
            self._taker.take_frame(self, view[at + 2 : at + 2 + length])
            at += 2 + length
        self._rest = data[at:]

    def queue(self, packet: PacketBuffer, length: int) -> None:
        """Send the first `length` bytes of a packet."""
        self.send(packet.view[:length])

    def send(self, data: bytes | memoryview) -> None:
        """Send one frame; it is lost if the peer does not read."""
        stream = self._stream
        if stream is None or stream.is_closing():
            return
        if stream.get_write_buffer_size() > MAX_BACKLOG_BYTES:
            self.counters.drop("tcp_backlog")
            return
        stream.write(b"".join((_LENGTH.pack(len(data)), data)))

    def close(self) -> None:
        """End the connection at once, unsent bytes included."""
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the port."""
        self._stream = None
        self._limits.release(self)
        self._taker.lose_connection(self)
