"""An empty database becomes the one the code expects, on both kinds, and stays so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Table, inspect, text
from sqlalchemy.exc import DBAPIError

from metering import audit, ledger, versions
from metering.audit import SHARED
from metering.chain import GENESIS, canonical, link
from metering.tariff import parse_tariff
from server import migrate
from server.demo import ORGANIZATION
from server.errors import SchemaUnknown
from server.simulate import simulate
from server.storage import Storage
from tests.server import entries

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
        await entries.append(connection, 1)
    async with storage.read() as connection:
        before = await ledger.head(connection, ORGANIZATION)
    await migrate.upgrade(storage)
    async with storage.read() as connection:
        assert await ledger.head(connection, ORGANIZATION) == before
    assert before.seq == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE ledger_records SET hash = 'x'", "DELETE FROM ledger_records"],
)
async def test_the_migrated_ledger_only_grows(storage: Storage, statement: str) -> None:
    async with storage.write() as connection:
        await entries.append(connection, 1)
    with pytest.raises(DBAPIError, match="append-only"):
        async with storage.write() as connection:
            await connection.execute(text(statement))
    async with storage.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM ledger_records"))).scalar() == 1


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


def old_record(seq: int, organization_id: str, prev_hash: str) -> dict[str, Any]:
    """A record as schema version 1 had it: no department, no shares, no time of settling."""
    record = simulate(seq, entries.FIRST_DAY_AT_MS, 0, organization_id)
    for name in ("department", "shares"):
        del record[name]
    record |= {"schema_version": 1, "seq": seq, "prev_hash": prev_hash}
    return {**record, "hash": link(prev_hash, record)}


async def before_ledgers(storage: Storage, owners: list[str]) -> list[dict[str, Any]]:
    """A database of revision 0004 with a record of each of ``owners``, in one chain."""

    def to_0004(connection: Connection) -> None:
        command.upgrade(migrate.config_for(connection), "0004")

    made, prev_hash = [], GENESIS
    async with storage.write() as connection:
        await connection.run_sync(to_0004)
        for seq, owner in enumerate(owners, 1):
            record = old_record(seq, owner, prev_hash)
            prev_hash = record["hash"]
            names = ("seq", "record_id", "consult_id", "ended_at", "hash")
            row = {name: record[name] for name in names} | {"body": canonical(record).decode()}
            places = ", ".join(f":{name}" for name in row)
            statement = f"INSERT INTO records ({', '.join(row)}) VALUES ({places})"
            await connection.execute(text(statement), row)
            made.append(record)
        head = {"seq": len(owners), "hash": prev_hash}
        await connection.execute(text("UPDATE ledger_head SET seq = :seq, hash = :hash"), head)
    return made


PRICES_OF_BEFORE = {
    "org_a": '{"voice_fen_per_min": 1097, "video_fen_per_min": 2207}',
    "org_b": '{"video_fen_per_min": 2, "voice_fen_per_min": 1, "platform_share": 0.070,'
    ' "fee_bearer": "patient", "cap_fen": 5000, "currency": "EUR"}',
}


async def before_tariffs(storage: Storage) -> None:
    """A database of revision 0008 with two organizations and their prices."""

    def to_0008(connection: Connection) -> None:
        command.upgrade(migrate.config_for(connection), "0008")

    insert = "INSERT INTO organizations VALUES (:id, 'o', 'd', :tariff, 1700000000000)"
    async with storage.write() as connection:
        await connection.run_sync(to_0008)
        for organization_id, tariff in PRICES_OF_BEFORE.items():
            row = {"id": organization_id, "tariff": tariff}
            await connection.execute(text(insert), row)


async def test_prices_of_before_become_the_first_version(database_url: str) -> None:
    """The same prices by the same digest, in force since the organization was made."""
    opened = await Storage.open(database_url)
    try:
        await before_tariffs(opened)
        await migrate.upgrade(opened)
        async with opened.write() as connection:
            for organization_id, tariff in PRICES_OF_BEFORE.items():
                (version,) = await versions.page(connection, organization_id, None, 0, 10)
                assert version == await versions.valid(
                    connection, organization_id, "ph_1", 1_700_000_000_000
                )
                assert (version.number, version.digest) == (1, parse_tariff(tariff).digest)
                assert version.body == parse_tariff(tariff).canonical.decode()
                assert await versions.next_number(connection, organization_id) == 2
        with pytest.raises(DBAPIError, match="append-only"):
            async with opened.write() as connection:
                await connection.execute(text("DELETE FROM tariffs"))
    finally:
        await opened.close()


@pytest.mark.parametrize(
    ("owners", "ledger_of"), [(["org_a"] * 3, "org_a"), (["org_a", "org_b", "org_a"], SHARED)]
)
async def test_a_ledger_of_before_stays_whole(
    database_url: str, owners: list[str], ledger_of: str
) -> None:
    """The same texts and hashes in the same order; what was one chain is never divided."""
    opened = await Storage.open(database_url)
    try:
        made = await before_ledgers(opened, owners)
        await migrate.upgrade(opened)
        found = await audit.verify_all(opened)
        assert {name: (one.broken, one.head.seq) for name, one in found.items()} == {
            ledger_of: (None, 3)
        }
        kept = [json.loads(body) async for body in ledger.export(opened, ledger_of)]
        assert kept == made
        if ledger_of == "org_a":
            async with opened.write() as connection:
                await entries.append(connection, 1, 9, ledger_of)
            assert (await audit.verify_ledger(opened, ledger_of)).head.seq == 4
    finally:
        await opened.close()
