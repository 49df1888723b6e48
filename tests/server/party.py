"""The two sides of a real call: a socket.io page and a DTLS-SRTP peer each, over loopback."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from sqlalchemy import insert

from server import tables
from server.api.session import COOKIE
from server.demo import ORGANIZATION
from tests.media.peers import KEYFRAME, Peer
from tests.server.clinic import Clinic
from tests.signaling.world import WAIT_S, Pageful

PACKET_S = 0.02
CHECK_EACH = 250


@dataclass
class Party:
    """One side. ``sending`` says whether its packets leave; it sends audio and video."""

    page: Pageful
    peer: Peer
    sending: asyncio.Event = field(default_factory=asyncio.Event)
    consult_id: str | None = None

    async def connect(self, clinic: Clinic) -> None:
        """Offer through the page, then connect to the media port of the answer."""
        more = {"consult_id": self.consult_id} if self.consult_id else {}
        answer = await self.page.ask(
            "offer", connection_id=self.peer.connection_id, sdp=self.peer.offer(), **more
        )
        assert answer["ok"], answer
        self.peer.answer = answer["result"]["sdp"]
        await self.peer.open(clinic.services.media.port)
        await self.peer.bind()
        assert await self.peer.handshake() == "connected"

    async def send(self) -> None:
        """Send voice and pictures until cancelled, while `sending` is set; checks as browsers do.

        Without a check each few seconds (RFC 7675) the server forgets an address after 30 s.
        """
        for number in count(1):
            await self.sending.wait()
            if number % CHECK_EACH == 0:
                self.peer.write(self.peer.check())
            await self.peer.send("audio")
            await self.peer.send("video", KEYFRAME)
            await asyncio.sleep(PACKET_S)

    async def metered(self, mode: str, at_least_ms: int) -> dict[str, Any]:
        """The first reading of the meter with so much of a mode."""
        async with asyncio.timeout(at_least_ms / 1000 + WAIT_S):
            while True:
                tick: dict[str, Any] = await self.page.next("meter")
                if tick[f"{mode}_ms"] >= at_least_ms:
                    return tick

    def heard(self) -> int:
        """How many packets have come from the other side."""
        return len(self.peer.rtp)


async def page_of_patient(
    clinic: Clinic, *, page: str = "page-0001", after: int = 0, link: str | None = None
) -> Pageful:
    """Open a link, the demo's unless another is given."""
    token = (link or clinic.demo.patient_url).split("#")[1]
    opened = Pageful("/patient")
    await _connect(opened, clinic, {"token": token, "page": page, "after": after}, {})
    return opened


async def page_of_physician(clinic: Clinic, *, username: str | None = None, **auth: Any) -> Pageful:
    """Sign in and open the console; every physician of a test has the demo's password."""
    body = {"username": username or clinic.demo.username, "password": clinic.demo.password}
    signed_in = await clinic.ask("POST", "/api/v1/session", json=body)
    cookie = f"{COOKIE}={signed_in.cookies[COOKIE].value}"
    opened = Pageful("/console")
    await _connect(opened, clinic, {"page": "page-0002"} | auth, {"Cookie": cookie})
    return opened


async def _connect(page: Pageful, clinic: Clinic, auth: Any, headers: dict[str, str]) -> None:
    await page.sio.connect(
        clinic.services.base_url,
        headers=headers,
        auth=auth,
        transports=["websocket"],
        namespaces=[page.namespace],
        wait_timeout=WAIT_S,
    )


def new_peer(name: str) -> Peer:
    """A peer whose connection has a name that the protocol takes."""
    peer = Peer(name, variant=0 if name == "patient" else 3)
    peer.connection_id = f"{name}-{time.monotonic_ns():x}"
    return peer


async def another_physician(clinic: Clinic, username: str) -> None:
    """Another physician of the demo clinic, with the demo's password."""
    hashed = await clinic.services.accounts.hash_password(clinic.demo.password)
    row = {"id": f"ph_{username}", "username": username, "password_hash": hashed, "name": username}
    row |= {"organization_id": ORGANIZATION, "title": "", "department": "", "created_at": 0}
    async with clinic.services.storage.write() as conn:
        await conn.execute(insert(tables.physicians).values(row))


@asynccontextmanager
async def in_call(
    clinic: Clinic, *, link: str | None = None, username: str | None = None
) -> AsyncIterator[tuple[Party, Party]]:
    """A patient and a physician in a video call that bills, as pages and peers make it."""
    async with AsyncExitStack() as stack:
        patient = Party(await page_of_patient(clinic, link=link), new_peer("patient"))
        stack.push_async_callback(patient.page.leave)
        physician = Party(await page_of_physician(clinic, username=username), new_peer("physician"))
        stack.push_async_callback(physician.page.leave)
        view = (await patient.page.next("hello"))["view"]
        digest, terms = view["price"]["digest"], view["terms_version"]
        agreed = {"mode": "video", "tariff_digest": digest, "terms_version": terms}
        assert (await patient.page.ask("join", language="zh-CN", **agreed))["ok"]
        taken = await physician.page.ask("take")
        physician.consult_id = taken["result"]["consult_id"]
        await patient.page.state("offered")
        async with joined(clinic, patient, physician):
            yield patient, physician


@asynccontextmanager
async def joined(clinic: Clinic, patient: Party, physician: Party) -> AsyncIterator[None]:
    """Both connected and sending, until the context ends; the consult is active."""
    parties = (patient, physician)
    for party in parties:
        await party.connect(clinic)
        party.sending.set()
    tasks = [asyncio.create_task(party.send()) for party in parties]
    try:
        for party in parties:
            await party.page.state("active")
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for party in parties:
            await party.peer.close()


async def finished(clinic: Clinic, physician: Party) -> dict[str, Any]:
    """Finish the consult; the one record of the ledger."""
    answer = await physician.page.ask("finish", consult_id=physician.consult_id)
    assert answer["ok"], answer
    (record,) = (await clinic.api("GET", "/api/v1/records")).json["data"]
    found: dict[str, Any] = record
    return found
