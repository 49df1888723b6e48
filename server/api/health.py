"""Is the process alive, is it ready, what does it measure."""

from __future__ import annotations

import asyncio

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text

from server.api.operation import Operation, refusal
from server.metrics import registry_of
from server.problems import Problem, json_response
from server.services import SERVICES

READY_TIMEOUT_S = 2


async def healthz(_request: web.Request) -> web.Response:
    """The loop turns; no other service is asked, so theirs cannot make this fail."""
    return json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Consults can be ordered and wait: the database answers and the process is not ending.

    A full node is still needed by its running calls and its queue: it answers 200 and says so.
    """
    services = request.app[SERVICES]
    if services.site.desk.stopping:
        raise Problem(503, "draining", "this process is ending and takes no new calls")
    try:
        async with asyncio.timeout(READY_TIMEOUT_S), services.storage.read() as connection:
            await connection.execute(text("SELECT 1"))
    except Exception as error:
        raise Problem(503, "database_unavailable", "the database does not answer") from error
    full = services.calls.admission.full
    return json_response({"status": "ready" if full is None else "full"})


async def metrics(request: web.Request) -> web.Response:
    """Prometheus text format."""
    body = generate_latest(registry_of(request.app[SERVICES]))
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})


OPERATIONS = (
    Operation("GET", "/healthz", healthz, "Alive", {200: ("alive", None)}),
    Operation(
        "GET",
        "/readyz",
        readyz,
        "Ready",
        {200: ("ready", None), 503: refusal("not ready", "draining", "database_unavailable")},
    ),
    Operation("GET", "/metrics", metrics, "Prometheus metrics", {200: ("metrics", None)}),
)
