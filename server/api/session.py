"""The physician's session: sign in, who am I, sign out."""

from __future__ import annotations

import time

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from server.api.cookies import SessionCookie
from server.api.operation import Operation, refusal
from server.problems import Problem, json_response, read_model
from server.security import client_address
from server.services import SERVICES
from signaling.case import Physician

_COOKIE = SessionCookie("wenzhen_session")
COOKIE, SECURE_COOKIE = _COOKIE.name, _COOKIE.secure_name
token_of = _COOKIE.token_of


class SignIn(BaseModel):
    """A name and a password."""

    model_config = ConfigDict(extra="forbid")
    username: str = Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]*$")
    password: str = Field(min_length=1, max_length=200)


class SignedIn(BaseModel):
    """Who is signed in."""

    class Who(BaseModel):
        """A physician."""

        id: str
        name: str
        title: str

    physician: Who


async def current(request: web.Request) -> Physician:
    """The physician of the request's cookie.

    Raises:
        Problem: 401.
    """
    token = token_of(dict(request.cookies))
    physician = await request.app[SERVICES].accounts.session(token) if token else None
    if physician is None:
        raise Problem(401, "signed_out", "nobody is signed in")
    return physician


def slow_down(request: web.Request, name: str) -> None:
    """Let too many tries to sign in from one address or for one name wait.

    Raises:
        Problem: 429.
    """
    services = request.app[SERVICES]
    address = client_address(request, services.settings.trusted_proxies)
    now_s = time.monotonic()
    # by address and name, so that a stranger who knows a name cannot lock its owner out; by name
    # alone far more generously, against many addresses at once
    waits = (
        services.sign_in_throttle.wait_s(f"{address} as {name}", now_s),
        services.address_throttle.wait_s(address, now_s),
        services.name_throttle.wait_s(name, now_s),
    )
    if wait_s := max(waits):
        raise Problem(
            429,
            "too_many_sign_ins",
            "too many tries: wait a little",
            Retry_After=str(int(wait_s) + 1),
        )


async def sign_in(request: web.Request) -> web.Response:
    """Check the password; too many tries from one address or for one name wait."""
    services = request.app[SERVICES]
    body = await read_model(request, SignIn)
    slow_down(request, body.username)
    signed_in = await services.accounts.sign_in(body.username, body.password)
    if signed_in is None:
        services.auditor.note("anonymous", "sign_in_refused")
        raise Problem(401, "wrong_password", "this name or password is wrong")
    physician, token = signed_in
    services.auditor.note(f"physician:{physician.id}", "sign_in")
    response = web.Response(status=204)
    _COOKIE.give(request, response, token)
    return response


async def who(request: web.Request) -> web.Response:
    """Who is signed in."""
    physician = await current(request)
    who = {"id": physician.id, "name": physician.name, "title": physician.title}
    return json_response({"physician": who})


async def sign_out(request: web.Request) -> web.Response:
    """End the session."""
    services, token = request.app[SERVICES], token_of(dict(request.cookies))
    physician = await services.accounts.session(token) if token else None
    if token and physician:
        await services.accounts.sign_out(token)
        services.site.pages.signed_out(physician.id)
        services.auditor.note(f"physician:{physician.id}", "sign_out")
    response = web.Response(status=204)
    _COOKIE.take_back(response)
    return response


_PATH = "/api/v1/session"
OPERATIONS = (
    Operation(
        "POST",
        _PATH,
        sign_in,
        "Sign in at the console",
        {
            204: ("signed in, cookie set", None),
            401: refusal("this name or password is wrong", "wrong_password"),
            429: refusal("too many tries; see Retry-After", "too_many_sign_ins"),
        },
        body=SignIn,
        example={"username": "demo", "password": "PASSWORD"},
    ),
    Operation(
        "GET",
        _PATH,
        who,
        "Who is signed in",
        {200: ("signed in", SignedIn), 401: refusal("nobody is signed in", "signed_out")},
    ),
    Operation("DELETE", _PATH, sign_out, "Sign out", {204: ("signed out", None)}),
)
