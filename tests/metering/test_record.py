"""A record says all that is needed to recompute its charge, and nothing about the person."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import RecordError
from metering.events import Closed, Opened
from metering.meter import open_meter, step
from metering.quote import run_quote
from metering.rating import rate
from metering.record import build_record, record_id, rfc3339
from metering.tariff import Tariff, make_tariff
from metering.terms import FAULTS, EndCause, Mode, Party
from tests.metering.samples import FACTS, TARIFF, WALL_MS, metered, record
from tests.metering.scripts import Script, scripts
from tests.metering.strategies import tariffs
from tests.metering.test_meter import played

CONTRACT = {
    *("record_id", "consult_id", "mode_seconds", "billable_s", "charge_fen", "currency"),
    *("segments", "end_cause", "started_at", "ended_at"),
}


def test_a_record_has_what_outside_systems_rely_on() -> None:
    found = record()
    assert found.keys() >= CONTRACT
    assert found["mode_seconds"] == {"voice": 5, "video": 10}
    assert (found["billable_s"], found["held_s"], found["interrupted_s"]) == (15, 3, 0)
    assert found["charge_fen"] == 459  # 5 * 1097/60 + 10 * 2207/60 = 459.25
    assert found["started_at"] == "2026-02-02T02:40:00.000Z"
    assert found["ended_at"] == "2026-02-02T02:40:18.012Z"
    assert [one["end_cause"] for one in found["segments"]] == ["hold", "physician_finish"]
    assert [one["rate_fen_per_min"] for one in found["segments"]] == [2207, 1097]


@given(script=scripts(), tariff=tariffs(), cause=st.sampled_from(sorted(FAULTS)))
def test_the_charge_can_be_recomputed_from_the_record_alone(
    script: Script, tariff: Tariff, cause: EndCause
) -> None:
    found = build_record(replace(FACTS, end_cause=cause), played(script), tariff)
    milliseconds = dict.fromkeys(Mode, 0)
    for one in found["segments"]:
        milliseconds[Mode(one["mode"])] += one["duration_ms"]
    seconds = {mode: total // 1000 for mode, total in milliseconds.items()}
    assert found["mode_seconds"] == seconds
    again = rate(make_tariff(found["tariff"]), seconds, fault_ended=found["end_cause"] in FAULTS)
    assert (again.charge_fen, again.waived) == (found["charge_fen"], found["waived"])
    split = found["split"]
    assert split["insurer_fen"] + split["patient_fen"] == split["payable_fen"]
    assert split["platform_fen"] + split["physician_fen"] == split["payable_fen"]


def test_the_quote_of_a_record_is_its_charge() -> None:
    found = record()
    assert run_quote(json.dumps(found["tariff"]), "voice:5,video:10")["charge_fen"] == 459


def test_a_consult_that_never_got_media_is_recorded_and_free() -> None:
    meter = open_meter(Opened(0, WALL_MS, "phy_1", Mode.VIDEO))
    meter = step(meter, Closed(30_000, EndCause.SETUP_FAILED, Party.SYSTEM))
    facts = replace(FACTS, end_cause=EndCause.SETUP_FAILED, end_party=Party.SYSTEM)
    found = build_record(facts, meter, TARIFF)
    assert (found["billable_s"], found["charge_fen"], found["segments"]) == (0, 0, [])
    assert found["first_media_at"] is None
    assert found["started_at"] == found["answered_at"]


@given(
    one=st.tuples(st.text(max_size=20), st.integers(0, 99)),
    other=st.tuples(st.text(max_size=20), st.integers(0, 99)),
)
def test_an_id_belongs_to_one_consult_and_revision(
    one: tuple[str, int], other: tuple[str, int]
) -> None:
    assert (record_id(*one) == record_id(*other)) == (one == other)


def test_an_id_never_changes() -> None:
    """Pinned: a retry after an upgrade must find the record that is already there."""
    assert record_id("con_1") == "rec_77a065c59d156ee5c72c5c8dc263056b"


@pytest.mark.parametrize(
    "change",
    [
        {"patient_ref": "Wang Xiaoming"},
        {"patient_ref": "王小明"},
        {"patient_ref": ""},
        {"node": "n" * 129},
        {"quality": {"note": "patient complains of pain"}},
        {"quality": {"patient": {"up": ["Wang Xiaoming"]}}},
        {"quality": {"patient": {"Wang Xiaoming": 1}}},
        {"quality": {"patient": {"mos": 4.3}}},
        {"end_cause": EndCause.HOLD},
        {"wait_s": -1},
        {"created_at_ms": -1},
        {"ended_at_ms": 10**15},
    ],
)
def test_a_fact_that_a_record_must_not_have_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        build_record(replace(FACTS, **change), metered(), TARIFF)


def test_a_running_meter_makes_no_record() -> None:
    with pytest.raises(RecordError):
        build_record(FACTS, open_meter(Opened(0, WALL_MS, "phy_1", Mode.VIDEO)), TARIFF)


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400_001, "2000-02-29T00:00:00.001Z"),
        (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_times_are_rfc_3339_with_milliseconds(at_ms: int, text: str) -> None:
    assert rfc3339(at_ms) == text
