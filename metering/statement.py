"""Statements of a month: what each physician earned, what the organization billed. Pure.

Sums come in as groups, one for each subject, currency and kind, as SQL gives them
(`metering.sums`); here they are put beside each other. Adjustments stand apart from the calls of
the month they were made in, so a statement that was printed stays true: nothing is ever settled in
a month that is over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any, Final

from metering.currency import decimal
from metering.errors import MonthInvalid
from metering.record import rfc3339
from metering.sheet import BOM, cell

_MONTH: Final = re.compile(r"(\d{4})-(0[1-9]|1[0-2])", re.ASCII)
_YEARS: Final = range(1971, 9999)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A kind of statement: by what its rows are told apart, and what is summed.

    `sources` are columns of the ledger; `fee_fen` is derived: what the platform and the physician
    receive together, which is what the patient and the insurer pay.
    """

    subject: tuple[str, ...]
    sources: tuple[str, ...]
    amounts: tuple[str, ...]


PHYSICIANS: Final = Sheet(
    ("physician_id",),
    ("voice_ms", "video_ms", "platform_fen", "physician_fen"),
    ("voice_ms", "video_ms", "fee_fen", "platform_fen", "physician_fen"),
)
_ORGANIZATION: Final = (
    "voice_s",
    "video_s",
    "charge_fen",
    "payable_fen",
    "insurer_fen",
    "patient_fen",
    "platform_fen",
    "physician_fen",
)
ORGANIZATION: Final = Sheet(("department", "channel"), _ORGANIZATION, _ORGANIZATION)


@dataclass(frozen=True, slots=True)
class Group:
    """Sums over records of one subject, currency and kind. `sums` has the sheet's `sources`."""

    subject: tuple[str, ...]
    currency: str
    original: bool
    count: int
    sums: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Statement:
    """`rows` in the order of their subjects, `totals` one for each currency.

    Each has its subject and `currency`, `calls` and the sheet's amounts of the calls settled in the
    month, the same of the adjustments made in it (`adjustments`, with their `count`), and both
    together (`net`).
    """

    sheet: Sheet
    rows: Sequence[dict[str, Any]]
    totals: Sequence[dict[str, Any]]


def bounds(month: str, zone: tzinfo) -> tuple[str, str]:
    """Give the first moment of a month and of the next, in UTC as records have it.

    Args:
        month: As in `2026-03`.
        zone: Where the month begins at midnight.

    Raises:
        MonthInvalid: no month, or one that records cannot be of.
    """
    match = _MONTH.fullmatch(month)
    if match is None or int(match[1]) not in _YEARS:
        raise MonthInvalid
    year, number = int(match[1]), int(match[2])
    next_year, next_number = (year + 1, 1) if number == 12 else (year, number + 1)
    return midnight(year, number, 1, zone), midnight(next_year, next_number, 1, zone)


def midnight(year: int, month: int, day: int, zone: tzinfo) -> str:
    """Give the moment at which a day begins, in UTC as records have it."""
    return rfc3339(round(datetime(year, month, day, tzinfo=zone).timestamp() * 1000))


def statement(sheet: Sheet, groups: Iterable[Group]) -> Statement:
    """Put the sums of a month beside each other."""
    by_subject: dict[tuple[tuple[str, ...], str], list[Group]] = {}
    by_currency: dict[str, list[Group]] = {}
    for group in groups:
        by_subject.setdefault((group.subject, group.currency), []).append(group)
        by_currency.setdefault(group.currency, []).append(group)
    rows = [
        {**dict(zip(sheet.subject, subject, strict=True)), **_row(sheet, currency, found)}
        for (subject, currency), found in sorted(by_subject.items())
    ]
    totals = [_row(sheet, currency, found) for currency, found in sorted(by_currency.items())]
    return Statement(sheet, rows, totals)


def _row(sheet: Sheet, currency: str, groups: Sequence[Group]) -> dict[str, Any]:
    originals = [group for group in groups if group.original]
    adjustments = [group for group in groups if not group.original]
    return {
        "currency": currency,
        "calls": sum(group.count for group in originals),
        **_amounts(sheet, originals),
        "adjustments": {
            "count": sum(group.count for group in adjustments),
            **_amounts(sheet, adjustments),
        },
        "net": _amounts(sheet, groups),
    }


def _amounts(sheet: Sheet, groups: Sequence[Group]) -> dict[str, int]:
    found = {name: sum(group.sums[name] for group in groups) for name in sheet.sources}
    if "fee_fen" in sheet.amounts:
        found["fee_fen"] = found["platform_fen"] + found["physician_fen"]
    return {name: found[name] for name in sheet.amounts}


def csv_text(made: Statement, month: str, names: Mapping[str, str]) -> str:
    """Write a statement for a spreadsheet: a row for each subject, money in its currency's units.

    A byte order mark goes first, since spreadsheets take UTF-8 for something else without. Texts
    are written as `metering.sheet` has them.

    Args:
        names: Names of physicians, by their ids.
    """
    sheet = made.sheet
    named = ("physician_name",) if sheet is PHYSICIANS else ()
    columns = [name.removesuffix("_fen") for name in sheet.amounts]
    heads = ["month", *sheet.subject, *named, "currency", "calls", *columns, "adjustments"]
    heads += [f"{part}_{name}" for part in ("adjustments", "net") for name in columns]
    lines = [",".join(heads)]
    for row in made.rows:
        subject = [row[name] for name in sheet.subject]
        if named:
            subject.append(names.get(row["physician_id"], ""))
        cells = [month, *map(cell, subject), row["currency"], str(row["calls"])]
        cells += _cells(sheet, row, row["currency"])
        cells.append(str(row["adjustments"]["count"]))
        for amounts in (row["adjustments"], row["net"]):
            cells += _cells(sheet, amounts, row["currency"])
        lines.append(",".join(cells))
    return BOM + "".join(f"{line}\r\n" for line in lines)


def _cells(sheet: Sheet, amounts: Mapping[str, int], currency: str) -> list[str]:
    return [
        decimal(amounts[name], currency) if name.endswith("_fen") else str(amounts[name])
        for name in sheet.amounts
    ]
