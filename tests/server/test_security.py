"""Headers of every answer, and who the client really is."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from aiohttp.typedefs import Handler
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from server.problems import Problem, problems
from server.security import CSP, HEADERS, client_address, is_secure, security_headers
from server.settings import Network

PROXIES: tuple[Network, ...] = (
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_network("fd00::/8"),
)
V4 = st.ip_addresses(v=4).map(str)
TRUSTED = st.ip_addresses(network="10.0.0.0/8").map(str) | st.ip_addresses(network="fd00::/8").map(
    str
)
STRANGERS = st.ip_addresses().filter(lambda a: not any(a in n for n in PROXIES)).map(
    lambda a: str(getattr(a, "ipv4_mapped", None) or a)
)  # fmt: skip
GARBAGE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def request(remote: str | None, *headers: tuple[str, str]) -> web.Request:
    """A request as aiohttp would hand it over, from this address."""
    made = make_mocked_request("GET", "/", CIMultiDict([("Host", "clinic.example"), *headers]))
    return made.clone(remote=remote) if remote else made


def forwarded(*hops: str) -> tuple[str, str]:
    return ("X-Forwarded-For", ", ".join(hops))


@given(STRANGERS, st.lists(STRANGERS | TRUSTED | GARBAGE, max_size=4))
def test_a_stranger_cannot_say_who_they_are(peer: str, hops: list[str]) -> None:
    """Who does not come through a trusted proxy is known by the address of the connection."""
    assert client_address(request(peer, forwarded(*hops)), PROXIES) == peer
    assert client_address(request(peer, forwarded(*hops)), ()) == peer


@given(TRUSTED, st.lists(STRANGERS | GARBAGE, max_size=4), STRANGERS, st.lists(TRUSTED, max_size=3))
def test_behind_proxies_it_is_the_last_address_that_no_proxy_has(
    peer: str, invented: list[str], client: str, proxies: list[str]
) -> None:
    """Proxies append on the right; what stands left of the client is what the client wrote."""
    assert client_address(request(peer, forwarded(*invented, client, *proxies)), PROXIES) == client


@given(TRUSTED, STRANGERS, STRANGERS)
def test_a_proxy_may_add_a_line_of_its_own(peer: str, invented: str, client: str) -> None:
    """HAProxy's `option forwardfor` does: the client's own line comes first and must not count."""
    assert client_address(request(peer, forwarded(invented), forwarded(client)), PROXIES) == client


@given(TRUSTED)
def test_a_proxy_that_names_nobody_is_the_client(peer: str) -> None:
    assert client_address(request(peer), PROXIES) == peer
    assert client_address(request(peer, forwarded("unknown")), PROXIES) == peer


@given(st.ip_addresses(v=4), STRANGERS)
def test_an_ipv4_proxy_is_known_on_a_socket_that_takes_both(
    proxy: ipaddress.IPv4Address, client: str
) -> None:
    """Bound to ::, Linux shows IPv4 peers as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2)."""
    trusted = (ipaddress.ip_network(f"{proxy}/32"),)
    assert client_address(request(f"::ffff:{proxy}", forwarded(client)), trusted) == client


@given(TRUSTED | STRANGERS | st.none(), GARBAGE, GARBAGE)
def test_no_header_makes_it_fail(peer: str | None, first: str, second: str) -> None:
    asked = request(peer, ("X-Forwarded-For", first), ("X-Forwarded-Proto", second))
    assert client_address(asked, PROXIES)
    assert is_secure(asked, PROXIES) in {True, False}


@pytest.mark.parametrize(
    ("peer", "protos", "secure"),
    [
        ("10.1.2.3", ["https"], True),
        ("10.1.2.3", ["http"], False),
        ("10.1.2.3", [], False),
        ("10.1.2.3", ["https", "http"], False),
        ("192.0.2.1", ["https"], False),
    ],
)
def test_https_is_believed_from_a_trusted_proxy_alone(
    peer: str, protos: Sequence[str], secure: bool
) -> None:
    asked = request(peer, *(("X-Forwarded-Proto", proto) for proto in protos))
    assert is_secure(asked, PROXIES) is secure


def test_the_policy_allows_nothing_inline_and_nobody_else() -> None:
    """HOSTILE.md: strict CSP, no third-party requests from any page."""
    assert "unsafe" not in CSP
    assert "*" not in CSP
    assert "http" not in CSP
    for directive in ("default-src 'self'", "object-src 'none'", "base-uri 'none'",
                      "frame-ancestors 'none'", "script-src 'self'"):  # fmt: skip
        assert directive in CSP


def app(trusted: Sequence[Network], file: Path) -> web.Application:
    """Every way an answer can come about, behind the two middlewares of the real application."""

    async def fails(_request: web.Request) -> web.Response:
        raise RuntimeError("secret of the inside")

    async def refuses(_request: web.Request) -> web.Response:
        raise Problem(403, "scope_missing", "no")

    async def moves(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/console")

    async def sends_file(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(file)

    made = web.Application(middlewares=[security_headers(trusted), problems])
    made.router.add_get("/file", sends_file)
    made.router.add_static("/static", file.parent)
    routes: dict[str, Handler] = {"/api/fails": fails, "/api/refuses": refuses, "/moves": moves}
    for path, handler in routes.items():
        made.router.add_get(path, handler)
    return made


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/file", 200),
        ("GET", "/static/page.html", 200),
        ("GET", "/static/none.html", 404),
        ("GET", "/static/../../etc/passwd", 404),
        ("GET", "/static/%2e%2e/%2e%2e/etc/passwd", 404),
        ("GET", "/api/fails", 500),
        ("GET", "/api/refuses", 403),
        ("GET", "/moves", 302),
        ("GET", "/none", 404),
        ("GET", "/api/none", 404),
        ("POST", "/api/fails", 405),
        ("POST", "/file", 405),
    ],
)
async def test_every_answer_carries_the_headers(
    aiohttp_client: object, tmp_path: Path, method: str, path: str, status: int
) -> None:
    file = tmp_path / "site" / "page.html"
    file.parent.mkdir()
    file.write_text("<!doctype html>", encoding="utf-8")
    client = await aiohttp_client(app((), file))  # type: ignore[operator]
    async with client.request(method, path, allow_redirects=False) as answer:
        assert answer.status == status
        assert answer.headers.items() >= HEADERS.items()
        policy = answer.headers["Content-Security-Policy"]
        assert f"connect-src 'self' ws://{answer.url.host}:{answer.url.port};" in policy
        assert "Strict-Transport-Security" not in answer.headers
        assert "secret" not in await answer.text()


async def test_behind_a_tls_proxy_browsers_are_told_to_stay_with_tls(
    aiohttp_client: object, tmp_path: Path
) -> None:
    file = tmp_path / "page.html"
    file.write_text("<!doctype html>", encoding="utf-8")
    trusted = (ipaddress.ip_network("127.0.0.0/8"),)
    client = await aiohttp_client(app(trusted, file))  # type: ignore[operator]
    headers = {"X-Forwarded-Proto": "https", "Host": "clinic.example"}
    async with client.get("/file", headers=headers) as answer:
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
        assert "wss://clinic.example;" in answer.headers["Content-Security-Policy"]
