"""Prepaid consults through a whole process: real pages, real media, the ledger through the API."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from metering.record import epoch_ms
from server.clock import Clock
from signaling import store
from signaling.tables import command_answers, consults
from tests.postgres import PostgresServer
from tests.server.clinic import Answer, Clinic, opened
from tests.server.party import (
    Party,
    in_call,
    joined,
    new_peer,
    page_of_patient,
    page_of_physician,
)

PATH = "/api/v1/consults"
VIDEO_S = 2207 / 60
"""Fen of a second of video; of voice it is 18.3."""
LATE_MS = 900
"""On a machine that is busy with ten other things; 7 to 25 ms otherwise. The next tick is later."""


async def order(clinic: Clinic, prepaid_fen: int | None) -> str:
    """Order a consult whose link replaces the demo's."""
    made = await clinic.api("POST", PATH, json={"prepaid_fen": prepaid_fen})
    assert made.status == 201, made.text
    object.__setattr__(clinic.demo, "patient_url", made.json["join_url"])
    consult_id: str = made.json["consult_id"]
    return consult_id


async def top_up(clinic: Clinic, consult_id: str, fen: Any, key: str = "bank/1") -> Answer:
    headers = {"Idempotency-Key": key}
    path = f"{PATH}/{consult_id}/top-ups"
    return await clinic.api("POST", path, json={"fen": fen}, headers=headers)


async def standing(clinic: Clinic, consult_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await clinic.api("GET", f"{PATH}/{consult_id}")).json["prepaid"]
    return found


async def record_of(clinic: Clinic) -> dict[str, Any]:
    (record,) = (await clinic.api("GET", "/api/v1/records")).json["data"]
    found: dict[str, Any] = record
    return found


async def runs_out(party: Party) -> None:
    """Until the page says that all is used, however long that takes."""
    while (await party.page.next("meter"))["pause"] != "quota_exhausted":
        pass


def lengths(record: dict[str, Any]) -> dict[str, int]:
    found = {"voice": 0, "video": 0}
    for segment in record["segments"]:
        found[segment["mode"]] += segment["duration_ms"]
    return found


def ended_by_itself(record: dict[str, Any]) -> None:
    """At the millisecond of its limit; the consult ended at once."""
    last = record["segments"][-1]
    assert (record["end_cause"], record["end_party"]) == ("quota_exhausted", "system")
    assert last["end_cause"] == "quota_exhausted"
    late_ms = epoch_ms(record["ended_at"]) - epoch_ms(last["ended_at"])
    assert 0 <= late_ms < LATE_MS
    assert record["split"]["patient_fen"] <= record["prepaid"]["limit_fen"]


async def test_a_prepaid_call_ends_at_the_exact_second_with_the_exact_charge(
    either: Clinic,
) -> None:
    consult_id = await order(either, 74)
    assert await standing(either, consult_id) == {"limit_fen": 74, "used_fen": 0, "left_s": 2}
    async with in_call(either) as (patient, physician):
        first = await patient.page.next("meter", lambda tick: tick["running"])
        assert first["prepaid"]["limit_fen"] == 74
        assert 1_000 < first["prepaid"]["left_ms"] + first["video_ms"] <= 2_000
        for party in (patient, physician):
            view = await party.page.state("ended")
            assert view["summary"]["end_cause"] == "quota_exhausted"
            assert view["summary"]["charge_fen"] == 74
        heard = patient.heard(), physician.heard()
        await asyncio.sleep(0.2)  # media that does not come cannot be awaited
        assert (patient.heard(), physician.heard()) == heard
    record = await record_of(either)
    ended_by_itself(record)
    assert lengths(record) == {"voice": 0, "video": 2_000}
    assert (record["charge_fen"], record["prepaid"]) == (74, {"limit_fen": 74})
    assert await standing(either, consult_id) == {"limit_fen": 74, "used_fen": 74, "left_s": 0}
    late = await top_up(either, consult_id, 100)
    late.problem(409, "consult_ended")


