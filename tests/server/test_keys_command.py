"""`wenzhen keys` and `wenzhen audit`: an operator needs no running server, and disturbs none."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server.demo import ORGANIZATION
from tests.server.clinic import Clinic, opened

COMMAND = Path(sys.executable).parent / "wenzhen"


def wenzhen(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one command on this database; the data folder is below a file, so none is made."""
    environ = {**os.environ, "WENZHEN_DATABASE_URL": url, "WENZHEN_DATA_DIR": "/dev/null/none"}
    return subprocess.run(
        [COMMAND, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=environ,
    )


def create(url: str, *more: str, scopes: str = "records") -> subprocess.CompletedProcess[str]:
    given = ("--organization", ORGANIZATION, "--name", "billing", "--scopes", scopes)
    return wenzhen(url, "keys", "create", *given, *more)


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with the demo clinic in it."""
    address = f"sqlite:///{tmp_path / 'w.sqlite3'}"
    assert wenzhen(address, "ledger", "simulate", "1").returncode == 0
    return address


async def test_a_key_made_beside_a_running_server_works_there_at_once(
    database_url: str, tmp_path: Path
) -> None:
    """Made, used, replaced, revoked; each step is in the audit log, and no key is."""

    async def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(wenzhen, database_url, *arguments)

    async def status(clinic: Clinic, key: str) -> int:
        return (await clinic.api("GET", "/api/v1/records", key)).status

    async with opened(tmp_path, database_url=database_url) as clinic:
        given = ("--organization", ORGANIZATION, "--name", "billing", "--scopes", "records")
        made = await run("keys", "create", *given, "--expires", "90d")
        assert made.returncode == 0, made.stderr
        first, key_id = made.stdout.strip(), made.stderr.split(" ", 1)[0]
        assert await status(clinic, first) == 200
        replaced = await run("keys", "rotate", key_id, "--overlap", "1")
        second, second_id = replaced.stdout.strip(), replaced.stderr.split(" ", 1)[0]
        assert [await status(clinic, key) for key in (first, second)] == [200, 200]
        assert (await run("keys", "revoke", key_id)).returncode == 0
        assert [await status(clinic, key) for key in (first, second)] == [401, 200]
        await clinic.services.auditor.flush()
        audit = await run("audit")
        listed = lines(await run("keys", "list", "--organization", ORGANIZATION))
    states = {row["id"]: (row["state"], row["scopes"]) for row in listed if row["name"] != "demo"}
    assert states == {key_id: ("revoked", ["records"]), second_id: ("works", ["records"])}
    said = [(row["actor"], row["action"], row["detail"]) for row in lines(audit)]
    for entry in (
        ("cli", "key_created", f"{key_id} records"),
        ("cli", "key_rotated", f"{key_id} {second_id}"),
        ("cli", "key_revoked", key_id),
    ):
        assert entry in said
    assert {row["actor"] for row in lines(audit) if row["action"] == "key_used"} >= {
        f"key:{key_id}",
        f"key:{second_id}",
    }
    everything = audit.stdout + json.dumps(listed)
    assert first not in everything
    assert second not in everything


def test_only_the_key_is_on_stdout(url: str) -> None:
    """`KEY=$(wenzhen keys create …)`."""
    made = create(url, scopes="consults, records")
    assert made.stdout.startswith("wz_")
    assert len(made.stdout.split()) == 1
    assert f"of {ORGANIZATION}, scopes consults,records, works until revoked" in made.stderr


@pytest.mark.parametrize(
    ("scopes", "says"), [("everything", "no such scope: everything"), (",", "no scope was named")]
)
def test_an_unknown_scope_is_refused_in_one_line(url: str, scopes: str, says: str) -> None:
    refused = create(url, scopes=scopes)
    assert (refused.returncode, refused.stdout) == (1, "")
    (line,) = refused.stderr.splitlines()
    assert says in line


@pytest.mark.parametrize(
    "arguments",
    [
        ("--expires", "soon"),
        ("--expires", "90"),
        ("--expires", "-1d"),
        ("--expires", "٣d"),
        ("--expires", "999999d"),
        ("--name", ""),
        ("--name", "x" * 101),
        ("--name", "two\nlines"),
    ],
    ids=repr,
)
def test_arguments_that_are_none_are_refused(url: str, arguments: tuple[str, ...]) -> None:
    assert create(url, *arguments).returncode == 2
    assert lines(wenzhen(url, "keys", "list")) == []


def test_unknown_keys_and_organizations_are_named(url: str) -> None:
    for arguments in (("revoke", "key_none"), ("rotate", "key_none")):
        refused = wenzhen(url, "keys", *arguments)
        assert refused.returncode == 1
        assert "key_none" in refused.stderr
    other = ("--organization", "org_none", "--name", "x", "--scopes", "records")
    refused = wenzhen(url, "keys", "create", *other)
    assert refused.returncode == 1
    assert ORGANIZATION in refused.stderr


def test_the_audit_log_is_printed_from_a_time_on_and_by_actor(url: str) -> None:
    key_id = create(url).stderr.split(" ", 1)[0]
    for arguments in ((), ("--since", "1h"), ("--since", "2020-01-01T00:00:00Z")):
        row = lines(wenzhen(url, "audit", *arguments))[-1]
        assert (row["action"], row["detail"]) == ("key_created", f"{key_id} records")
        assert row["at"].endswith("Z")
    assert lines(wenzhen(url, "audit", "--since", "2999-01-01")) == []
    mine = lines(wenzhen(url, "audit", "--actor", "cli"))
    assert "key_created" in {row["action"] for row in mine}
    assert {row["actor"] for row in mine} == {"cli"}
    assert lines(wenzhen(url, "audit", "--actor", "key")) == []
    assert wenzhen(url, "audit", "--since", "yesterday").returncode == 2
