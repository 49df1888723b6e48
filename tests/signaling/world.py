"""A whole signaling side for tests: real SQL, a real web server, real socket.io pages.

Only the call itself is small: it answers offers with text and writes one row when it settles.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import socketio
from aiohttp import web
from sqlalchemy import Column, MetaData, String, Table, insert, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.relays import Relays
from server.settings import Settings
from server.storage import Storage
from signaling import events as ev
from signaling import messages as m
from signaling import store
from signaling.case import Case, NewConsult, Physician
from signaling.errors import OfferRefused
from signaling.events import Effect, Event
from signaling.model import Consult, Timers
from signaling.ports import Invited, Offer
from signaling.seats import Seats
from signaling.site import Site, SiteSetup
from signaling.tables import metadata

WAIT_S = 5.0
TARIFF = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207, "currency": "CNY"}
DIGEST = hashlib.sha256(json.dumps(TARIFF).encode()).hexdigest()
LIN = Physician("p_lin", "Dr. Lin", "Chief physician", "o_1")
WU = Physician("p_wu", "Dr. Wu", "Physician", "o_1")
ELSEWHERE = Physician("p_far", "Dr. Far", "Physician", "o_2")

test_metadata = MetaData()
settled = Table("settled", test_metadata, Column("consult_id", String(48), primary_key=True))


class WallAndMonotonic:
    """Both clocks of this machine."""

    def now_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    def at_ms(self) -> int:
        return time.time_ns() // 1_000_000


class Disk:
    """The database, which may be pulled out like a disk."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.away = False
        self.lost_answers = 0
        """So many commits succeed, and their answers do not come."""
        self.reads: list[bool] = []
        """Whether each of the next reads succeeds."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        self._check()
        async with self.storage.write() as conn:
            yield conn
            self._check()
        if self.lost_answers > 0:
            self.lost_answers -= 1
            raise _gone()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        self._check()
        if self.reads and not self.reads.pop(0):
            raise _gone()
        async with self.storage.read() as conn:
            yield conn

    def _check(self) -> None:
        if self.away:
            raise _gone()


def _gone() -> OperationalError:
    return OperationalError("no statement", {}, OSError("the disk is away"))


class SmallCalls:
    """A call that carries nothing: it says what it was asked, and settles in one row."""

    may_record = True

    def __init__(self) -> None:
        self.is_full = False
        self.performed: list[Effect] = []
        self.offers: list[tuple[str, str, str]] = []
        self.arrivals: list[tuple[str, str, bool]] = []
        self.seated: dict[str, Seats] = {}
        """Whom each participant gets where, as the test says."""
        self.screens_stopped = 0

    def admit(self) -> bool:
        return not self.is_full

    async def offer(self, consult: Consult, who: str, offer: Offer) -> str:
        if offer.sdp == "bad":
            raise OfferRefused("sdp_refused", "this offer cannot be used")
        if offer.sdp == "no disk":
            raise _gone()
        self.offers.append((consult.id, who, offer.connection_id))
        return f"answer {len(self.offers)} to {offer.sdp}"

    def seats(self, consult_id: str, who: str) -> Seats:
        return self.seated.get(who, Seats())

    def stop_screen(self, consult_id: str) -> None:
        self.screens_stopped += 1

    def probe(self, consult_id: str, sdp: str) -> str:
        if sdp == "bad":
            raise OfferRefused("sdp_refused", "this offer cannot be used")
        return f"probe of {consult_id}"

    def perform(self, consult: Consult, effect: Effect, now_ms: int) -> None:
        self.performed.append(effect)

    async def within(
        self,
        conn: AsyncConnection,
        consult: Consult,
        event: Event,
        effects: tuple[Effect, ...],
        at: datetime,
    ) -> m.Summary | None:
        for effect in effects:
            if isinstance(effect, ev.Settle):
                await conn.execute(insert(settled).values(consult_id=consult.id))
                return summary(effect)
        return None

    def summary(self, consult_id: str) -> m.Summary | None:
        return None

    def prepaid(self, case: Case) -> m.Prepaid | None:
        return None if case.limit_fen is None else left_of(case.limit_fen)

    def arrived(self, consult: Consult, who: str, resumed: bool) -> None:
        self.arrivals.append((consult.id, who, resumed))


def left_of(limit_fen: int) -> m.Prepaid:
    """A fen a second of voice, and two of video."""
    left = {"voice_left_s": limit_fen, "video_left_s": limit_fen // 2}
    return m.Prepaid(limit_fen=limit_fen, used_fen=0, **left)


def summary(effect: ev.Settle) -> m.Summary:
    return m.Summary(
        voice_s=0,
        video_s=12,
        charge_fen=441,
        currency="CNY",
        lines=(),
        end_cause=effect.end_cause,
        final=True,
        record_id="rec_1",
    )


class Doors:
    """Tokens name consults, and a header names the physician."""

    def __init__(self, disk: Disk, clock: WallAndMonotonic) -> None:
        self._disk, self._clock = disk, clock
        self.physicians = {person.id: person for person in (LIN, WU, ELSEWHERE)}
        self.broken = False
        self.failures = 0

    async def patient(self, token: str) -> str | None:
        hashed = hashlib.sha256(token.encode()).hexdigest()
        async with self._disk.read() as conn:
            case = await store.by_link_hash(conn, hashed, self._clock)
        return case.core.id if case else None

    async def guest(self, token: str) -> Invited | None:
        hashed = hashlib.sha256(token.encode()).hexdigest()
        async with self._disk.read() as conn:
            found = await store.by_invitation(conn, hashed, self._clock)
        return found[1] if found else None

    async def physician(self, environ: Mapping[str, Any]) -> Physician | None:
        if self.broken:
            self.failures += 1
            raise _gone()
        return self.physicians.get(environ.get("HTTP_X_PHYSICIAN", ""))


class Pageful:
    """One page: a real socket.io client that keeps what it received."""

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        self.received: list[dict[str, Any]] = []
        self.refused: Any = None
        self._news = asyncio.Event()
        self._ids = itertools.count(1)
        self.sio = socketio.AsyncClient(reconnection=False, logger=False)
        self.sio.on("message", self._receive, namespace=namespace)
        self.sio.on("disconnect", self._disconnected, namespace=namespace)
        self.sio.on("connect_error", self._refuse, namespace=namespace)
        self.closed = asyncio.Event()

    async def _receive(self, message: dict[str, Any]) -> None:
        self.received.append(message)
        self._news.set()

    async def _disconnected(self, _reason: str) -> None:
        self.closed.set()

    async def _refuse(self, data: Any) -> None:
        self.refused = data

    async def next(self, kind: str, test: Callable[[Any], bool] = lambda _: True) -> Any:
        """Take the first message of this kind that passes, once it is there."""
        async with asyncio.timeout(WAIT_S):
            while True:
                for message in self.received:
                    if message["kind"] == kind and test(message):
                        self.received.remove(message)
                        return message
                self._news.clear()
                await self._news.wait()

    async def state(self, state: str) -> Any:
        """Wait until the page shows the consult in this state."""
        update = await self.next("consult", lambda u: u["view"]["state"] == state)
        return update["view"]

    async def send(self, kind: str, command_id: str = "", **fields: Any) -> str:
        """Send a command without waiting for its answer."""
        command_id = command_id or f"command-{next(self._ids):04d}-{id(self):x}"
        await self.sio.emit(
            "command", {"kind": kind, "id": command_id, **fields}, namespace=self.namespace
        )
        return command_id

    async def ask(self, kind: str, command_id: str = "", **fields: Any) -> Any:
        """Send a command and wait for its answer."""
        sent = await self.send(kind, command_id, **fields)
        return await self.next("answer", lambda a: a["command_id"] == sent)

    async def closes(self) -> None:
        """Wait until the server has closed the connection."""
        async with asyncio.timeout(WAIT_S):
            await self.closed.wait()
            await self.sio.wait()
        await self.leave()

    async def leave(self) -> None:
        """Close the page."""
        await self.sio.disconnect()
        await self.sio.shutdown()


@dataclass
class World:
    """A running signaling side."""

    site: Site
    calls: SmallCalls
    disk: Disk
    url: str
    clock: WallAndMonotonic
    audited: list[tuple[str, dict[str, str]]]
    doors: Doors
    pages: list[Pageful] = field(default_factory=list)

    async def order(self, consult_id: str = "c_00000001", **fields: Any) -> str:
        """Order a consult; returns its link's token."""
        token = f"token-of-{consult_id}"
        now = self.clock.at_ms()
        new = NewConsult(
            **{
                "id": consult_id,
                "organization_id": "o_1",
                "organization": "Demo hospital",
                "department": "Dermatology",
                "channel": "third_party",
                "patient_ref": "pseudonym",
                "patient_name": "Zhang San",
                "tariff": json.dumps(TARIFF),
                "tariff_digest": DIGEST,
                "terms_version": "2026-11",
                "link_hash": hashlib.sha256(token.encode()).hexdigest(),
                "opens_at": now - 1000,
                "closes_at": now + 900_000,
                **fields,
            }
        )
        async with self.disk.write() as conn:
            await store.create(conn, new, self.clock)
        return token

    async def connect(
        self, namespace: str, auth: Any, headers: dict[str, str] | None = None
    ) -> Pageful:
        page = Pageful(namespace)
        self.pages.append(page)
        await page.sio.connect(
            self.url,
            headers=headers or {},
            auth=auth,
            transports=["websocket"],
            namespaces=[namespace],
            wait_timeout=WAIT_S,
        )
        return page

    async def patient(self, token: str, page: str = "page-0001", after: int = 0) -> Pageful:
        """Open a patient's page; its hello is in ``received``."""
        return await self.connect("/patient", {"token": token, "page": page, "after": after})

    async def console(
        self, who: Physician = LIN, page: str = "page-0001", **fields: Any
    ) -> Pageful:
        """Open a physician's page; its hello is in ``received``."""
        return await self.connect("/console", {"page": page, **fields}, {"X-Physician": who.id})

    async def guest(self, token: str, page: str = "page-0001", after: int = 0) -> Pageful:
        """Open a guest's page; its hello is in ``received``."""
        return await self.connect("/guest", {"token": token, "page": page, "after": after})

    async def waiting(self, consult_id: str = "c_00000001", **fields: Any) -> Pageful:
        """A patient who waits."""
        page = await self.patient(await self.order(consult_id, **fields))
        await page.next("hello")
        assert (await page.ask("join", **JOIN))["ok"]
        await page.state("waiting")
        return page

    async def in_call(self) -> tuple[Pageful, Pageful]:
        """A patient and a physician whose media flows both ways."""
        patient, console = await self.waiting(), await self.console()
        assert (await console.ask("take"))["ok"]
        await patient.state("offered")
        assert (await patient.ask("offer", connection_id="connection-1", sdp="v=0"))["ok"]
        for side in ("patient", "physician"):
            self.site.desk.submit("c_00000001", ev.MediaStarted(side))  # type: ignore[arg-type]
        await patient.state("active")
        await console.state("active")
        return patient, console

    async def case(self, consult_id: str = "c_00000001") -> Case:
        """The consult as the database has it."""
        async with self.disk.read() as conn:
            case = await store.load(conn, consult_id, self.clock)
        assert case is not None
        return case

    async def records(self) -> list[str]:
        """Which consults have been settled."""
        async with self.disk.read() as conn:
            return list((await conn.execute(select(settled.c.consult_id))).scalars())


