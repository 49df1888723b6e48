"""What is pure of webhooks: signatures, when to try again, where messages may go."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from metering.chain import Head
from server.webhooks import signing
from server.webhooks.schedule import (
    DELAYS_S,
    GIVE_UP_MS,
    JITTER,
    LEAST_ATTEMPTS,
    LONGEST_MS,
    Outcome,
    Progress,
    after,
    wait_ms,
)
from server.webhooks.targets import MAX_URL, UrlRefused, allowed, check_url

NOW_MS = 1_800_000_000_000
FAILED, DELIVERED = Outcome(500, "status"), Outcome(204, None)
HEAD = Head(7, "a" * 64, "2026-11-24T23:00:00.000Z")


# --- signatures ---------------------------------------------------------------------------------


@given(st.binary(min_size=24, max_size=64), st.integers(0, 4_000_000_000), st.text(max_size=50))
def test_every_signature_is_the_one_of_the_standard_s_library(
    raw: bytes, at_s: int, body: str
) -> None:
    """Also of bodies that are not ASCII: what is signed is bytes."""
    sent = body.encode(errors="replace")
    mine = signing.sign(signing.secret_of(raw), "msg_1", at_s, sent)
    theirs = Webhook(signing.secret_of(raw)).sign(
        "msg_1", datetime.fromtimestamp(at_s, UTC), sent.decode()
    )
    assert mine == theirs


def test_a_message_is_signed_with_each_secret() -> None:
    secrets = [signing.secret_of(bytes([n]) * 32) for n in (1, 2)]
    sent = signing.headers(secrets, "msg_1", 1_800_000_000, b"{}")
    assert sent["webhook-signature"].split(" ") == [
        signing.sign(one, "msg_1", 1_800_000_000, b"{}") for one in secrets
    ]
    assert sent["webhook-timestamp"] == "1800000000"


def test_a_secret_has_the_form_and_the_length_of_the_standard() -> None:
    """24 to 64 bytes, base64, with a prefix."""
    secret = signing.secret_of(bytes(signing.SECRET_BYTES))
    assert secret.startswith("whsec_")
    assert 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64


def test_the_same_news_has_the_same_id_and_body() -> None:
    """So that a receiver can tell a repetition, also after a restart of the sender."""
    assert signing.message_id("wh_1", 7) == signing.message_id("wh_1", 7)
    assert len({signing.message_id(*of) for of in (("wh_1", 7), ("wh_1", 8), ("wh_2", 7))}) == 3
    body = signing.available("org_1", HEAD)
    assert body == signing.available("org_1", HEAD)
    assert body == (
        b'{"type":"records.available","timestamp":"2026-11-24T23:00:00.000Z","data":'
        b'{"organization_id":"org_1","settled_through_seq":7,"head_hash":"' + b"a" * 64 + b'"}}'
    )


# --- when to try again --------------------------------------------------------------------------


def failures(chance: float) -> list[tuple[int, Progress]]:
    """An endpoint that always fails, tried when it is due: when, and what came of it."""
    now_ms, progress = NOW_MS, Progress()
    tried = []
    while progress.disabled_reason is None:
        progress = after(progress, FAILED, now_ms, chance)
        tried.append((now_ms, progress))
        if progress.next_attempt_at is not None:
            now_ms = progress.next_attempt_at
    return tried


@given(st.floats(0, 1))
def test_an_endpoint_that_fails_is_tried_ever_more_rarely_and_given_up_after_three_days(
    chance: float,
) -> None:
    tried = failures(chance)
    times = [at for at, _ in tried]
    assert times[-1] == NOW_MS + GIVE_UP_MS
    assert tried[-1][1].disabled_reason == "failing"
    assert len(tried) >= LEAST_ATTEMPTS
    waits = [later - earlier for earlier, later in pairwise(times)]
    for number, waited in enumerate(waits[:-1]):
        nominal = DELAYS_S[min(number, len(DELAYS_S) - 1)] * 1000
        assert nominal * (1 - JITTER) - 1 <= waited <= nominal * (1 + JITTER) + 1
    assert max(waits) <= LONGEST_MS


@given(
    attempt=st.integers(0, 100),
    since=st.none() | st.integers(NOW_MS - 10 * GIVE_UP_MS, NOW_MS + 10 * GIVE_UP_MS),
    chance=st.floats(0, 1),
    status=st.none() | st.integers(100, 599),
)
def test_each_attempt_ends_in_one_of_three_ways(
    attempt: int, since: int | None, chance: float, status: int | None
) -> None:
    """Whatever the clock did: told, tried again within the longest delay, or given up."""
    good = status is not None and 200 <= status < 300
    outcome = Outcome(status, None if good else "status")
    found = after(Progress(attempt, since, NOW_MS), outcome, NOW_MS, chance)
    if good:
        assert found == Progress()
    elif status == 410:
        assert (found.disabled_reason, found.next_attempt_at) == ("gone", None)
    elif found.disabled_reason is None:
        assert found.next_attempt_at is not None
        assert NOW_MS < found.next_attempt_at <= NOW_MS + LONGEST_MS
        assert found.attempt == attempt + 1
    else:
        assert found.disabled_reason == "failing"
        assert found.attempt >= LEAST_ATTEMPTS


def test_a_clock_that_jumps_a_year_gives_up_nobody_who_was_hardly_tried() -> None:
    once = after(Progress(), FAILED, NOW_MS, 0.5)
    again = after(once, FAILED, NOW_MS + 365 * 24 * 3_600_000, 0.5)
    assert again.disabled_reason is None
    assert after(again, DELIVERED, NOW_MS, 0.5) == Progress()


def test_a_clock_that_was_set_back_delays_nothing_for_long() -> None:
    assert wait_ms(None, NOW_MS) == wait_ms(NOW_MS, NOW_MS) == wait_ms(NOW_MS - 1, NOW_MS) == 0
    assert wait_ms(NOW_MS + 5, NOW_MS) == 5
    assert wait_ms(NOW_MS + LONGEST_MS, NOW_MS) == LONGEST_MS
    assert wait_ms(NOW_MS + LONGEST_MS + 1, NOW_MS) == 0


# --- where messages may go ----------------------------------------------------------------------

NOT_GLOBAL = [
    "127.0.0.1", "127.8.8.8", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "192.0.2.1", "240.0.0.1", "::1", "fc00::1", "fd12::1", "2001:db8::1", "::ffff:10.0.0.1",
    "::ffff:127.0.0.1", "64:ff9b::10.0.0.1", "::10.0.0.1", "2002:a00:1::1",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0", "224.0.0.1", "ff02::1",
    "::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "name", "", "1", "127.1", "[::1]",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_GLOBAL)
def test_addresses_of_private_networks_need_the_setting(address: str) -> None:
    assert not allowed(address, private=False)
    assert allowed(address, private=True)


@pytest.mark.parametrize("address", NEVER)
def test_some_addresses_are_never_a_receiver(address: str) -> None:
    """Clouds give the machine's credentials away at 169.254.169.254."""
    assert not allowed(address, private=False)
    assert not allowed(address, private=True)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111"])
