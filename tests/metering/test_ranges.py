"""What a period comes to, found by position and summed by the database, on both kinds of it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from metering import ledger
from metering.adjust import Correction, Kind, corrected
from metering.chain import GENESIS
from metering.columns import SPLIT
from metering.ranges import Period, span, summary
from metering.record import rfc3339
from server.simulate import simulate
from server.storage import Storage

START_MS = 1_770_000_000_000
STEP_MS = 3_600_000
COUNT = 30


@pytest.fixture
async def filled(db: Storage) -> Storage:
    """Thirty records an hour apart, three of each time, the tenth void at the end."""
    async with db.write() as conn:
        records = [simulate(index, START_MS, 0, "org_1") for index in range(COUNT)]
        await ledger.append_all(
            conn, [(one, START_MS + index // 3 * STEP_MS) for index, one in enumerate(records)]
        )
        await ledger.append(conn, simulate(1, START_MS, 0, "org_2"), START_MS)
    async with db.write() as conn:
        (text,) = await ledger.of_consult(conn, "org_1", str(records[9]["consult_id"]))
        original = orjson.loads(text)
        wanted = Correction(original["record_id"], Kind.VOID, "r", "a")
        void = corrected([original], wanted)
        await ledger.append(conn, void, START_MS + 20 * STEP_MS)
    return db


async def texts(db: Storage) -> list[dict[str, Any]]:
    return [orjson.loads(body) async for body in ledger.export(db, "org_1")]


def expected(records: Sequence[dict[str, Any]]) -> dict[str, int]:
    found = {name: sum(one["split"][name] for one in records) for name in SPLIT}
    return {"charge_fen": sum(one["charge_fen"] for one in records), **found}


MARKS = [None, *(START_MS + step for step in (-1, 0, 1, STEP_MS, 4 * STEP_MS + 5, 99 * STEP_MS))]


async def test_a_period_has_the_records_settled_in_it(filled: Storage) -> None:
    everything = await texts(filled)
    for begin, end in itertools.product(MARKS, MARKS):
        if begin is None or end is None or begin < end:
            of = Period(*(None if at is None else rfc3339(at) for at in (begin, end)))
            await check(filled, everything, of)


async def check(filled: Storage, everything: Sequence[dict[str, Any]], of: Period) -> None:
    inside = [
        one for one in everything if (of.from_at or "") <= one["settled_at"] < (of.to_at or "9999")
    ]
    async with filled.read() as conn:
        found = await span(conn, "org_1", of)
        sums = await summary(conn, "org_1", found)
    assert sums["count"] == len(inside) == found.last.seq - found.before.seq
    assert sums["first_seq"] == (inside[0]["seq"] if inside else None)
    assert sums["last_seq"] == (inside[-1]["seq"] if inside else None)
    if inside:
        assert sums["prev_hash"] == inside[0]["prev_hash"]
        assert sums["last_hash"] == inside[-1]["hash"]
        (amounts,) = sums["amounts"]
        assert amounts == {"currency": "CNY", **expected(inside)}
    else:
        assert sums["amounts"] == []
    assert sums["billable_s"] == sum(one["billable_s"] for one in inside)
    assert sums["by_kind"]["void"] == sum(one["kind"] == "void" for one in inside)
    assert sums["head"] == {"seq": COUNT + 1, "hash": everything[-1]["hash"]}


async def test_a_period_is_complete_once_a_later_record_is_there(filled: Storage) -> None:
    """Until then a record that waits for the lock could still come into it."""
    async with filled.read() as conn:
        for to_ms, complete in ((20 * STEP_MS, True), (20 * STEP_MS + 1, False)):
            found = await span(conn, "org_1", Period(None, rfc3339(START_MS + to_ms)))
            assert found.complete is complete
        assert not (await span(conn, "org_1", Period())).complete


async def test_currencies_are_never_added_up(db: Storage) -> None:
    async with db.write() as conn:
        for index, currency in enumerate(["CNY", "JPY", "CNY"]):
            one = simulate(index, START_MS, 0, "org_1") | {"currency": currency}
            await ledger.append(conn, one, START_MS)
    async with db.read() as conn:
        sums = await summary(conn, "org_1", await span(conn, "org_1", Period()))
    records = await texts(db)
    assert sums["amounts"] == [
        {"currency": name, **expected([one for one in records if one["currency"] == name])}
        for name in ("CNY", "JPY")
    ]


async def test_an_empty_ledger_sums_up_to_nothing(db: Storage) -> None:
    async with db.read() as conn:
        found = await span(conn, "org_1", Period("2026-01-01T00:00:00.000Z", None))
        sums = await summary(conn, "org_1", found)
    assert (sums["count"], sums["amounts"], sums["first_seq"]) == (0, [], None)
    assert sums["head"] == {"seq": 0, "hash": GENESIS}