async def until(check: Callable[[], Awaitable[bool]], within_s: float = WAIT_S) -> None:
    """Wait for what nobody is told of."""
    async with asyncio.timeout(within_s):
        while not await check():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


JOIN: dict[str, Any] = {
    "mode": "video",
    "tariff_digest": DIGEST,
    "terms_version": "2026-11",
    "language": "zh-CN",
}


@asynccontextmanager
async def storage_at(url: str) -> AsyncIterator[Storage]:
    """A database with this package's tables."""
    storage = await Storage.open(url)
    try:
        async with storage.engine.begin() as conn:
            await conn.run_sync(metadata.create_all)
            await conn.run_sync(test_metadata.create_all)
        yield storage
    finally:
        await storage.close()


@asynccontextmanager
async def world_on(
    storage: Storage,
    timers: Timers | None = None,
    check_sessions_s: float = 60,
    settings: Settings | None = None,
) -> AsyncIterator[World]:
    """Run a signaling side on this database until the context ends."""
    clock, disk, calls = WallAndMonotonic(), Disk(storage), SmallCalls()
    audited: list[tuple[str, dict[str, str]]] = []
    doors = Doors(disk, clock)
    site = Site(
        SiteSetup(
            database=disk,
            calls=calls,
            identities=doors,
            relays=Relays(settings or Settings(), clock.at_ms),
            clock=clock,
            audit=lambda kind, fields: audited.append((kind, dict(fields))),
            timers=timers or Timers(),
            node="n_test",
            check_sessions_s=check_sessions_s,
        )
    )
    app = web.Application()
    site.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await site.start()
    server = web.TCPSite(runner, "127.0.0.1", 0)
    await server.start()
    port = runner.addresses[0][1]
    world = World(site, calls, disk, f"http://127.0.0.1:{port}", clock, audited, doors)
    try:
        yield world
    finally:
        await site.close()
        for page in world.pages:
            await page.leave()
        await runner.cleanup()


def sqlite_url(folder: Path) -> str:
    """A database file in this folder."""
    return f"sqlite:///{folder}/test.db"
