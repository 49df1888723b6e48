"""`POST /api/v1/quotes` answers what `wenzhen quote` prints, and what calls are billed."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from metering.tariff import make_tariff
from server.demo import PHYSICIAN, TARIFF
from tests.metering.examples import PUBLISHED, RATES, Example
from tests.server.clinic import Clinic
from tests.server.party import finished, in_call

PATH = "/api/v1/quotes"
COMMAND = Path(sys.executable).parent / "wenzhen"


async def quoted(clinic: Clinic, **body: Any) -> dict[str, Any]:
    answer = await clinic.api("POST", PATH, json=body)
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_every_published_example_is_quoted_in_both_forms(clinic: Clinic) -> None:
    for example in PUBLISHED:
        tariff = example.full_tariff
        text = await quoted(clinic, tariff=tariff, segments=example.segments)
        assert {name: text[name] for name in example.gives} == example.gives, example
        summed = await quoted(clinic, tariff=tariff, mode_seconds=example.mode_seconds())
        assert summed == text
        assert text["tariff_digest"] == make_tariff(tariff).digest


def printed(folder: Path, example: Example, *more: str) -> dict[str, Any]:
    """What the command gives for an example."""
    file = folder / "tariff.json"
    file.write_text(json.dumps(example.full_tariff), encoding="utf-8")
    command = [COMMAND, "quote", "--tariff", file, "--segments", example.segments, "--json", *more]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


async def test_the_answer_is_that_of_the_command(clinic: Clinic, tmp_path: Path) -> None:
    more = {"minimum_fen": 500, "cap_fen": 9_000, "free_s": 30, "platform_share": "0.07"}
    for example in (
        Example("voice:180,video:245", more, {}),
        Example("voice:61", {"currency": "JPY"}, {}),
        Example("voice:61", {"currency": "KWD", "initial_s": 60}, {}),
    ):
        answer = await quoted(clinic, tariff=example.full_tariff, segments=example.segments)
        assert answer == printed(tmp_path, example)


async def test_a_fault_before_fifteen_seconds_is_quoted_as_free(
    clinic: Clinic, tmp_path: Path
) -> None:
    example = Example("voice:7,video:7", {}, {})
    body = {"tariff": example.full_tariff, "segments": example.segments}
    answer = await quoted(clinic, **body, ended_by_fault=True)
    assert (answer["charge_fen"], answer["waived"]) == (0, True)
    assert answer == printed(tmp_path, example, "--ended-by-fault")
    assert (await quoted(clinic, **body))["charge_fen"] > 0


async def test_without_a_tariff_the_clinic_s_own_prices_are_quoted(either: Clinic) -> None:
    """Those that an order would freeze now, or at the time it is for."""
    own = {"voice_fen_per_min": 5000, "video_fen_per_min": 6000}
    later = {"voice_fen_per_min": 1, "video_fen_per_min": 2}
    soon = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    for body in (
        {"tariff": own, "physician_id": PHYSICIAN},
        {"tariff": later, "valid_from": soon},
    ):
        assert (await either.api("POST", "/api/v1/tariffs", json=body)).status == 201
    then = (datetime.now(UTC) + timedelta(days=4)).isoformat()
    for tariff, more in (
        (TARIFF, {}),
        (own, {"physician_id": PHYSICIAN}),
        (later, {"starts_at": then}),
        (own, {"starts_at": then, "physician_id": PHYSICIAN}),
    ):
        answer = await quoted(either, mode_seconds={"voice": 60}, **more)
        assert answer["tariff_digest"] == make_tariff(tariff).digest, more
        assert answer["charge_fen"] == tariff["voice_fen_per_min"]


async def test_amounts_are_written_in_the_currency_s_own_unit(clinic: Clinic) -> None:
    for currency, amount in (("CNY", "77.70 CNY"), ("JPY", "7770 JPY"), ("KWD", "7.770 KWD")):
        answer = await quoted(clinic, tariff=RATES | {"currency": currency}, segments="voice:425")
        assert answer["charge_fen"] == 7770
        (line,) = (one for one in answer["lines"] if one["step"] == "charge")
        assert line["text"].endswith(f": {amount}")


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({}, "invalid_body"),
    ({"mode_seconds": {"voice": 1}, "segments": "voice:1"}, "invalid_body"),
    ({"mode_seconds": {"voice": -1}}, "invalid_body"),
    ({"mode_seconds": {"voice": 10_000_001}}, "invalid_body"),
    ({"mode_seconds": {"voice": 1.5}}, "invalid_body"),
    ({"mode_seconds": {"voice": "1"}}, "invalid_body"),
    ({"mode_seconds": {"fax": 1}}, "invalid_body"),
    ({"mode_seconds": {"voice": 1}, "tariff": {"voice_fen_per_min": 1}}, "invalid_body"),
    ({"mode_seconds": {"voice": 1}, "tariff": RATES, "physician_id": PHYSICIAN}, "invalid_body"),
    ({"mode_seconds": {"voice": 1}, "ended_by_fault": "yes"}, "invalid_body"),
    ({"mode_seconds": {"voice": 1}, "physician_id": "ph_none"}, "unknown_physician"),
    ({"mode_seconds": {"voice": 1}, "starts_at": "2000-01-01T00:00:00Z"}, "no_prices"),
    ({"segments": ""}, "invalid_body"),
    ({"segments": "voice:1," * 1000}, "invalid_body"),
    ({"segments": "voice:\u0661"}, "segments_invalid"),
    ({"segments": "voice:99999999,voice:99999999"}, "segments_invalid"),
    ({"segments": "fax:1"}, "segments_invalid"),
    ({"segments": "voice:1\x00"}, "segments_invalid"),
]


@pytest.mark.parametrize(("body", "code"), REFUSED, ids=repr)
async def test_what_cannot_be_quoted_is_refused(
    clinic: Clinic, body: dict[str, Any], code: str
) -> None:
    (await clinic.api("POST", PATH, json=body)).problem(422, code)


async def test_a_quote_needs_the_scope_of_orders(clinic: Clinic) -> None:
    key = await clinic.key("records")
    body = {"mode_seconds": {"voice": 60}}
    (await clinic.api("POST", PATH, key, json=body)).problem(403, "scope_missing")


async def test_a_real_call_is_billed_as_it_is_quoted(clinic: Clinic) -> None:
    """10.97 and 22.07 a minute, packets over loopback: the record, the quote and the rule agree."""
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 2200)
        down = {"consult_id": physician.consult_id, "mode": "voice"}
        assert (await physician.page.ask("set_mode", **down))["ok"]
        await patient.metered("voice", 1200)
        record = await finished(clinic, physician)
    seconds = record["mode_seconds"]
    assert seconds["video"] >= 2
    assert seconds["voice"] >= 1
    exact = Fraction(seconds["voice"] * 1097 + seconds["video"] * 2207, 60)
    assert record["charge_fen"] == int(exact + Fraction(1, 2))
    answer = await quoted(clinic, tariff=record["tariff"], mode_seconds=seconds)
    assert answer["charge_fen"] == record["charge_fen"]
    assert answer["tariff_digest"] == record["tariff_digest"]
    assert {name: answer[name] for name in record["split"]} == record["split"]
