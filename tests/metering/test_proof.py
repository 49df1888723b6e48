"""Anybody who has a record can recompute what it asks for."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.adjust import Correction, Kind, corrected
from metering.proof import wrong
from metering.record import build_record
from metering.tariff import Tariff
from metering.terms import FAULTS, EndCause
from tests.metering.samples import FACTS, record
from tests.metering.scripts import Script, scripts
from tests.metering.strategies import tariffs
from tests.metering.test_meter import played

ENDS = st.sampled_from([EndCause.PHYSICIAN_FINISH, *sorted(FAULTS)])


@given(script=scripts(), tariff=tariffs(), cause=ENDS)
def test_every_record_of_the_meter_can_be_recomputed(
    script: Script, tariff: Tariff, cause: EndCause
) -> None:
    found = build_record(replace(FACTS, end_cause=cause), played(script), tariff)
    assert wrong(found) is None


@given(charge_fen=st.integers(0, 10_000), tariff=tariffs())
def test_what_a_correction_changes_adds_up(charge_fen: int, tariff: Tariff) -> None:
    original = {**record(), "seq": 1}
    if charge_fen == original["charge_fen"]:
        return
    wanted = Correction(original["record_id"], Kind.ADJUSTMENT, "error", "acc", charge_fen)
    assert wrong(corrected([original], wanted)) is None


CHANGES: dict[str, tuple[tuple[Any, ...], Any]] = {
    "a second more": (("mode_seconds", "video"), 11),
    "another sum of seconds": (("billable_s",), 16),
    "a fen more": (("charge_fen",), 460),
    "another price": (("tariff", "video_fen_per_min"), 2208),
    "a longer segment": (("segments", 0, "duration_ms"), 11_000),
    "another rate of a segment": (("segments", 0, "rate_fen_per_min"), 2208),
    "a physician's fen": (("shares", 0, "physician_fen"), 458),
    "the patient's part": (("split", "patient_fen"), 458),
    "waived": (("waived",), True),
    "another currency": (("currency",), "USD"),
    "another end": (("end_cause",), "lunch"),
    "no tariff": (("tariff",), None),
    "a limit that was passed": (("prepaid",), {"limit_fen": 458}),
    "another physician's share": (("shares", 0, "physician_id"), "phy_2"),
    "another digest": (("tariff_digest",), "0" * 64),
}


@pytest.mark.parametrize(("where", "value"), CHANGES.values(), ids=list(CHANGES))
def test_whatever_does_not_follow_is_named(where: tuple[Any, ...], value: Any) -> None:
    changed = copy.deepcopy(record())
    assert wrong(changed) is None
    place: Any = changed
    for name in where[:-1]:
        place = place[name]
    place[where[-1]] = value
    assert wrong(changed) is not None
