"""Every published example, by the rating alone and by a meter that lived through the call."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from metering.events import (
    Closed,
    Engaged,
    FlowSeen,
    FlowStarted,
    FlowStopped,
    ModeChanged,
    Opened,
)
from metering.meter import Meter, open_meter, reading, step
from metering.quote import quote
from metering.rating import affordable_s, rate
from metering.record import build_record
from metering.tariff import make_tariff
from metering.terms import EndCause, Mode, Party, Side
from tests.metering.examples import PREPAID_FEN, PUBLISHED, RATES, Example
from tests.metering.samples import FACTS, WALL_MS

each = pytest.mark.parametrize("example", PUBLISHED, ids=lambda one: f"{one.segments} {one.tariff}")


def seconds(example: Example) -> dict[Mode, int]:
    return {Mode(mode): total for mode, total in example.mode_seconds().items()}


@each
def test_an_example_by_rating_alone(example: Example) -> None:
    charge = rate(make_tariff(example.full_tariff), seconds(example))
    found = {"charge_fen": charge.charge_fen, **asdict(charge.split)}
    assert {name: found[name] for name in example.gives} == example.gives


@each
def test_an_example_by_a_meter_that_lived_through_it(example: Example) -> None:
    """Packet by packet, with a reconnect or a change of mode between the parts."""
    tariff, meter = make_tariff(example.full_tariff), lived(example)
    record = build_record(FACTS, meter, tariff)
    assert record["mode_seconds"] == example.mode_seconds()
    assert record["interrupted_s"] == example.interrupted_s
    found = {"charge_fen": record["charge_fen"], **record["split"]}
    assert {name: found[name] for name in example.gives} == example.gives


def lived(example: Example) -> Meter:
    """Play the parts: one of another mode follows at once, one of the same mode after a gap."""
    mode, at_ms, flowing = example.parts[0][0], 0, False
    meter = step(open_meter(Opened(0, WALL_MS, "phy_1", Mode(mode))), Engaged(0))
    for wanted, length_s in example.parts:
        if flowing and wanted == mode:
            for side in Side:
                meter = step(meter, FlowStopped(side, at_ms))
            at_ms, flowing = at_ms + example.interrupted_s * 1000, False
        if not flowing:
            for side in Side:
                meter = step(meter, FlowStarted(side, at_ms))
        if wanted != mode:
            meter = step(meter, ModeChanged(Mode(wanted), at_ms))
        mode, at_ms, flowing = wanted, at_ms + length_s * 1000, True
        for side in Side:
            meter = step(meter, FlowSeen(side, at_ms))
    return step(meter, Closed(at_ms, EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN))


def test_a_prepaid_call_ends_with_its_last_whole_second() -> None:
    """50.00 of voice: 273 s are 49.91, and the 274th would be above it."""
    tariff = make_tariff(RATES)
    affordable = affordable_s(tariff, {}, Mode.VOICE, PREPAID_FEN)
    assert affordable == 273
    (example,) = (one for one in PUBLISHED if one.segments == f"voice:{affordable}")
    assert rate(tariff, seconds(example)).charge_fen == 4991 <= PREPAID_FEN
    assert rate(tariff, {Mode.VOICE: affordable + 1}).charge_fen > PREPAID_FEN


def test_the_meter_of_a_prepaid_call_has_what_is_billed_at_its_end() -> None:
    (example,) = (one for one in PUBLISHED if one.segments == "voice:273")
    assert reading(lived(example)).seconds()[Mode.VOICE] == 273


# --- the document -------------------------------------------------------------------------------

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "metering.md"


def documented() -> list[list[str]]:
    """The rows of the table of worked examples, as cells."""
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text[text.index("### Worked examples") :]
    table = re.search(r"^(\|.*\|\n)+", section, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_worked_example_of_the_document_is_true() -> None:
    """Who checks a bill by the document must come to what is billed."""
    header, _, *rows = documented()
    assert len(rows) >= 12
    names = [cell.strip("`") for cell in header]
    for row in rows:
        cells = dict(zip(names, row, strict=True))
        tariff = make_tariff(RATES | json.loads(cells["Tariff"].strip("`") or "{}"))
        example = Example(cells["Seconds"].strip("`"), {}, {})
        found = quote(tariff, seconds(example))
        amounts = [name for name in names if name.endswith("_fen")]
        assert [str(found[name]) for name in amounts] == [cells[name] for name in amounts], row


def test_the_document_has_every_published_example() -> None:
    header, _, *rows = documented()
    at = [cell.strip("`") for cell in header].index("charge_fen")
    known = [(json.loads(row[0].strip("`") or "{}"), row[1].strip("`"), row[at]) for row in rows]
    for one in PUBLISHED:
        assert (one.tariff, one.segments, str(one.gives["charge_fen"])) in known, one
