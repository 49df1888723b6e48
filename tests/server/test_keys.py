"""API keys: what they open, for how long, and that every use is known."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import insert, select

from server import keys as module
from server import tables
from server.accounts import SCOPES
from server.demo import ORGANIZATION, create_clinic
from server.errors import KeyUnknown, OrganizationUnclear, ScopeUnknown
from server.keys import Keys, KeyUses, NewKey
from server.storage import Storage
from tests.server import entries
from tests.server.clinic import Clinic

HOUR_MS = 3_600_000
OTHER = "org_other"


@pytest.fixture
async def keys(storage: Storage) -> Keys:
    """The keys of a database with the demo clinic in it."""
    await create_clinic(storage)
    return Keys(storage)


async def create(keys: Keys, storage: Storage, *scopes: str, life_ms: int | None = None) -> NewKey:
    async with storage.write() as conn:
        return await keys.create(conn, ORGANIZATION, "billing", scopes or ["records"], life_ms)


class Later:
    """A wall clock that a test sets forward."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._now, self._by = module.wall_ms, 0
        monkeypatch.setattr(module, "wall_ms", lambda: self._now() + self._by)

    def by(self, ms: int) -> None:
        self._by += ms


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Later:
    return Later(monkeypatch)


async def test_keys_work_until_they_are_revoked(keys: Keys, storage: Storage) -> None:
    billing = await create(keys, storage)
    booking = await create(keys, storage, "records", "consults")
    found = await keys.find(billing.key)
    assert found is not None
    assert (found.id, found.organization_id) == (billing.id, ORGANIZATION)
    assert found.scopes == {"records"}
    async with storage.write() as conn:
        await keys.revoke(conn, billing.id)
    assert await keys.find(billing.key) is None
    still = await keys.find(booking.key)
    assert still is not None
    assert still.scopes == {"records", "consults"}
    with pytest.raises(KeyUnknown):
        async with storage.write() as conn:
            await keys.revoke(conn, billing.id)


async def test_a_key_ends_with_its_time(keys: Keys, storage: Storage, later: Later) -> None:
    new = await create(keys, storage, life_ms=HOUR_MS)
    later.by(HOUR_MS - 60_000)
    assert await keys.find(new.key) is not None
    later.by(60_000)
    assert await keys.find(new.key) is None


async def test_a_replaced_key_works_for_the_overlap_and_not_longer(
    keys: Keys, storage: Storage, later: Later
) -> None:
    """So that a billing system changes its key without a gap."""
    old = await create(keys, storage, "records", "webhooks", life_ms=90 * 24 * HOUR_MS)
    later.by(30 * 24 * HOUR_MS)
    async with storage.write() as conn:
        new = await keys.rotate(conn, old.id, 2 * HOUR_MS)
    assert new.key != old.key
    assert new.scopes == old.scopes
    later.by(2 * HOUR_MS - 60_000)
    assert await keys.find(old.key) is not None
    later.by(60_000)
    assert await keys.find(old.key) is None
    later.by(80 * 24 * HOUR_MS)
    assert await keys.find(new.key) is not None, "it has the length of life of the former one"
    later.by(10 * 24 * HOUR_MS)
    assert await keys.find(new.key) is None


async def test_an_overlap_prolongs_no_key(keys: Keys, storage: Storage, later: Later) -> None:
    old = await create(keys, storage, life_ms=HOUR_MS)
    async with storage.write() as conn:
        await keys.rotate(conn, old.id, 24 * HOUR_MS)
    later.by(HOUR_MS)
    assert await keys.find(old.key) is None


async def test_without_an_overlap_the_former_key_ends_at_once(keys: Keys, storage: Storage) -> None:
    """For one that leaked."""
    old = await create(keys, storage)
    async with storage.write() as conn:
        new = await keys.rotate(conn, old.id, 0)
    assert await keys.find(old.key) is None
    assert await keys.find(new.key) is not None


async def test_what_works_no_more_is_not_replaced(
    keys: Keys, storage: Storage, later: Later
) -> None:
    revoked, over = await create(keys, storage), await create(keys, storage, life_ms=1)
    replaced = await create(keys, storage)
    async with storage.write() as conn:
        await keys.revoke(conn, revoked.id)
        await keys.rotate(conn, replaced.id, HOUR_MS)
    later.by(1)
    for key_id in (revoked.id, over.id, replaced.id, "key_none", ""):
        with pytest.raises(KeyUnknown):
            async with storage.write() as conn:
                await keys.rotate(conn, key_id, HOUR_MS)


@pytest.mark.parametrize("scopes", [[], ["everything"], ["records", ""], ["records,consults"]])
async def test_an_unknown_scope_is_refused(keys: Keys, storage: Storage, scopes: list[str]) -> None:
    with pytest.raises(ScopeUnknown, match="there are: "):
        async with storage.write() as conn:
            await keys.create(conn, ORGANIZATION, "billing", scopes)


