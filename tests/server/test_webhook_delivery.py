"""Messages reach a real receiver, whatever it does; nothing here waits for a clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from sqlalchemy import insert, select, text
from standardwebhooks import WebhookVerificationError

from metering.record import epoch_ms
from server import tables
from server.auditor import Auditor
from server.clock import wall_ms
from server.demo import ORGANIZATION, create_clinic
from server.storage import Storage
from server.webhooks import delivery, sender, signing, store
from server.webhooks.delivery import MAX_UNDER_WAY, Deliverer
from server.webhooks.schedule import GIVE_UP_MS
from server.webhooks.sender import Sender
from tests.server import entries
from tests.server.receiver import WAIT_S, Message, Receiver, receiving, says


@dataclass
class Endpoint:
    """One of the demo's endpoints."""

    id: str
    secret: str


@dataclass
class Office:
    """A ledger whose endpoints are told of it by a task, on a clock that a test sets."""

    storage: Storage
    private: bool = True
    now_ms: int = field(default_factory=wall_ms)
    settled: int = 0
    deliverer: Deliverer = field(init=False)
    auditor: Auditor = field(init=False)
    _task: asyncio.Task[None] | None = None

    async def start(self, lookup: sender.Lookup | None = None) -> None:
        self.auditor = Auditor(self.storage)
        posting = Sender(private=self.private, lookup=lookup)
        clock = lambda: self.now_ms  # noqa: E731
        self.deliverer = Deliverer(
            self.storage, posting, self.auditor, now_ms=clock, chance=lambda: 0.5
        )
        self._task = asyncio.create_task(self.deliverer.run())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self.deliverer.close()

    async def add(self, url: str, organization: str = ORGANIZATION) -> Endpoint:
        async with self.storage.write() as conn:
            row, secret = await store.create(conn, organization, url, self.now_ms)
        return Endpoint(row["id"], secret)

    async def settle(self, count: int = 1, organization: str = ORGANIZATION) -> None:
        async with self.storage.write() as conn:
            await entries.append(conn, count, self.settled, organization)
        self.settled += count
        self.deliverer.hint()

    async def later(self, ms: int) -> None:
        self.now_ms += ms
        self.deliverer.hint()

    async def idle(self) -> None:
        """Until every attempt under way is written down."""
        async with asyncio.timeout(WAIT_S):
            while self.deliverer._under_way:
                await self.deliverer._tasks.ended(WAIT_S)

    async def row(self, endpoint: Endpoint) -> Any:
        async with self.storage.read() as conn:
            return await store.find(conn, ORGANIZATION, endpoint.id)


@pytest.fixture
async def office(storage: Storage) -> AsyncIterator[Office]:
    """On each kind of database, with the task running."""
    await create_clinic(storage)
    made = Office(storage)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening


async def test_a_record_wakes_its_organization_s_receiver(
    office: Office, receiver: Receiver
) -> None:
    """Verified by the standard's own library; what is in it leads to the feed, and is no more."""
    await office.settle()
    endpoint = await office.add(receiver.url)
    await office.settle(2)
    message = await receiver.next()
    content = message.verified(endpoint.secret)
    assert content == message.json
    assert message.headers["content-type"] == "application/json"
    assert message.path == "/hook"
    async with office.storage.read() as conn:
        head = await store.ledger.head(conn, ORGANIZATION)
    assert content == {
        "type": "records.available",
        "timestamp": head.settled_at,
        "data": {
            "organization_id": ORGANIZATION,
            "settled_through_seq": 3,
            "head_hash": head.hash,
        },
    }
    with pytest.raises(WebhookVerificationError):
        message.verified(signing.secret_of(bytes(32)))
    await office.idle()
    row = await office.row(endpoint)
    assert (row["delivered_through_seq"], row["last_status"], row["last_error"]) == (3, 204, None)
    assert row["last_delivered_at"] == office.now_ms
    assert receiver.messages.empty(), "what was settled before the endpoint was named is no news"
    assert office.deliverer.results == {"delivered": 1}


