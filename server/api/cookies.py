"""Session cookies: one name under HTTPS and one on localhost, and who may use them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiohttp import web

from server.problems import Problem
from server.security import is_secure
from server.services import SERVICES

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})  # RFC 9110 §9.2.1


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """A cookie that no script, no other site and no other host gets."""

    name: str

    @property
    def secure_name(self) -> str:
        """Under HTTPS: bound to host, path and HTTPS (RFC 6265bis §4.1.3.2)."""
        return f"__Host-{self.name}"

    def token_of(self, cookies: dict[str, str]) -> str | None:
        """The session token among a request's cookies."""
        return cookies.get(self.secure_name) or cookies.get(self.name)

    def give(self, request: web.Request, response: web.Response, token: str) -> None:
        """Set it in an answer, for as long as a session lasts."""
        settings = request.app[SERVICES].settings
        secure = is_secure(request, settings.trusted_proxies)
        response.set_cookie(
            self.secure_name if secure else self.name,
            token,
            max_age=settings.session_s,
            httponly=True,
            secure=secure,
            samesite="Strict",
            path="/",
        )

    def take_back(self, response: web.Response) -> None:
        """Delete it, under either name."""
        for name in (self.name, self.secure_name):
            response.del_cookie(name, path="/", secure=name == self.secure_name, samesite="Strict")


def from_own_page(request: web.Request) -> None:
    """Refuse what changes something with a cookie unless a page of ours asks (CSRF).

    ``SameSite=Strict`` says so already, but counts sibling hosts of a domain as the same site.

    Raises:
        Problem: 403 where neither ``Sec-Fetch-Site`` nor ``Origin`` names this origin.
    """
    if request.method in _SAFE:
        return
    services = request.app[SERVICES]
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin", "")
    scheme = "https" if is_secure(request, services.settings.trusted_proxies) else "http"
    own = origin in (f"{scheme}://{request.host}", services.base_url)
    if site != "same-origin" if site is not None else not own:
        raise Problem(403, "cross_site", "only pages of this server may do this with a cookie")
