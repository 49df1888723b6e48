"""Errors of the HTTP API as problem details (RFC 9457), and the limits on what is read."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, TypeVar

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

MAX_BODY_BYTES = 64 * 1024
BODY_TIMEOUT_S = 10

_SQLITE_AWAY = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
    }
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Model = TypeVar("Model", bound=BaseModel)
log = structlog.get_logger()


class Problem(Exception):
    """Answered as ``application/problem+json``. ``code`` is for programs and never changes."""

    def __init__(self, status: int, code: str, detail: str, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def response(self) -> web.Response:
        """The answer for this problem."""
        body = {
            "type": f"urn:wenzhen:problem:{self.code}",
            "title": self.code.replace("_", " "),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
        }
        return web.Response(
            status=self.status,
            text=json.dumps(body, ensure_ascii=False),
            content_type="application/problem+json",
            headers=self.headers,
        )


_PLAIN = {
    400: "bad_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "body_too_large",
    417: "expectation_failed",
}


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every failure of a handler as a problem; an unforeseen one says nothing but 500."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        if error.status < 400 or not request.path.startswith("/api/"):
            raise
        code = _PLAIN.get(error.status, "http_error")
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        plain = Problem(error.status, code, error.reason)
        plain.headers.update(allow)
        return plain.response()
    except asyncio.CancelledError:
        raise
    except Exception as error:
        if is_away(error):
            log.warning("database_away", route=route_of(request), error=type(error).__name__)
            detail = "the database does not answer: whether this was done is not known; try again"
            return Problem(503, "database_unavailable", detail, Retry_After="2").response()
        log.exception("request_failed", method=request.method, route=route_of(request))
        return Problem(500, "internal_error", "the server failed; it is logged").response()


def is_away(error: Exception) -> bool:
    """Whether an error says that the database cannot be reached, and not that we asked wrongly."""
    if isinstance(error, DBAPIError):
        code = getattr(error.orig, "sqlite_errorcode", None)
        if code is not None:  # SQLite calls a missing table an operational error too
            return code & 0xFF in _SQLITE_AWAY
        lost = error.connection_invalidated or isinstance(error.orig, ConnectionError)
        return lost or isinstance(error, OperationalError | InterfaceError)
    return isinstance(error, ConnectionRefusedError | ConnectionResetError)


def route_of(request: web.Request) -> str:
    """The pattern of the route, never the path: paths carry ids of people's consults."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "unknown"


async def read_model(request: web.Request, model: type[Model]) -> Model:
    """Read a JSON body of at most 64 KiB within 10 s and validate it; no body at all is ``{}``.

    Raises:
        Problem: 400 not JSON, 408 too slow, 413 too large, 415 not declared as JSON,
            422 not what ``model`` asks; the detail names the first wrong field.
    """
    body = await _body(request)
    with _named():
        return model.model_validate_json(body)


async def read_exact(request: web.Request, model: type[Model]) -> Model:
    """As :func:`read_model`, for prices: decimals as they are written, and no field twice.

    Raises:
        Problem: as :func:`read_model`.
    """
    body = await _body(request)
    try:
        fields = json.loads(body, parse_float=Decimal, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise Problem(400, "malformed_json", "the body is not JSON") from None
    with _named():
        return model.model_validate(fields)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Problem(422, "invalid_body", "a field is there twice")
    return fields


async def _body(request: web.Request) -> bytes:
    if not request.can_read_body:
        return b"{}"
    if request.content_type != "application/json":
        raise Problem(415, "not_json", "the body must be application/json")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.read()
    except TimeoutError:
        raise Problem(408, "body_too_slow", f"no body within {BODY_TIMEOUT_S} s") from None


@contextmanager
def _named() -> Iterator[None]:
    """Answer what a model refuses: the first wrong field, never its value."""
    try:
        yield
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            raise Problem(400, "malformed_json", "the body is not JSON") from None
        where = ".".join(str(part) for part in first["loc"]) or "body"
        raise Problem(422, "invalid_body", f"{where}: {first['msg']}") from None


def json_response(payload: Any, status: int = 200) -> web.Response:
    """JSON in UTF-8 that no cache keeps."""
    return web.Response(
        status=status,
        text=json.dumps(payload, ensure_ascii=False, separators=(",", ":")),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