async def test_nobody_is_told_of_another_organization_s_records(
    office: Office, receiver: Receiver
) -> None:
    async with office.storage.write() as conn:
        row = {"name": "o", "department": "d", "created_at": 0}
        await conn.execute(insert(tables.organizations).values(id="org_other", **row))
    await office.add(receiver.url)
    await office.add(receiver.url + "/other", "org_other")
    await office.settle(1, "org_other")
    await office.settle(2)
    found = {(m := await receiver.next()).path: m.json["data"] for _ in range(2)}
    assert found["/hook"]["organization_id"] == ORGANIZATION
    assert found["/hook"]["settled_through_seq"] == 2
    assert found["/hook/other"]["organization_id"] == "org_other"
    assert found["/hook/other"]["settled_through_seq"] == 1


async def test_what_fails_is_tried_again_with_the_same_id_until_it_arrives(
    office: Office, receiver: Receiver
) -> None:
    """5 s, 30 s, 2 min, ... later; each attempt has a fresh time and signature."""
    receiver.answer = says(503)
    endpoint = await office.add(receiver.url)
    await office.settle()
    seen = []
    for number, wait_s in enumerate((5, 30, 120, 600, 3_600), 1):
        message = await receiver.next()
        seen.append(message)
        await office.idle()
        row = await office.row(endpoint)
        assert (row["attempt"], row["last_status"], row["last_error"]) == (number, 503, "status")
        assert row["next_attempt_at"] == office.now_ms + wait_s * 1000
        assert row["delivered_through_seq"] == 0
        await office.later(wait_s * 1000 - 1)
        await office.later(1)
    assert len({(message.id, message.body) for message in seen}) == 1
    assert len({message.headers["webhook-signature"] for message in seen}) == 5
    await receiver.next()
    await office.idle()
    receiver.answer = says(200)
    await office.later(21_600_000)
    last = await receiver.next()
    assert last.signed_by(endpoint.secret)
    await office.idle()
    row = await office.row(endpoint)
    assert (row["attempt"], row["failing_since"], row["next_attempt_at"]) == (0, None, None)
    assert row["delivered_through_seq"] == 1
    assert office.deliverer.results == {"status": 6, "delivered": 1}


async def test_who_fails_for_three_days_is_given_up_and_that_is_known(
    office: Office, receiver: Receiver
) -> None:
    receiver.answer = says(500)
    endpoint = await office.add(receiver.url)
    started_ms, attempts = office.now_ms, 0
    await office.settle()
    while True:
        await receiver.next()
        await office.idle()
        attempts += 1
        row = await office.row(endpoint)
        if row["disabled_at"] is not None:
            break
        await office.later(row["next_attempt_at"] - office.now_ms)
    assert office.now_ms == row["disabled_at"] == started_ms + GIVE_UP_MS
    assert (row["disabled_reason"], row["attempt"]) == ("failing", attempts)
    await office.auditor.flush()
    async with office.storage.read() as conn:
        query = select(tables.audit).where(tables.audit.c.action == "webhook_disabled")
        (entry,) = (await conn.execute(query)).all()
    assert (entry.actor, entry.detail) == ("server", f"{endpoint.id} failing")
    other = await office.add(receiver.url + "/other")
    receiver.answer = says(204)
    await office.settle()
    assert (await receiver.next()).path == "/hook/other", "the given up one gets nothing more"
    await office.idle()
    assert office.deliverer.disabled == 1
    async with office.storage.write() as conn:
        assert await store.enable(conn, ORGANIZATION, endpoint.id)
    office.deliverer.hint()
    back = await receiver.next()
    assert (back.path, back.seq) == ("/hook", 2)
    await office.idle()
    assert (await office.row(other))["delivered_through_seq"] == 2


async def test_a_look_that_was_overtaken_makes_no_attempt_too_many(
    office: Office, receiver: Receiver
) -> None:
    """The outcome of the former attempt was written while the tables were read."""
    receiver.answer = says(500)
    endpoint = await office.add(receiver.url)
    await office.settle()
    await receiver.next()
    await office.idle()
    await office.deliverer._attempt(endpoint.id)
    assert receiver.messages.empty()
    assert (await office.row(endpoint))["attempt"] == 1


