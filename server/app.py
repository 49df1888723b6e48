"""A running process: everything opened in order, wired, and closed in the other order."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import structlog
import uvloop
from aiohttp import web

from media.errors import PortUnavailable
from media.port import MediaPort, MediaSettings
from server import demo, logs, migrate
from server.accounts import Accounts
from server.addresses import local_addresses
from server.api import consults, health, openapi, records, session
from server.calls import Calls
from server.errors import AddressInUse, DataFolderUnusable, SettingsError
from server.identities import SignedIn
from server.pages import add_pages, revalidate
from server.problems import MAX_BODY_BYTES, problems
from server.security import security_headers
from server.services import SERVICES, Services
from server.settings import Settings
from server.storage import Storage
from server.ticker import Ticker
from signaling.desk import Desk
from signaling.model import Timers
from signaling.pages import Pages
from signaling.socket import create_socket_server

HEADER_TIMEOUT_S = 10
PROXY_KEEPALIVE_S = 75  # longer than a proxy keeps an idle connection, or it meets a closed one
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Running:
    """A started process. ``base_url`` is where its pages are."""

    services: Services
    base_url: str
    demo: demo.Demo | None


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """Run the whole process inside this loop until the context ends.

    Raises:
        ServerError: one sentence says what is in the way; nothing is left open.
    """
    async with AsyncExitStack() as stack:
        context = _tls(settings)
        _usable(settings)
        storage = await Storage.open(settings.sql_url)
        stack.push_async_callback(storage.close)
        await migrate.upgrade(storage)
        accounts = Accounts(storage, session_s=settings.session_s)
        media = await _media(settings)
        stack.push_async_callback(media.close)
        services = await _services(settings, storage, accounts, media, stack)
        app, base_url = await _listen(settings, services, context, stack)
        made = await demo.prepare(services, base_url) if settings.demo else None
        log.info("started", base_url=base_url, media_port=media.port, database=storage.dialect)
        yield Running(app[SERVICES], base_url, made)


def _usable(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        probe = settings.data_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataFolderUnusable(str(settings.data_dir), error.strerror or str(error)) from error


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if not settings.tls_cert:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (ssl.SSLError, OSError) as error:
        raise SettingsError("--tls-cert", f"cannot be used with --tls-key: {error}") from error
    return context


async def _media(settings: Settings) -> MediaPort:
    host = settings.media_host or settings.host
    advertise = settings.advertise or local_addresses(host)
    try:
        return await MediaPort.open(
            MediaSettings(
                host=host,
                port=settings.media_port,
                advertise=advertise,
                udp=settings.media_udp,
                tcp=settings.media_tcp,
            )
        )
    except PortUnavailable as error:
        raise AddressInUse(host, settings.media_port, "--media-port") from error


def _timers(settings: Settings) -> Timers:
    return Timers(
        answer_ms=settings.offered_s * 1000,
        connecting_ms=settings.connecting_s * 1000,
        interrupted_ms=settings.interrupted_s * 1000,
        reopen_ms=settings.reopen_s * 1000,
        hung_up_ms=settings.hung_up_s * 1000,
        offline_ms=settings.offline_s * 1000,
        dropped_ms=settings.dropped_s * 1000,
        longest_call_ms=settings.longest_call_s * 1000,
    )


async def _services(
    settings: Settings,
    storage: Storage,
    accounts: Accounts,
    media: MediaPort,
    stack: AsyncExitStack,
) -> Services:
    raise NotImplementedError


async def _listen(
    settings: Settings,
    services: Services,
    context: ssl.SSLContext | None,
    stack: AsyncExitStack,
) -> tuple[web.Application, str]:
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[security_headers(settings.trusted_proxies), problems, revalidate],
    )
    app[SERVICES] = services
    operations = [
        *session.OPERATIONS,
        *consults.OPERATIONS,
        *records.OPERATIONS,
        *health.OPERATIONS,
    ]
    operations.append(openapi.serve(operations, version("wenzhen")))
    for operation in operations:
        app.router.add_route(operation.method, operation.path, operation.handler)
    add_pages(app)
    services.socket.attach(app)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=PROXY_KEEPALIVE_S if settings.trusted_proxies else HEADER_TIMEOUT_S,
        shutdown_timeout=5,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, settings.host, settings.port, ssl_context=context)
    try:
        await site.start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AddressInUse(settings.host, settings.port, "--port") from error
        raise SettingsError("--host", f"{settings.host} cannot be listened on") from error
    port = runner.addresses[0][1]
    return app, settings.base_url.rstrip("/") or _local_url(settings.host, port, context)


def _local_url(host: str, port: int, context: ssl.SSLContext | None) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104  # read, not bound
    name = f"[{name}]" if ":" in name and not name.startswith("[") else name
    return f"{'https' if context else 'http'}://{name}:{port}"
