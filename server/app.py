"""A running process: everything opened in order, wired, and closed in the other order."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import structlog

from media.errors import PortUnavailable
from media.port import MediaPort, MediaSettings
from server import demo, listen, migrate
from server.accounts import Accounts
from server.addresses import local_addresses
from server.admission import Admission, Limits
from server.auditor import Auditor
from server.calls import Calls
from server.clock import Clock, wall_ms
from server.errors import AddressInUse, DataFolderUnusable
from server.hold import waiting_room
from server.identities import SignedIn
from server.keys import Keys, KeyUses
from server.lines import Lines
from server.load import Load
from server.recording_store import RecordingStore
from server.recordings import Recordings, folder_for
from server.relays import Relays
from server.services import Services
from server.settings import Settings
from server.staff import Staff
from server.storage import Storage
from server.supervise import keep_running
from server.webhooks.delivery import Deliverer
from server.webhooks.sender import Sender
from signaling.model import Timers
from signaling.site import Site, SiteSetup
from signaling.tasks import Tasks

log = structlog.get_logger()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Run the whole process inside this loop until the context ends.

    Raises:
        ServerError: one sentence says what is in the way; nothing is left open.
    """
    async with AsyncExitStack() as stack:
        context = listen.tls(settings)
        _usable(settings)
        listener = stack.enter_context(listen.bind(settings))
        base_url = settings.base_url.rstrip("/") or listen.local_url(listener, context)
        storage = await Storage.open(settings.sql_url)
        stack.push_async_callback(storage.close)
        await migrate.upgrade(storage)
        media = await _media(settings)
        stack.push_async_callback(media.close)
        services = await _wire(settings, base_url, storage, media, stack)
        if settings.demo:  # before anybody is served: who finds us ready finds demo.json too
            services = replace(services, demo=await demo.prepare(services))
        await listen.serve(services, listener, context, stack)
        log.info("started", base_url=base_url, media_port=media.port, database=storage.dialect)
        yield services


def _usable(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = settings.data_dir / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise DataFolderUnusable(str(settings.data_dir), error.strerror or str(error)) from error


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
        invitation_ms=settings.invitation_s * 1000,
    )


def _limits(settings: Settings) -> Limits:
    return Limits(
        max_packets_per_s=settings.max_packets_per_s,
        max_loop_lag_ms=settings.max_loop_lag_ms,
        setup_ms=(settings.offered_s + settings.connecting_s) * 1000,
    )


async def _wire(
    settings: Settings, base_url: str, storage: Storage, media: MediaPort, stack: AsyncExitStack
) -> Services:
    clock, accounts = Clock(), Accounts(storage, session_s=settings.session_s)
    staff = Staff(storage, accounts, session_s=settings.session_s)
    node, tasks = _node(), Tasks()
    auditor, key_uses = Auditor(storage), KeyUses(storage)
    admission = Admission(_limits(settings))
    load = Load(media.counters, admission)
    waiting = await waiting_room(settings.hold_music, settings.data_dir)
    recordings = _recordings(settings, storage, node, auditor)
    webhooks = Deliverer(storage, Sender(private=settings.webhook_private), auditor)
    calls = Calls(
        storage,
        media,
        node,
        admission,
        max_video_bps=settings.max_video_kbps * 1000,
        recordings=recordings if settings.recording else None,
        waiting=waiting,
    )

    def audit(kind: str, fields: Mapping[str, str]) -> None:
        actor = f"physician:{who}" if (who := fields.get("physician_id")) else "page"
        auditor.note(actor, kind, fields.get("consult_id"), fields.get("command", ""))

    site = Site(
        SiteSetup(
            database=storage,
            calls=calls,
            identities=SignedIn(storage, accounts),
            relays=Relays(settings, wall_ms),
            clock=clock,
            audit=audit,
            timers=_timers(settings),
            node=node,
            allowed_origins=(base_url,),
        )
    )
    calls.attach(site.desk.submit, site.pages, webhooks.hint)
    lines = Lines(calls.live, site.pages)
    recordings.attach(site.desk.submit)
    stack.push_async_callback(auditor.flush)
    stack.push_async_callback(key_uses.flush)
    stack.push_async_callback(webhooks.close)
    stack.push_async_callback(recordings.close)
    stack.push_async_callback(calls.close)
    stack.push_async_callback(tasks.close)
    await calls.restore()
    tasks.start("hold music", keep_running("hold music", waiting.run))
    tasks.start("recordings", keep_running("recordings", recordings.run_housekeeping))
    tasks.start("audit", keep_running("audit", auditor.run))
    tasks.start("key uses", keep_running("key uses", key_uses.run))
    tasks.start("meter ticks", keep_running("meter ticks", calls.run_ticks))
    tasks.start("load", keep_running("load", load.run))
    tasks.start("lines", keep_running("lines", lines.run))
    tasks.start("webhooks", keep_running("webhooks", webhooks.run))
    tasks.start("checkpoints", keep_running("checkpoints", calls.run_checkpoints))
    return Services(
        settings,
        base_url,
        storage,
        accounts,
        staff,
        Keys(storage),
        key_uses,
        auditor,
        media,
        calls,
        recordings,
        site,
        lines,
        webhooks,
    )


def _recordings(settings: Settings, storage: Storage, node: str, auditor: Auditor) -> Recordings:
    try:
        folder = folder_for(settings.data_dir)
    except OSError as error:
        raise DataFolderUnusable(str(settings.data_dir), error.strerror or str(error)) from error
    store = RecordingStore(storage, folder, node, settings.recording_retention_days)
    return Recordings(store, auditor, settings.recording_min_free_mb * 1_000_000)


def _node() -> str:
    name = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:40] or "node"
    return f"{name}-{os.getpid()}"
