"""Seconds to a charge and its split: integer arithmetic, rounded half-up to one fen, once.

A fen is the minor unit of the tariff's currency. A price per minute times seconds is an integer
count of sixtieths of a fen, so the whole sum is exact until its one rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from metering.currency import decimal, money
from metering.errors import RatingError
from metering.tariff import Channel, FeeBearer, Tariff
from metering.terms import Mode

FAULT_WAIVER_S: Final = 15
"""A consult whose total is under this and that a fault ended costs nothing."""
MAX_SECONDS: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One step of the arithmetic: `text` for people, the rest for programs.

    `fen_60ths` is an exact amount in sixtieths of a fen, `fen` an amount in whole fen.
    """

    step: str
    text: str
    mode: Mode | None = None
    seconds: int | None = None
    fen_60ths: int | None = None
    fen: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give JSON-ready values; what does not apply to the step is left out."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Split:
    """Who pays and who receives: `insurer + patient == payable == platform + physician`.

    `payable_fen` is the charge, and the platform's share on top where the patient bears it.
    """

    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int


@dataclass(frozen=True, slots=True)
class Charge:
    """What a consult costs, who pays it, and how it came about."""

    charge_fen: int
    split: Split
    lines: tuple[Line, ...]
    waived: bool


def rate(tariff: Tariff, mode_seconds: Mapping[Mode, int], *, fault_ended: bool = False) -> Charge:
    """Rate the whole seconds of a consult, one total per mode.

    Order: the waiver for short consults that a fault ended; the free allowance, off the dearest
    mode first; initial and increment, per mode; the sum; minimum and cap; the one rounding.
    The charge never falls when seconds are added.

    Raises:
        RatingError: seconds are negative or above `MAX_SECONDS`.
    """
    seconds = {mode: mode_seconds.get(mode, 0) for mode in Mode}
    for mode, value in seconds.items():
        if not 0 <= value <= MAX_SECONDS:
            raise RatingError(f"{value} s of {mode} cannot be rated")
    waived = fault_ended and sum(seconds.values()) < FAULT_WAIVER_S
    if waived:
        text = f"a fault ended the consult before {FAULT_WAIVER_S} s: it costs nothing"
        lines = [Line("waived", text, seconds=sum(seconds.values()), fen=0)]
        charge_fen = 0
    else:
        lines = _price(tariff, seconds)
        charge_fen = lines[-1].fen or 0
    split = split_of(tariff, charge_fen)
    return Charge(charge_fen, split, (*lines, *_explain(tariff, split)), waived)


def _price(tariff: Tariff, seconds: Mapping[Mode, int]) -> list[Line]:
    """Give the steps from seconds to the charge, which is `fen` of the last one."""
    lines: list[Line] = []
    total_60ths = 0
    charged_s = 0
    for mode, after_free_s in _without_allowance(tariff, seconds, lines):
        rounded_s = _rounded(tariff, after_free_s)
        if rounded_s != after_free_s:
            rule = f"{tariff.initial_s}/{tariff.increment_s}"
            text = f"{mode}: {after_free_s} s in steps of {rule} are {rounded_s} s"
            lines.append(Line("increment", text, mode, rounded_s))
        price = tariff.rate_fen_per_min(mode)
        each = f"{money(price, tariff.currency)}/min"
        text = f"{mode}: {rounded_s} s x {each} = {_sixtieths(tariff, rounded_s * price)}"
        lines.append(Line("price", text, mode, rounded_s, rounded_s * price))
        total_60ths += rounded_s * price
        charged_s += rounded_s
    text = f"sum: {_sixtieths(tariff, total_60ths)}"
    lines.append(Line("sum", text, fen_60ths=total_60ths))
    fen = (2 * total_60ths + 60) // 120
    if charged_s and fen < tariff.minimum_fen:
        fen = tariff.minimum_fen
        lines.append(Line("minimum", f"at least {money(fen, tariff.currency)}", fen=fen))
    if tariff.cap_fen is not None and fen > tariff.cap_fen:
        fen = tariff.cap_fen
        lines.append(Line("cap", f"at most {money(fen, tariff.currency)}", fen=fen))
    text = f"charge, rounded half-up once: {money(fen, tariff.currency)}"
    lines.append(Line("charge", text, fen=fen))
    return lines


