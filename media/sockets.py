"""The media sockets: how they are opened, and what answers tell about them."""

import errno
import socket
from dataclasses import dataclass
from typing import Final

from media.errors import PortUnavailable
from media.sdp import Candidate

_SOCKET_BUFFER_BYTES: Final = 8 << 20
_SO_SNDBUFFORCE: Final = 32  # socket(7), which Python has no names for
_SO_RCVBUFFORCE: Final = 33
_BIND_ATTEMPTS: Final = 16
_UNACKNOWLEDGED_MS: Final = 10_000
_UDP_PRIORITY: Final = 2_130_706_431  # RFC 8445 §5.1.2.1: host, component 1
_TCP_PRIORITY: Final = 1_671_430_143  # RFC 6544 §4.2: below UDP, passive


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """How the media port is opened.

    Attributes:
        host: Address to bind, IPv4 or IPv6; "::" takes both.
        port: Number for UDP and TCP alike; 0 takes a free one.
        advertise: The addresses that participants reach the server by, best first.
        max_tcp_connections: In total, and `max_tcp_per_address` from one IPv4 address or IPv6 /64.
    """

    host: str = "127.0.0.1"
    port: int = 0
    advertise: tuple[str, ...] = ("127.0.0.1",)
    udp: bool = True
    tcp: bool = True
    max_tcp_connections: int = 1_000
    max_tcp_per_address: int = 100


@dataclass(frozen=True, slots=True)
class Sockets:
    """The bound sockets, non-blocking, TCP not listening yet; None for what is switched off."""

    port: int
    udp: socket.socket | None
    tcp: socket.socket | None


def bind(settings: MediaSettings) -> Sockets:
    """Bind UDP and TCP to one number; with port 0, try until a number is free for both.

    Raises:
        PortUnavailable: with the reason in words.
    """
    attempts = _BIND_ATTEMPTS if settings.port == 0 and settings.udp and settings.tcp else 1
    for attempt in range(attempts):
        udp = tcp = None
        port = settings.port
        try:
            if settings.udp:
                udp = _socket(socket.SOCK_DGRAM, settings.host, port)
                port = udp.getsockname()[1]
            if settings.tcp:
                tcp = _socket(socket.SOCK_STREAM, settings.host, port)
                port = tcp.getsockname()[1]
        except OSError as error:
            if udp is not None:
                udp.close()
            if error.errno == errno.EADDRINUSE and attempt + 1 < attempts:
                continue
            cause = error.strerror or str(error)
            raise PortUnavailable(settings.host, port, cause) from error
        return Sockets(port, udp, tcp)
    raise PortUnavailable(settings.host, settings.port, "no number is free for UDP and TCP")


def _socket(kind: socket.SocketKind, host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, kind)
    try:
        bound.setblocking(False)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            # inherited by its connections: one whose peer vanished ends, and another path is taken
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
        else:
            _enlarge(bound)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def _enlarge(udp: socket.socket) -> None:
    """Let a pause of the process cost no packet: buffers of `_SOCKET_BUFFER_BYTES`.

    Without CAP_NET_ADMIN the kernel's limits hold (net.core.rmem_max, docs/operations.md).
    """
    for forced, option in (
        (_SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (_SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            udp.setsockopt(socket.SOL_SOCKET, forced, _SOCKET_BUFFER_BYTES)
        except PermissionError:
            udp.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)


def host_candidates(settings: MediaSettings, port: int) -> tuple[Candidate, ...]:
    """The host candidates: every address over UDP first, then over TCP."""
    found: list[Candidate] = []
    for index, address in enumerate(settings.advertise):
        below = index << 8  # the local preference (RFC 8445 §5.1.2.1)
        if settings.udp:
            foundation = f"udp{index}"
            found.append(Candidate("udp", address, port, _UDP_PRIORITY - below, foundation))
        if settings.tcp:
            foundation = f"tcp{index}"
            found.append(Candidate("tcp", address, port, _TCP_PRIORITY - below, foundation))
    return tuple(sorted(found, key=lambda c: -c.priority))