async def test_a_top_up_in_the_call_prolongs_it_at_once(either: Clinic) -> None:
    consult_id = await order(either, 184)
    async with in_call(either) as (patient, physician):
        await patient.metered("video", 800)
        more = await top_up(either, consult_id, 37)
        assert more.status == 201, more.text
        assert more.json["limit_fen"] == 221
        assert (more.json["fen"], more.json["consult_id"]) == (37, consult_id)
        assert more.json["used_fen"] <= 184
        assert 0 < more.json["left_s"] <= 6
        for party in (patient, physician):
            await party.page.next("meter", lambda tick: tick["prepaid"]["limit_fen"] == 221)
            shown = await party.page.next("consult", lambda u: u["event"]["kind"] == "topped_up")
            assert shown["view"]["prepaid"]["limit_fen"] == 221
        await runs_out(patient)
        await patient.page.state("ended")
    record = await record_of(either)
    ended_by_itself(record)
    assert lengths(record) == {"voice": 0, "video": 6_000}
    assert len(record["segments"]) == 1, "a top-up cuts nothing"
    assert (record["charge_fen"], record["prepaid"]) == (221, {"limit_fen": 221})


async def test_voice_and_then_video_end_where_both_together_reach_the_limit(
    clinic: Clinic,
) -> None:
    await order(clinic, 300)
    async with in_call(clinic) as (patient, physician):
        consult = {"consult_id": physician.consult_id}
        assert (await patient.page.ask("set_mode", mode="voice"))["ok"]
        await patient.metered("voice", 1_200)
        assert (await physician.page.ask("set_mode", mode="video", **consult))["ok"]
        proposed = (await patient.page.next("consult", lambda u: u["view"]["proposal"]))["view"]
        answer = {"proposal_id": proposed["proposal"]["id"], "accept": True}
        assert (await patient.page.ask("answer_mode", **answer))["ok"]
        await runs_out(patient)
        await patient.page.state("ended")
    record = await record_of(clinic)
    ended_by_itself(record)
    seconds = record["mode_seconds"]
    assert lengths(record)["video"] == seconds["video"] * 1_000
    assert record["charge_fen"] <= 300 < record["charge_fen"] + VIDEO_S


async def test_a_limit_holds_over_a_restart(tmp_path: Path) -> None:
    """The checkpoint carries it, and a top-up that came after the checkpoint is not lost."""
    async with opened(tmp_path) as clinic:
        consult_id = await order(clinic, 184)
        async with in_call(clinic) as (patient, _):
            await patient.metered("video", 1_000)
            assert (await top_up(clinic, consult_id, 37)).status == 201
            link = clinic.demo.patient_url
    async with opened(tmp_path) as again:
        object.__setattr__(again.demo, "patient_url", link)
        assert (await standing(again, consult_id))["limit_fen"] == 221
        patient = Party(await page_of_patient(again, after=1), new_peer("patient"))
        auth = {"consult_id": consult_id, "after": 1}
        physician = Party(await page_of_physician(again, **auth), new_peer("physician"))
        physician.consult_id = consult_id
        try:
            for party in (patient, physician):
                await party.page.next("reconnect_media")
            async with joined(again, patient, physician):
                await runs_out(patient)
                await patient.page.state("ended")
        finally:
            await patient.page.leave()
            await physician.page.leave()
        record = await record_of(again)
    ended_by_itself(record)
    assert lengths(record) == {"voice": 0, "video": 6_000}
    assert {segment["epoch"] for segment in record["segments"]} == {1, 2}


async def test_a_top_up_that_crosses_the_end_on_its_way_lets_the_call_go_on(
    postgres_url: str, tmp_path: Path
) -> None:
    """It was asked for in time and is stored late: what was not billed meanwhile stays free."""
    async with opened(tmp_path, database_url=postgres_url) as clinic:
        consult_id = await order(clinic, 184)
        async with in_call(clinic) as (patient, _):
            await patient.metered("video", 500)
            async with clinic.services.storage.write() as conn:
                mine = consults.c.id == consult_id
                await conn.execute(select(consults.c.id).where(mine).with_for_update())
                asked = asyncio.create_task(top_up(clinic, consult_id, 37))
                await runs_out(patient)
                heard = patient.heard()
            assert (await asked).json["limit_fen"] == 221
            await patient.page.next("meter", lambda tick: tick["running"])
            await runs_out(patient)
            await patient.page.state("ended")
            assert patient.heard() > heard
        record = await record_of(clinic)
    ended_by_itself(record)
    assert [one["duration_ms"] for one in record["segments"]] == [5_000, 1_000]


