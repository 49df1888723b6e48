"""Endpoints over HTTP: what a billing system does with them, and what it may not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert
from yarl import URL

from server import tables
from server.accounts import SCOPES
from server.api import webhooks as api
from server.webhooks.store import MAX_ENDPOINTS
from tests.server import entries
from tests.server.clinic import Clinic, opened
from tests.server.party import finished, in_call
from tests.server.receiver import Receiver, receiving, says
from tests.server.test_health import families

PATH = "/api/v1/webhooks"
PUBLIC = "https://billing.invalid/hook"
ADJUSTMENTS = "/api/v1/adjustments"


@pytest.fixture
async def private(database_url: str, tmp_path: Path) -> AsyncIterator[Clinic]:
    """A running process on each kind of database whose webhooks may go to loopback."""
    async with opened(tmp_path, database_url=database_url, webhook_private=True) as running:
        yield running


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening


async def create(clinic: Clinic, url: str = PUBLIC, key: str | None = None) -> dict[str, Any]:
    answer = await clinic.api("POST", PATH, key, json={"url": url})
    assert answer.status == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


async def correct(clinic: Clinic, record: Any, key: str = "k1") -> None:
    body = {"corrects": record["record_id"], "kind": "void", "reason": "r", "actor": "a"}
    answer = await clinic.api("POST", ADJUSTMENTS, json=body, headers={"Idempotency-Key": key})
    assert answer.status == 201, answer.text


async def test_a_new_record_wakes_the_receiver_at_once(private: Clinic, receiver: Receiver) -> None:
    """Named, told, and what is said agrees with the feed."""
    async with private.services.storage.write() as conn:
        (appended,) = await entries.append(conn, 1)
    made = await create(private, receiver.url)
    await correct(private, appended.record)
    message = await receiver.next()
    data = message.verified(made["secret"])["data"]
    page = (await private.api("GET", "/api/v1/records")).json
    assert data["settled_through_seq"] == page["settled_through_seq"] == 2
    assert data["head_hash"] == page["head_hash"]
    await private.services.webhooks._tasks.ended(5)
    shown = (await private.api("GET", f"{PATH}/{made['id']}")).json
    assert (shown["delivered_through_seq"], shown["last_status"]) == (2, 204)
    assert shown["last_delivered_at"] == shown["last_attempt_at"] is not None


async def test_the_end_of_a_call_wakes_the_receiver(tmp_path: Path, receiver: Receiver) -> None:
    """A real call, from both pages' media to the message; nothing is polled."""
    async with opened(tmp_path, webhook_private=True) as clinic:
        made = await create(clinic, receiver.url)
        async with in_call(clinic) as (_, physician):
            record = await finished(clinic, physician)
            message = await receiver.next()
        data = message.verified(made["secret"])["data"]
        assert (data["settled_through_seq"], data["head_hash"]) == (1, record["hash"])


async def test_the_secret_is_shown_once(either: Clinic) -> None:
    made = await create(either)
    assert made["secret"].startswith("whsec_")
    for path in (PATH, f"{PATH}/{made['id']}"):
        answer = await either.api("GET", path)
        assert answer.status == 200
        assert "whsec_" not in answer.text
        assert made["secret"][6:] not in answer.text
    api.WebhookCreated.model_validate(made)
    listed = await either.api("GET", PATH)
    (one,) = api.Webhooks.model_validate_json(listed.text).data
    assert one.model_dump() == {name: made[name] for name in api.Webhook.model_fields}
    assert (one.url, one.attempt, one.disabled_at) == (PUBLIC, 0, None)


async def test_a_secret_is_replaced_and_both_sign_for_a_day(
    private: Clinic, receiver: Receiver
) -> None:
    made = await create(private, receiver.url)
    answer = await private.api("POST", f"{PATH}/{made['id']}/rotate")
    rotated = api.WebhookRotated.model_validate_json(answer.text)
    assert rotated.secret != made["secret"]
    tested = await private.api("POST", f"{PATH}/{made['id']}/test")
    assert tested.json["delivered"], tested.text
    message = await receiver.next()
    assert message.verified(made["secret"]) == message.verified(rotated.secret)


async def test_a_test_says_what_happened_and_changes_nothing(
    private: Clinic, receiver: Receiver
) -> None:
    made = await create(private, receiver.url)
    path = f"{PATH}/{made['id']}"
    before = (await private.api("GET", path)).json
    told = api.WebhookTested.model_validate_json((await private.api("POST", path + "/test")).text)
    assert (told.delivered, told.status, told.error) == (True, 204, None)
    content = (await receiver.next()).verified(made["secret"])
    assert content["type"] == "webhook.test"
    assert content["data"]["webhook_id"] == made["id"]
    receiver.answer = says(410)
    told = api.WebhookTested.model_validate_json((await private.api("POST", path + "/test")).text)
    assert (told.delivered, told.status, told.error) == (False, 410, "status")
    assert (await private.api("GET", path)).json == before
    answers = [await private.api("POST", path + "/test") for _ in range(4)]
    limited = answers[-1].problem(429, "too_many")
    assert limited
    assert int(answers[-1].headers["Retry-After"]) >= 1


