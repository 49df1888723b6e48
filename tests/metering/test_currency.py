"""Amounts are shown in the minor unit of their currency, by the server and by the pages alike."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.currency import EXPONENTS, decimal, exponent, is_known, money

PAGES = Path(__file__).resolve().parents[2] / "static" / "js" / "currency.js"


@pytest.mark.parametrize(
    ("fen", "currency", "text"),
    [
        (7770, "CNY", "77.70 CNY"),
        (5, "CNY", "0.05 CNY"),
        (-5, "CNY", "-0.05 CNY"),
        (-12303, "CNY", "-123.03 CNY"),
        (7770, "JPY", "7770 JPY"),
        (0, "JPY", "0 JPY"),
        (7770, "KWD", "7.770 KWD"),
        (7770, "CLF", "0.7770 CLF"),
        (7770, "HUF", "77.70 HUF"),
    ],
)
def test_an_amount_is_written_in_its_major_unit(fen: int, currency: str, text: str) -> None:
    assert money(fen, currency) == text


@given(fen=st.integers(-(10**15), 10**15), currency=st.sampled_from(sorted(EXPONENTS)))
def test_a_text_is_worth_exactly_its_amount(fen: int, currency: str) -> None:
    assert Decimal(decimal(fen, currency)).scaleb(exponent(currency)) == fen


def test_the_table_is_that_of_the_standard_s_list_one() -> None:
    """178 codes on 2026-01-01, without the 13 that have no minor unit."""
    assert len(EXPONENTS) == 165
    for none in ("XAU", "XDR", "XXX", "XTS", "ABC", "", "cny"):
        assert not is_known(none)


def test_the_pages_know_the_same_minor_units() -> None:
    found = {
        code: int(digits)
        for digits, codes in re.findall(r'^\s+(\d): "([A-Z ]+)",$', PAGES.read_text("utf-8"), re.M)
        for code in codes.split()
    }
    assert found == {code: digits for code, digits in EXPONENTS.items() if digits != 2}
