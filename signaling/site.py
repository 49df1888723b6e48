"""Everything of this package, wired: what a process starts, attaches to its web server, stops."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from aiohttp import web

from signaling.console import CHECK_SESSIONS_S, ConsoleNamespace
from signaling.consult import DEFAULT_TIMERS
from signaling.desk import Desk, DeskSetup
from signaling.guest import GuestNamespace
from signaling.model import Timers
from signaling.pages import Pages
from signaling.patient import PatientNamespace
from signaling.ports import Audit, CallControl, Clock, Database, Identities, Relays
from signaling.socket import SocketServer
from signaling.tasks import Tasks


@dataclass(frozen=True)
class SiteSetup:
    """What the process gives. ``allowed_origins``: besides the host that is asked itself."""

    database: Database
    calls: CallControl
    identities: Identities
    relays: Relays
    clock: Clock
    audit: Audit
    timers: Timers = DEFAULT_TIMERS
    node: str = ""
    allowed_origins: Collection[str] = ()
    check_sessions_s: float = CHECK_SESSIONS_S


class Site:
    """Desk, pages and socket.io server. In this order: :meth:`attach` before the web server
    starts, :meth:`start`, then :meth:`drain` and :meth:`close`, before the web server ends.
    """

    def __init__(self, setup: SiteSetup) -> None:
        self.desk = Desk(
            DeskSetup(
                database=setup.database,
                calls=setup.calls,
                clock=setup.clock,
                audit=setup.audit,
                timers=setup.timers,
                node=setup.node,
            )
        )
        self.socket = SocketServer(setup.clock, setup.allowed_origins)
        self.pages = Pages(self.socket, self.desk, setup.calls, setup.relays, setup.clock)
        self._consoles = ConsoleNamespace(self.pages, setup.identities)
        self._check_sessions_s = setup.check_sessions_s
        self._tasks = Tasks()
        patients = PatientNamespace(self.pages, setup.identities, setup.audit)
        guests = GuestNamespace(self.pages, setup.identities, setup.audit)
        for namespace in (patients, guests, self._consoles):
            self.socket.sio.register_namespace(namespace)

    def attach(self, app: web.Application) -> None:
        """Serve ``/socket.io/`` on this application."""
        self.socket.sio.attach(app, socketio_path="socket.io")

    async def start(self) -> None:
        """Take up what a former process left.

        Raises:
            SQLAlchemyError: the database cannot be read.
        """
        await self.desk.start(self.pages)
        self._tasks.start("relays", self.pages.renew_relays())
        self._tasks.start("sessions", self._consoles.check_sessions(self._check_sessions_s))

    async def drain(self, timeout_s: float) -> bool:
        """Begin nothing new; returns whether all running calls ended in time."""
        return await self.desk.drain(timeout_s)

    async def close(self) -> None:
        """Say goodbye to all pages and end all tasks."""
        await self._tasks.close()
        await self.pages.stop()
        await self.socket.close()
        await self.desk.close()
