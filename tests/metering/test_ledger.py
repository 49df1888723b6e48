"""The ledger on real databases: one record per consult, in order, for ever."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from metering import ledger
from metering.audit import verify_all, verify_ledger
from metering.chain import Head, verify
from metering.record import rfc3339
from metering.tables import metadata, records
from server.storage import Storage
from tests.metering.samples import FACTS, record

AT_MS = FACTS.ended_at_ms
AT = rfc3339(AT_MS)


async def append(db: Storage, consult_id: str) -> ledger.Appended:
    async with db.write() as conn:
        return await ledger.append(conn, record(consult_id), AT_MS)


async def exported(db: Storage) -> Sequence[str]:
    return [body async for body in ledger.export(db, "org_1")]


async def test_records_get_positions_from_one_on_and_verify(db: Storage) -> None:
    found = [await append(db, f"con_{index}") for index in range(5)]
    assert [one.seq for one in found] == [1, 2, 3, 4, 5]
    async with db.read() as conn:
        assert await ledger.head(conn, "org_1") == Head(5, found[-1].hash, AT)
    checked = await verify_ledger(db, "org_1")
    assert (checked.broken, checked.head.seq) == (None, 5)
    assert [json.loads(body) for body in await exported(db)] == [one.record for one in found]


async def test_an_empty_ledger_verifies(db: Storage) -> None:
    assert await verify_ledger(db, "org_1") == verify([])
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
        again = await ledger.append(conn, record("con_1") | {"charge_fen": 1}, AT_MS)
    assert (again.new, again.record) == (False, first.record)


async def test_appends_at_once_leave_no_gap_and_one_chain(db: Storage) -> None:
    await asyncio.gather(*(append(db, f"con_{index}") for index in range(60)))
    assert (await verify_ledger(db, "org_1")).head.seq == 60


async def test_a_transaction_that_fails_leaves_no_gap(db: Storage) -> None:
    """A database sequence would: it counts on when a transaction rolls back."""

    async def fail() -> None:
        async with db.write() as conn:
            await ledger.append(conn, record("con_2"), AT_MS)
            raise RuntimeError

    await append(db, "con_1")
    with pytest.raises(RuntimeError):
        await fail()
    assert (await append(db, "con_3")).seq == 2
    assert (await verify_ledger(db, "org_1")).head.seq == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_records SET body = '{}' WHERE seq = 1",
        "UPDATE ledger_records SET seq = 9",
        "DELETE FROM ledger_records",
        "DELETE FROM ledger_records WHERE seq = 2",
    ],
)
async def test_the_database_itself_refuses_to_change_a_record(db: Storage, statement: str) -> None:
    before = [(await append(db, f"con_{index}")).hash for index in range(2)]
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.write() as conn:
            await conn.execute(text(statement))
    assert [json.loads(body)["hash"] for body in await exported(db)] == before


def _replaced(column: str, value: str) -> str:
    """All of the stored record but one column."""
    names = [value if one.name == column else one.name for one in records.c]
    return f"SELECT {', '.join(names)} FROM ledger_records"


async def test_no_dialect_has_a_way_around_it(db: Storage) -> None:
    """SQLite's REPLACE and PostgreSQL's TRUNCATE fire neither UPDATE nor DELETE triggers."""
    await append(db, "con_1")
    statements = {
        "postgresql": ["TRUNCATE ledger_records"],
        "sqlite": [
            f"INSERT OR REPLACE INTO ledger_records {other}"
            for other in (
                "SELECT * FROM ledger_records",
                _replaced("seq", "2"),
                _replaced("record_id", "'x'"),
                _replaced("consult_id", "'x'"),
            )
        ],
    }
    for statement in statements[db.dialect]:
        with pytest.raises(DBAPIError, match="append-only"):
            async with db.write() as conn:
                await conn.execute(text(statement))
    assert (await verify_ledger(db, "org_1")).broken is None


def _trigger(db: Storage, what: str, table: str = "ledger_records") -> str:
    return f"{table}_no_{what}" if db.dialect == "sqlite" else f"{table}_append_only ON {table}"


async def test_a_changed_text_is_found_and_named(db: Storage) -> None:
    """Whoever owns the file can drop the trigger, but not find a second text with that hash."""
    for index in range(3):
        await append(db, f"con_{index}")
    trigger = _trigger(db, "update")
    async with db.write() as conn:
        await conn.execute(text(f"DROP TRIGGER {trigger}"))
        change = "UPDATE ledger_records SET body = replace(body, 'phy_1', 'phy_2') WHERE seq = 2"
        assert (await conn.execute(text(change))).rowcount == 1
    broken = (await verify_ledger(db, "org_1")).broken
    assert broken is not None
    assert (broken.seq, broken.record_id) == (2, record("con_1")["record_id"])


async def test_a_cut_off_tail_is_found_against_the_head(db: Storage) -> None:
    for index in range(3):
        await append(db, f"con_{index}")
    trigger = _trigger(db, "delete")
    async with db.write() as conn:
        await conn.execute(text(f"DROP TRIGGER {trigger}"))
        await conn.execute(text("DELETE FROM ledger_records WHERE seq = 3"))
    broken = (await verify_ledger(db, "org_1")).broken
    assert broken is not None
    assert (broken.seq, broken.reason) == (3, "the head says 3: the tail is missing")


async def test_a_forged_head_is_found(db: Storage) -> None:
    await append(db, "con_1")
    async with db.write() as conn:
        await conn.execute(text(f"UPDATE ledgers SET hash = '{'f' * 64}'"))
    assert (await verify_ledger(db, "org_1")).broken is not None


async def test_a_record_is_found_by_its_id_and_by_its_consult(db: Storage) -> None:
    found = await append(db, "con_1")
    async with db.read() as conn:
        body = await ledger.find(conn, "org_1", found.record["record_id"])
        assert body is not None
        assert json.loads(body) == found.record
        assert await ledger.of_consult(conn, "org_1", "con_1") == [body]
        assert await ledger.find(conn, "org_1", "rec_none") is None
        assert await ledger.of_consult(conn, "org_1", "con_none") == []


async def test_an_export_is_whole_across_its_batches(
    db: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BATCH", 3)
    for index in range(6):
        await append(db, f"con_{index}")
    assert verify(await exported(db)).head.seq == 6
    assert [json.loads(body)["seq"] async for body in ledger.export(db, "org_1", 4)] == [5, 6]


async def test_the_tables_can_be_dropped_and_made_again(db: Storage) -> None:
    async with db.write() as conn:
        await conn.run_sync(metadata.drop_all)
        await conn.run_sync(metadata.create_all)
    assert (await append(db, "con_1")).seq == 1


@pytest.mark.parametrize(
    ("table", "change", "what"),
    [
        ("ledger_records", "voice_s = voice_s + 60", "voice_s"),
        ("ledger_records", "charge_fen = 1", "charge_fen"),
        ("ledger_records", "physician_id = 'phy_2'", "physician_id"),
        ("ledger_records", "settled_at = '2030-01-01T00:00:00.000Z'", "settled_at"),
        ("ledger_shares", "physician_fen = physician_fen + 100", "shares"),
        ("ledger_shares", "physician_id = 'phy_2'", "shares"),
    ],
)
async def test_a_changed_column_beside_the_text_is_found(
    db: Storage, table: str, change: str, what: str
) -> None:
    """Statements sum columns, which are in no hash: they must be what the texts say."""
    for index in range(3):
        await append(db, f"con_{index}")
    async with db.write() as conn:
        await conn.execute(text(f"DROP TRIGGER {_trigger(db, 'update', table)}"))
        await conn.execute(text(f"UPDATE {table} SET {change} WHERE seq = 2"))
    broken = (await verify_ledger(db, "org_1")).broken
    assert broken is not None
    assert (broken.seq, broken.record_id) == (2, record("con_1")["record_id"])
    assert what in broken.reason


async def test_each_organization_has_a_chain_of_its_own(db: Storage) -> None:
    async with db.write() as conn:
        for index in range(4):
            mine = {**record(f"con_{index}"), "organization_id": f"org_{index % 2}"}
            assert (await ledger.append(conn, mine, AT_MS)).seq == index // 2 + 1
    found = await verify_all(db)
    assert {name: one.head.seq for name, one in found.items()} == {"org_0": 2, "org_1": 2}
    assert not any(one.broken for one in found.values())
    async with db.read() as conn:
        body = await ledger.find(conn, "org_0", record("con_0")["record_id"])
        assert body is not None
        assert await ledger.find(conn, "org_1", record("con_0")["record_id"]) is None
        assert await ledger.of_consult(conn, "org_1", "con_0") == []


async def test_a_clock_set_back_settles_nothing_before_its_predecessor(db: Storage) -> None:
    """So a range of time is a range of positions."""
    async with db.write() as conn:
        first = await ledger.append(conn, record("con_1"), AT_MS)
        later = await ledger.append(conn, record("con_2"), AT_MS - 3_600_000)
    assert first.record["settled_at"] == later.record["settled_at"] == AT


async def test_many_at_once_are_as_one_after_the_other(db: Storage) -> None:
    entries = [(record(f"con_{index}"), AT_MS + index) for index in (0, 1, 0, 2)]
    async with db.write() as conn:
        await ledger.append(conn, record("con_1"), AT_MS)
        found = await ledger.append_all(conn, entries)
    assert [(one.seq, one.new) for one in found] == [(2, True), (1, False), (2, False), (3, True)]
    assert (await verify_ledger(db, "org_1")).head.seq == 3
