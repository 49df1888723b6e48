"""Ordering consults over HTTP, as a clinic's booking system does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from yarl import URL

from server import tables
from server.accounts import digest
from server.clock import Clock
from signaling import store
from signaling.messages import PatientAuth
from tests.server.clinic import Clinic

PATH = "/api/v1/consults"


async def order(clinic: Clinic, **more: Any) -> dict[str, Any]:
    answer = await clinic.api("POST", PATH, json={"patient_name": "王芳", **more})
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


async def test_an_order_gives_a_link_whose_token_is_in_the_fragment(clinic: Clinic) -> None:
    """CONTRACT.md: a fragment reaches no log of any server."""
    made = await order(clinic)
    address, _, token = made["join_url"].partition("#")
    assert address == f"{clinic.services.base_url}/join"
    PatientAuth(token=token, page="pagepage")
    assert made["state"] == "created"
    async with clinic.services.storage.read() as conn:
        case = await store.by_link_hash(conn, digest(token), Clock())
    assert case is not None
    assert case.core.id == made["consult_id"]
    assert case.order.link_hash == digest(token)


async def test_an_order_tells_how_it_stands(either: Clinic) -> None:
    made = await order(either, patient_ref="his/4711", physician_id="ph_demo")
    status = (await either.api("GET", f"{PATH}/{made['consult_id']}")).json
    assert status["state"] == "created"
    assert status["patient_ref"] == "his/4711"
    assert status["summary"] is None
    assert status["ended_at"] is None
    assert "王芳" not in str(status), "names go to the pages alone"


async def test_without_a_reference_the_patient_gets_a_pseudonym(clinic: Clinic) -> None:
    made = [await order(clinic) for _ in range(2)]
    refs = [
        (await clinic.api("GET", f"{PATH}/{m['consult_id']}")).json["patient_ref"] for m in made
    ]
    assert refs[0] != refs[1]
    assert all(ref.startswith("p_") for ref in refs)


async def test_a_booked_link_opens_ten_minutes_before_and_closes_fifteen_after(
    clinic: Clinic,
) -> None:
    starts_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    made = await order(clinic, starts_at=starts_at.isoformat())
    opens_at = datetime.fromisoformat(made["opens_at"])
    closes_at = datetime.fromisoformat(made["closes_at"])
    assert starts_at - opens_at == timedelta(minutes=10)
    assert closes_at - starts_at == timedelta(minutes=15)


async def test_an_order_may_say_nothing_at_all(clinic: Clinic) -> None:
    """A walk-in: the clinic asks who it is when the call opens."""
    for nothing in ({"json": {}}, {}):
        answer = await clinic.api("POST", PATH, **nothing)
        assert answer.status == 201
        assert answer.json["join_url"].startswith(f"{clinic.services.base_url}/join#")


REFUSED = [
    {"patient_name": ""},
    {"patient_name": "x" * 201},
    {"patient_name": "two\nlines"},
    {"patient_name": "x", "patient_ref": "Wang Fang"},
    {"patient_name": "x", "patient_ref": "x" * 129},
    {"patient_name": "x", "complaint": "x" * 501},
    {"patient_name": "x", "complaint": "nul \x00"},
    {"patient_name": "x", "physician_id": "\x00"},
    {"patient_name": "x", "physician_id": ""},
    {"patient_name": "x", "starts_at": "2030-01-01T10:00:00"},
    {"patient_name": "x", "starts_at": "tomorrow"},
    {"patient_name": "x", "starts_at": "9999-12-31T23:59:59Z"},
    {"patient_name": "x", "starts_at": "0001-01-01T00:00:00Z"},
    {"patient_name": "x", "starts_at": "2020-01-01T00:00:00Z"},
    {"patient_name": "x", "price": 1},
]


@pytest.mark.parametrize("body", REFUSED, ids=repr)
async def test_an_order_that_cannot_be_meant_is_refused(
    clinic: Clinic, body: dict[str, object]
) -> None:
    answer = await clinic.api("POST", PATH, json=body)
    assert answer.status == 422, answer.text
    assert answer.json["code"] in {"invalid_body", "starts_in_past"}


async def test_any_text_that_is_taken_comes_back_as_it_was(either: Clinic) -> None:
    """Emoji, right-to-left marks and line breaks: stored and shown, on both databases."""
    odd = "头晕\n三天 \u202e 😀 ' \" \\ <script>"
    made = await order(either, complaint=odd)
    async with either.services.storage.read() as conn:
        case = await store.load(conn, made["consult_id"], Clock())
    assert case is not None
    assert case.order.complaint == odd


async def test_an_unknown_physician_is_named(clinic: Clinic) -> None:
    body = {"patient_name": "x", "physician_id": "ph_else"}
    answer = await clinic.api("POST", PATH, json=body)
    assert "physician_id" in answer.problem(422, "unknown_physician")["detail"]


@pytest.mark.parametrize("consult_id", ["c_none", "x" * 5000, "%00", "c_%E0%80", "..%2f", "'--"])
async def test_a_consult_that_is_not_there_is_not_found(either: Clinic, consult_id: str) -> None:
    url = URL(f"{either.services.base_url}{PATH}/{consult_id}", encoded=True)
    headers = {"Authorization": f"Bearer {either.demo.api_key}"}
    async with either.http.get(url, headers=headers) as answer:
        assert answer.status == 404, await answer.text()


async def test_another_organization_s_consult_is_not_there(clinic: Clinic) -> None:
    """Whether it exists is told to nobody else: the answer is that of an unknown one."""
    made = await order(clinic)
    async with clinic.services.storage.write() as conn:
        await conn.execute(
            tables.organizations.insert().values(id="org_2", name="o", department="d", created_at=0)
        )
    key = await clinic.key("consults", organization="org_2")
    theirs = await clinic.api("GET", f"{PATH}/{made['consult_id']}", key)
    none = await clinic.api("GET", f"{PATH}/c_none", key)
    assert theirs.problem(404, "unknown_consult") == none.problem(404, "unknown_consult")
    body = {"patient_name": "x", "physician_id": "ph_demo"}
    (await clinic.api("POST", PATH, key, json=body)).problem(422, "unknown_physician")


async def test_orders_are_refused_while_the_server_ends(clinic: Clinic) -> None:
    clinic.services.site.desk.stop()
    answer = await clinic.api("POST", PATH, json={"patient_name": "x"})
    answer.problem(503, "draining")
    assert "Retry-After" in answer.headers


async def test_a_consult_s_own_limit_of_video_goes_with_it_into_the_call(either: Clinic) -> None:
    """A clinic in the country pays for its line by the megabyte; others do not."""
    limited = await order(either, max_video_kbps=300)
    free = await order(either)
    services = either.services
    found = []
    for made in (limited, free):
        async with services.storage.write() as conn:
            found.append((await services.calls._opened(conn, made["consult_id"])).max_video_bps)
    assert found == [300_000, 0]


@pytest.mark.parametrize("kbps", [0, 49, 20_001, "300", 1.5])
async def test_a_limit_of_video_that_cannot_be_meant_is_refused(clinic: Clinic, kbps: Any) -> None:
    body = {"patient_name": "王芳", "max_video_kbps": kbps}
    assert (await clinic.api("POST", PATH, json=body)).status == 422
