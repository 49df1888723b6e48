"""`make run`: the demo clinic and the file that tells how to try it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from server import demo as module
from server.demo import greeting
from server.errors import DataFolderUnusable
from tests.server.clinic import Clinic, opened

FIELDS = {"base_url", "console_url", "username", "password", "patient_url", "api_key"}


def written(clinic: Clinic) -> dict[str, str]:
    file = clinic.services.settings.data_dir / "demo.json"
    found: dict[str, str] = json.loads(file.read_text(encoding="utf-8"))
    return found


async def works(clinic: Clinic, demo: dict[str, str]) -> None:
    """Name, password and key of this file open what they should."""
    body = {"username": demo["username"], "password": demo["password"]}
    assert (await clinic.ask("POST", "/api/v1/session", json=body)).status == 204
    assert (await clinic.api("GET", "/api/v1/records", demo["api_key"])).status == 200


async def test_the_file_has_the_promised_fields_and_they_work(clinic: Clinic) -> None:
    """CONTRACT.md."""
    demo = written(clinic)
    assert set(demo) == FIELDS
    assert demo["console_url"] == demo["base_url"] + "/console"
    assert demo["patient_url"].startswith(demo["base_url"] + "/join#")
    await works(clinic, demo)


async def test_the_file_is_for_its_owner_alone(clinic: Clinic) -> None:
    file = clinic.services.settings.data_dir / "demo.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert not file.with_suffix(".new").exists()


async def test_a_second_start_keeps_the_login_and_gives_a_fresh_link(tmp_path: Path) -> None:
    async with opened(tmp_path) as clinic:
        first = written(clinic)
    async with opened(tmp_path) as clinic:
        second = written(clinic)
        assert (second["password"], second["api_key"]) == (first["password"], first["api_key"])
        assert second["patient_url"].split("#")[1] != first["patient_url"].split("#")[1]
        await works(clinic, second)


@pytest.mark.parametrize("left", [None, "", "{", "[]", '{"password": 1, "api_key": []}'])
async def test_a_lost_or_broken_file_is_made_anew(tmp_path: Path, left: str | None) -> None:
    """The former password cannot be shown again, so there is a new one."""
    async with opened(tmp_path) as clinic:
        first = written(clinic)
    file = tmp_path / "data" / "demo.json"
    file.unlink()
    if left is not None:
        file.write_text(left, encoding="utf-8")
    async with opened(tmp_path) as clinic:
        second = written(clinic)
        assert second["password"] != first["password"]
        await works(clinic, second)
        answer = await clinic.api("GET", "/api/v1/records", first["api_key"])
        answer.problem(401, "key_invalid")


async def test_a_file_that_cannot_be_written_is_told(clinic: Clinic) -> None:
    (clinic.services.settings.data_dir / "demo.new").mkdir()
    with pytest.raises(DataFolderUnusable, match="--data-dir"):
        await module.prepare(clinic.services)


async def test_the_greeting_has_all_that_one_needs(clinic: Clinic) -> None:
    shown = greeting(clinic.demo)
    for field in FIELDS:
        assert getattr(clinic.demo, field) in shown
    assert "/api/v1/records" in shown
