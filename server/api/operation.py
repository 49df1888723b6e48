"""One HTTP operation: how it is routed, checked and documented, in one place."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from aiohttp import web
from pydantic import BaseModel

from server.api.cookies import SessionCookie, from_own_page
from server.keys import ApiKey
from server.problems import Problem, route_of
from server.services import SERVICES
from server.staff import StaffMember

_ID = re.compile(r"[A-Za-z0-9_]{1,128}", re.ASCII)
STAFF_COOKIE: Final = SessionCookie("wenzhen_staff")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a status means, where one JSON body is not all: bodies of several media types, headers.

    ``content`` maps each media type to the model of its body, None where it is a text. ``codes``
    are those of the problems that the status stands for.
    """

    means: str
    content: Mapping[str, type[BaseModel] | None] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    codes: tuple[str, ...] = ()


def refusal(means: str, *codes: str) -> Answer:
    """A status that is answered by a problem of one of these codes."""
    return Answer(means, codes=codes)


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of a module's ``OPERATIONS``; :mod:`server.api.openapi` prints them.

    ``scope`` is what an API key must carry, or one of several; None where none is asked.
    ``answers`` maps each status to what it means and the model of its body (None: no body), or to
    an :class:`Answer`. ``query`` and ``headers`` map parameters to their JSON Schema; ``required``
    names those that must be given. ``example`` is a body that is accepted. ``resource`` is what
    the operation is filed under, where its path does not say it.
    """

    method: str
    path: str
    handler: Handler
    summary: str
    answers: Mapping[int, tuple[str, type[BaseModel] | None] | Answer]
    scope: str | tuple[str, ...] | None = None
    body: type[BaseModel] | None = None
    query: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    headers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    example: Mapping[str, Any] | None = None
    resource: str = ""

    @property
    def tag(self) -> str:
        """What the description files it under: the first name of its path below the version."""
        _, _, rest = self.path.partition("/api/v1/")
        return self.resource or re.split("[/.]", rest)[0] or "process"

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes of which a key must carry one; none where no key is asked."""
        if self.scope is None or isinstance(self.scope, tuple):
            return self.scope or ()
        return (self.scope,)

    def answer(self, status: int) -> Answer:
        """What a status means, whichever way it was written down."""
        given = self.answers[status]
        if isinstance(given, Answer):
            return given
        means, model = given
        return Answer(means, {} if model is None else {"application/json": model})


def has_form_of_id(text: str) -> bool:
    """Whether an id in a path could be one of ours: PostgreSQL refuses some texts with an error."""
    return _ID.fullmatch(text) is not None


class Caller(Protocol):
    """Who asks: an API key, or somebody of the staff. ``actor`` is for the audit log."""

    @property
    def id(self) -> str: ...  # noqa: D102
    @property
    def organization_id(self) -> str: ...  # noqa: D102
    @property
    def scopes(self) -> frozenset[str]: ...  # noqa: D102
    @property
    def actor(self) -> str: ...  # noqa: D102


async def authorized(request: web.Request, *scopes: str) -> Caller:
    """The API key of a request (RFC 6750), or without one whose staff session its cookie is.

    Raises:
        Problem: 401 without either, 403 when it has none of ``scopes``, or when another site's
            page uses the cookie, 429 too often.
    """
    services = request.app[SERVICES]
    found: Caller
    member = None if "Authorization" in request.headers else await staff_member(request)
    if member is not None:
        from_own_page(request)
        found = member
    else:
        found = await _key(request)
    wait_s = services.key_throttle.wait_s(found.id, time.monotonic())
    if wait_s:
        raise Problem(429, "too_many", "too many requests", Retry_After=str(int(wait_s) + 1))
    if found.scopes.isdisjoint(scopes):
        scope = " or ".join(scopes)
        services.auditor.note(found.actor, "scope_refused", None, scope)
        raise Problem(
            403,
            "scope_missing",
            f"the scope {scope} is missing",
            WWW_Authenticate='Bearer error="insufficient_scope"',
        )
    if member is not None:
        services.auditor.note(member.actor, "staff_request", None, _what(request))
    else:
        services.key_uses.note(found.id)
        operation = getattr(request.match_info.handler, "__name__", "")
        services.auditor.note(found.actor, "key_used", None, operation)
    return found


async def staff_member(request: web.Request) -> StaffMember | None:
    """Whose staff session the cookie of a request is."""
    token = STAFF_COOKIE.token_of(dict(request.cookies))
    return await request.app[SERVICES].staff.session(token) if token else None


def _what(request: web.Request) -> str:
    """Method, route and ids of a request, for the audit log: no text that somebody else chose."""
    ids = [text for text in request.match_info.values() if has_form_of_id(text)]
    return " ".join([request.method, route_of(request), *ids])


async def _key(request: web.Request) -> ApiKey:
    services = request.app[SERVICES]
    kind, _, key = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not 16 <= len(key) <= 128:
        raise Problem(
            401,
            "key_missing",
            "an API key is needed: Authorization: Bearer KEY",
            WWW_Authenticate="Bearer",
        )
    found = await services.keys.find(key)
    if found is None:
        raise Problem(
            401,
            "key_invalid",
            "this API key is unknown, revoked or over",
            WWW_Authenticate='Bearer error="invalid_token"',
        )
    return found
