"""The session of an accountant or administrator: sign in, who am I, sign out."""

from __future__ import annotations

from typing import Literal

from aiohttp import web
from pydantic import BaseModel
from sqlalchemy import select

from server import tables
from server.api.cookies import from_own_page
from server.api.operation import STAFF_COOKIE, Operation, refusal, staff_member
from server.api.session import SignIn, slow_down
from server.problems import Problem, json_response, read_model
from server.services import SERVICES


class StaffSession(BaseModel):
    """Who is signed in, for which organization, and the time zone in which its months begin."""

    class Member(BaseModel):
        """Somebody of the staff. ``scopes``: what they may do, as of an API key."""

        id: str
        name: str
        role: Literal["accountant", "admin"]
        scopes: list[str]

    class Clinic(BaseModel):
        """An organization."""

        id: str
        name: str

    staff: Member
    organization: Clinic
    timezone: str


async def staff_sign_in(request: web.Request) -> web.Response:
    """Check the password; too many tries from one address or for one name wait."""
    services = request.app[SERVICES]
    body = await read_model(request, SignIn)
    slow_down(request, f"staff {body.username}")
    signed_in = await services.staff.sign_in(body.username, body.password)
    if signed_in is None:
        services.auditor.note("anonymous", "staff_sign_in_refused")
        raise Problem(401, "wrong_password", "this name or password is wrong")
    member, token = signed_in
    services.auditor.note(member.actor, "sign_in")
    response = web.Response(status=204)
    STAFF_COOKIE.give(request, response, token)
    return response


async def staff_who(request: web.Request) -> web.Response:
    """Who is signed in."""
    services, member = request.app[SERVICES], await staff_member(request)
    if member is None:
        raise Problem(401, "signed_out", "nobody is signed in")
    organizations = tables.organizations
    query = select(organizations.c.name).where(organizations.c.id == member.organization_id)
    async with services.storage.read() as conn:
        clinic = (await conn.execute(query)).scalar_one()
    scopes = sorted(member.scopes)
    return json_response(
        {
            "staff": {"id": member.id, "name": member.name, "role": member.role, "scopes": scopes},
            "organization": {"id": member.organization_id, "name": clinic},
            "timezone": services.settings.timezone,
        }
    )


async def staff_sign_out(request: web.Request) -> web.Response:
    """End the session."""
    services, member = request.app[SERVICES], await staff_member(request)
    token = STAFF_COOKIE.token_of(dict(request.cookies))
    if token and member:
        from_own_page(request)
        await services.staff.sign_out(token)
        services.auditor.note(member.actor, "sign_out")
    response = web.Response(status=204)
    STAFF_COOKIE.take_back(response)
    return response


_PATH = "/api/v1/staff/session"
OPERATIONS = (
    Operation(
        "POST",
        _PATH,
        staff_sign_in,
        "Sign in at the billing page",
        {
            204: ("signed in, cookie set", None),
            401: refusal("this name or password is wrong", "wrong_password"),
            429: refusal("too many tries; see Retry-After", "too_many_sign_ins"),
        },
        body=SignIn,
        example={"username": "accountant", "password": "PASSWORD"},
    ),
    Operation(
        "GET",
        _PATH,
        staff_who,
        "Who of the staff is signed in",
        {200: ("signed in", StaffSession), 401: refusal("nobody is signed in", "signed_out")},
    ),
    Operation(
        "DELETE",
        _PATH,
        staff_sign_out,
        "Sign out of the billing page",
        {204: ("signed out", None), 403: refusal("asked by another site's page", "cross_site")},
    ),
)
