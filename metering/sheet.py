"""Records as rows of a spreadsheet: CSV as in RFC 4180, UTF-8. Pure.

A cell of text that a spreadsheet would take for a formula gets an apostrophe in front, and so does
one that begins with an apostrophe: take the first one off to have the text. Numbers are never
changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson

from metering.columns import SPLIT

BOM: Final = "\ufeff"
"""For spreadsheets that would take UTF-8 for another encoding without it."""
Record = Mapping[str, Any]
_FORMULA: Final = re.compile(r"['=+\-@\t\r\n＝＋－＠]")
_QUOTED: Final = re.compile(r'[",\r\n]')


def _plain(name: str) -> Callable[[Record], object]:
    return lambda record: record.get(name)


def _of_split(name: str) -> Callable[[Record], object]:
    return lambda record: record["split"][name]


_BEFORE: Final = (
    *("seq", "record_id", "consult_id", "revision", "kind", "corrects", "reason", "actor"),
    *("settled_at", "started_at", "ended_at", "organization_id", "department", "channel"),
    *("physician_id", "patient_ref", "end_cause", "end_party"),
)
_AFTER: Final = ("wait_s", "held_s", "interrupted_s", "waived", "estimated", "tariff_digest")
COLUMNS: Final[Mapping[str, Callable[[Record], object]]] = {
    **{name: _plain(name) for name in _BEFORE},
    "voice_s": lambda record: record["mode_seconds"]["voice"],
    "video_s": lambda record: record["mode_seconds"]["video"],
    **{name: _plain(name) for name in ("billable_s", "currency", "charge_fen")},
    **{name: _of_split(name) for name in SPLIT},
    "net_charge_fen": lambda record: record.get("net", record)["charge_fen"],
    **{name: _plain(name) for name in _AFTER},
    **{name: _plain(name) for name in ("prev_hash", "hash")},
}
"""Each column and what it has of a record; docs/metering.md explains them."""
HEADER: Final = ",".join(COLUMNS) + "\r\n"


def line(body: str) -> str:
    """Give the row of a record, from its canonical text."""
    record = orjson.loads(body)
    return ",".join([cell(value(record)) for value in COLUMNS.values()]) + "\r\n"


def cell(value: object) -> str:
    """Write a value as a cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    text = str(value)
    if _FORMULA.match(text):
        text = f"'{text}"
    if _QUOTED.search(text):
        quoted = text.replace('"', '""')
        return f'"{quoted}"'
    return text
