"""An empty database becomes the one the code expects, on both kinds, and stays so."""

from __future__ import annotations

from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Table, inspect, text
from sqlalchemy.exc import DBAPIError

from metering import ledger
from server import migrate
from server.errors import SchemaUnknown
from server.simulate import simulate
from server.storage import Storage

TABLES: list[Table] = [table for m in migrate.METADATA for table in m.sorted_tables]


def differences(connection: Connection) -> list[Any]:
    """What a migration that Alembic wrote now would still have to do."""
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    found: list[Any] = compare_metadata(context, list(migrate.METADATA))
    return found


async def test_the_migrated_schema_is_the_one_in_the_code(storage: Storage) -> None:
    """A column added to a table without a migration fails here, not in a hospital."""
    async with storage.write() as connection:
        assert await connection.run_sync(differences) == []


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE audit ADD COLUMN more TEXT",
        "ALTER TABLE audit DROP COLUMN detail",
        "DROP INDEX audit_by_consult",
        "CREATE TABLE other (x INTEGER)",
    ],
)
async def test_a_schema_that_is_not_the_one_in_the_code_is_noticed(
    storage: Storage, statement: str
) -> None:
    """The comparison above is worth something."""
    async with storage.write() as connection:
        await connection.execute(text(statement))
        assert len(await connection.run_sync(differences)) == 1


async def test_no_table_is_left_without_an_owner(storage: Storage) -> None:
    def names(connection: Connection) -> set[str]:
        return set(inspect(connection).get_table_names())

    async with storage.read() as connection:
        assert await connection.run_sync(names) == {t.name for t in TABLES} | {"alembic_version"}


def test_every_table_belongs_to_one_package() -> None:
    assert len({table.name for table in TABLES}) == len(TABLES)


async def test_upgrading_again_changes_nothing(storage: Storage) -> None:
    """Every start upgrades: the ledger and its head must stay as they are."""
    async with storage.write() as connection:
        await ledger.append(connection, simulate(0, 1_767_261_600_000))
    async with storage.read() as connection:
        before = await ledger.head(connection)
    await migrate.upgrade(storage)
    async with storage.read() as connection:
        assert await ledger.head(connection) == before
    assert before.seq == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE records SET hash = 'x'", "DELETE FROM records"],
)
async def test_the_migrated_ledger_only_grows(storage: Storage, statement: str) -> None:
    async with storage.write() as connection:
        await ledger.append(connection, simulate(0, 1_767_261_600_000))
    with pytest.raises(DBAPIError, match="append-only"):
        async with storage.write() as connection:
            await connection.execute(text(statement))
    async with storage.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM records"))).scalar() == 1


async def test_a_database_of_a_newer_version_is_left_alone(storage: Storage) -> None:
    """Going back to an older version means restoring a backup (docs/operations.md)."""
    async with storage.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(SchemaUnknown, match="newer version"):
        await migrate.upgrade(storage)
    async with storage.read() as connection:
        version = await connection.execute(text("SELECT version_num FROM alembic_version"))
        assert version.scalar() == "9999"


async def test_a_failed_upgrade_leaves_nothing_behind(database_url: str) -> None:
    """A foreign table in the way: the upgrade fails as a whole, and can be tried again."""
    opened = await Storage.open(database_url)
    try:
        async with opened.write() as connection:
            await connection.execute(text("CREATE TABLE records (x INTEGER)"))
        with pytest.raises(DBAPIError):
            await migrate.upgrade(opened)
        async with opened.write() as connection:
            await connection.execute(text("DROP TABLE records"))
        await migrate.upgrade(opened)
    finally:
        await opened.close()