async def test_a_key_belongs_to_an_organization_that_exists(keys: Keys, storage: Storage) -> None:
    with pytest.raises(OrganizationUnclear, match=ORGANIZATION):
        async with storage.write() as conn:
            await keys.create(conn, "org_none", "billing", ["records"])


async def test_all_scopes_fit_into_their_column(keys: Keys, storage: Storage) -> None:
    """PostgreSQL refuses what is too long."""
    new = await create(keys, storage, *SCOPES)
    found = await keys.find(new.key)
    assert found is not None
    assert found.scopes == SCOPES


async def test_the_last_use_of_each_key_is_written_together(keys: Keys, storage: Storage) -> None:
    """Never on the way of a request: a database that is slow or away refuses nobody."""
    first, second = await create(keys, storage), await create(keys, storage)
    uses = KeyUses(storage)
    for _ in range(1000):
        uses.note(first.id)
    assert [row["last_used_at"] for row in await keys.listed()] == [None, None]
    await uses.flush()
    used = {row["id"]: row["last_used_at"] for row in await keys.listed(ORGANIZATION)}
    assert used[second.id] is None
    assert abs(used[first.id] - module.wall_ms()) < 60_000
    assert all("key_hash" not in row for row in await keys.listed())


async def test_uses_that_were_not_written_are_tried_again(keys: Keys, storage: Storage) -> None:
    new, uses = await create(keys, storage), KeyUses(storage)
    uses.note(new.id)
    async with storage.write() as conn:
        rows = [dict(row) for row in (await conn.execute(select(tables.api_keys))).mappings()]
        await conn.run_sync(tables.api_keys.drop)
    await uses.flush()
    async with storage.write() as conn:
        await conn.run_sync(tables.api_keys.create)
        await conn.execute(insert(tables.api_keys), rows)
    await uses.flush()
    (row,) = await keys.listed()
    assert row["last_used_at"] is not None


# --- over HTTP ----------------------------------------------------------------------------------


async def test_every_use_of_a_key_is_in_the_audit_log(clinic: Clinic) -> None:
    """By key and operation; what a key may not do is there as well."""
    billing = await clinic.services.keys.find(key := await clinic.key("records"))
    assert billing is not None
    for _ in range(3):
        assert (await clinic.api("GET", "/api/v1/records", key)).status == 200
    await clinic.api("GET", "/api/v1/records/rec_none", key)
    (await clinic.api("POST", "/api/v1/consults", key, json={})).problem(403, "scope_missing")
    mine = [row for row in await clinic.audited("key_used") if row.actor == f"key:{billing.id}"]
    counted = dict.fromkeys(("list_records", "read_record"), 0)
    for row in mine:
        name, _, times = row.detail.partition(" x")
        counted[name] += int(times or 1)
    assert counted == {"list_records": 3, "read_record": 1}
    await clinic.services.key_uses.flush()
    used = {row["id"]: row["last_used_at"] for row in await clinic.services.keys.listed()}
    assert used[billing.id] is not None


async def other_organization(clinic: Clinic) -> str:
    """A second organization on the same server, and a key of its own for everything."""
    async with clinic.services.storage.write() as conn:
        row = {"name": "o", "department": "d", "created_at": 0}
        await conn.execute(insert(tables.organizations).values(id=OTHER, **row))
    return await clinic.key(*SCOPES, organization=OTHER)


async def test_a_key_of_one_organization_reads_nothing_of_another(either: Clinic) -> None:
    key = await other_organization(either)
    made = await either.api("POST", "/api/v1/consults", json={})
    async with either.services.storage.write() as conn:
        (record,) = await entries.append(conn, 1)
        await entries.append(conn, 2, 10, OTHER)
    theirs: dict[str, Any] = (await either.api("GET", "/api/v1/records", key)).json
    assert {one["organization_id"] for one in theirs["data"]} == {OTHER}
    assert len(theirs["data"]) == 2
    consult_id, record_id = made.json["consult_id"], record.record["record_id"]
    for path, code in (
        (f"/api/v1/records/{record_id}", "unknown_record"),
        (f"/api/v1/consults/{consult_id}", "unknown_consult"),
        (f"/api/v1/consults/{consult_id}/recordings", "unknown_recording"),
    ):
        assert (await either.api("GET", path)).status == 200
        (await either.api("GET", path, key)).problem(404, code)


async def test_an_expired_key_is_refused(clinic: Clinic, later: Later) -> None:
    async with clinic.services.storage.write() as conn:
        new = await clinic.services.keys.create(conn, ORGANIZATION, "x", ["records"], HOUR_MS)
    assert (await clinic.api("GET", "/api/v1/records", new.key)).status == 200
    later.by(HOUR_MS)
    (await clinic.api("GET", "/api/v1/records", new.key)).problem(401, "key_invalid")
