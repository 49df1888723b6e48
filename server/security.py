"""What every answer carries, who the client really is, and how often it may try."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from server.settings import Network

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

CSP = (
    "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob: mediastream:; connect-src 'self' {sockets}; font-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def is_secure(request: web.Request, trusted: Sequence[Network]) -> bool:
    """Whether the browser speaks HTTPS, to us or to a trusted proxy before us."""
    if request.secure:
        return True
    return _from_trusted(request, trusted) and _written(request, "X-Forwarded-Proto")[-1] == "https"


def client_address(request: web.Request, trusted: Sequence[Network]) -> str:
    """The client's address: the last one that no trusted proxy wrote of itself."""
    peer = request.remote or "unknown"
    if not _from_trusted(request, trusted):
        return peer
    for hop in reversed(_written(request, "X-Forwarded-For")):
        try:
            address = _address(hop)
        except ValueError:
            break
        peer = str(address)
        if not any(address in network for network in trusted):
            break
    return peer


def _written(request: web.Request, name: str) -> list[str]:
    """A list header as a whole: proxies may add a line instead of a part (RFC 9110 §5.3)."""
    return [part.strip() for part in ",".join(request.headers.getall(name, [])).split(",")]


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """An IPv4 client of a socket that also takes IPv6 keeps its IPv4 address."""
    address = ipaddress.ip_address(text)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def _from_trusted(request: web.Request, trusted: Sequence[Network]) -> bool:
    try:
        peer = _address(request.remote or "")
    except ValueError:
        return False
    return any(peer in network for network in trusted)


def security_headers(trusted: Sequence[Network]) -> Callable[..., Awaitable[web.StreamResponse]]:
    """Middleware that adds the headers above to every answer."""

    @web.middleware
    async def add(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            response = await handler(request)
        except web.HTTPException as error:
            _add(error, request, trusted)
            raise
        _add(response, request, trusted)
        return response

    return add


def _add(response: web.StreamResponse, request: web.Request, trusted: Sequence[Network]) -> None:
    if response.prepared:
        return
    secure = is_secure(request, trusted)
    # older Safari does not count the page's own WebSocket origin as 'self'
    sockets = f"{'wss' if secure else 'ws'}://{request.host}"
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", CSP.format(sockets=sockets))
    if secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")


class Throttle:
    """A token bucket per name, for the last ``names`` names seen.

    Each name may try ``burst`` times at once and ``per_s`` times a second after that.
    """

    def __init__(self, *, burst: int, per_s: float, names: int = 10_000) -> None:
        self._burst, self._per_s, self._names = burst, per_s, names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, name: str, now_s: float) -> float:
        """Take one try: 0.0 when allowed, else the seconds until the next one is."""
        tokens, at_s = self._buckets.pop(name, (float(self._burst), now_s))
        tokens = min(self._burst, tokens + (now_s - at_s) * self._per_s)
        allowed = tokens >= 1
        self._buckets[name] = (tokens - 1 if allowed else tokens, now_s)
        if len(self._buckets) > self._names:
            self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - tokens) / self._per_s