async def test_what_was_given_up_is_enabled_again(private: Clinic, receiver: Receiver) -> None:
    receiver.answer = says(410)
    made = await create(private, receiver.url)
    async with private.services.storage.write() as conn:
        (appended,) = await entries.append(conn, 1)
    await correct(private, appended.record)
    await receiver.next()
    await private.services.webhooks._tasks.ended(5)
    gone = (await private.api("GET", f"{PATH}/{made['id']}")).json
    assert (gone["disabled_reason"], gone["last_error"]) == ("gone", "status")
    receiver.answer = says(200)
    enabled = await private.api("POST", f"{PATH}/{made['id']}/enable")
    assert (enabled.json["disabled_at"], enabled.json["attempt"]) == (None, 0)
    assert (await receiver.next()).seq == 2


async def test_an_endpoint_is_removed(either: Clinic) -> None:
    made = await create(either)
    answer = await either.api("DELETE", f"{PATH}/{made['id']}")
    assert (answer.status, answer.text) == (204, "")
    (await either.api("DELETE", f"{PATH}/{made['id']}")).problem(404, "unknown_webhook")
    assert (await either.api("GET", PATH)).json == {"data": []}


async def test_there_are_ten_endpoints_at_most_also_when_asked_for_at_once(either: Clinic) -> None:
    urls = [f"{PUBLIC}/{n}" for n in range(MAX_ENDPOINTS + 5)]
    answers = await asyncio.gather(*(either.api("POST", PATH, json={"url": url}) for url in urls))
    assert sorted(answer.status for answer in answers) == [201] * MAX_ENDPOINTS + [409] * 5
    refused = next(answer for answer in answers if answer.status == 409)
    refused.problem(409, "too_many_webhooks")


async def test_the_same_url_is_one_endpoint(either: Clinic) -> None:
    await create(either)
    again = await either.api("POST", PATH, json={"url": PUBLIC})
    again.problem(409, "webhook_exists")


@pytest.mark.parametrize(
    "url",
    [
        "http://billing.invalid/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://localhost/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest",
        "https://u:p@billing.invalid/",
        "https://billing.invalid/#x",
        "https://billing.invalid:99999/",
    ],
)
async def test_a_url_that_leads_inside_is_refused(clinic: Clinic, url: str) -> None:
    problem = (await clinic.api("POST", PATH, json={"url": url})).problem(
        422, "webhook_url_refused"
    )
    assert url not in problem["detail"]
    assert (await clinic.api("GET", PATH)).json == {"data": []}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"url": None},
        {"url": 1},
        {"url": ""},
        {"url": "https://"},
        {"url": "https://é.example/"},
        {"url": "https://x.example/\x00"},
        {"url": "https://x.example/\n"},
        {"url": "https://x.example/" + "x" * 1000},
        {"url": PUBLIC, "secret": "whsec_AAAA"},
        [],
    ],
    ids=repr,
)
async def test_a_body_that_is_none_is_refused(either: Clinic, body: Any) -> None:
    (await either.api("POST", PATH, json=body)).problem(422, "invalid_body")


ON_ONE = [
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/rotate"),
    ("POST", "/enable"),
    ("POST", "/test"),
]


@pytest.mark.parametrize(("method", "more"), ON_ONE)
async def test_an_endpoint_of_others_does_not_exist(either: Clinic, method: str, more: str) -> None:
    row = {"name": "o", "department": "d", "created_at": 0}
    async with either.services.storage.write() as conn:
        await conn.execute(insert(tables.organizations).values(id="org_other", **row))
    key = await either.key(*SCOPES, organization="org_other")
    theirs = await create(either, PUBLIC, key)
    for webhook_id in (theirs["id"], "wh_none", "x" * 200):
        answer = await either.api(method, f"{PATH}/{webhook_id}{more}")
        answer.problem(404, "unknown_webhook")
    headers = {"Authorization": f"Bearer {either.demo.api_key}"}
    for webhook_id in ("%00", "%FF"):
        url = URL(f"{either.services.base_url}{PATH}/{webhook_id}{more}", encoded=True)
        async with either.http.request(method, url, headers=headers) as answered:
            assert answered.status in {404, 429}
    assert (await either.api("GET", PATH)).json == {"data": []}
    assert (await either.api("GET", f"{PATH}/{theirs['id']}", key)).status == 200


async def test_a_key_without_the_scope_is_refused(clinic: Clinic) -> None:
    key = await clinic.key(*(SCOPES - {"webhooks"}))
    on_one = [(method, f"{PATH}/wh_1{more}") for method, more in ON_ONE]
    for method, path in [("GET", PATH), ("POST", PATH), *on_one]:
        (await clinic.api(method, path, key)).problem(403, "scope_missing")


async def test_who_changed_an_endpoint_is_in_the_audit_log(clinic: Clinic) -> None:
    made = await create(clinic)
    for method, more in (("POST", "/rotate"), ("POST", "/enable"), ("DELETE", "")):
        await clinic.api(method, f"{PATH}/{made['id']}{more}")
    for action in ("created", "rotated", "enabled", "deleted"):
        (row,) = await clinic.audited(f"webhook_{action}")
        assert row.actor.startswith("key:key_")
        assert row.detail == made["id"]


async def test_metrics_tell_what_became_of_the_messages(
    private: Clinic, receiver: Receiver
) -> None:
    before = await families(private)
    assert before["wenzhen_webhook_oldest_seconds"] == before["wenzhen_webhooks_disabled"] == 0
    receiver.answer = says(500)
    async with private.services.storage.write() as conn:
        (appended,) = await entries.append(conn, 1)
    await create(private, receiver.url)
    await correct(private, appended.record)
    await receiver.next()
    await private.services.webhooks._tasks.ended(5)
    after = await families(private)
    assert after["wenzhen_webhook_attempts_total{status}"] == 1
    assert 0 < after["wenzhen_webhook_oldest_seconds"] < 60
