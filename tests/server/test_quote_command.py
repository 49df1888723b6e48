"""`wenzhen quote` gives every charge of the published examples, to the fen."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

COMMAND = Path(sys.executable).parent / "wenzhen"
RATES = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207}


def run(
    folder: Path, tariff: object, segments: str, *more: str
) -> subprocess.CompletedProcess[str]:
    file = folder / "tariff.json"
    file.write_text(tariff if isinstance(tariff, str) else json.dumps(tariff), encoding="utf-8")
    command = [COMMAND, "quote", "--tariff", file, "--segments", segments, *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def quoted(folder: Path, segments: str, **tariff: object) -> dict[str, Any]:
    done = run(folder, {**RATES, **tariff}, segments, "--json")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


CHARGES = [
    ("voice:425", {}, 7770),
    ("voice:425", {"initial_s": 60, "increment_s": 60}, 8776),
    ("voice:425", {"initial_s": 60, "increment_s": 6}, 7789),
    ("voice:61", {}, 1115),
    ("voice:61", {"initial_s": 60, "increment_s": 60}, 2194),
    ("voice:190,voice:65", {}, 4662),
    ("voice:180,video:245", {}, 12303),
    ("voice:180,video:245", {"initial_s": 60, "increment_s": 60}, 14326),
    ("voice:100,voice:100", {}, 3657),
    ("voice:273", {}, 4991),
    ("voice:10", {"minimum_fen": 500}, 500),
    ("voice:70", {"free_s": 60}, 183),
    ("video:600", {"cap_fen": 10_000}, 10_000),
]


@pytest.mark.parametrize(("segments", "tariff", "fen"), CHARGES)
def test_the_charge_of_an_example(
    tmp_path: Path, segments: str, tariff: dict[str, object], fen: int
) -> None:
    assert quoted(tmp_path, segments, **tariff)["charge_fen"] == fen


def test_a_prepaid_call_of_fifty_would_be_over_it_a_second_later(tmp_path: Path) -> None:
    assert quoted(tmp_path, "voice:274")["charge_fen"] > 5000


@pytest.mark.parametrize(
    ("tariff", "split"),
    [
        ({"insurer_base_fen": 2000, "channel": "public_hospital"}, (2000, 5770, 0, 7770)),
        ({"insurer_base_fen": 2000, "channel": "third_party"}, (0, 7770, 0, 7770)),
        ({"platform_share": "0.2"}, (0, 7770, 1554, 6216)),
        ({"platform_share": 0.2, "fee_bearer": "patient"}, (0, 9324, 1554, 7770)),
    ],
)
def test_who_pays_what_of_77_70(
    tmp_path: Path, tariff: dict[str, object], split: tuple[int, int, int, int]
) -> None:
    answer = quoted(tmp_path, "voice:425", **tariff)
    names = ("insurer_fen", "patient_fen", "platform_fen", "physician_fen")
    assert tuple(answer[name] for name in names) == split
    assert answer["charge_fen"] == 7770


def test_people_read_the_arithmetic(tmp_path: Path) -> None:
    done = run(tmp_path, RATES, "voice:180,video:245")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert any(line.startswith("voice: 180 s x 10.97 CNY") for line in lines)
    assert any(line.startswith("charge") and "123.03 CNY" in line for line in lines)


@pytest.mark.parametrize(
    ("tariff", "segments", "names"),
    [
        ({"voice_fen_per_min": 1097}, "voice:1", "video_fen_per_min"),
        ({**RATES, "increment_s": 0}, "voice:1", "increment_s"),
        ({**RATES, "surcharge": 1}, "voice:1", "surcharge"),
        ("not json", "voice:1", "tariff"),
        (RATES, "voice:1.5", "voice:1.5"),
        (RATES, "fax:1", "fax:1"),
        (RATES, "", "MODE:SECONDS"),
    ],
)
def test_what_cannot_be_quoted_is_named_in_one_line(
    tmp_path: Path, tariff: object, segments: str, names: str
) -> None:
    done = run(tmp_path, tariff, segments, "--json")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("wenzhen: ")
    assert names in line


def test_a_tariff_file_that_is_not_there_or_no_text_is_named(tmp_path: Path) -> None:
    file = tmp_path / "tariff.json"
    for content in (None, b"\xff\xfe"):
        if content is not None:
            file.write_bytes(content)
        command = [COMMAND, "quote", "--tariff", file, "--segments", "voice:1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert line.startswith("wenzhen: ")
        assert "tariff" in line


def test_wrong_arguments_end_with_status_2() -> None:
    done = subprocess.run([COMMAND, "quote"], capture_output=True, check=False, timeout=60)
    assert done.returncode == 2
