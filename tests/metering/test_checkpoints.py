"""A lost node leaves what is to be billed; a node that wakes up too late can write nothing."""

from __future__ import annotations

import asyncio

import pytest

from metering import checkpoints, ledger
from metering.checkpoints import Checkpoint
from metering.errors import StaleEpoch
from metering.frozen import freeze, restore
from metering.meter import reading
from metering.terms import Mode
from server.storage import Storage
from tests.metering.samples import FACTS, WALL_MS, metered, record


async def claim(db: Storage, consult_id: str, epoch: int) -> Checkpoint:
    async with db.write() as conn:
        return await checkpoints.claim(conn, consult_id, epoch, WALL_MS)


async def save(db: Storage, *found: Checkpoint) -> frozenset[str]:
    async with db.write() as conn:
        return await checkpoints.save_all(conn, found, WALL_MS)


async def load(db: Storage, consult_id: str) -> Checkpoint | None:
    async with db.read() as conn:
        return await checkpoints.load(conn, consult_id)


async def test_a_checkpoint_comes_back_as_it_was(db: Storage) -> None:
    assert await claim(db, "con_1", 1) == Checkpoint("con_1", 1, None)
    state = freeze(metered())
    assert await save(db, Checkpoint("con_1", 1, state)) == frozenset()
    taken = await claim(db, "con_1", 2)
    assert taken == Checkpoint("con_1", 2, state)
    assert taken.state is not None
    again = restore(taken.state, 0, WALL_MS, 2)
    assert reading(again).seconds() == {Mode.VOICE: 5, Mode.VIDEO: 10}


async def test_all_open_meters_are_saved_at_once(db: Storage) -> None:
    many = [Checkpoint(f"con_{index}", 1, {"n": index}) for index in range(1_203)]
    async with db.write() as conn:
        for one in many:
            await checkpoints.claim(conn, one.consult_id, 1, WALL_MS)
    assert await save(db, *many) == frozenset()
    async with db.read() as conn:
        assert sorted(await checkpoints.load_all(conn), key=str) == sorted(many, key=str)
    assert await save(db) == frozenset()


async def test_a_stale_node_writes_nothing_and_is_told(db: Storage) -> None:
    for name in ("con_1", "con_2"):
        await claim(db, name, 1)
    await claim(db, "con_2", 2)
    mine = [Checkpoint(name, 1, {"mine": 1}) for name in ("con_1", "con_2", "con_3")]
    assert await save(db, *mine) == {"con_2", "con_3"}
    assert await load(db, "con_1") == Checkpoint("con_1", 1, {"mine": 1})
    assert await load(db, "con_2") == Checkpoint("con_2", 2, None)
    assert await load(db, "con_3") is None


@pytest.mark.parametrize("epoch", [1, 2])
async def test_an_epoch_is_claimed_once_and_never_goes_back(db: Storage, epoch: int) -> None:
    await claim(db, "con_1", 2)
    await save(db, Checkpoint("con_1", 2, {"kept": True}))
    with pytest.raises(StaleEpoch) as caught:
        await claim(db, "con_1", epoch)
    assert (caught.value.mine, caught.value.stored) == (epoch, 2)
    assert await load(db, "con_1") == Checkpoint("con_1", 2, {"kept": True})


@pytest.mark.parametrize("known", [True, False])
async def test_of_nodes_that_claim_the_same_epoch_one_gets_it(db: Storage, known: bool) -> None:
    """They may all have read the same predecessor before any of them claims."""
    if known:
        await claim(db, "con_1", 1)
    answers = await asyncio.gather(
        *(claim(db, "con_1", 2) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(one, Checkpoint) for one in answers) == 1
    assert sum(isinstance(one, StaleEpoch) for one in answers) == 7


async def test_of_two_nodes_that_claim_at_once_the_later_epoch_holds(db: Storage) -> None:
    await asyncio.gather(
        *(claim(db, "con_1", epoch) for epoch in range(1, 9)), return_exceptions=True
    )
    found = await load(db, "con_1")
    assert found is not None
    assert found.epoch == 8


async def settle(db: Storage, epoch: int) -> ledger.Appended:
    async with db.write() as conn:
        await checkpoints.release(conn, "con_1", epoch)
        return await ledger.append(conn, record("con_1"), FACTS.ended_at_ms)


async def test_settling_releases_the_meter_and_may_be_repeated(db: Storage) -> None:
    await claim(db, "con_1", 1)
    assert (await settle(db, 1)).new
    assert await load(db, "con_1") is None
    assert not (await settle(db, 1)).new
    assert await save(db, Checkpoint("con_1", 1, {})) == {"con_1"}


async def test_a_stale_node_cannot_settle(db: Storage) -> None:
    await claim(db, "con_1", 1)
    await claim(db, "con_1", 2)
    with pytest.raises(StaleEpoch):
        await settle(db, 1)
    async with db.read() as conn:
        assert (await ledger.head(conn, "org_1")).seq == 0
    assert (await settle(db, 2)).seq == 1
