"""Which addresses of this machine a browser could reach the media port at."""

from __future__ import annotations

import ipaddress
import socket

import ifaddr


def local_addresses(host: str) -> tuple[str, ...]:
    """What to advertise when bound to ``host``: itself, or every address of the machine.

    Loopback comes last: only a browser on this machine can use it. Link-local addresses are
    left out (they need a zone, which a candidate cannot carry).
    """
    bound = ipaddress.ip_address(_resolve(host))
    if not bound.is_unspecified:
        return (str(bound),)
    found = {
        ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    usable = [a for a in found if a.version == bound.version and not a.is_link_local]
    return tuple(str(a) for a in sorted(usable, key=lambda a: (a.is_loopback, int(a))))


def _resolve(host: str) -> str:
    *_, address = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0]
    return str(address[0])
