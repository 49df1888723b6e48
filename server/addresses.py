"""Which addresses of this machine a browser could reach the media port at."""

from __future__ import annotations

import ipaddress
import itertools
import socket

import ifaddr

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def local_addresses(host: str) -> tuple[str, ...]:
    """What to advertise when bound to ``host``: itself, or every address of the machine.

    "::" stands for both families, which take turns (RFC 8421 §4); "0.0.0.0" for IPv4. Loopback
    comes last: only a browser on this machine can use it. Link-local addresses are left out
    (they need a zone, which a candidate cannot carry).
    """
    bound = ipaddress.ip_address(_resolve(host))
    if not bound.is_unspecified:
        return (str(bound),)
    found = {
        ipaddress.ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in ifaddr.get_adapters()
        for ip in adapter.ips
    }
    usable = sorted((a for a in found if not a.is_link_local), key=int)
    ordered: list[Address] = []
    for loopback in (False, True):
        ours = [a for a in usable if a.is_loopback == loopback]
        turns = itertools.zip_longest(
            (a for a in ours if a.version == 6 and bound.version == 6),
            (a for a in ours if a.version == 4),
        )
        ordered += [address for turn in turns for address in turn if address is not None]
    return tuple(str(address) for address in ordered)


def _resolve(host: str) -> str:
    *_, address = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)[0]
    return str(address[0])
