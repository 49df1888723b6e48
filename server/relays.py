"""STUN and TURN servers for pages, with credentials that end (coturn's `use-auth-secret`).

The TURN server and we share a secret; a user name holds the time until which it is good, and the
password is its signature. No account is made anywhere, and nothing is asked over the network.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from server.settings import Settings
from signaling.messages import IceServer, IceServers

_PSEUDONYM_CHARS = 16


def credentials(secret: str, subject: str, until_s: int) -> tuple[str, str]:
    """User name and password of the REST scheme, good until a wall time in epoch seconds.

    ``subject`` goes into the user name as a pseudonym, so that the relay's logs tell calls apart
    and name nobody.
    """
    key = secret.encode()
    pseudonym = hmac.digest(key, b"pseudonym:" + subject.encode(), "sha256").hex()
    username = f"{until_s}:{pseudonym[:_PSEUDONYM_CHARS]}"
    signature = hmac.digest(key, username.encode(), hashlib.sha1)
    return username, base64.b64encode(signature).decode("ascii")


class Relays:
    """Implements :class:`signaling.ports.Relays`. ``wall_ms`` is the clock that coturn has too."""

    def __init__(self, settings: Settings, wall_ms: Callable[[], int]) -> None:
        self._settings, self._wall_ms = settings, wall_ms

    @property
    def renew_s(self) -> float:
        """Pages get new credentials at half of the life of the old."""
        return self._settings.turn_ttl_s / 2

    def of(self, subject: str) -> IceServers | None:
        """What a page of ``subject`` may use now; None where there is no such server."""
        settings = self._settings
        servers = []
        if settings.stun_urls:
            servers.append(IceServer(urls=settings.stun_urls, username=None, credential=None))
        if settings.turn_urls:
            until_s = self._wall_ms() // 1000 + settings.turn_ttl_s
            username, password = credentials(settings.turn_secret, subject, until_s)
            servers.append(
                IceServer(urls=settings.turn_urls, username=username, credential=password)
            )
        if not servers:
            return None
        return IceServers(servers=tuple(servers), ttl_s=settings.turn_ttl_s)
