"""A puller that keeps its last cursor sees every record, in order, and can prove it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest

from metering import feed, ledger
from metering.chain import GENESIS, verify
from metering.errors import FeedError
from server.storage import Storage
from tests.metering.samples import FACTS, record


async def fill(db: Storage, first: int, last: int) -> None:
    async with db.write() as conn:
        for index in range(first, last + 1):
            await ledger.append(conn, record(f"con_{index}"), FACTS.ended_at_ms)


async def pull(db: Storage, cursor: str | None, limit: int = 2) -> feed.Page:
    async with db.read() as conn:
        return await feed.page(conn, "org_1", cursor, limit)


def positions(page: feed.Page) -> list[int]:
    return [json.loads(body)["seq"] for body in page.data]


async def test_pages_follow_each_other_to_the_end(db: Storage) -> None:
    await fill(db, 1, 5)
    cursor, seen, more = None, [], True
    while more:
        page = await pull(db, cursor)
        cursor, more = page.next_cursor, page.has_more
        seen += page.data
        assert max(positions(page)) == page.settled_through_seq <= page.ledger.seq
    assert verify(seen).head == page.ledger
    assert page.head_hash == page.ledger.hash


async def test_a_full_page_is_the_same_bytes_for_ever(db: Storage) -> None:
    await fill(db, 1, 4)
    first = await pull(db, None)
    second = await pull(db, first.next_cursor)
    await fill(db, 5, 9)
    assert (await pull(db, None)).body() == first.body()
    assert (await pull(db, first.next_cursor)).body() == second.body()


async def test_a_page_that_was_not_full_keeps_its_records_and_gets_more(db: Storage) -> None:
    await fill(db, 1, 3)
    first = await pull(db, None)
    tail = await pull(db, first.next_cursor)
    assert (positions(tail), tail.has_more) == ([3], False)
    await fill(db, 4, 5)
    assert positions(await pull(db, tail.next_cursor)) == [4, 5]
    again = await pull(db, first.next_cursor)
    assert again.data[:1] == tail.data
    assert positions(again) == [3, 4]


async def test_an_empty_page_gives_a_cursor_to_come_back_with(db: Storage) -> None:
    empty = await pull(db, None)
    assert (empty.data, empty.has_more, empty.head_hash) == ((), False, GENESIS)
    await fill(db, 1, 2)
    full = await pull(db, empty.next_cursor)
    assert (positions(full), full.has_more) == ([1, 2], True)
    end = await pull(db, full.next_cursor)
    assert (positions(end), end.has_more, end.settled_through_seq) == ([], False, 2)
    assert end.next_cursor == full.next_cursor


async def test_the_body_is_json_and_serves_the_stored_bytes(db: Storage) -> None:
    await fill(db, 1, 2)
    page = await pull(db, None)
    body: dict[str, Any] = json.loads(page.body())
    assert set(body) == {"data", "next_cursor", "has_more", "settled_through_seq", "head_hash"}
    assert verify(body["data"]).head.hash == body["head_hash"]
    assert all(stored in page.body() for stored in page.data)


async def test_a_puller_beside_many_writers_misses_nothing(db: Storage) -> None:
    """The classic fault: positions that commit out of order, and a puller that passes them."""
    seen: list[int] = []
    done = asyncio.Event()

    async def puller() -> None:
        cursor = None
        while True:
            last_round = done.is_set()
            page = await pull(db, cursor, 7)
            cursor = page.next_cursor
            seen.extend(positions(page))
            if last_round and not page.has_more:
                return

    async def writer(name: int) -> None:
        for index in range(10):
            async with db.write() as conn:
                await ledger.append(conn, record(f"con_{name}_{index}"), FACTS.ended_at_ms)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(puller())
        async with asyncio.TaskGroup() as writers:
            for name in range(6):
                writers.create_task(writer(name))
        done.set()
    assert seen == list(range(1, 61))


def forged(seq: int, digits: str) -> str:
    return base64.urlsafe_b64encode(f"1:{seq}:{digits}".encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "1",
        "x" * 5_000,
        "é",
        "=",
        forged(1, "0" * 16),
        forged(99, "0" * 16),
        forged(-1, "0" * 16),
        forged(10**17, "0" * 16),
        forged(0, "1" * 16),
        forged(0, GENESIS[:16]) + "==",
        forged(0, GENESIS[:16]) + "\n",
    ],
)
async def test_a_cursor_that_is_not_of_this_ledger_is_refused(db: Storage, cursor: str) -> None:
    await fill(db, 1, 2)
    with pytest.raises(FeedError) as caught:
        await pull(db, cursor)
    assert caught.value.code == "cursor_invalid"


@pytest.mark.parametrize("limit", [-1, 0, 1_001])
async def test_a_limit_out_of_bounds_is_refused(db: Storage, limit: int) -> None:
    with pytest.raises(FeedError) as caught:
        await pull(db, None, limit)
    assert caught.value.code == "limit_invalid"