def _sixtieths(tariff: Tariff, fen_60ths: int) -> str:
    """Write an exact amount as a calculator gives it: `4662.25/60 CNY`."""
    return f"{decimal(fen_60ths, tariff.currency)}/60 {tariff.currency}"


def _without_allowance(
    tariff: Tariff, seconds: Mapping[Mode, int], lines: list[Line]
) -> list[tuple[Mode, int]]:
    """Take the free seconds off the dearest mode first: there they are worth most to the patient.

    This needs no order of events, so a charge can be recomputed from the totals alone.
    """
    left_s = tariff.free_s
    charged: dict[Mode, int] = {}
    for mode in sorted(Mode, key=tariff.rate_fen_per_min, reverse=True):
        free_s = min(left_s, seconds[mode])
        left_s -= free_s
        charged[mode] = seconds[mode] - free_s
        if free_s:
            text = f"{mode}: {seconds[mode]} s less {free_s} s free are {charged[mode]} s"
            lines.append(Line("allowance", text, mode, charged[mode]))
    return [(mode, charged[mode]) for mode in Mode if charged[mode]]


def _rounded(tariff: Tariff, seconds: int) -> int:
    """Apply initial and increment to a total above zero."""
    beyond_s = max(0, seconds - tariff.initial_s)
    return tariff.initial_s + -(-beyond_s // tariff.increment_s) * tariff.increment_s


def split_of(tariff: Tariff, charge_fen: int) -> Split:
    """Split a charge (0 or more) by a tariff."""
    exact = tariff.share * charge_fen
    platform_fen = (2 * exact.numerator + exact.denominator) // (2 * exact.denominator)
    insurer_fen = 0
    if tariff.channel is Channel.PUBLIC_HOSPITAL:
        insurer_fen = min(tariff.insurer_base_fen, charge_fen)
    on_top = tariff.fee_bearer is FeeBearer.PATIENT
    payable_fen = charge_fen + platform_fen if on_top else charge_fen
    return Split(
        payable_fen=payable_fen,
        insurer_fen=insurer_fen,
        patient_fen=payable_fen - insurer_fen,
        platform_fen=platform_fen,
        physician_fen=payable_fen - platform_fen,
    )


def _explain(tariff: Tariff, split: Split) -> list[Line]:
    how = "on top" if tariff.fee_bearer is FeeBearer.PATIENT else "deducted"
    parts = (
        ("platform", f"platform, {tariff.platform_share} of the charge, {how}", split.platform_fen),
        ("physician", "physician", split.physician_fen),
        ("insurer", "insurer", split.insurer_fen),
        ("patient", "patient", split.patient_fen),
    )
    return [
        Line(step, f"{text}: {money(fen, tariff.currency)}", fen=fen) for step, text, fen in parts
    ]


def affordable_s(
    tariff: Tariff, mode_seconds: Mapping[Mode, int], mode: Mode, limit_fen: int
) -> int | None:
    """How many more whole seconds of `mode` a prepaid limit covers, after `mode_seconds`.

    The limit is on what the patient pays. The charge never falls, so the answer is found by
    halving.

    Returns:
        0 when not even one is covered; None when the limit is never reached (a cap, a price of 0).
    """

    def covered(more_s: int) -> bool:
        seconds = {**mode_seconds, mode: mode_seconds.get(mode, 0) + more_s}
        return rate(tariff, seconds).split.patient_fen <= limit_fen

    low, high = 0, MAX_SECONDS - mode_seconds.get(mode, 0)
    if covered(high):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if covered(middle) else (low, middle - 1)
    return low
