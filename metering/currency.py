"""Currencies and their minor units (ISO 4217), and amounts as text.

An amount is an integer count of the currency's minor unit, `fen` in every name: 1/100 of a yuan,
one yen, 1/1000 of a dinar. What the standard says of a minor unit is not what browsers know: for
16 currencies (the forint and the rupiah among them) CLDR leaves out the decimals that nobody pays
in coins. So pages have the same table as this one (`static/js/currency.js`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_HUNDREDTHS: Final = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF
CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD
GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL
MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR
PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP
TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG
"""
_NO_DECIMALS: Final = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THOUSANDTHS: Final = "BHD IQD JOD KWD LYD OMR TND"
_TEN_THOUSANDTHS: Final = "CLF UYW"

EXPONENTS: Final[Mapping[str, int]] = {
    code: digits
    for digits, codes in (
        (2, _HUNDREDTHS),
        (0, _NO_DECIMALS),
        (3, _THOUSANDTHS),
        (4, _TEN_THOUSANDTHS),
    )
    for code in codes.split()
}
"""The decimals of every currency and fund of the standard's list one, 2026-01-01. Codes without a
minor unit (gold, the SDR, tests) are not in it. Add what the standard adds and remove nothing:
consults that are stored name it."""


def is_known(currency: str) -> bool:
    """Whether amounts can be given in this currency."""
    return currency in EXPONENTS


def exponent(currency: str) -> int:
    """How many decimals the minor unit is: 2 for CNY, 0 for JPY, 3 for KWD.

    Raises:
        KeyError: not a currency with a minor unit.
    """
    return EXPONENTS[currency]


def decimal(fen: int, currency: str) -> str:
    """Write an amount in the currency's major unit, exactly: `77.70`, `-0.05`, `7770`."""
    digits = exponent(currency)
    sign = "-" if fen < 0 else ""
    whole, rest = divmod(abs(fen), 10**digits)
    return f"{sign}{whole}.{rest:0{digits}d}" if digits else f"{sign}{whole}"


def money(fen: int, currency: str) -> str:
    """Write an amount with its currency: `77.70 CNY`."""
    return f"{decimal(fen, currency)} {currency}"