def test_public_addresses_are_allowed(address: str) -> None:
    assert allowed(address, private=False)
    assert allowed(address, private=True)


@given(st.ip_addresses())
def test_only_global_addresses_are_allowed_without_the_setting(address: object) -> None:
    if allowed(str(address), private=False):
        assert getattr(address, "is_global")  # noqa: B009
        assert not getattr(address, "is_multicast")  # noqa: B009


@pytest.mark.parametrize(
    "text",
    [
        "https://billing.example/hook",
        "https://billing.example:8443/hook?tenant=4",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]/x",
        "https://2130706433/",  # a name until it is resolved, and looked at then
    ],
)
def test_a_plain_https_url_is_taken(text: str) -> None:
    assert check_url(text, private=False).scheme == "https"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "http://billing.example/hook",
        "ftp://billing.example/",
        "file:///etc/passwd",
        "billing.example",
        "https://",
        "https:///hook",
        "https://user@billing.example/",
        "https://user:password@billing.example/",
        "https://:password@billing.example/",
        "https://billing.example/#x",
        "https://billing.example/#",
        "https://billing.example:0/",
        "https://billing.example:65536/",
        "https://billing.example:port/",
        "https://billing.example/a b",
        "https://billing.example/\r\nX: y",
        "https://billing.example/\x00",
        "https://账单.example/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://[::ffff:127.0.0.1]/",
        "https://169.254.169.254/latest/meta-data",
        "https://billing.example/" + "x" * MAX_URL,
    ],
)
def test_any_other_url_is_refused(text: str) -> None:
    with pytest.raises(UrlRefused) as refused:
        check_url(text, private=False)
    assert "password@" not in str(refused.value)


@given(st.text(max_size=60), st.booleans())
def test_no_text_is_too_strange_to_be_refused(text: str, private: bool) -> None:
    for given_url in (text, "https://" + text):
        try:
            url = check_url(given_url, private=private)
        except UrlRefused:
            continue
        assert url.host
        assert url.port


def test_with_the_setting_http_and_private_addresses_are_taken() -> None:
    assert check_url("http://10.0.0.7:8080/hook", private=True).port == 8080
    with pytest.raises(UrlRefused):
        check_url("http://169.254.169.254/", private=True)
