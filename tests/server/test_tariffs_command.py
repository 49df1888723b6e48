"""`wenzhen tariffs`: a clinic changes its prices at the terminal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from metering.tariff import make_tariff
from server.demo import ORGANIZATION, PHYSICIAN, TARIFF
from tests.server.clinic import Clinic

COMMAND = Path(sys.executable).parent / "wenzhen"
DEARER = {"voice_fen_per_min": 2000, "video_fen_per_min": 3000}


def tariffs(clinic: Clinic, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """The command, on the database of a running server."""
    where = ["--data-dir", clinic.services.settings.data_dir]
    if url := clinic.services.settings.database_url:
        where += ["--database-url", url]
    command = [COMMAND, "tariffs", *arguments, *where]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def prices(tmp_path: Path) -> Path:
    file = tmp_path / "prices.json"
    file.write_text(json.dumps(DEARER), encoding="utf-8")
    return file


async def test_prices_are_set_and_listed_and_the_server_uses_them(
    either: Clinic, prices: Path
) -> None:
    whose = ("--organization", ORGANIZATION)
    done = tariffs(either, "set", *whose, "--file", prices)
    assert (done.returncode, done.stderr) == (0, "")
    version_id = done.stdout.split()[0]
    assert make_tariff(DEARER).digest in done.stdout
    at = ("--valid-from", "2190-01-01T00:00:00+08:00", "--physician", PHYSICIAN)
    assert tariffs(either, "set", *whose, "--file", prices, *at).returncode == 0
    done = tariffs(either, "list", *whose)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(one["number"], one["standing"], one["created_by"]) for one in rows] == [
        (1, "replaced", "demo"), (2, "in_force", "cli"), (3, "scheduled", "cli"),
    ]  # fmt: skip
    assert rows[1]["id"] == version_id
    assert rows[0]["tariff"] == make_tariff(TARIFF).as_dict()
    assert rows[2]["valid_from"] == "2189-12-31T16:00:00.000Z"
    assert (await either.api("GET", "/api/v1/tariffs")).json["data"] == rows
    own = tariffs(either, "list", *whose, "--physician", PHYSICIAN).stdout.splitlines()
    assert [json.loads(line) for line in own] == rows[2:]
    quote = await either.api("POST", "/api/v1/quotes", json={"segments": "voice:60"})
    assert quote.json["charge_fen"] == 2000
    assert [row.actor for row in await either.audited("tariff_set")].count("cli") == 2


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (("--organization", "org_none"), ORGANIZATION),
        (("--organization", ORGANIZATION, "--physician", "ph_none"), "ph_none"),
        (("--organization", ORGANIZATION, "--valid-from", "2020-01-01T00:00:00Z"), "valid_from"),
    ],
)
async def test_what_cannot_be_set_is_named_in_one_line(
    clinic: Clinic, prices: Path, arguments: tuple[str, ...], names: str
) -> None:
    done = tariffs(clinic, "set", "--file", prices, *arguments)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("wenzhen: ")
    assert names in line
    assert len((await clinic.api("GET", "/api/v1/tariffs")).json["data"]) == 1


@pytest.fixture(params=['{"voice_fen_per_min": 1}', "{", None])
def no_prices(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file that is no tariff, or none at all."""
    file = tmp_path / "prices.json"
    if request.param is not None:
        file.write_text(request.param, encoding="utf-8")
    return file


async def test_a_file_that_is_no_tariff_changes_nothing(clinic: Clinic, no_prices: Path) -> None:
    done = tariffs(clinic, "set", "--organization", ORGANIZATION, "--file", no_prices)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("wenzhen: ")
    assert len((await clinic.api("GET", "/api/v1/tariffs")).json["data"]) == 1


@pytest.mark.parametrize("time", ["tomorrow", "2030-01-01T00:00:00", "2200-01-01T00:00:00Z"])
async def test_a_time_that_cannot_be_meant_ends_with_status_2(
    clinic: Clinic, prices: Path, time: str
) -> None:
    whose = ("--organization", ORGANIZATION)
    assert tariffs(clinic, "set", *whose, "--file", prices, "--valid-from", time).returncode == 2