async def test_nothing_is_carried_after_the_limit_while_the_end_cannot_be_stored(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    name = postgres_url.rsplit("/", 1)[1]
    async with opened(tmp_path, database_url=postgres_url) as clinic:
        consult_id = await order(clinic, 74)
        async with in_call(clinic) as (patient, physician):
            await patient.metered("video", 500)
            postgres_server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres_server.psql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            for party in (patient, physician):
                await party.page.next("meter", lambda tick: tick["pause"] == "quota_exhausted")
            before = patient.heard(), physician.heard()
            await asyncio.sleep(0.3)  # media that does not come cannot be awaited
            after = patient.heard(), physician.heard()
            assert max(b - a for a, b in zip(before, after, strict=True)) <= 2, "under way"
            assert (await top_up(clinic, consult_id, 500)).status >= 500
            postgres_server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            async with asyncio.timeout(30):  # what failed is tried again after up to 5 s
                while not (await clinic.api("GET", "/api/v1/records")).json["data"]:  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        record = await record_of(clinic)
    assert record["end_cause"] == "quota_exhausted"
    assert lengths(record) == {"voice": 0, "video": 2_000}


async def test_who_has_prepaid_less_than_a_second_is_told_before(clinic: Clinic) -> None:
    """A second of voice is covered, none of video: to wait for voice is possible."""
    consult_id = await order(clinic, 20)
    patient = await page_of_patient(clinic)
    view = (await patient.next("hello"))["view"]
    left = {"voice_left_s": 1, "video_left_s": 0}
    assert view["prepaid"] == {"limit_fen": 20, "used_fen": 0, **left}
    agreed = {"tariff_digest": view["price"]["digest"], "terms_version": view["terms_version"]}
    refused = await patient.ask("join", language="en", mode="video", **agreed)
    assert refused["error"]["code"] == "prepaid_too_low"
    assert (await patient.ask("join", language="en", mode="voice", **agreed))["ok"]
    assert (await top_up(clinic, consult_id, 180)).status == 201
    shown = await patient.next("consult", lambda u: u["event"]["kind"] == "topped_up")
    assert shown["view"]["prepaid"]["voice_left_s"] == 10
    assert await standing(clinic, consult_id) == {"limit_fen": 200, "used_fen": 0, "left_s": 10}
    await patient.leave()


async def test_a_top_up_that_is_sent_again_is_taken_once(either: Clinic) -> None:
    consult_id = await order(either, 1_000)
    first = await top_up(either, consult_id, 500)
    async with either.services.storage.write() as conn:
        await conn.execute(update(command_answers).values(at=0))  # long ago
        await store.forget_answers(conn, Clock())
    again = await top_up(either, consult_id, 500)
    assert (again.status, again.json) == (201, first.json)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert first.json == {
        "consult_id": consult_id,
        "fen": 500,
        "limit_fen": 1_500,
        "used_fen": 0,
        "left_s": 40,
    }
    (await top_up(either, consult_id, 501)).problem(409, "idempotency_conflict")
    assert (await top_up(either, consult_id, 501, "bank/2")).json["limit_fen"] == 2_001
    many = await asyncio.gather(*(top_up(either, consult_id, 7, "bank/3") for _ in range(5)))
    assert [one.json for one in many] == [many[0].json] * 5
    assert (await standing(either, consult_id))["limit_fen"] == 2_008


async def test_a_top_up_that_makes_no_sense_changes_nothing(clinic: Clinic) -> None:
    consult_id = await order(clinic, 1_000)
    for fen in (0, -5, 1.5, "7", True, 10**9, None):
        (await top_up(clinic, consult_id, fen)).problem(422, "invalid_body")
    (await top_up(clinic, consult_id, 100_000_000)).problem(422, "prepaid_too_high")
    (await top_up(clinic, "c_unknown000", 5)).problem(404, "unknown_consult")
    (await top_up(clinic, "c%00", 5)).problem(404, "unknown_consult")
    bare = await clinic.api("POST", f"{PATH}/{consult_id}/top-ups", json={"fen": 5})
    bare.problem(400, "idempotency_key_invalid")
    assert (await standing(clinic, consult_id))["limit_fen"] == 1_000
    without = await order(clinic, None)
    (await top_up(clinic, without, 5)).problem(409, "not_prepaid")
    assert await standing(clinic, without) is None
    other = await clinic.key("records")
    refused = await clinic.api("POST", f"{PATH}/{consult_id}/top-ups", other, json={"fen": 5})
    refused.problem(403, "scope_missing")


@pytest.mark.parametrize("fen", [0, -1, 100_000_001, "5", 1.0, True])
async def test_an_order_with_an_impossible_limit_is_refused(clinic: Clinic, fen: Any) -> None:
    refused = await clinic.api("POST", PATH, json={"prepaid_fen": fen})
    refused.problem(422, "invalid_body")
