"""A clinic's prices over HTTP: set, listed, chosen for new consults, frozen for all others."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from metering.tariff import make_tariff
from server import tables
from server.clock import Clock
from server.demo import ORGANIZATION, PHYSICIAN, TARIFF
from signaling import store, views
from tests.server.clinic import Answer, Clinic

PATH = "/api/v1/tariffs"
DEARER = {"voice_fen_per_min": 2000, "video_fen_per_min": 3000, "platform_share": 0.07}
OWN = {"voice_fen_per_min": 5000, "video_fen_per_min": 6000}


async def change(clinic: Clinic, tariff: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await clinic.api("POST", PATH, json={"tariff": tariff, **more})
    assert answer.status == 201, answer.text
    made: dict[str, Any] = answer.json
    return made


async def listed(clinic: Clinic, query: str = "") -> list[dict[str, Any]]:
    answer = await clinic.api("GET", PATH + query)
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json["data"]
    return found


async def ordered(clinic: Clinic, **more: Any) -> dict[str, Any]:
    """The tariff that a new consult is ordered with."""
    answer = await clinic.api("POST", "/api/v1/consults", json=more)
    assert answer.status == 201, answer.text
    return await frozen(clinic, answer.json["consult_id"])


async def frozen(clinic: Clinic, consult_id: str) -> dict[str, Any]:
    async with clinic.services.storage.read() as conn:
        case = await store.load(conn, consult_id, Clock())
    assert case is not None
    tariff: dict[str, Any] = json.loads(case.order.tariff)
    assert make_tariff(tariff).digest == case.order.tariff_digest
    return tariff


def ahead(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


async def test_a_new_version_is_in_force_at_once_and_replaces_the_other(either: Clinic) -> None:
    made = await change(either, DEARER)
    assert made["standing"] == "in_force"
    assert made["tariff"]["platform_share"] == "0.07"
    assert made["digest"] == make_tariff(DEARER).digest
    assert made["created_by"].startswith("key:")
    first, second = await listed(either)
    assert (first["number"], first["standing"]) == (1, "replaced")
    assert first["tariff"] == make_tariff(TARIFF).as_dict()
    assert second == made
    assert (await either.api("GET", f"{PATH}/{made['id']}")).json == made


async def test_an_order_has_the_prices_of_its_day(either: Clinic) -> None:
    """Booked for next week at the prices of next week, today at those of today."""
    await change(either, DEARER, valid_from=ahead(days=7))
    await change(either, OWN, physician_id=PHYSICIAN, valid_from=ahead(days=9))
    first, dearer, own = await listed(either)
    stands = [first["standing"], dearer["standing"], own["standing"]]
    assert stands == ["in_force", "scheduled", "scheduled"]
    for tariff, more in (
        (TARIFF, {}),
        (TARIFF, {"physician_id": PHYSICIAN}),
        (TARIFF, {"starts_at": ahead(days=6)}),
        (DEARER, {"starts_at": ahead(days=8)}),
        (DEARER, {"starts_at": ahead(days=8), "physician_id": PHYSICIAN}),
        (DEARER, {"starts_at": ahead(days=10)}),
        (OWN, {"starts_at": ahead(days=10), "physician_id": PHYSICIAN}),
    ):
        assert await ordered(either, **more) == make_tariff(tariff).as_dict(), more


async def test_a_change_leaves_what_is_ordered_alone(either: Clinic) -> None:
    """The patient agrees to what was ordered; a clinic cannot change that behind their back."""
    made = (await either.api("POST", "/api/v1/consults", json={})).json
    before = await frozen(either, made["consult_id"])
    await change(either, DEARER)
    assert await frozen(either, made["consult_id"]) == before == make_tariff(TARIFF).as_dict()
    assert await ordered(either) == make_tariff(DEARER).as_dict()


async def test_the_patient_is_shown_what_comes_on_top_and_what_an_insurer_pays(
    clinic: Clinic,
) -> None:
    """Nobody agrees to a price that is not all of it."""
    shares = {"platform_share": 0.07, "insurer_base_fen": 2000}
    for more, shown in (
        ({}, ("0", 0)),
        ({"fee_bearer": "patient"}, ("0.07", 0)),
        ({"channel": "public_hospital"}, ("0", 2000)),
    ):
        await change(clinic, DEARER | shares | more)
        made = (await clinic.api("POST", "/api/v1/consults", json={})).json
        async with clinic.services.storage.read() as conn:
            case = await store.load(conn, made["consult_id"], Clock())
        assert case is not None
        price = views.price(case)
        assert (price.fee_on_top, price.insurer_base_fen) == shown


async def test_a_late_clock_sets_prices_from_now_on(clinic: Clinic) -> None:
    made = await change(clinic, DEARER, valid_from=ahead(seconds=-30))
    assert made["valid_from"] == made["created_at"]
    answer = await clinic.api("POST", PATH, json={"tariff": OWN, "valid_from": ahead(minutes=-2)})
    answer.problem(422, "valid_from_past")
    assert len(await listed(clinic)) == 2


async def test_every_change_is_in_the_audit_log(either: Clinic) -> None:
    made = await change(either, DEARER, physician_id=PHYSICIAN)
    rows = await either.audited("tariff_set")
    found = {row.actor: row.detail for row in rows}
    assert set(found) == {"demo", made["created_by"]}
    assert found[made["created_by"]].startswith(f"{made['id']} of {PHYSICIAN} from ")


async def test_changes_at_once_are_numbered_one_after_the_other(either: Clinic) -> None:
    """Two managers press the button together: both versions are there, one of them is newer."""
    await asyncio.gather(*(change(either, DEARER) for _ in range(8)))
    assert [one["number"] for one in await listed(either)] == list(range(1, 10))
    assert [one["standing"] for one in await listed(either)].count("in_force") == 1


async def test_the_list_has_pages_and_a_filter(clinic: Clinic) -> None:
    for physician_id in (None, PHYSICIAN, PHYSICIAN):
        await change(clinic, OWN, physician_id=physician_id)
    found, after, more = [], 0, True
    while more:
        page = (await clinic.api("GET", f"{PATH}?limit=3&after={after}")).json
        found += page["data"]
        after, more = page["next_after"], page["has_more"]
    assert found == await listed(clinic)
    own = await listed(clinic, f"?physician_id={PHYSICIAN}")
    assert [one["number"] for one in own] == [3, 4]
    assert await listed(clinic, "?physician_id=ph_none") == []


REFUSED: list[dict[str, Any]] = [
    {},
    {"tariff": None},
    {"tariff": []},
    {"tariff": {"voice_fen_per_min": 1}},
    {"tariff": DEARER | {"voice_fen_per_min": -1}},
    {"tariff": DEARER | {"voice_fen_per_min": 10**30}},
    {"tariff": DEARER | {"voice_fen_per_min": 1.0}},
    {"tariff": DEARER | {"currency": "ABC"}},
    {"tariff": DEARER | {"currency": "元\x00"}},
    {"tariff": DEARER | {"minimum_fen": 5, "cap_fen": 4}},
    {"tariff": DEARER | {"surcharge": 1}},
    {"tariff": DEARER, "physician_id": ""},
    {"tariff": DEARER, "physician_id": "\x00"},
    {"tariff": DEARER, "valid_from": "2030-01-01T10:00:00"},
    {"tariff": DEARER, "valid_from": "9999-12-31T23:59:59Z"},
    {"tariff": DEARER, "valid_from": "0001-01-01T00:00:00Z"},
    {"tariff": DEARER, "valid_from": -1e300},
    {"tariff": DEARER, "extra": 1},
]


@pytest.mark.parametrize("body", REFUSED, ids=repr)
async def test_prices_that_cannot_be_meant_are_refused(clinic: Clinic, body: Any) -> None:
    (await clinic.api("POST", PATH, json=body)).problem(422, "invalid_body")
    assert len(await listed(clinic)) == 1


@pytest.mark.parametrize(
    ("text", "status", "code"),
    [
        ("{", 400, "malformed_json"),
        ("[" * 30_000, 400, "malformed_json"),
        ("9" * 9_000, 400, "malformed_json"),
        ('{"tariff": {"voice_fen_per_min": 1, "voice_fen_per_min": 2}}', 422, "invalid_body"),
        ('{"physician_id": "\\ud800"}', 422, "invalid_body"),
        ('"tariff"', 422, "invalid_body"),
        ("NaN", 422, "invalid_body"),
    ],
)
async def test_a_text_that_is_no_price_list_is_refused(
    clinic: Clinic, text: str, status: int, code: str
) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await clinic.api("POST", PATH, data=text.encode(), headers=headers)
    answer.problem(status, code)


async def test_a_share_is_taken_as_it_is_written(clinic: Clinic) -> None:
    """Not as the nearest binary fraction: 0.1234567 is refused, never cut."""
    headers = {"Content-Type": "application/json"}

    async def sent(share: str) -> Answer:
        text = '{"tariff": {"voice_fen_per_min": 1, "video_fen_per_min": 2, "platform_share": %s}}'
        return await clinic.api("POST", PATH, data=(text % share).encode(), headers=headers)

    assert (await sent("0.123456")).json["tariff"]["platform_share"] == "0.123456"
    (await sent("0.12345600000000000000000000001")).problem(422, "invalid_body")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid_limit"), ("limit=1001", "invalid_limit"), ("limit=", "invalid_limit"),
        ("limit=%D9%A1", "invalid_limit"), ("limit=-1", "invalid_limit"),
        ("after=-1", "invalid_query"), ("after=99999999999", "invalid_query"),
        ("after=2147483648", "invalid_query"), ("physician_id=%00", "invalid_query"),
        ("physician_id=", "invalid_query"), ("limit=1&limit=2", "invalid_query"),
        ("surprise=1", "invalid_query"),
    ],
)  # fmt: skip
async def test_a_list_that_cannot_be_meant_is_refused(
    clinic: Clinic, query: str, code: str
) -> None:
    (await clinic.api("GET", f"{PATH}?{query}")).problem(422, code)


@pytest.mark.parametrize("version_id", ["tar_none", "x" * 500, "%00", "'--"])
async def test_a_version_that_is_not_there_is_not_found(either: Clinic, version_id: str) -> None:
    (await either.api("GET", f"{PATH}/{version_id}")).problem(404, "unknown_tariff")


async def test_prices_are_the_organization_s_own(either: Clinic) -> None:
    """Another clinic sees none of them, cannot price its physicians, and has none to begin with."""
    async with either.services.storage.write() as conn:
        await conn.execute(
            tables.organizations.insert().values(id="org_2", name="o", department="d", created_at=0)
        )
    key = await either.key("tariffs", "consults", organization="org_2")
    (mine,) = await listed(either)
    assert (await either.api("GET", PATH, key)).json["data"] == []
    (await either.api("GET", f"{PATH}/{mine['id']}", key)).problem(404, "unknown_tariff")
    body = {"tariff": OWN, "physician_id": PHYSICIAN}
    (await either.api("POST", PATH, key, json=body)).problem(422, "unknown_physician")
    (await either.api("POST", "/api/v1/consults", key, json={})).problem(422, "no_prices")
    assert (await either.api("POST", PATH, key, json={"tariff": OWN})).json["number"] == 1
    assert (await either.api("POST", "/api/v1/consults", key, json={})).status == 201


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_prices_need_a_scope_of_their_own(clinic: Clinic, method: str) -> None:
    key = await clinic.key("consults", "records")
    (await clinic.api(method, PATH, key, json={"tariff": OWN})).problem(403, "scope_missing")
    assert [row.detail for row in await clinic.audited("scope_refused")] == ["tariffs"]
    assert [one["number"] for one in await listed(clinic)] == [1]
    assert (await clinic.audited("tariff_set"))[0].actor == "demo"
    assert ORGANIZATION not in str(await listed(clinic))
