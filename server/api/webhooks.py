"""Endpoints of billing systems: where they are woken up when there are new records."""

from __future__ import annotations

import time
from typing import Annotated, Any, Final, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from metering.record import rfc3339
from server.api.operation import Caller, Operation, authorized, has_form_of_id, refusal
from server.clock import wall_ms
from server.problems import Problem, json_response, read_model
from server.services import SERVICES, Services
from server.webhooks import store
from server.webhooks.targets import MAX_URL, UrlRefused

SCOPE: Final = "webhooks"
Error = Literal[
    "status", "redirect", "timeout", "connection", "tls", "unresolved", "address_refused"
]


class NewWebhook(BaseModel):
    """Where messages go: an https URL without user, password and fragment. The name in it must
    not lead to a private address, unless the server was started with ``--webhook-private``.
    """

    model_config = ConfigDict(extra="forbid")
    url: Annotated[str, Field(max_length=MAX_URL, pattern=r"^https?://[!-~]+$")]


class Webhook(BaseModel):
    """An endpoint and how far it has been told. ``attempt`` counts failures in a row;
    ``last_error`` is null after a delivery. A disabled one gets nothing until it is enabled.
    """

    id: str
    url: str
    created_at: str
    delivered_through_seq: int
    attempt: int
    failing_since: str | None
    next_attempt_at: str | None
    disabled_at: str | None
    disabled_reason: Literal["gone", "failing"] | None
    last_attempt_at: str | None
    last_status: int | None
    last_error: Error | None
    last_delivered_at: str | None


class WebhookCreated(Webhook):
    """``secret`` verifies the messages (Standard Webhooks). It is shown this once."""

    secret: str


class Webhooks(BaseModel):
    """All endpoints of the key's organization: ten at most."""

    data: list[Webhook]


class WebhookRotated(BaseModel):
    """``secret`` is the new one, shown this once. Messages carry a signature of the former one
    too until ``former_until``. A secret that was replaced before that ends now.
    """

    secret: str
    former_until: str


class WebhookTested(BaseModel):
    """What came of it. ``status`` is the receiver's answer, if there was one."""

    delivered: bool
    status: int | None
    error: Error | None
    duration_ms: int


async def create_webhook(request: web.Request) -> web.Response:
    """Name an address that gets a message whenever there are new records; shows its secret."""
    key = await authorized(request, SCOPE)
    url = (await read_model(request, NewWebhook)).url
    services = request.app[SERVICES]
    try:
        await services.webhooks.sender.check(url)
        async with services.storage.write() as conn:
            row, secret = await store.create(conn, key.organization_id, url, wall_ms())
    except UrlRefused as error:
        raise Problem(422, "webhook_url_refused", str(error)) from None
    except store.AlreadyThere:
        raise Problem(409, "webhook_exists", "there is an endpoint with this URL") from None
    except store.TooMany:
        detail = f"an organization has {store.MAX_ENDPOINTS} endpoints at most"
        raise Problem(409, "too_many_webhooks", detail) from None
    _noted(services, key, "webhook_created", row["id"])
    return json_response(_shown(row) | {"secret": secret}, status=201)


async def list_webhooks(request: web.Request) -> web.Response:
    """All endpoints."""
    key = await authorized(request, SCOPE)
    async with request.app[SERVICES].storage.read() as conn:
        rows = await store.listed(conn, key.organization_id)
    return json_response({"data": [_shown(row) for row in rows]})


async def read_webhook(request: web.Request) -> web.Response:
    """One endpoint, and how its delivery stands."""
    key = await authorized(request, SCOPE)
    webhook_id = _id(request)
    async with request.app[SERVICES].storage.read() as conn:
        row = await store.find(conn, key.organization_id, webhook_id)
    if row is None:
        raise _unknown()
    return json_response(_shown(row))


async def delete_webhook(request: web.Request) -> web.Response:
    """Remove an endpoint. A message that is under way may still arrive."""
    key = await authorized(request, SCOPE)
    services, webhook_id = request.app[SERVICES], _id(request)
    async with services.storage.write() as conn:
        if not await store.remove(conn, key.organization_id, webhook_id):
            raise _unknown()
    _noted(services, key, "webhook_deleted", webhook_id)
    return web.Response(status=204)


