"""Where messages may go: no place of our own network that an API key could not reach otherwise.

Pure. URLs are read by the library that connects (yarl), so both understand the same by them; what
counts in the end is the address that a name leads to, whatever way it is written.
"""

from __future__ import annotations

import ipaddress
from typing import Final

from yarl import URL

MAX_URL: Final = 1_000
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # RFC 4291, 2.5.5.1; "::" and "::1" are not

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class UrlRefused(Exception):
    """No message goes to this URL. The text says why, and does not repeat it."""


def check_url(text: str, *, private: bool) -> URL:
    """Read the URL of an endpoint.

    Args:
        private: Whether http and private addresses are allowed.

    Raises:
        UrlRefused: it cannot be used; an address in it is looked at, a name is not resolved.
    """
    if not 1 <= len(text) <= MAX_URL or not text.isascii() or not text.isprintable():
        raise UrlRefused(f"a URL has 1 to {MAX_URL} printable ASCII characters")
    try:
        url = URL(text)
        host, port = url.host, url.port
    except ValueError:
        raise UrlRefused("this is no URL") from None
    if url.scheme not in ({"https", "http"} if private else {"https"}):
        raise UrlRefused("the URL begins with https://" + (" or http://" if private else ""))
    if not host or " " in text or not port:
        raise UrlRefused("the URL has no host, or a port that is none")
    if url.user is not None or url.password is not None:
        raise UrlRefused("a URL with a user or password would put them into logs")
    if "#" in text:
        raise UrlRefused("a URL with a fragment says nothing to a server")
    literal = _literal(host)
    if literal is not None and not _allowed(literal, private):
        raise UrlRefused("this address is private, or of no use")
    return url


def allowed(address: str, *, private: bool) -> bool:
    """Whether a connection to this IP address may be made.

    With ``private`` all but link-local, multicast and unspecified ones; else global ones only. An
    IPv6 address that stands for one of IPv4 is what that one is.
    """
    ip = _literal(address)
    return ip is not None and _allowed(ip, private)


def _literal(text: str) -> Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _allowed(ip: Address, private: bool) -> bool:
    within = _embedded(ip) if isinstance(ip, ipaddress.IPv6Address) else None
    if within is not None:
        return _allowed(within, private)
    if ip.is_unspecified or ip.is_multicast or ip.is_link_local:
        return False
    return private or ip.is_global


def _embedded(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None
