"""Signing in at the console over HTTP: one cookie that no script and no other site gets."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest
from sqlalchemy import select

from server import migrate, tables
from server.api.session import COOKIE, SECURE_COOKIE
from tests.server.clinic import Answer, Clinic, opened

PATH = "/api/v1/session"


async def sign_in(clinic: Clinic, username: str, password: str, **headers: str) -> Answer:
    body = {"username": username, "password": password}
    return await clinic.ask("POST", PATH, json=body, headers=headers)


async def signed_in(clinic: Clinic, **headers: str) -> Answer:
    answer = await sign_in(clinic, clinic.demo.username, clinic.demo.password, **headers)
    assert answer.status == 204, answer.text
    return answer


async def test_the_cookie_is_for_this_site_and_no_script(clinic: Clinic) -> None:
    """OWASP ASVS 5.0, 3.3. Plain HTTP is for localhost alone, so not Secure there."""
    cookie = (await signed_in(clinic)).cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert not cookie["secure"]
    assert int(cookie["max-age"]) == clinic.services.settings.session_s


async def test_behind_a_tls_proxy_the_cookie_is_bound_to_the_host(tmp_path: Path) -> None:
    """RFC 6265bis §4.1.3.2: a browser takes __Host- only with Secure, Path=/ and no Domain."""
    proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    async with opened(tmp_path, trusted_proxies=proxies) as clinic:
        answer = await signed_in(clinic, **{"X-Forwarded-Proto": "https"})
        cookie = answer.cookies[SECURE_COOKIE]
        assert cookie["secure"]
        assert (cookie["path"], cookie["domain"]) == ("/", "")
        who = await clinic.ask("GET", PATH, cookies={SECURE_COOKIE: cookie.value})
        assert who.status == 200


async def test_who_is_signed_in_until_they_sign_out(clinic: Clinic) -> None:
    cookies = {COOKIE: (await signed_in(clinic)).cookies[COOKIE].value}
    who = await clinic.ask("GET", PATH, cookies=cookies)
    assert who.json["physician"]["id"] == "ph_demo"
    assert set(who.json["physician"]) == {"id", "name", "title"}
    out = await clinic.ask("DELETE", PATH, cookies=cookies)
    assert out.status == 204
    assert all(out.cookies[name]["max-age"] == "0" for name in (COOKIE, SECURE_COOKIE))
    # the session is over on the server, whatever the browser keeps
    (await clinic.ask("GET", PATH, cookies=cookies)).problem(401, "signed_out")
    assert (await clinic.ask("DELETE", PATH, cookies=cookies)).status == 204


@pytest.mark.parametrize("value", ["", "x", "x" * 4000, "%00", "é"])
async def test_no_other_cookie_is_a_session(clinic: Clinic, value: str) -> None:
    headers = {"Cookie": f"{COOKIE}={value}"}
    (await clinic.ask("GET", PATH, headers=headers)).problem(401, "signed_out")
    (await clinic.ask("GET", PATH)).problem(401, "signed_out")


async def test_a_wrong_name_and_a_wrong_password_are_told_alike(clinic: Clinic) -> None:
    refused = [
        (await sign_in(clinic, clinic.demo.username, "wrong")).problem(401, "wrong_password"),
        (await sign_in(clinic, "nobody", "wrong")).problem(401, "wrong_password"),
    ]
    assert refused[0] == refused[1]
    rows = await clinic.audited("sign_in_refused")
    assert {row.actor for row in rows} == {"anonymous"}
    assert "nobody" not in repr(rows), "a name typed at sign-in is often a password"


async def test_signing_in_is_audited_by_id(clinic: Clinic) -> None:
    await signed_in(clinic)
    (row,) = await clinic.audited("sign_in")
    assert row.actor == "physician:ph_demo"


async def test_guessing_is_slowed_down(clinic: Clinic) -> None:
    """Ten tries at once for a name from an address, then one in five seconds."""
    answers = await asyncio.gather(*(sign_in(clinic, "nobody", "x") for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 2
    slowed = next(answer for answer in answers if answer.status == 429)
    slowed.problem(429, "too_many_sign_ins")
    assert 1 <= int(slowed.headers["Retry-After"]) <= 6


async def test_a_stranger_who_knows_a_name_does_not_lock_its_owner_out(tmp_path: Path) -> None:
    proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    async with opened(tmp_path, trusted_proxies=proxies) as clinic:
        for n in range(20):
            attacker = {"X-Forwarded-For": f"203.0.113.{n % 2}"}
            await sign_in(clinic, clinic.demo.username, "guess", **attacker)
        await signed_in(clinic, **{"X-Forwarded-For": "198.51.100.7"})


async def test_a_proxy_s_clients_are_slowed_down_one_by_one(tmp_path: Path) -> None:
    proxies = (ipaddress.ip_network("127.0.0.0/8"),)
    async with opened(tmp_path, trusted_proxies=proxies) as clinic:
        attacker = {"X-Forwarded-For": "203.0.113.9"}
        tries = (sign_in(clinic, f"nobody{n}", "x", **attacker) for n in range(32))
        answers = await asyncio.gather(*tries)
        assert [answer.status for answer in answers].count(429) == 2
        await signed_in(clinic, **{"X-Forwarded-For": "198.51.100.7"})


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "doctor"},
        {"username": "", "password": "x"},
        {"username": "doctor", "password": ""},
        {"username": "d" * 65, "password": "x"},
        {"username": "doctor", "password": "x" * 201},
        {"username": "doctor", "password": "x", "remember": True},
        {"username": ["doctor"], "password": "x"},
    ],
)
async def test_what_is_no_name_and_password_is_refused(
    clinic: Clinic, body: dict[str, object]
) -> None:
    (await clinic.ask("POST", PATH, json=body)).problem(422, "invalid_body")


async def test_no_text_a_browser_can_send_fails_inside(either: Clinic) -> None:
    """PostgreSQL takes no NUL; argon2 takes any bytes."""
    for text in ("\x00", "doctor\x00", "'; --", "李秀英", "\u202e", "😀" * 16):
        answer = await sign_in(either, text, text)
        assert answer.status in {401, 422, 429}, answer.text


async def test_the_token_of_a_session_is_nowhere_in_the_database(clinic: Clinic) -> None:
    token = (await signed_in(clinic)).cookies[COOKIE].value
    async with clinic.services.storage.read() as conn:
        rows = [
            tuple(row)
            for metadata in migrate.METADATA
            for table in metadata.sorted_tables
            for row in await conn.execute(select(table))
        ]
        sessions = (await conn.execute(select(tables.sessions))).all()
    assert len(sessions) == 1
    stored = repr(rows)
    for secret in (token, clinic.demo.password, clinic.demo.api_key, clinic.demo.patient_url[-43:]):
        assert secret not in stored