async def rotate_webhook(request: web.Request) -> web.Response:
    """Make a new secret; both sign for a day, so that the receiver can change over."""
    key = await authorized(request, SCOPE)
    services, webhook_id = request.app[SERVICES], _id(request)
    async with services.storage.write() as conn:
        made = await store.rotate(conn, key.organization_id, webhook_id, wall_ms())
    if made is None:
        raise _unknown()
    secret, until = made
    _noted(services, key, "webhook_rotated", webhook_id)
    return json_response({"secret": secret, "former_until": rfc3339(until)})


async def enable_webhook(request: web.Request) -> web.Response:
    """Try an endpoint anew at once, whether it was disabled or waits for its next attempt."""
    key = await authorized(request, SCOPE)
    services, webhook_id = request.app[SERVICES], _id(request)
    async with services.storage.write() as conn:
        enabled = await store.enable(conn, key.organization_id, webhook_id)
        row = await store.find(conn, key.organization_id, webhook_id)
    if not enabled or row is None:
        raise _unknown()
    _noted(services, key, "webhook_enabled", webhook_id)
    services.webhooks.hint()
    return json_response(_shown(row))


async def test_webhook(request: web.Request) -> web.Response:
    """Send a message of type ``webhook.test`` now; answers within 10 s with what came of it."""
    key = await authorized(request, SCOPE)
    services, webhook_id = request.app[SERVICES], _id(request)
    wait_s = services.webhook_throttle.wait_s(key.organization_id, time.monotonic())
    if wait_s:
        raise Problem(429, "too_many", "too many tests", Retry_After=str(int(wait_s) + 1))
    outcome = await services.webhooks.test(key.organization_id, webhook_id)
    if outcome is None:
        raise _unknown()
    return json_response(
        {
            "delivered": outcome.delivered,
            "status": outcome.status,
            "error": outcome.error,
            "duration_ms": outcome.duration_ms,
        }
    )


_TIMES: Final = (
    *("created_at", "failing_since", "next_attempt_at", "disabled_at", "last_attempt_at"),
    "last_delivered_at",
)


def _shown(row: Any) -> dict[str, Any]:
    shown = {name: row[name] for name in Webhook.model_fields}
    return shown | {n: None if row[n] is None else rfc3339(row[n]) for n in _TIMES}


def _id(request: web.Request) -> str:
    webhook_id = request.match_info["webhook_id"]
    if not has_form_of_id(webhook_id):
        raise _unknown()
    return webhook_id


def _unknown() -> Problem:
    return Problem(404, "unknown_webhook", "there is no such endpoint")


def _noted(services: Services, caller: Caller, action: str, webhook_id: str) -> None:
    services.auditor.note(caller.actor, action, None, webhook_id)


_PATH = "/api/v1/webhooks"
_ONE = _PATH + "/{webhook_id}"
_UNKNOWN: Final = {404: refusal("there is no such endpoint", "unknown_webhook")}
OPERATIONS = (
    Operation(
        "POST",
        _PATH,
        create_webhook,
        "Name an endpoint",
        {
            201: ("stored", WebhookCreated),
            409: refusal("too many, or there already", "too_many_webhooks", "webhook_exists"),
            422: refusal("the URL is wrong, or leads where none may", "webhook_url_refused"),
        },
        scope=SCOPE,
        body=NewWebhook,
        example={"url": "https://billing.example/wenzhen"},
    ),
    Operation("GET", _PATH, list_webhooks, "List endpoints", {200: ("all", Webhooks)}, scope=SCOPE),
    Operation(
        "GET",
        _ONE,
        read_webhook,
        "One endpoint",
        {200: ("the endpoint", Webhook), **_UNKNOWN},
        scope=SCOPE,
    ),
    Operation(
        "DELETE",
        _ONE,
        delete_webhook,
        "Remove an endpoint",
        {204: ("removed", None), **_UNKNOWN},
        scope=SCOPE,
    ),
    Operation(
        "POST",
        _ONE + "/rotate",
        rotate_webhook,
        "Replace an endpoint's secret",
        {200: ("the new secret", WebhookRotated), **_UNKNOWN},
        scope=SCOPE,
    ),
    Operation(
        "POST",
        _ONE + "/enable",
        enable_webhook,
        "Try an endpoint anew",
        {200: ("the endpoint", Webhook), **_UNKNOWN},
        scope=SCOPE,
    ),
    Operation(
        "POST",
        _ONE + "/test",
        test_webhook,
        "Send a test message",
        {200: ("what came of it", WebhookTested), **_UNKNOWN},
        scope=SCOPE,
    ),
)
