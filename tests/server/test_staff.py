"""Accountants and administrators: their accounts, their sessions, what they may do with them."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import func, select

from server import tables
from server.accounts import SCOPES
from server.api.operation import STAFF_COOKIE
from server.demo import ORGANIZATION, STAFF_USERNAME
from server.errors import StaffRefused, StaffUnknown
from server.staff import ROLES, NewMember, StaffMember
from tests.server import entries
from tests.server.clinic import Answer, Clinic, opened

COMMAND = Path(sys.executable).parent / "wenzhen"
PATH = "/api/v1/staff/session"
PASSWORD = "correct horse battery"
RECORDS = "/api/v1/records"


async def sign_in(clinic: Clinic, username: str, password: str, **headers: str) -> Answer:
    body = {"username": username, "password": password}
    return await clinic.ask("POST", PATH, json=body, headers=headers)


async def cookies_of(clinic: Clinic, username: str, password: str) -> dict[str, str]:
    answer = await sign_in(clinic, username, password)
    assert answer.status == 204, answer.text
    return {STAFF_COOKIE.name: answer.cookies[STAFF_COOKIE.name].value}


async def accountant(clinic: Clinic) -> dict[str, str]:
    return await cookies_of(clinic, STAFF_USERNAME, clinic.demo.password)


async def add(clinic: Clinic, username: str, role: str = "accountant") -> StaffMember:
    new = NewMember(ORGANIZATION, username, "王会计", role)
    return await clinic.services.staff.add(new, PASSWORD)


async def test_the_demo_s_accountant_signs_in_and_out(either: Clinic) -> None:
    cookies = await accountant(either)
    who = (await either.ask("GET", PATH, cookies=cookies)).json
    assert (who["staff"]["role"], who["organization"]["id"]) == ("accountant", ORGANIZATION)
    assert who["staff"]["scopes"] == ["adjust", "records"]
    assert who["timezone"] == "Asia/Shanghai"
    own = {"Origin": either.services.base_url}
    assert (await either.ask("DELETE", PATH, cookies=cookies, headers=own)).status == 204
    (await either.ask("GET", PATH, cookies=cookies)).problem(401, "signed_out")
    (await either.ask("GET", RECORDS, cookies=cookies)).problem(401, "key_missing")
    for action in ("sign_in", "sign_out"):
        assert [row.actor for row in await either.audited(action)] == ["staff:staff_demo"]


async def test_the_cookie_is_for_this_site_and_no_script(clinic: Clinic) -> None:
    answer = await sign_in(clinic, STAFF_USERNAME, clinic.demo.password)
    cookie = answer.cookies[STAFF_COOKIE.name]
    assert cookie["httponly"]
    assert (cookie["samesite"], cookie["path"], cookie["domain"]) == ("Strict", "/", "")


async def test_a_session_is_stored_as_its_digest_alone(clinic: Clinic) -> None:
    (token,) = (await accountant(clinic)).values()
    async with clinic.services.storage.read() as conn:
        rows = [tuple(row) for row in await conn.execute(select(tables.staff_sessions))]
        people = [tuple(row) for row in await conn.execute(select(tables.staff))]
    assert len(rows) == 1
    assert token not in repr(rows)
    assert clinic.demo.password not in repr(people)
    assert "$argon2id$" in repr(people)


async def test_physicians_and_staff_are_no_names_of_each_other(clinic: Clinic) -> None:
    demo = clinic.demo
    (await sign_in(clinic, demo.username, demo.password)).problem(401, "wrong_password")
    body = {"username": STAFF_USERNAME, "password": demo.password}
    (await clinic.ask("POST", "/api/v1/session", json=body)).problem(401, "wrong_password")
    (await sign_in(clinic, STAFF_USERNAME, "wrong")).problem(401, "wrong_password")


async def test_guessing_is_slowed_down(clinic: Clinic) -> None:
    answers = await asyncio.gather(*(sign_in(clinic, "nobody", "x") for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [401] * 10 + [429] * 2


async def test_a_session_does_what_a_key_with_the_scopes_of_its_role_does(clinic: Clinic) -> None:
    async with clinic.services.storage.write() as conn:
        (one,) = await entries.append(conn, 1)
    cookies = await accountant(clinic)
    by_key = await clinic.api("GET", RECORDS)
    assert (await clinic.ask("GET", RECORDS, cookies=cookies)).text == by_key.text
    record_id = one.record["record_id"]
    assert (await clinic.ask("GET", f"{RECORDS}/{record_id}", cookies=cookies)).status == 200
    details = [row.detail for row in await clinic.audited("staff_request")]
    assert f"GET {RECORDS}/{{record_id}} {record_id}" in details


async def test_an_accountant_orders_no_consult_and_an_administrator_does(clinic: Clinic) -> None:
    own = {"Origin": clinic.services.base_url}
    path, order = "/api/v1/consults", {"patient_name": "x"}
    cookies = await accountant(clinic)
    refused = await clinic.ask("POST", path, json=order, cookies=cookies, headers=own)
    refused.problem(403, "scope_missing")
    (row,) = await clinic.audited("scope_refused")
    assert (row.actor, row.detail) == ("staff:staff_demo", "consults")
    await add(clinic, "chief", "admin")
    cookies = await cookies_of(clinic, "chief", PASSWORD)
    assert (await clinic.ask("POST", path, json=order, cookies=cookies, headers=own)).status == 201
    assert ROLES["admin"] == SCOPES


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Origin": "own"}, 201),
        ({"Sec-Fetch-Site": "same-site", "Origin": "own"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({}, 403),
    ],
)
async def test_what_changes_something_is_for_pages_of_this_origin(
    clinic: Clinic, headers: dict[str, str], status: int
) -> None:
    """Clinics put other software on sibling hosts, which SameSite counts as the same site."""
    await add(clinic, "chief", "admin")
    cookies = await cookies_of(clinic, "chief", PASSWORD)
    sent = {n: clinic.services.base_url if v == "own" else v for n, v in headers.items()}
    order = {"patient_name": "x"}
    answer = await clinic.ask("POST", "/api/v1/consults", json=order, cookies=cookies, headers=sent)
    assert answer.status == status
    if status == 403:
        answer.problem(403, "cross_site")
        assert (await clinic.ask("DELETE", PATH, cookies=cookies, headers=sent)).status == 403
    assert (await clinic.ask("GET", RECORDS, cookies=cookies, headers=sent)).status == 200


async def test_a_key_that_is_there_goes_before_the_cookie(clinic: Clinic) -> None:
    cookies = await accountant(clinic)
    headers = {"Authorization": "Bearer wz_nothing_of_ours_at_all"}
    answer = await clinic.ask("GET", RECORDS, cookies=cookies, headers=headers)
    answer.problem(401, "key_invalid")


async def test_an_administrator_reads_recordings_and_an_accountant_does_not(
    clinic: Clinic,
) -> None:
    path = "/api/v1/consults/c_none/recordings"
    answer = await clinic.ask("GET", path, cookies=await accountant(clinic))
    answer.problem(403, "scope_missing")
    await add(clinic, "chief", "admin")
    cookies = await cookies_of(clinic, "chief", PASSWORD)
    (await clinic.ask("GET", path, cookies=cookies)).problem(404, "unknown_recording")


async def test_a_new_password_and_a_removal_end_all_sessions(either: Clinic) -> None:
    staff = either.services.staff
    await add(either, "zhou")
    cookies = await cookies_of(either, "zhou", PASSWORD)
    await staff.set_password("zhou", "another long password")
    (await either.ask("GET", RECORDS, cookies=cookies)).problem(401, "key_missing")
    cookies = await cookies_of(either, "zhou", "another long password")
    await staff.remove("zhou")
    (await either.ask("GET", RECORDS, cookies=cookies)).problem(401, "key_missing")
    (await sign_in(either, "zhou", "another long password")).problem(401, "wrong_password")
    with pytest.raises(StaffUnknown):
        await staff.set_password("zhou", PASSWORD)
    with pytest.raises(StaffRefused, match="was once"):
        await add(either, "zhou")
    assert [one.username for one in await staff.members()] == [STAFF_USERNAME]
    async with either.services.storage.read() as conn:
        rows = (await conn.execute(select(func.count()).select_from(tables.staff))).scalar_one()
    assert rows == 2, "the audit log names people by id"


@pytest.mark.parametrize(
    ("username", "name", "role", "password"),
    [
        ("", "n", "admin", PASSWORD),
        ("a b", "n", "admin", PASSWORD),
        ("a\x00", "n", "admin", PASSWORD),
        ("a" * 65, "n", "admin", PASSWORD),
        ("a", "", "admin", PASSWORD),
        ("a", "n\n", "admin", PASSWORD),
        ("a", "n", "owner", PASSWORD),
        ("a", "n", "admin", "short"),
        ("a", "n", "admin", "x" * 201),
    ],
)
async def test_what_is_no_account_is_refused(
    clinic: Clinic, username: str, name: str, role: str, password: str
) -> None:
    with pytest.raises(StaffRefused):
        await clinic.services.staff.add(NewMember(ORGANIZATION, username, name, role), password)


async def test_a_demo_of_before_gets_its_accountant(tmp_path: Path) -> None:
    async with opened(tmp_path) as clinic:
        await clinic.services.staff.remove(STAFF_USERNAME)
    async with opened(tmp_path) as clinic:
        await accountant(clinic)


# --- the command ----------------------------------------------------------------------------------


def staff(folder: Path, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "WENZHEN_DATA_DIR": str(folder / "data")}
    command = [COMMAND, "staff", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=60, env=environ, input=stdin
    )


async def test_the_command_adds_lists_changes_and_removes(tmp_path: Path) -> None:
    async with opened(tmp_path):
        pass
    made = staff(tmp_path, "add", "zhou", "--name", "周", "--role", "admin")
    assert made.returncode == 0, made.stderr
    first = made.stdout.split("shown this once: ")[1].strip()
    assert "zhou\tadmin\torg_demo\t周\tstaff_" in staff(tmp_path, "list").stdout
    second = staff(tmp_path, "password", "zhou", "--password-stdin", stdin=PASSWORD + "\n")
    assert second.returncode == 0, second.stderr
    assert PASSWORD not in second.stdout
    async with opened(tmp_path) as clinic:
        assert await clinic.services.staff.check("zhou", first) is None
        assert await clinic.services.staff.check("zhou", PASSWORD) is not None
        for action in ("staff_added", "staff_password_set"):
            (row,) = await clinic.audited(action)
            assert (row.actor, row.detail.split()[0][:6]) == ("cli", "staff_")
    assert staff(tmp_path, "remove", "zhou").returncode == 0
    gone = staff(tmp_path, "remove", "zhou")
    assert (gone.returncode, gone.stderr) == (
        1,
        "wenzhen: nobody of the staff has the user name zhou\n",
    )
    assert "zhou" not in staff(tmp_path, "list").stdout
    short = staff(tmp_path, "add", "li", "--name", "李", "--password-stdin", stdin="short\n")
    assert (short.returncode, short.stdout) == (1, "")
    nowhere = staff(tmp_path, "add", "li", "--name", "李", "--organization", "org_none")
    assert nowhere.returncode == 1
    assert "org_demo" in nowhere.stderr
