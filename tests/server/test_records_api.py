"""The feed over HTTP, and who may read it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from yarl import URL

from metering import cloudevents
from metering.chain import Head, check
from server.api import records
from server.demo import ORGANIZATION
from tests.server import entries
from tests.server.clinic import Answer, Clinic

PATH = "/api/v1/records"


async def append(clinic: Clinic, count: int, first: int = 0) -> None:
    async with clinic.services.storage.write() as conn:
        await entries.append(conn, count, first)


async def page(clinic: Clinic, **query: str | int) -> dict[str, Any]:
    answer = await clinic.api("GET", PATH, params=query)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_a_puller_gets_every_record_once_in_order_and_whole(either: Clinic) -> None:
    """CONTRACT.md's names; the chain can be recomputed from what is pulled alone."""
    await append(either, 25)
    pulled: list[dict[str, Any]] = []
    query: dict[str, str | int] = {"limit": 10}
    while True:
        got = await page(either, **query)
        pulled += got["data"]
        assert got["settled_through_seq"] == pulled[-1]["seq"]
        assert got["head_hash"] == pulled[-1]["hash"]
        query["cursor"] = got["next_cursor"]
        if not got["has_more"]:
            break
    assert [record["seq"] for record in pulled] == list(range(1, 26))
    head = Head()
    for record in pulled:
        head = check(head, json.dumps(record, ensure_ascii=False, separators=(",", ":")))
    assert head.seq == 25
    await append(either, 1, first=25)
    (late,) = (await page(either, **query))["data"]
    assert late["seq"] == 26


async def test_a_record_has_at_least_the_promised_fields(clinic: Clinic) -> None:
    await append(clinic, 1)
    (record,) = (await page(clinic))["data"]
    assert record.keys() >= {
        "record_id", "consult_id", "seq", "mode_seconds", "billable_s", "charge_fen", "currency",
        "segments", "end_cause", "started_at", "ended_at", "prev_hash", "hash",
    }  # fmt: skip
    assert set(record["mode_seconds"]) == {"voice", "video"}
    alone = await clinic.api("GET", f"{PATH}/{record['record_id']}")
    assert alone.json == record
    (await clinic.api("GET", f"{PATH}/rec_none")).problem(404, "unknown_record")


async def test_the_same_full_page_is_the_same_bytes(clinic: Clinic) -> None:
    await append(clinic, 4)
    first = await clinic.api("GET", PATH, params={"limit": 3})
    await append(clinic, 2, first=4)
    assert (await clinic.api("GET", PATH, params={"limit": 3})).text == first.text


async def test_the_usual_page_has_a_hundred(clinic: Clinic) -> None:
    await append(clinic, 101)
    got = await page(clinic)
    assert (len(got["data"]), got["has_more"]) == (100, True)


async def test_an_empty_ledger_has_an_empty_page(clinic: Clinic) -> None:
    got = await page(clinic)
    assert (got["data"], got["has_more"], got["settled_through_seq"]) == ([], False, 0)
    assert await page(clinic, cursor=got["next_cursor"]) == got


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "1.5", "ten", "", "٣", "1e2", "99999999"])
async def test_a_limit_that_is_none_is_refused(clinic: Clinic, limit: str) -> None:
    (await clinic.api("GET", PATH, params={"limit": limit})).problem(422, "invalid_limit")


@pytest.mark.parametrize("cursor", ["x", "\x00", "é", "MTo5OTk6MDAwMDAwMDAwMDAwMDAwMA", "A" * 5000])
async def test_a_cursor_of_another_ledger_is_refused(either: Clinic, cursor: str) -> None:
    """A puller of a ledger that was set back must notice, not skip."""
    (await either.api("GET", PATH, params={"cursor": cursor})).problem(422, "cursor_invalid")


async def test_a_record_id_that_is_none_is_not_found(either: Clinic) -> None:
    headers = {"Authorization": f"Bearer {either.demo.api_key}"}
    for record_id in ("%00", "x" * 4000, "%FF"):
        url = URL(f"{either.services.base_url}{PATH}/{record_id}", encoded=True)
        async with either.http.get(url, headers=headers) as answer:
            assert answer.status == 404, await answer.text()


@pytest.mark.parametrize("name", ["cursor", "limit"])
async def test_a_parameter_that_is_there_twice_is_refused(clinic: Clinic, name: str) -> None:
    answer = await clinic.api("GET", PATH, params=[(name, "1"), (name, "2")])
    answer.problem(422, "invalid_query")


