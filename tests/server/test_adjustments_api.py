"""Correcting a bill over HTTP: once for each key, on both databases, whatever comes twice."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from sqlalchemy import insert, text

from metering import ledger
from metering.audit import verify_ledger
from metering.chain import canonical
from server import tables
from server.clock import wall_ms
from server.demo import ORGANIZATION
from tests.server import entries
from tests.server.clinic import Answer, Clinic

PATH = "/api/v1/adjustments"


async def original(clinic: Clinic) -> dict[str, Any]:
    async with clinic.services.storage.write() as conn:
        (appended,) = await entries.append(conn, 1)
    return dict(appended.record)


def body(record: dict[str, Any], **change: Any) -> dict[str, Any]:
    plain = {
        "corrects": record["record_id"],
        "kind": "adjustment",
        "charge_fen": 100,
        "reason": "ticket:4711",
        "actor": "clerk@org",
    }
    return {k: v for k, v in (plain | change).items() if v is not None}


async def post(clinic: Clinic, given: Any, key: str = "k1", **more: Any) -> Answer:
    headers = {"Idempotency-Key": key} | more.pop("headers", {})
    return await clinic.api("POST", PATH, json=given, headers=headers, **more)


async def test_a_correction_is_the_next_record(either: Clinic) -> None:
    """The ledger verifies, the feed has it at once, and sums over it are what holds."""
    first = await original(either)
    answer = await post(either, body(first))
    assert answer.status == 201, answer.text
    found = answer.json
    assert answer.text == canonical(found).decode()
    assert "Idempotency-Replayed" not in answer.headers
    assert (found["seq"], found["revision"], found["corrects"]) == (2, 1, first["record_id"])
    assert found["net"]["charge_fen"] == 100 == first["charge_fen"] + found["charge_fen"]
    assert found["settled_at"] >= first["settled_at"]
    page = await either.api("GET", "/api/v1/records")
    assert page.json["data"] == [first, found]
    alone = await either.api("GET", f"/api/v1/records/{found['record_id']}")
    assert alone.text == answer.text
    seconds = {"voice": 60, "video": 0}
    rated = await post(either, body(found, charge_fen=None, mode_seconds=seconds), "k2")
    assert rated.json["net"]["charge_fen"] == 1097
    void = await post(either, body(rated.json, kind="void", charge_fen=None), "k3")
    assert void.status == 201, void.text
    assert not any(void.json["net"]["split"].values())
    assert (await verify_ledger(either.services.storage, ORGANIZATION)).broken is None


async def test_the_same_key_and_body_is_answered_as_before(either: Clinic) -> None:
    """Who heard no answer asks again, maybe written in another way, maybe much later."""
    first = await original(either)
    answer = await post(either, body(first))
    await post(either, body(answer.json, charge_fen=200), "k2")
    spaced = json.dumps(dict(reversed(body(first).items())), indent=2)
    plain = {"Content-Type": "application/json", "Idempotency-Key": "k1"}
    for again in (
        await post(either, body(first)),
        await post(either, body(first, mode_seconds=None)),
        await either.api("POST", PATH, data=spaced, headers=plain),
    ):
        assert (again.status, again.text) == (201, answer.text)
        assert again.headers["Idempotency-Replayed"] == "true"
    async with either.services.storage.read() as conn:
        assert (await ledger.head(conn, ORGANIZATION)).seq == 3


async def test_the_same_key_for_something_else_is_a_conflict(either: Clinic) -> None:
    first = await original(either)
    answer = await post(either, body(first))
    for other in (
        body(first, charge_fen=101),
        body(first, reason="ticket:4712"),
        body(answer.json, charge_fen=50),
    ):
        (await post(either, other)).problem(409, "idempotency_conflict")
    assert (await post(either, body(first))).text == answer.text


async def test_a_refused_correction_leaves_its_key_unused(either: Clinic) -> None:
    first = await original(either)
    charge_fen = first["charge_fen"]
    (await post(either, body(first, charge_fen=charge_fen))).problem(422, "nothing_changes")
    assert (await post(either, body(first))).status == 201


async def test_many_with_one_key_make_one_record(either: Clinic) -> None:
    first = await original(either)
    answers = await asyncio.gather(*(post(either, body(first)) for _ in range(20)))
    assert {answer.status for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in answers) == 1


async def test_of_many_with_keys_of_their_own_one_corrects_a_record(either: Clinic) -> None:
    """The others are told to look at what has become of it."""
    first = await original(either)
    answers = await asyncio.gather(
        *(post(either, body(first, charge_fen=n), f"k{n}") for n in range(10))
    )
    (made,) = [answer for answer in answers if answer.status == 201]
    for answer in answers:
        if answer is not made:
            problem = answer.problem(409, "record_superseded")
            assert made.json["record_id"] in problem["detail"]


async def test_a_void_is_final(either: Clinic) -> None:
    first = await original(either)
    void = await post(either, body(first, kind="void", charge_fen=None))
    for record in (first, void.json):
        for again in ({"kind": "void", "charge_fen": None}, {"charge_fen": 5}):
            answer = await post(either, body(record, **again), "k2")
            assert void.json["record_id"] in answer.problem(409, "already_void")["detail"]


async def test_nothing_is_left_of_a_correction_that_failed_halfway(either: Clinic) -> None:
    """Key, audit entry and record are one transaction: here the last statements fail."""
    first = await original(either)
    storage = either.services.storage
    async with storage.write() as conn:
        await conn.execute(text("ALTER TABLE ledger_shares RENAME TO away"))
    (await post(either, body(first))).problem(500, "internal_error")
    async with storage.write() as conn:
        await conn.execute(text("ALTER TABLE away RENAME TO ledger_shares"))
    assert await either.audited("record_adjustment") == []
    async with storage.read() as conn:
        assert (await ledger.head(conn, ORGANIZATION)).seq == 1
        assert (await conn.execute(tables.idempotency_keys.select())).all() == []
    made = await post(either, body(first))
    assert (made.status, made.json["seq"]) == (201, 2)
    assert "Idempotency-Replayed" not in made.headers


async def test_each_correction_is_in_the_audit_log(either: Clinic) -> None:
    first = await original(either)
    made = await post(either, body(first))
    await post(either, body(first))
    (row,) = await either.audited("record_adjustment")
    assert row.actor.startswith("key:key_")
    assert row.consult_id == first["consult_id"]
    assert row.detail == f"{made.json['record_id']}: ticket:4711 by clerk@org"


async def test_a_key_is_of_one_organization(either: Clinic) -> None:
    """Two clinics may use the same Idempotency-Key, and neither sees the other's records."""
    first = await original(either)
    values = {"id": "org_other", "name": "x", "department": "x"}
    async with either.services.storage.write() as conn:
        await conn.execute(insert(tables.organizations).values(**values, created_at=wall_ms()))
        (theirs,) = await entries.append(conn, 1, 5, "org_other")
    other = await either.key("adjust", organization="org_other")
    refused = await post(either, body(first), key="k1", headers=bearer(other))
    refused.problem(404, "unknown_record")
    assert (await post(either, body(first))).status == 201
    made = await post(either, body(dict(theirs.record)), headers=bearer(other))
    assert made.status == 201, made.text
    assert made.json["organization_id"] == "org_other"


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_who_may_read_bills_may_not_correct_them(clinic: Clinic) -> None:
    first = await original(clinic)
    key = await clinic.key("records", "consults", "recordings")
    answer = await post(clinic, body(first), headers=bearer(key))
    assert "adjust" in answer.problem(403, "scope_missing")["detail"]


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"corrects": "rec_none"}, 404, "unknown_record"),
    ({"corrects": "rec_\x00"}, 422, "invalid_body"),
    ({"corrects": "x" * 65}, 422, "invalid_body"),
    ({"kind": "refund"}, 422, "invalid_body"),
    ({"kind": "void"}, 422, "invalid_body"),
    ({"charge_fen": None}, 422, "invalid_body"),
    ({"mode_seconds": {"voice": 1, "video": 1}}, 422, "invalid_body"),
    ({"charge_fen": -1}, 422, "invalid_body"),
    ({"charge_fen": 10**30}, 422, "invalid_body"),
    ({"charge_fen": 1.5}, 422, "invalid_body"),
    ({"charge_fen": "100"}, 422, "invalid_body"),
    ({"charge_fen": True}, 422, "invalid_body"),
    ({"charge_fen": None, "mode_seconds": {"voice": 1}}, 422, "invalid_body"),
    ({"charge_fen": None, "mode_seconds": {"voice": -1, "video": 0}}, 422, "invalid_body"),
    ({"charge_fen": None, "mode_seconds": {"voice": 10**9, "video": 0}}, 422, "invalid_body"),
    ({"charge_fen": None, "mode_seconds": {"voice": 1, "video": 1, "fax": 1}}, 422, "invalid_body"),
    ({"reason": "he complained"}, 422, "invalid_body"),
    ({"reason": "退款"}, 422, "invalid_body"),
    ({"reason": "x\n"}, 422, "invalid_body"),
    ({"actor": ""}, 422, "invalid_body"),
    ({"actor": "x" * 129}, 422, "invalid_body"),
    ({"more": 1}, 422, "invalid_body"),
]


@pytest.mark.parametrize(("change", "status", "code"), REFUSED, ids=lambda one: str(one)[:40])
async def test_a_body_that_breaks_a_rule_is_refused(
    either: Clinic, change: dict[str, Any], status: int, code: str
) -> None:
    first = await original(either)
    (await post(either, body(first, **change))).problem(status, code)


KEYS = [[], [""], [" "], ["a b"], ["x" * 256], ["é"], ["a\tb"], ["one", "two"]]


@pytest.mark.parametrize("keys", KEYS, ids=repr)
async def test_without_one_usable_key_nothing_is_corrected(clinic: Clinic, keys: list[str]) -> None:
    first = await original(clinic)
    headers = [("Authorization", f"Bearer {clinic.demo.api_key}")]
    headers += [("Idempotency-Key", key) for key in keys]
    answer = await clinic.ask("POST", PATH, json=body(first), headers=headers)
    answer.problem(400, "idempotency_key_invalid")


async def test_the_longest_key_is_taken(either: Clinic) -> None:
    first = await original(either)
    assert (await post(either, body(first), "~" * 255)).status == 201
