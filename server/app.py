"""A running process: everything opened in order, wired, and closed in the other order."""

from __future__ import annotations

import errno
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version

import structlog
from aiohttp import web

from media.errors import PortUnavailable
from media.port import MediaPort, MediaSettings
from server import demo, migrate
from server.accounts import Accounts
from server.addresses import local_addresses
from server.api import consults, health, openapi, records, session
from server.errors import AddressInUse, DataFolderUnusable, SettingsError
from server.pages import add_pages, revalidate
from server.problems import MAX_BODY_BYTES, problems
from server.security import security_headers
from server.services import SERVICES, Services
from server.settings import Settings
from server.storage import Storage
from signaling.model import Timers

HEADER_TIMEOUT_S = 10
COLLECT_S = 1.0
PROXY_KEEPALIVE_S = 75  # longer than a proxy keeps an idle connection, or it meets a closed one
log = structlog.get_logger()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Run the whole process inside this loop until the context ends.

    Raises:
        ServerError: one sentence says what is in the way; nothing is left open.
    """
    async with AsyncExitStack() as stack:
        context = _tls(settings)
        _usable(settings)
        listener = stack.enter_context(_bind(settings))
        base_url = settings.base_url.rstrip("/") or _local_url(listener, context)
        storage = await Storage.open(settings.sql_url)
        stack.push_async_callback(storage.close)
        await migrate.upgrade(storage)
        media = await _media(settings)
        stack.push_async_callback(media.close)
        services = await _wire(settings, base_url, storage, media, stack)
        await _serve_http(services, listener, context, stack)
        log.info("started", base_url=base_url, media_port=media.port, database=storage.dialect)
        yield services


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


async def _wire(
    settings: Settings, base_url: str, storage: Storage, media: MediaPort, stack: AsyncExitStack
) -> Services:
    clock, accounts = Clock(), Accounts(storage, session_s=settings.session_s)
    tasks = Tasks()
    node = _node()
    calls = Calls(storage, media, node)

    def audit(kind: str, fields: Mapping[str, str]) -> None:
        log.warning(kind, **fields)
        actor, consult_id = fields.get("physician_id", "page"), fields.get("consult_id")
        tasks.start("audit", accounts.audit(actor, kind, consult_id, fields.get("command", "")))

    desk = Desk(DeskSetup(storage, calls, clock, audit, _timers(settings), node))
    socket = SocketServer(clock, _origins(base_url))
    reception = Reception(desk, calls, SignedIn(storage, accounts), socket, clock)
    calls.attach(desk.submit, reception)
    async with storage.read() as conn:
        left = [case.core.id for case in await store.live(conn, clock)]
    await calls.restore(left)
    stack.push_async_callback(tasks.close)
    stack.push_async_callback(calls.close)
    await desk.start(reception)
    stack.push_async_callback(desk.close)
    stack.push_async_callback(reception.close)
    tasks.start("meter ticks", keep_running("meter ticks", calls.run_ticks))
    tasks.start("checkpoints", keep_running("checkpoints", calls.run_checkpoints))
    return Services(settings, base_url, storage, accounts, media, calls, desk, socket)


def _node() -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket_module.gethostname())[:40] or "node"
    return f"{name}-{os.getpid()}"


def _origins(base_url: str) -> tuple[str, ...]:
    return (base_url,)


async def _serve_http(
    services: Services,
    listener: socket_module.socket,
    context: ssl.SSLContext | None,
    stack: AsyncExitStack,
) -> None:
    settings = services.settings
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
    services.socket.sio.attach(app)
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=PROXY_KEEPALIVE_S if settings.trusted_proxies else HEADER_TIMEOUT_S,
        shutdown_timeout=5,
    )
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listener, ssl_context=context, backlog=1024).start()


@contextlib.contextmanager
def _bind(settings: Settings) -> Iterator[socket_module.socket]:
    """The listening socket, first of all: a second start says at once that the port is busy."""
    family = socket_module.AF_INET6 if ":" in settings.host else socket_module.AF_INET
    with socket_module.socket(family, socket_module.SOCK_STREAM) as listener:
        listener.setsockopt(socket_module.SOL_SOCKET, socket_module.SO_REUSEADDR, 1)
        listener.setblocking(False)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise AddressInUse(settings.host, settings.port, "--port") from error
            why = error.strerror or str(error)
            raise SettingsError("--host", f"{settings.host} cannot be used: {why}") from error
        yield listener


def _local_url(listener: socket_module.socket, context: ssl.SSLContext | None) -> str:
    host, port = listener.getsockname()[:2]
    name = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # read, not bound
    name = f"[{name}]" if ":" in name else name
    return f"{'https' if context else 'http'}://{name}:{port}"


def serve(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT. Returns the exit status.

    Raises:
        ServerError: it cannot start; one sentence says why.
    """
    logs.configure(settings.log_format)
    if settings.redis_url:
        log.warning("redis_unused", why="one node needs no Redis; it is for several nodes")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    loop, ending = asyncio.get_running_loop(), asyncio.Event()
    loop.set_exception_handler(LoopErrors())
    async with running(settings) as services:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, ending.set)
        if settings.demo:
            print(demo.greeting(await demo.prepare(services)), flush=True)  # noqa: T201
        async with _without_collector():
            await ending.wait()
        for number in (signal.SIGTERM, signal.SIGINT):  # a second signal does not wait
            loop.add_signal_handler(number, services.desk.hurry)
        log.info("draining", calls=len(services.calls))
        await services.desk.drain(settings.drain_s)
    log.info("stopped")
    return 0


@asynccontextmanager
async def _without_collector() -> AsyncIterator[None]:
    """Keep the cyclic collector out of the packet path: its full runs were pauses of 43 ms.

    What lives now is frozen; each second the young objects are collected, in the ticker's turn
    of the loop and not in a packet's.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    collector = asyncio.create_task(_collect(), name="collector")
    try:
        yield
    finally:
        collector.cancel()
        gc.enable()


async def _collect() -> None:
    while True:
        await asyncio.sleep(COLLECT_S)
        gc.collect(1)
