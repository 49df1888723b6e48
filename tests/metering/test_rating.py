"""Every example of the rules, and what must hold for any tariff."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import RatingError, TariffError
from metering.quote import run_quote
from metering.rating import MAX_SECONDS, Charge, affordable_s, rate
from metering.tariff import Tariff, make_tariff
from metering.terms import Mode
from tests.metering.strategies import mode_seconds, tariffs

RATES = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207}


def tariff_of(**fields: Any) -> Tariff:
    return make_tariff(RATES | fields)


def charge_of(voice: int = 0, video: int = 0, **fields: Any) -> Charge:
    return rate(tariff_of(**fields), {Mode.VOICE: voice, Mode.VIDEO: video})


@pytest.mark.parametrize(
    ("steps", "voice", "video", "charge_fen"),
    [
        ((1, 1), 425, 0, 7770),
        ((60, 60), 425, 0, 8776),
        ((60, 6), 425, 0, 7789),
        ((1, 1), 61, 0, 1115),
        ((60, 60), 61, 0, 2194),
        ((1, 1), 190 + 65, 0, 4662),  # the 47 s of interruption between them are free
        ((1, 1), 180, 245, 12303),
        ((60, 60), 180, 245, 14326),
        ((1, 1), 100 + 100, 0, 3657),
    ],
)
def test_the_published_examples(
    steps: tuple[int, int], voice: int, video: int, charge_fen: int
) -> None:
    charge = charge_of(voice, video, initial_s=steps[0], increment_s=steps[1])
    assert charge.charge_fen == charge_fen


def test_an_insurer_pays_its_base_rate_to_a_public_hospital_only() -> None:
    public = charge_of(425, insurer_base_fen=2000, channel="public_hospital").split
    assert (public.insurer_fen, public.patient_fen) == (2000, 5770)
    third = charge_of(425, insurer_base_fen=2000, channel="third_party").split
    assert (third.insurer_fen, third.patient_fen) == (0, 7770)


def test_an_insurer_never_pays_more_than_the_charge() -> None:
    split = charge_of(10, insurer_base_fen=2000, channel="public_hospital").split
    assert (split.insurer_fen, split.patient_fen) == (183, 0)


def test_a_share_deducted_from_the_physician() -> None:
    charge = charge_of(425, platform_share="0.2")
    assert charge.charge_fen == charge.split.payable_fen == charge.split.patient_fen == 7770
    assert (charge.split.platform_fen, charge.split.physician_fen) == (1554, 6216)


def test_a_share_added_on_top_for_the_patient() -> None:
    charge = charge_of(425, platform_share=0.2, fee_bearer="patient")
    assert charge.charge_fen == charge.split.physician_fen == 7770
    assert (charge.split.platform_fen, charge.split.patient_fen) == (1554, 9324)


def test_prepaid_fifty_buys_273_seconds_of_voice() -> None:
    assert affordable_s(tariff_of(), {}, Mode.VOICE, 5000) == 273
    assert charge_of(273).charge_fen == 4991


def test_prepaid_counts_what_was_used_and_may_never_run_out() -> None:
    assert affordable_s(tariff_of(), {Mode.VOICE: 270}, Mode.VOICE, 5000) == 3
    assert affordable_s(tariff_of(), {Mode.VOICE: 274}, Mode.VOICE, 5000) == 0
    assert affordable_s(tariff_of(cap_fen=5000), {}, Mode.VOICE, 5000) is None


@pytest.mark.parametrize(("total_s", "charge_fen"), [(0, 0), (14, 0), (15, 274)])
def test_a_fault_before_fifteen_seconds_costs_nothing(total_s: int, charge_fen: int) -> None:
    charge = rate(tariff_of(), {Mode.VOICE: total_s}, fault_ended=True)
    assert charge.charge_fen == charge_fen
    assert charge.waived == (total_s < 15)


def test_the_fault_waiver_counts_both_modes_and_beats_the_minimum() -> None:
    seconds = {Mode.VOICE: 7, Mode.VIDEO: 8}
    assert not rate(tariff_of(), seconds, fault_ended=True).waived
    seconds[Mode.VIDEO] = 7
    assert rate(tariff_of(minimum_fen=900), seconds, fault_ended=True).charge_fen == 0


def test_minimum_and_cap_bound_the_charge_but_not_an_empty_consult() -> None:
    assert charge_of(1, minimum_fen=500).charge_fen == 500
    assert charge_of(0, minimum_fen=500).charge_fen == 0
    assert charge_of(600, cap_fen=5000).charge_fen == 5000


def test_free_seconds_come_off_before_rounding_and_off_the_dearest_mode_first() -> None:
    assert charge_of(90, free_s=60).charge_fen == charge_of(30).charge_fen
    assert charge_of(90, free_s=30, initial_s=60, increment_s=60).charge_fen == 1097
    assert charge_of(100, 40, free_s=60).charge_fen == charge_of(80).charge_fen
    assert charge_of(60, free_s=60, minimum_fen=500).charge_fen == 0


def test_half_a_fen_rounds_up() -> None:
    assert charge_of(30, voice_fen_per_min=1).charge_fen == 1
    assert charge_of(29, voice_fen_per_min=1).charge_fen == 0


def test_the_sum_is_rounded_once_and_not_per_mode() -> None:
    charge = charge_of(20, 20, voice_fen_per_min=1, video_fen_per_min=1)
    assert charge.charge_fen == 1  # a third and a third; each alone rounds to nothing


@given(tariff=tariffs(), seconds=mode_seconds, fault=st.booleans())
def test_every_split_adds_up_and_nothing_is_negative(
    tariff: Tariff, seconds: dict[Mode, int], fault: bool
) -> None:
    charge = rate(tariff, seconds, fault_ended=fault)
    split = charge.split
    assert split.insurer_fen + split.patient_fen == split.payable_fen
    assert split.platform_fen + split.physician_fen == split.payable_fen
    assert min(charge.charge_fen, *(getattr(split, name) for name in split.__slots__)) >= 0
    if tariff.fee_bearer == "physician":
        assert split.payable_fen == charge.charge_fen


@given(seconds=mode_seconds, voice=st.integers(0, 10_000), video=st.integers(0, 10_000))
def test_a_plain_tariff_is_within_half_a_fen_of_the_exact_sum(
    seconds: dict[Mode, int], voice: int, video: int
) -> None:
    charge = rate(tariff_of(voice_fen_per_min=voice, video_fen_per_min=video), seconds)
    exact = Fraction(seconds[Mode.VOICE] * voice + seconds[Mode.VIDEO] * video, 60)
    assert Fraction(-1, 2) < charge.charge_fen - exact <= Fraction(1, 2)


@given(tariff=tariffs(), seconds=mode_seconds, mode=st.sampled_from(Mode), more=st.integers(0, 500))
def test_more_seconds_never_cost_less(
    tariff: Tariff, seconds: dict[Mode, int], mode: Mode, more: int
) -> None:
    longer = seconds | {mode: seconds[mode] + more}
    before, after = rate(tariff, seconds), rate(tariff, longer)
    assert before.charge_fen <= after.charge_fen
    assert before.split.patient_fen <= after.split.patient_fen


@given(
    tariff=tariffs(), seconds=mode_seconds, mode=st.sampled_from(Mode), limit=st.integers(0, 10**6)
)
def test_a_prepaid_limit_is_used_up_and_never_passed(
    tariff: Tariff, seconds: dict[Mode, int], mode: Mode, limit: int
) -> None:
    def patient_fen(more_s: int) -> int:
        return rate(tariff, seconds | {mode: seconds[mode] + more_s}).split.patient_fen

    more_s = affordable_s(tariff, seconds, mode, limit)
    if more_s is None:
        assert patient_fen(MAX_SECONDS - seconds[mode]) <= limit
    else:
        assert more_s == 0 or patient_fen(more_s) <= limit
        assert patient_fen(more_s + 1) > limit


@given(tariff=tariffs(), seconds=mode_seconds)
def test_the_lines_lead_to_the_charge_and_are_json(
    tariff: Tariff, seconds: dict[Mode, int]
) -> None:
    """A person who disputes a bill recomputes it from the lines."""
    charge = rate(tariff, seconds)
    lines = {line.step: line for line in charge.lines}
    assert lines["charge"].fen == charge.charge_fen
    prices = [line.fen_60ths or 0 for line in charge.lines if line.step == "price"]
    assert lines["sum"].fen_60ths == sum(prices)
    json.dumps([line.as_dict() for line in charge.lines])


@pytest.mark.parametrize("seconds", [-1, MAX_SECONDS + 1])
def test_impossible_seconds_are_refused(seconds: int) -> None:
    with pytest.raises(RatingError):
        charge_of(seconds)


def test_a_quote_sums_the_segments_of_a_mode() -> None:
    text = json.dumps(RATES | {"initial_s": 60, "increment_s": 60})
    assert run_quote(text, "voice:180,video:245")["charge_fen"] == 14326
    assert run_quote(json.dumps(RATES), "voice:100, voice:100")["charge_fen"] == 3657


def test_a_quote_shows_its_arithmetic() -> None:
    answer = run_quote(json.dumps(RATES), "voice:425")
    assert answer["patient_fen"] == 7770
    assert answer["lines"][0]["text"] == "voice: 425 s x 10.97 CNY/min = 4662.25/60 CNY"
    assert answer["tariff_digest"] == make_tariff(RATES).digest
    assert json.loads(json.dumps(answer)) == answer


@pytest.mark.parametrize(
    "segments", ["", "voice", "voice:", "voice:-1", "voice:1.5", "audio:10", "voice:10;video:3"]
)
def test_a_quote_refuses_segments_it_cannot_read(segments: str) -> None:
    with pytest.raises(RatingError):
        run_quote(json.dumps(RATES), segments)


def test_a_quote_refuses_a_tariff_it_cannot_read() -> None:
    with pytest.raises(TariffError):
        run_quote("{}", "voice:1")