async def test_the_feed_as_cloudevents_has_the_same_records_and_cursors(either: Clinic) -> None:
    """A client that knows CloudEvents and links alone (RFC 8288) pulls all of the ledger."""
    await append(either, 7)
    as_events = {"Accept": cloudevents.BATCH}
    path, pulled = f"{PATH}?limit=3", []
    while True:
        answer = await either.api("GET", path, headers=as_events)
        assert answer.headers["Content-Type"] == f"{cloudevents.BATCH}; charset=utf-8"
        records.CloudEventBatch.model_validate_json(answer.text)
        plain = await either.api("GET", path)
        assert plain.headers["Content-Type"].startswith("application/json")
        assert plain.headers["Vary"] == "Accept"
        assert answer.json == [json.loads(cloudevents.event(dump(r))) for r in plain.json["data"]]
        for name in ("next_cursor", "settled_through_seq", "head_hash"):
            header = f"Wenzhen-{name.replace('_', '-').title()}"
            assert answer.headers[header] == plain.headers[header] == str(plain.json[name])
        pulled += [JSONFormat().read(None, dump(event)) for event in answer.json]
        assert ("Link" in answer.headers) is plain.json["has_more"]
        if "Link" not in answer.headers:
            break
        target, relation = answer.headers["Link"].split(";")
        assert relation.strip() == 'rel="next"'
        path = target.strip("<>")
    assert [event.get_data()["seq"] for event in pulled] == list(range(1, 8))
    assert len({(event.get_source(), event.get_id()) for event in pulled}) == 7
    again = await either.api("GET", PATH, headers=as_events, params={"limit": 3})
    assert again.text == (await either.api("GET", f"{PATH}?limit=3", headers=as_events)).text


async def test_one_record_is_one_event(either: Clinic) -> None:
    """The CloudEvents SDK takes the answer as the HTTP message in structured mode that it is."""
    await append(either, 1)
    (record,) = (await page(either))["data"]
    path = f"{PATH}/{record['record_id']}"
    answer = await either.api("GET", path, headers={"Accept": cloudevents.ONE})
    message = HTTPMessage(headers=dict(answer.headers), body=answer.text.encode())
    event = from_http_event(message)
    assert event.get_id() == record["record_id"]
    assert event.get_type() == "org.wenzhen.record.original.v1"
    assert event.get_data() == record
    assert (await either.api("GET", path)).text in answer.text


def dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


NO_KEY = [
    {},
    {"Authorization": ""},
    {"Authorization": "Bearer"},
    {"Authorization": "Bearer short"},
    {"Authorization": "Basic ZG9jdG9yOnB3ZG9jdG9yOnB3"},
    {"Authorization": "Bearer " + "x" * 129},
    {"Authorization": "Bearer wz_" + "x" * 43},
    {"Authorization": "Bearer " + "é" * 20},
    {"Cookie": "wenzhen_session=" + "x" * 43},
]


@pytest.mark.parametrize("headers", NO_KEY, ids=repr)
async def test_without_a_valid_key_there_is_nothing(
    clinic: Clinic, headers: dict[str, str]
) -> None:
    """RFC 6750 §3: a challenge says which kind of credentials is needed."""
    for path in (PATH, f"{PATH}/rec_none", "/api/v1/consults/c_none"):
        answer = await clinic.ask("GET", path, headers=headers)
        assert answer.status == 401
        assert answer.json["code"] in {"key_missing", "key_invalid"}
        assert _challenge(answer).startswith("Bearer")


async def test_a_key_without_the_scope_is_refused_and_noted(clinic: Clinic) -> None:
    """Who may order consults may not read bills, and the other way round."""
    booking, billing = await clinic.key("consults"), await clinic.key("records")
    answer = await clinic.api("GET", PATH, booking)
    assert "records" in answer.problem(403, "scope_missing")["detail"]
    assert 'error="insufficient_scope"' in _challenge(answer)
    body = {"patient_name": "x"}
    refused = await clinic.api("POST", "/api/v1/consults", billing, json=body)
    refused.problem(403, "scope_missing")
    rows = await clinic.audited("scope_refused")
    assert [row.detail for row in rows] == ["records", "consults"]
    assert all(row.actor.startswith("key:key_") for row in rows)
    assert (await clinic.api("GET", PATH, billing)).status == 200


async def test_a_revoked_key_is_refused_at_once(clinic: Clinic) -> None:
    key = await clinic.key("records")
    assert (await clinic.api("GET", PATH, key)).status == 200
    async with clinic.services.storage.write() as conn:
        await clinic.services.keys.revoke_named(conn, ORGANIZATION, "test")
    (await clinic.api("GET", PATH, key)).problem(401, "key_invalid")


def _challenge(answer: Answer) -> str:
    return answer.headers["WWW-Authenticate"]
