"""The HTTP side of the process: the listening socket, TLS, routes and middlewares."""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
from collections.abc import Iterator
from contextlib import AsyncExitStack
from functools import cache
from importlib.metadata import version

from aiohttp import web

from server.api import (
    adjustments,
    consults,
    exports,
    health,
    histories,
    openapi,
    quotes,
    recordings,
    records,
    search,
    session,
    staff,
    statements,
    tariffs,
    top_ups,
    webhooks,
)
from server.api.operation import Operation
from server.errors import AddressInUse, SettingsError
from server.pages import add_pages, revalidate
from server.problems import MAX_BODY_BYTES, problems
from server.security import security_headers
from server.services import SERVICES, Services
from server.settings import Settings

HEADER_TIMEOUT_S = 10
PROXY_KEEPALIVE_S = 75  # longer than a proxy keeps an idle connection, or it meets a closed one


def tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of the settings, None without a certificate.

    Raises:
        SettingsError: certificate and key cannot be used.
    """
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError("--tls-cert", f"cannot be used with --tls-key: {error}") from error
    return context


@contextlib.contextmanager
def bind(settings: Settings) -> Iterator[socket.socket]:
    """The listening socket, first of all: a second start says at once that the port is busy."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(settings.host, settings.port, "--port") from error
            why = error.strerror or str(error)
            raise SettingsError("--host", f"{settings.host} cannot be used: {why}") from error
        yield listener


def local_url(listener: socket.socket, context: ssl.SSLContext | None) -> str:
    """Where a browser on this machine finds the pages."""
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not bound
    name = f"[{name}]" if ":" in name else name
    return f"{'https' if context else 'http'}://{name}:{port}"


@cache
def described_operations() -> tuple[Operation, ...]:
    """Everything that the API does, and its description; made once, since that takes a while."""
    operations = (
        *session.OPERATIONS,
        *staff.OPERATIONS,
        *consults.OPERATIONS,
        *quotes.OPERATIONS,
        *tariffs.OPERATIONS,
        *top_ups.OPERATIONS,
        *exports.OPERATIONS,
        *records.OPERATIONS,
        *histories.OPERATIONS,
        *search.OPERATIONS,
        *statements.OPERATIONS,
        *adjustments.OPERATIONS,
        *recordings.OPERATIONS,
        *webhooks.OPERATIONS,
        *health.OPERATIONS,
    )
    return (*operations, openapi.serve(operations, version("wenzhen")))


def application(services: Services) -> web.Application:
    """The API and the pages, without the socket."""
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[security_headers(services.settings.trusted_proxies), problems, revalidate],
    )
    app[SERVICES] = services
    for operation in described_operations():
        app.router.add_route(operation.method, operation.path, operation.handler)
    add_pages(app)
    return app


async def serve(
    services: Services,
    listener: socket.socket,
    context: ssl.SSLContext | None,
    stack: AsyncExitStack,
) -> None:
    """Answer requests on ``listener`` until ``stack`` closes.

    Slow headers and idle connections end after 10 s: aiohttp starts that timer with the
    connection and again after each answer.
    """
    app = application(services)
    services.site.attach(app)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=(
            PROXY_KEEPALIVE_S if services.settings.trusted_proxies else HEADER_TIMEOUT_S
        ),
        shutdown_timeout=5,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await services.site.start()
    stack.push_async_callback(services.site.close)
    await web.SockSite(runner, listener, ssl_context=context, backlog=1024).start()