async def test_gone_ends_it_at_once(office: Office, receiver: Receiver) -> None:
    """410: the receiver asks for no more."""
    receiver.answer = says(410)
    endpoint = await office.add(receiver.url)
    await office.settle()
    await receiver.next()
    await office.idle()
    row = await office.row(endpoint)
    assert (row["disabled_reason"], row["last_status"]) == ("gone", 410)
    assert row["disabled_at"] == office.now_ms


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_any_2xx_is_a_delivery(office: Office, receiver: Receiver, status: int) -> None:
    receiver.answer = says(status)
    await office.add(receiver.url)
    await office.settle()
    await receiver.next()
    await office.idle()
    assert office.deliverer.results == {"delivered": 1}


async def test_no_redirect_is_followed(office: Office, receiver: Receiver) -> None:
    """It could lead past the check of the address, to anything inside."""
    async with receiving() as elsewhere:
        receiver.answer = says(307, Location=elsewhere.url)
        endpoint = await office.add(receiver.url)
        await office.settle()
        await receiver.next()
        await office.idle()
        row = await office.row(endpoint)
        assert (row["last_status"], row["last_error"], row["attempt"]) == (307, "redirect", 1)
        assert elsewhere.messages.empty()


async def test_a_restart_goes_on_where_the_former_process_was(
    office: Office, receiver: Receiver
) -> None:
    """Back-off included; an attempt that the end cut off is made again with the same id."""
    receiver.answer = says(500)
    endpoint = await office.add(receiver.url)
    await office.settle()
    first = await receiver.next()
    await office.idle()
    await office.stop()
    held = asyncio.Event()

    async def hang(_request: web.Request) -> web.StreamResponse:
        await held.wait()
        return web.Response(status=204)

    receiver.answer = hang
    office.now_ms += 5_000
    await office.start()
    second = await receiver.next()
    await office.stop()
    assert (await office.row(endpoint))["attempt"] == 1
    held.set()
    await office.start()
    third = await receiver.next()
    await office.idle()
    assert first.id == second.id == third.id
    row = await office.row(endpoint)
    assert (row["delivered_through_seq"], row["attempt"]) == (1, 0)


async def test_a_slow_receiver_delays_nobody_and_gets_one_message_for_all_it_missed(
    office: Office, receiver: Receiver
) -> None:
    released = asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        if request.path == "/hook/slow":
            await released.wait()
        return web.Response(status=204)

    receiver.answer = slow
    await office.add(receiver.url + "/slow")
    await office.settle()
    assert (await receiver.next()).path == "/hook/slow"
    await office.add(receiver.url)
    for seq in (2, 3, 4):
        await office.settle()
        message = await receiver.next()
        assert (message.path, message.seq) == ("/hook", seq)
    assert receiver.messages.empty(), "one attempt for each endpoint at a time"
    released.set()
    message = await receiver.next()
    assert (message.path, message.seq) == ("/hook/slow", 4)
    await office.idle()
    assert receiver.messages.empty()


async def test_a_receiver_that_never_answers_is_left_after_the_time_limit(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 0.2)
    left = asyncio.Event()

    async def never(_request: web.Request) -> web.StreamResponse:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()
        raise AssertionError

    receiver.answer = never
    endpoint = await office.add(receiver.url)
    await office.settle()
    await receiver.next()
    await office.idle()
    row = await office.row(endpoint)
    assert (row["last_status"], row["last_error"]) == (None, "timeout")
    async with asyncio.timeout(WAIT_S):
        await left.wait()


async def test_a_body_without_an_end_is_not_read(office: Office, receiver: Receiver) -> None:
    """The status says all; the connection is closed."""
    sent, closed = 0, asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        try:
            while True:
                await answer.write(bytes(65_536))
                sent += 65_536
        finally:
            closed.set()

    receiver.answer = endless
    endpoint = await office.add(receiver.url)
    await office.settle()
    async with asyncio.timeout(WAIT_S):
        await closed.wait()
    await office.idle()
    assert (await office.row(endpoint))["last_status"] == 200
    assert sent < 16_000_000, "what the buffers of both ends take"


