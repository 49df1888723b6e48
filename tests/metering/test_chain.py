"""Whoever has the records can prove that none was changed, swapped or left out."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from metering.chain import GENESIS, Head, canonical, chained, check, link, verify
from metering.errors import ChainBroken
from metering.record import rfc3339
from tests.metering.samples import FACTS, record

AT = rfc3339(FACTS.ended_at_ms)
DOCS = Path(__file__).parents[2] / "docs" / "metering.md"


def ledger(count: int) -> list[dict[str, Any]]:
    records, head = [], Head()
    for index in range(count):
        found = chained(head, record(f"con_{index}"), AT)
        records.append(found)
        head = Head(found["seq"], found["hash"], AT)
    return records


LEDGER = ledger(6)


def test_the_hash_is_that_of_the_hex_digits_and_the_canonical_text() -> None:
    """Recomputed with nothing but the standard library: the records are ASCII and integers."""
    for found in LEDGER:
        rest = {name: value for name, value in found.items() if name != "hash"}
        text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        expected = hashlib.sha256((found["prev_hash"] + text).encode()).hexdigest()
        assert found["hash"] == expected


def test_a_sound_chain_verifies_from_its_start_and_from_any_record() -> None:
    whole = verify(LEDGER)
    assert (whole.broken, whole.head) == (None, Head(6, LEDGER[-1]["hash"], AT))
    assert verify([]).head == Head(0, GENESIS)
    assert verify(LEDGER[3:], Head(3, LEDGER[2]["hash"])) == whole
    assert verify(canonical(found).decode() for found in LEDGER) == whole


@given(at=st.integers(0, 5), name=st.sampled_from(sorted(LEDGER[0])))
def test_any_changed_field_is_found_and_its_record_named(at: int, name: str) -> None:
    records = [dict(found) for found in LEDGER]
    records[at][name] = "changed"
    found = verify(records)
    assert found.broken is not None
    assert found.broken.seq == at + 1
    assert found.head.seq == at


@given(at=st.integers(0, 4))
def test_a_record_left_out_is_found_at_its_place(at: int) -> None:
    found = verify(LEDGER[:at] + LEDGER[at + 1 :])
    assert found.broken is not None
    assert found.broken.seq == at + 1


def test_a_record_rehashed_by_a_forger_breaks_at_its_successor() -> None:
    records = list(LEDGER)
    forged = {**records[2], "charge_fen": 1}
    del forged["hash"]
    records[2] = {**forged, "hash": link(forged["prev_hash"], forged)}
    found = verify(records)
    assert found.broken is not None
    assert (found.broken.seq, found.broken.record_id) == (4, LEDGER[3]["record_id"])


NOT_CANONICAL = ["", "[]", "{}", "\ud800", '{"a":"\\ud800"}', '{"a":1e999}', "[" * 99_999]


@pytest.mark.parametrize("text", [*NOT_CANONICAL, json.dumps(LEDGER[0])])
def test_a_stored_text_that_is_not_the_canonical_one_is_broken(text: str) -> None:
    with pytest.raises(ChainBroken):
        check(Head(), text)


def test_the_worked_example_of_the_documentation_is_true() -> None:
    """docs/metering.md shows a record's bytes and its hash: this is that record."""
    text = DOCS.read_text()
    shown = re.search(r"```json\n(\{.*?\})\n```\n", text, re.DOTALL)
    assert shown is not None
    example = json.loads(shown[1])
    assert example == chained(Head(), record("con_1"), AT)
    assert verify([shown[1]]).broken is None
    assert text.count(example["hash"]) >= 2


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=5))
def test_the_canonical_form_is_that_of_rfc_8785_for_any_json(value: dict[str, Any]) -> None:
    """However it is written: names in UTF-16 order, ECMAScript's numbers, its escapes."""
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("value", [2**53, object(), b"x"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises(rfc8785.CanonicalizationError):
        canonical({"a": value})
