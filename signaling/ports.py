"""What this package asks of the process around it: each a small interface that it owns.

``server`` implements these and wires them; nothing here knows how a call is carried or billed.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from signaling.case import Case, Physician
from signaling.events import Effect, Event
from signaling.messages import IceServers, Prepaid, Summary
from signaling.model import Consult
from signaling.seats import Seats

__all__ = [
    "Audit",
    "CallControl",
    "Clock",
    "Database",
    "Identities",
    "Invited",
    "Physician",
    "Relays",
    "Seats",
]


@dataclass(frozen=True)
class Invited:
    """Whom a guest's link stands for."""

    consult_id: str
    guest_id: str


class Offer(Protocol):
    """What pages say of their connection (:class:`signaling.messages.PatientOffer`)."""

    @property
    def connection_id(self) -> str:
        """Which of the page's connections it is."""

    @property
    def sdp(self) -> str:
        """The offer itself."""

    @property
    def screen_mid(self) -> str | None:
        """The m-line that carries a shared screen."""


class Database(Protocol):
    """Transactions on the one database of the process."""

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One write transaction: committed on a clean exit, rolled back otherwise."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """One read transaction."""


class CallControl(Protocol):
    """The live part of a consult: its media and its meter."""

    def admit(self) -> bool:
        """Whether there is room for one more call now. Asked before a patient is taken, and never
        about a call that was begun.
        """

    @property
    def may_record(self) -> bool:
        """Whether calls may be recorded here, once both sides agree."""

    async def offer(self, consult: Consult, who: str, offer: Offer) -> str:
        """Connect the media of a side, or of the guest of this id; returns the answer's SDP.

        Called while ``offered`` (both sides) and in the call, before the transition it causes.
        A known ``connection_id`` is renegotiated, a new one replaces the side's connection.

        Raises:
            OfferRefused: this offer cannot be accepted; nothing has changed.
        """

    def probe(self, consult_id: str, sdp: str) -> str:
        """Answer the offer of a connection test of a consult's patient; nothing else changes.

        Raises:
            OfferRefused: the offer cannot be used, or there are too many tests now.
        """

    def perform(self, consult: Consult, effect: Effect, now_ms: int) -> None:
        """Do what a transition asks for: after its commit, at once, in order.

        Never blocks and never raises; safe to call twice with the same. ``now_ms`` is the
        monotonic time of the transition. ``Release`` and ``AskReconnect`` never come here: this
        package performs them.
        """

    async def within(
        self,
        conn: AsyncConnection,
        consult: Consult,
        event: Event,
        effects: tuple[Effect, ...],
        at: datetime,
    ) -> Summary | None:
        """Take part in the transaction of a transition (called for every one).

        ``consult`` is as after the transition. With ``Settle`` among the effects the record is
        written here, so that it and the end are one, and the final summary is returned: it is
        kept with the consult, for pages that ask when the call is long forgotten. Every other
        end has ``Discard``: there is nothing to record. May be called again for the same
        transition when a commit failed; leaves no trace outside ``conn``.
        """

    def seats(self, consult_id: str, who: str) -> Seats:
        """Whom a side, or a guest, gets where; nobody when there is no such call."""

    def stop_screen(self, consult_id: str) -> None:
        """Take the shared screen away from everybody. Never raises."""

    def summary(self, consult_id: str) -> Summary | None:
        """What the consult came to so far; None when there is no such call."""

    def prepaid(self, case: Case) -> Prepaid | None:
        """What is prepaid, used and left of a consult, in a call or not; None without a limit."""

    def arrived(self, consult: Consult, who: str, resumed: bool) -> None:
        """A page of this side, or guest, connected and has received its hello.

        ``resumed``: the same page load was connected before, so its media connection may be
        from before a restart: when there is none here any more, ask it to reconnect.
        """


class Relays(Protocol):
    """The STUN and TURN servers that pages may use."""

    @property
    def renew_s(self) -> float:
        """How often pages need new credentials."""

    def of(self, subject: str) -> IceServers | None:
        """For a page of ``subject``, a party of a consult or a physician; None: there are none."""


class Identities(Protocol):
    """Who a connecting page is."""

    async def patient(self, token: str) -> str | None:
        """The consult a link's token opens now, None for any token that opens none."""

    async def guest(self, token: str) -> Invited | None:
        """Whom an invitation's token lets in now, None for any token that lets in nobody."""

    async def physician(self, environ: Mapping[str, Any]) -> Physician | None:
        """Who the request's session cookie stands for; ``environ`` is WSGI-like, with the
        request itself under ``aiohttp.request``.
        """


class Audit(Protocol):
    """Where refused and remarkable accesses are noted."""

    def __call__(self, kind: str, fields: Mapping[str, str]) -> None:
        """Note it; never blocks. Fields hold ids, never names or tokens."""


class Clock(Protocol):
    """Two clocks: one to measure with, one to label with."""

    def now_ms(self) -> int:
        """Monotonic milliseconds."""

    def at_ms(self) -> int:
        """Wall time, epoch milliseconds, UTC."""