async def test_while_a_secret_is_replaced_both_verify(office: Office, receiver: Receiver) -> None:
    """For a day; then the new one alone. A further replacement ends the oldest at once."""
    endpoint = await office.add(receiver.url)

    async def rotate() -> str:
        async with office.storage.write() as conn:
            made = await store.rotate(conn, ORGANIZATION, endpoint.id, office.now_ms)
        assert made is not None
        return made[0]

    async def told() -> Message:
        await office.settle()
        message = await receiver.next()
        await office.idle()
        return message

    second = await rotate()
    message = await told()
    assert message.verified(endpoint.secret) == message.verified(second)
    assert len(message.headers["webhook-signature"].split(" ")) == 2
    third = await rotate()
    message = await told()
    assert [message.signed_by(one) for one in (endpoint.secret, second, third)] == [
        False, True, True,
    ]  # fmt: skip
    office.now_ms += 24 * 3_600_000
    message = await told()
    assert [message.signed_by(one) for one in (second, third)] == [False, True]


async def test_more_receivers_than_fit_at_once_are_all_told(
    office: Office, receiver: Receiver
) -> None:
    """And never more at the same time than the bound."""
    organizations = [f"org_{n}" for n in range(MAX_UNDER_WAY // store.MAX_ENDPOINTS + 2)]
    async with office.storage.write() as conn:
        for organization in organizations:
            row = {"name": "o", "department": "d", "created_at": 0}
            await conn.execute(insert(tables.organizations).values(id=organization, **row))
    for organization in organizations:
        for n in range(store.MAX_ENDPOINTS):
            await office.add(f"{receiver.url}/{organization}/{n}", organization)
    for organization in organizations:
        await office.settle(1, organization)
    count = len(organizations) * store.MAX_ENDPOINTS
    assert count > MAX_UNDER_WAY
    paths = {(await receiver.next()).path for _ in range(count)}
    assert len(paths) == count
    await office.idle()
    assert receiver.messages.empty()
    assert receiver.most_at_once <= MAX_UNDER_WAY


async def test_a_lost_hint_costs_a_while(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "POLL_S", 0.05)
    await office.stop()
    await office.start()
    await office.add(receiver.url)
    async with office.storage.write() as conn:
        await entries.append(conn, 1)
    assert (await receiver.next()).seq == 1


async def test_how_long_the_furthest_behind_waits_is_measured(
    office: Office, receiver: Receiver
) -> None:
    receiver.answer = says(500)
    await office.add(receiver.url)
    assert office.deliverer.oldest_ms() == 0
    await office.settle(2)
    await receiver.next()
    await office.idle()
    async with office.storage.read() as conn:
        (row,) = await store.pending(conn)
        body = (await conn.execute(select(store.records.c.settled_at))).scalars().first()
    assert row.waiting_since == epoch_ms(str(body)), "of its first record, not of its last"
    assert office.deliverer.oldest_ms() == office.now_ms - row.waiting_since


async def test_an_outcome_that_the_database_does_not_take_is_not_asked_for_again_at_once(
    office: Office, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk must not make of one message a flood."""
    monkeypatch.setattr(delivery, "HOLD_S", 3600)
    await office.add(receiver.url)
    broken = asyncio.Event()

    async def note(*_: Any) -> None:
        broken.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "note", note)
    await office.settle()
    await receiver.next()
    async with asyncio.timeout(WAIT_S):
        await broken.wait()
    await office.settle()
    await office.add(receiver.url + "/other")
    monkeypatch.undo()
    await office.settle()
    assert (await receiver.next()).path == "/hook/other"
    assert receiver.messages.empty()


async def test_endpoints_are_removed_with_their_secrets(office: Office, receiver: Receiver) -> None:
    endpoint = await office.add(receiver.url)
    async with office.storage.write() as conn:
        assert await store.remove(conn, ORGANIZATION, endpoint.id)
        assert not await store.remove(conn, ORGANIZATION, endpoint.id)
        left = await conn.execute(text("SELECT count(*) FROM webhook_secrets"))
        assert left.scalar() == 0
