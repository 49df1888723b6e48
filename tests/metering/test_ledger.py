"""The ledger on real databases: one record per consult, in order, for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from metering import ledger
from metering.chain import Head, verify
from metering.tables import metadata
from server.storage import Storage
from tests.metering.samples import record


async def append(db: Storage, consult_id: str) -> ledger.Appended:
    async with db.write() as conn:
        return await ledger.append(conn, record(consult_id))


async def exported(db: Storage) -> Sequence[str]:
    return [body async for body in ledger.export(db)]


async def test_records_get_positions_from_one_on_and_verify(db: Storage) -> None:
    found = [await append(db, f"con_{index}") for index in range(5)]
    assert [one.seq for one in found] == [1, 2, 3, 4, 5]
    async with db.read() as conn:
        assert await ledger.head(conn) == Head(5, found[-1].hash)
    checked = await ledger.verify_all(db)
    assert (checked.broken, checked.head.seq) == (None, 5)
    assert [json.loads(body) for body in await exported(db)] == [one.record for one in found]


async def test_an_empty_ledger_verifies(db: Storage) -> None:
    assert await ledger.verify_all(db) == verify([])
    assert await exported(db) == []


async def test_settling_a_hundred_times_makes_one_record(db: Storage) -> None:
    """Even at once: each waits for the lock, and then finds the record of the first."""
    answers = await asyncio.gather(*(append(db, "con_1") for _ in range(100)))
    assert sum(one.new for one in answers) == 1
    assert len({(one.seq, one.hash) for one in answers}) == 1
    assert len(await exported(db)) == 1


async def test_a_retry_with_another_content_changes_nothing(db: Storage) -> None:
    first = await append(db, "con_1")
    async with db.write() as conn:
        again = await ledger.append(conn, record("con_1") | {"charge_fen": 1})
    assert (again.new, again.record) == (False, first.record)


async def test_appends_at_once_leave_no_gap_and_one_chain(db: Storage) -> None:
    await asyncio.gather(*(append(db, f"con_{index}") for index in range(60)))
    assert (await ledger.verify_all(db)).head.seq == 60


async def test_a_transaction_that_fails_leaves_no_gap(db: Storage) -> None:
    """A database sequence would: it counts on when a transaction rolls back."""

    async def fail() -> None:
        async with db.write() as conn:
            await ledger.append(conn, record("con_2"))
            raise RuntimeError

    await append(db, "con_1")
    with pytest.raises(RuntimeError):
        await fail()
    assert (await append(db, "con_3")).seq == 2
    assert (await ledger.verify_all(db)).head.seq == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET body = '{}' WHERE seq = 1",
        "UPDATE records SET seq = 9",
        "DELETE FROM records",
        "DELETE FROM records WHERE seq = 2",
    ],
)
async def test_the_database_itself_refuses_to_change_a_record(db: Storage, statement: str) -> None:
    before = [(await append(db, f"con_{index}")).hash for index in range(2)]
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.write() as conn:
            await conn.execute(text(statement))
    assert [json.loads(body)["hash"] for body in await exported(db)] == before


async def test_no_dialect_has_a_way_around_it(db: Storage) -> None:
    """SQLite's REPLACE and PostgreSQL's TRUNCATE fire neither UPDATE nor DELETE triggers."""
    await append(db, "con_1")
    statements = {
        "postgresql": ["TRUNCATE records"],
        "sqlite": [
            "INSERT OR REPLACE INTO records SELECT 1, 'x', 'x', 'x', 'x', '{}'",
            "INSERT OR REPLACE INTO records SELECT 2, record_id, 'x', 'x', 'x', '{}' FROM records",
        ],
    }
    for statement in statements[db.dialect]:
        with pytest.raises(DBAPIError, match="append-only"):
            async with db.write() as conn:
                await conn.execute(text(statement))
    assert (await ledger.verify_all(db)).broken is None


async def test_a_changed_text_is_found_and_named(db: Storage) -> None:
    """Whoever owns the file can drop the trigger, but not find a second text with that hash."""
    for index in range(3):
        await append(db, f"con_{index}")
    trigger = "records_no_update" if db.dialect == "sqlite" else "records_append_only ON records"
    async with db.write() as conn:
        await conn.execute(text(f"DROP TRIGGER {trigger}"))
        change = "UPDATE records SET body = replace(body, 'phy_1', 'phy_2') WHERE seq = 2"
        assert (await conn.execute(text(change))).rowcount == 1
    broken = (await ledger.verify_all(db)).broken
    assert broken is not None
    assert (broken.seq, broken.record_id) == (2, record("con_1")["record_id"])


async def test_a_cut_off_tail_is_found_against_the_head(db: Storage) -> None:
    for index in range(3):
        await append(db, f"con_{index}")
    trigger = "records_no_delete" if db.dialect == "sqlite" else "records_append_only ON records"
    async with db.write() as conn:
        await conn.execute(text(f"DROP TRIGGER {trigger}"))
        await conn.execute(text("DELETE FROM records WHERE seq = 3"))
    broken = (await ledger.verify_all(db)).broken
    assert broken is not None
    assert (broken.seq, broken.reason) == (3, "the head says 3: the tail is missing")


async def test_a_forged_head_is_found(db: Storage) -> None:
    await append(db, "con_1")
    async with db.write() as conn:
        await conn.execute(text(f"UPDATE ledger_head SET hash = '{'f' * 64}'"))
    assert (await ledger.verify_all(db)).broken is not None


async def test_a_record_is_found_by_its_id_and_by_its_consult(db: Storage) -> None:
    found = await append(db, "con_1")
    async with db.read() as conn:
        body = await ledger.find(conn, found.record["record_id"])
        assert body is not None
        assert json.loads(body) == found.record
        assert await ledger.of_consult(conn, "con_1") == [body]
        assert await ledger.find(conn, "rec_none") is None
        assert await ledger.of_consult(conn, "con_none") == []


async def test_an_export_is_whole_across_its_batches(
    db: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BATCH", 3)
    for index in range(6):
        await append(db, f"con_{index}")
    assert verify(await exported(db)).head.seq == 6
    assert [json.loads(body)["seq"] async for body in ledger.export(db, 4)] == [5, 6]


async def test_the_tables_can_be_dropped_and_made_again(db: Storage) -> None:
    async with db.write() as conn:
        await conn.run_sync(metadata.drop_all)
        await conn.run_sync(metadata.create_all)
    assert (await append(db, "con_1")).seq == 1
