"""The audit log holds what matters, and cannot be filled by strangers."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select

from server import tables
from server.auditor import MAX_PENDING, Auditor
from server.clock import wall_ms
from server.storage import Storage

DAY_MS = 86_400_000


async def rows(storage: Storage) -> list[Any]:
    async with storage.read() as conn:
        return list((await conn.execute(select(tables.audit))).all())


async def test_rows_are_cut_to_their_columns(storage: Storage) -> None:
    """PostgreSQL refuses what is too long: an audit that fails would hide what happened."""
    auditor = Auditor(storage)
    auditor.note("a" * 200, "b" * 200, "c_1", "d" * 2000)
    await auditor.flush()
    (row,) = await rows(storage)
    assert (len(row.actor), len(row.action), len(row.detail)) == (80, 64, 380)
    assert abs(row.at - wall_ms()) < DAY_MS


async def test_the_same_thing_done_often_is_one_row_with_a_count(storage: Storage) -> None:
    auditor = Auditor(storage)
    for _ in range(40_000):
        auditor.note("page", "link_refused")
    auditor.note("key:key_1", "scope_refused", None, "records")
    await auditor.flush()
    found = {row.action: row.detail for row in await rows(storage)}
    assert found == {"link_refused": "x40000", "scope_refused": "records"}


async def test_what_strangers_do_is_bounded(storage: Storage) -> None:
    auditor = Auditor(storage)
    for number in range(MAX_PENDING + 500):
        auditor.note(f"page:{number}", "link_refused")
    await auditor.flush()
    assert len(await rows(storage)) == MAX_PENDING


async def test_what_the_database_did_not_take_is_tried_again(storage: Storage) -> None:
    auditor = Auditor(storage)
    auditor.note("physician:ph_1", "sign_in")
    async with storage.write() as conn:
        await conn.run_sync(tables.audit.drop)
    await auditor.flush()
    async with storage.write() as conn:
        await conn.run_sync(tables.audit.create)
    await auditor.flush()
    assert [row.action for row in await rows(storage)] == ["sign_in"]
