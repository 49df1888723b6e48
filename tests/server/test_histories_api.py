"""What happened in a consult, told without anything that people wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import insert

from metering import ledger
from server.api.histories import MAX_EVENTS, TOLD, ConsultHistory, ConsultRecords, told
from server.clock import Clock
from server.demo import ORGANIZATION
from signaling import events as ev
from signaling import store
from signaling.tables import consult_events
from tests.server import entries
from tests.server.clinic import Answer, Clinic

NAME = "王小明"


async def ordered(clinic: Clinic) -> str:
    body = {"patient_name": NAME, "complaint": "头晕三天"}
    answer = await clinic.api("POST", "/api/v1/consults", json=body)
    return str(answer.json["consult_id"])


async def add(clinic: Clinic, consult_id: str, *rows: tuple[str, dict[str, Any]]) -> None:
    """Events as the store writes them, from number 2 on."""
    async with clinic.services.storage.write() as conn:
        await conn.execute(
            insert(consult_events),
            [
                {
                    "consult_id": consult_id,
                    "n": n,
                    "kind": kind,
                    "at": 1_770_000_000_000 + n,
                    "by": "patient",
                    "data": json.dumps(data, ensure_ascii=False),
                }
                for n, (kind, data) in enumerate(rows, 2)
            ],
        )


async def history(clinic: Clinic, consult_id: str, **more: Any) -> Answer:
    return await clinic.api("GET", f"/api/v1/consults/{consult_id}/events", **more)


async def test_events_say_what_and_when_but_not_who_in_words(either: Clinic) -> None:
    """Fields that hold names are left out, and so is any text that an id could not be."""
    consult_id = await ordered(either)
    invited = ev.details(ev.Invited("g_1", "family", NAME))
    taken = ev.details(ev.Taken("ph_demo", "林薇", "主治医师"))
    await add(
        either,
        consult_id,
        ("joined", ev.details(ev.Joined("video", 17, "zh-CN"))),
        ("taken", taken),
        ("guest_invited", invited),
        ("recording_failed", {"recording_id": "r_1", "reason": "the disk of Dr Lin is full"}),
        ("finished", ev.details(ev.Finished("see_in_person"))),
        ("media_stopped", ev.details(ev.MediaStopped("patient", 123))),
    )
    answer = await history(either, consult_id)
    assert answer.status == 200, answer.text
    ConsultHistory.model_validate_json(answer.text)
    assert [(one["kind"], one["data"]) for one in answer.json["data"]] == [
        ("created", {}),
        ("joined", {"mode": "video"}),
        ("taken", {"physician_id": "ph_demo"}),
        ("guest_invited", {"guest_id": "g_1", "role": "family"}),
        ("recording_failed", {"recording_id": "r_1"}),
        ("finished", {}),
        ("media_stopped", {"side": "patient"}),
    ]
    assert answer.json["data"][1]["at"].startswith("2026-02-02T02:40:00.002")
    assert answer.text.isascii()


@given(st.dictionaries(st.sampled_from([*TOLD, "name", "complaint"]), st.text() | st.integers()))
def test_no_sentence_is_ever_told(data: dict[str, Any]) -> None:
    for name, value in told(data).items():
        assert name in TOLD
        assert not isinstance(value, str) or (value.isascii() and " " not in value)


def test_every_name_that_is_told_is_one_of_an_event_without_words() -> None:
    """Whoever adds an event decides here whether its fields are given out."""
    words = {"name", "physician_name", "physician_title", "language", "outcome", "place", "at_ms"}
    fields = {name for kind in ev.EVENTS for name in kind.__dataclass_fields__} - {
        *("by", "link_hash", "expires_at"),
    }
    assert fields <= TOLD | words
    assert not TOLD & words


async def test_a_long_history_comes_in_parts(either: Clinic) -> None:
    consult_id = await ordered(either)
    await add(either, consult_id, *[("patient_back", {})] * (MAX_EVENTS + 5))
    first = (await history(either, consult_id)).json
    assert (len(first["data"]), first["has_more"]) == (MAX_EVENTS, True)
    after = {"after": first["data"][-1]["n"]}
    rest = (await history(either, consult_id, params=after)).json
    assert (len(rest["data"]), rest["has_more"]) == (6, False)


@pytest.mark.parametrize("after", ["-1", "", "x", "٣", "1.5", "9" * 30, "2147483648"])
async def test_a_number_that_is_none_is_refused(either: Clinic, after: str) -> None:
    consult_id = await ordered(either)
    answer = await history(either, consult_id, params={"after": after})
    answer.problem(422, "invalid_query")


async def test_either_scope_reads_events_and_only_records_reads_records(clinic: Clinic) -> None:
    consult_id = await ordered(clinic)
    for scope in ("consults", "records"):
        assert (await history(clinic, consult_id, key=await clinic.key(scope))).status == 200
    refused = await history(clinic, consult_id, key=await clinic.key("adjust"))
    assert "consults or records" in refused.problem(403, "scope_missing")["detail"]
    key = await clinic.key("consults")
    path = f"/api/v1/consults/{consult_id}/records"
    (await clinic.api("GET", path, key)).problem(403, "scope_missing")


async def test_what_is_of_others_is_unknown(either: Clinic) -> None:
    consult_id = await ordered(either)
    async with either.services.storage.write() as conn:
        case = await store.load(conn, consult_id, Clock())
        assert case is not None
        (theirs,) = await entries.append(conn, 1, 0, "org_other")
        other = case.order.__class__(
            **{
                name: getattr(case.order, name)
                for name in case.order.__dataclass_fields__
                if name not in ("id", "organization_id", "link_hash")
            },
            id="c_other",
            organization_id="org_other",
            link_hash="x" * 64,
        )
        await store.create(conn, other, Clock())
    for path in ("c_other", "c_none", "%00", "x" * 500, theirs.record["consult_id"]):
        for what in ("events", "records"):
            answer = await either.api("GET", f"/api/v1/consults/{path}/{what}")
            answer.problem(404, "unknown_consult")


async def test_a_consult_has_its_original_and_its_corrections(either: Clinic) -> None:
    async with either.services.storage.write() as conn:
        (appended, _) = await entries.append(conn, 2)
    body = {
        "corrects": appended.record["record_id"],
        "kind": "void",
        "reason": "ticket:1",
        "actor": "clerk",
    }
    headers = {"Idempotency-Key": "k"}
    await either.api("POST", "/api/v1/adjustments", json=body, headers=headers)
    consult_id = str(appended.record["consult_id"])
    answer = await either.api("GET", f"/api/v1/consults/{consult_id}/records")
    ConsultRecords.model_validate_json(answer.text)
    assert [one["kind"] for one in answer.json["data"]] == ["original", "void"]
    async with either.services.storage.read() as conn:
        texts = await ledger.of_consult(conn, ORGANIZATION, consult_id)
    assert answer.text == f'{{"data":[{",".join(texts)}]}}'


async def test_a_consult_that_is_not_settled_has_no_records(clinic: Clinic) -> None:
    consult_id = await ordered(clinic)
    answer = await clinic.api("GET", f"/api/v1/consults/{consult_id}/records")
    assert answer.json == {"data": []}
