"""A price list is read strictly: what it says wrongly is refused, never guessed."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import TariffError
from metering.tariff import Tariff, make_tariff, parse_tariff
from metering.terms import Mode
from tests.metering.strategies import tariffs

RATES = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207}


def read(**fields: Any) -> Tariff:
    return parse_tariff(json.dumps(RATES | fields))


def test_two_rates_are_enough() -> None:
    tariff = parse_tariff(b'{"voice_fen_per_min": 1097, "video_fen_per_min": 2207}')
    assert tariff.rate_fen_per_min(Mode.VOICE) == 1097
    assert tariff.rate_fen_per_min(Mode.VIDEO) == 2207
    assert (tariff.initial_s, tariff.increment_s, tariff.currency) == (1, 1, "CNY")


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"surprise": 1}, "surprise"),
        ({"voice_fen_per_min": -1}, "voice_fen_per_min"),
        ({"voice_fen_per_min": 10.5}, "voice_fen_per_min"),
        ({"voice_fen_per_min": "1097"}, "voice_fen_per_min"),
        ({"voice_fen_per_min": True}, "voice_fen_per_min"),
        ({"voice_fen_per_min": None}, "voice_fen_per_min"),
        ({"video_fen_per_min": 10**9}, "video_fen_per_min"),
        ({"initial_s": 0}, "initial_s"),
        ({"increment_s": 3601}, "increment_s"),
        ({"free_s": -1}, "free_s"),
        ({"currency": "yuan"}, "currency"),
        ({"currency": "CNY\n"}, "currency"),
        ({"currency": "ABC"}, "currency"),
        ({"currency": "cny"}, "currency"),
        ({"currency": "XAU"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"currency": 156}, "currency"),
        ({"channel": "hospital"}, "channel"),
        ({"fee_bearer": 1}, "fee_bearer"),
        ({"platform_share": "20%"}, "platform_share"),
        ({"platform_share": 20}, "platform_share"),
        ({"platform_share": -0.1}, "platform_share"),
        ({"platform_share": "NaN"}, "platform_share"),
        ({"platform_share": "1e-999999999"}, "platform_share"),
        ({"platform_share": "0.1234560000000000000000000000000000001"}, "platform_share"),
        ({"platform_share": True}, "platform_share"),
        ({"platform_share": [0.2]}, "platform_share"),
        ({"minimum_fen": 500, "cap_fen": 400}, "cap_fen"),
    ],
)
def test_a_wrong_field_is_refused_by_name(fields: dict[str, Any], names: str) -> None:
    with pytest.raises(TariffError, match=names):
        read(**fields)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        "[" * 9_000,
        '{"voice_fen_per_min": 1, "voice_fen_per_min": 2, "video_fen_per_min": 3}',
        '{"voice_fen_per_min": 1}',
        " " * 20_000,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_tariff_is_refused(text: str | bytes) -> None:
    with pytest.raises(TariffError):
        parse_tariff(text)


@pytest.mark.parametrize("text", ["0.07", '"0.07"', '"0.0700"', "7e-2", "0.070000"])
def test_the_share_is_exact_in_every_spelling(text: str) -> None:
    """0.07 as a binary float is 0.070000000000000006661...: the patient would pay for that."""
    body = '{"voice_fen_per_min": 1097, "video_fen_per_min": 2207, "platform_share": ' + text + "}"
    tariff = parse_tariff(body)
    assert tariff.share == Fraction(7, 100)
    assert tariff.digest == read(platform_share="0.07").digest


@given(share=st.decimals(0, 1, places=6))
def test_any_share_of_six_decimals_is_kept_exactly(share: object) -> None:
    assert make_tariff(RATES | {"platform_share": share}).share == Fraction(str(share))


@given(tariff=tariffs())
def test_a_tariff_survives_being_written_and_read(tariff: Tariff) -> None:
    again = parse_tariff(json.dumps(tariff.as_dict()))
    assert again == tariff
    assert again.digest == tariff.digest


def test_defaults_written_out_do_not_change_the_digest() -> None:
    """The patient agrees to prices, not to a spelling of them."""
    assert read(initial_s=1, free_s=0, cap_fen=None, platform_share=0).digest == read().digest
    assert read(voice_fen_per_min=1098).digest != read().digest


@pytest.mark.parametrize("currency", ["JPY", "KWD", "CLF", "HUF", "EUR"])
def test_every_currency_has_prices_in_its_own_minor_unit(currency: str) -> None:
    assert read(currency=currency).currency == currency


def test_the_digest_is_what_anyone_can_recompute() -> None:
    """Pinned: records already written carry this digest for these prices."""
    assert read().digest == "7c6f338f95372b1462149505ea60047d9252f46319c8dfb2209f6d7e39d8e98d"
