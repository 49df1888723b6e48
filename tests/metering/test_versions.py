"""Price lists in a real database of each kind: chosen as the pure core chooses, never changed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import DBAPIError

from metering import versions
from metering.pricelist import applying
from metering.tables import tariffs
from server.storage import Storage
from tests.metering.test_pricelist import PHYSICIANS, version

LIST = [
    version(number, who, at)
    for number, (who, at) in enumerate(
        [
            (None, 10), ("phy_1", 12), (None, 15), (None, 15), ("phy_1", 11), ("phy_1", 18),
            (None, 13), ("phy_2", 30),
        ],
        1,
    )
]  # fmt: skip


async def fill(db: Storage) -> None:
    async with db.write() as conn:
        for one in LIST:
            assert await versions.next_number(conn, "org_1") == one.number
            await versions.add(conn, one)
        other = replace(LIST[0], id="tar_other", organization_id="org_2", valid_from_ms=14)
        assert await versions.next_number(conn, "org_2") == 1
        await versions.add(conn, other)


async def test_the_database_chooses_as_the_core_does(db: Storage) -> None:
    await fill(db)
    async with db.read() as conn:
        for at_ms in range(9, 32):
            for who in PHYSICIANS:
                found = await versions.valid(conn, "org_1", who, at_ms)
                assert found == applying(LIST, who, at_ms)
        assert await versions.valid(conn, "org_3", None, 99) is None


async def test_one_version_of_each_list_is_in_force(db: Storage) -> None:
    await fill(db)
    async with db.read() as conn:
        assert await versions.in_force(conn, "org_1", 9) == frozenset()
        assert await versions.in_force(conn, "org_1", 17) == {"tar_4", "tar_2"}
        assert await versions.in_force(conn, "org_1", 30) == {"tar_4", "tar_6", "tar_8"}
        assert await versions.in_force(conn, "org_2", 30) == {"tar_other"}


async def test_pages_give_every_version_once_in_order(db: Storage) -> None:
    await fill(db)
    async with db.read() as conn:
        found, after = [], 0
        while page := await versions.page(conn, "org_1", None, after, 3):
            found += page
            after = page[-1].number
        assert found == LIST
        own = await versions.page(conn, "org_1", "phy_1", 2, 10)
        assert [one.number for one in own] == [5, 6]


async def test_a_version_is_found_by_its_own_organization_alone(db: Storage) -> None:
    await fill(db)
    async with db.read() as conn:
        assert await versions.find(conn, "org_1", "tar_3") == LIST[2]
        assert await versions.find(conn, "org_2", "tar_3") is None


@pytest.mark.parametrize(
    "statement",
    ["UPDATE tariffs SET valid_from = 0", "DELETE FROM tariffs WHERE number = 1"],
)
async def test_the_database_itself_refuses_to_change_prices(db: Storage, statement: str) -> None:
    await fill(db)
    with pytest.raises(DBAPIError, match="append-only"):
        async with db.write() as conn:
            await conn.execute(text(statement))
    async with db.read() as conn:
        assert await versions.page(conn, "org_1", None, 0, 10) == LIST


async def test_no_number_is_given_twice(db: Storage) -> None:
    await fill(db)
    with pytest.raises(DBAPIError):
        async with db.write() as conn:
            await versions.add(conn, replace(LIST[2], id="tar_new"))


async def test_a_version_is_not_replaced_behind_the_triggers(db: Storage) -> None:
    """On SQLite, INSERT OR REPLACE deletes without firing the trigger of DELETE."""
    await fill(db)
    async with db.read() as conn:
        row = (await conn.execute(select(tariffs).where(tariffs.c.id == "tar_1"))).mappings().one()
    new = insert(tariffs).prefix_with("OR REPLACE", dialect="sqlite")
    with pytest.raises(DBAPIError):
        async with db.write() as conn:
            await conn.execute(new.values({**row, "valid_from": 1}))
