"""Corrections of a consult's records: what an adjustment or a void changes. Pure.

A record is immutable, so a correction is a further record. Its seconds, amounts and shares are what
it changes, with their sign: sums over the ledger are right at any position. `net` is what holds
after it. What holds is always computed anew from the original and its frozen tariff, and the change
is the difference to what held before, so no number of corrections can drift from it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

from metering.columns import SHARE, SPLIT, shares_of
from metering.errors import (
    AdjustmentError,
    AlreadyVoid,
    NothingChanges,
    RecordSuperseded,
    TooManyCorrections,
)
from metering.rating import MAX_SECONDS, Split, rate, split_of
from metering.record import SCHEMA_VERSION, is_reference, record_id
from metering.shares import allot, allotted
from metering.tariff import Tariff, make_tariff
from metering.terms import FAULTS, Mode

MAX_CHARGE_FEN: Final = 10**12
MAX_CORRECTIONS: Final = 1_000
_OF_THE_LEDGER: Final = ("seq", "settled_at", "prev_hash", "hash")
_SHARED: Final = SHARE[1:]


class Kind(StrEnum):
    """What a correction does: set another total, or bring everything to zero for good."""

    ADJUSTMENT = "adjustment"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Correction:
    """What is wanted: of an adjustment exactly one of both totals, of a void neither.

    `charge_fen` is the consult's new charge, split by the frozen tariff. `mode_seconds` are its new
    whole seconds, rated by it. `corrects` is the id of the consult's latest record. `reason` and
    `actor` are references (`metering.record.is_reference`): a record holds no sentence.
    """

    corrects: str
    kind: Kind
    reason: str
    actor: str
    charge_fen: int | None = None
    mode_seconds: Mapping[Mode, int] | None = None


@dataclass(frozen=True, slots=True)
class _Net:
    """What holds after a record."""

    mode_seconds: Mapping[str, int]
    charge_fen: int
    split: Mapping[str, int]
    waived: bool


def corrected(so_far: Sequence[Mapping[str, Any]], wanted: Correction) -> dict[str, Any]:
    """Give a consult's next record, JSON-ready, still without its place in the ledger.

    Args:
        so_far: All records of the consult, the original first.

    Raises:
        AdjustmentError: the correction breaks a rule, or one of its kinds below.
        AlreadyVoid: the consult is void.
        RecordSuperseded: `corrects` is not the latest record.
        TooManyCorrections: only a void is possible.
        NothingChanges: all is already as wanted; a void always changes that it is final.
    """
    original, latest = so_far[0], so_far[-1]
    _check(latest, wanted)
    tariff = make_tariff(original["tariff"])
    before = _net(latest)
    after = _wanted(original, before, tariff, wanted)
    _within_limit(original, before, after)
    if wanted.kind is Kind.ADJUSTMENT and _amounts(before) == _amounts(after):
        raise NothingChanges(latest["record_id"])
    revision = latest["revision"] + 1
    seconds = _less(after.mode_seconds, before.mode_seconds)
    facts = {name: value for name, value in original.items() if name not in _OF_THE_LEDGER}
    return {
        "department": "",  # of schema version 1, which had none
        **facts,
        "schema_version": SCHEMA_VERSION,
        "record_id": record_id(original["consult_id"], revision),
        "revision": revision,
        "kind": wanted.kind.value,
        "corrects": wanted.corrects,
        "reason": wanted.reason,
        "actor": wanted.actor,
        "mode_seconds": seconds,
        "billable_s": sum(seconds.values()),
        "segments": [],
        "charge_fen": after.charge_fen - before.charge_fen,
        "waived": after.waived,
        "split": _less(after.split, before.split),
        "shares": _shares(so_far, after, tariff, void=wanted.kind is Kind.VOID),
        "quality": None,
        "net": {
            "mode_seconds": dict(after.mode_seconds),
            "billable_s": sum(after.mode_seconds.values()),
            "charge_fen": after.charge_fen,
            "split": dict(after.split),
        },
    }


def _check(latest: Mapping[str, Any], wanted: Correction) -> None:
    for name in ("reason", "actor"):
        if not is_reference(getattr(wanted, name)):
            raise AdjustmentError(f"{name}: must be 1 to 128 letters, digits or ._:@/-")
    given = (wanted.charge_fen is not None) + (wanted.mode_seconds is not None)
    if given != (wanted.kind is Kind.ADJUSTMENT):
        raise AdjustmentError(
            "an adjustment has either charge_fen or mode_seconds, a void has neither"
        )
    if latest["kind"] == Kind.VOID:
        raise AlreadyVoid(latest["record_id"])
    if latest["record_id"] != wanted.corrects:
        raise RecordSuperseded(latest["record_id"])
    if latest["revision"] >= MAX_CORRECTIONS and wanted.kind is not Kind.VOID:
        raise TooManyCorrections(MAX_CORRECTIONS)


def _net(latest: Mapping[str, Any]) -> _Net:
    held = latest.get("net", latest)
    split = {name: held["split"][name] for name in SPLIT}
    return _Net(held["mode_seconds"], held["charge_fen"], split, latest["waived"])


def _wanted(original: Mapping[str, Any], before: _Net, tariff: Tariff, wanted: Correction) -> _Net:
    """Give what shall hold.

    Raises:
        AdjustmentError: a total is out of bounds.
    """
    if wanted.mode_seconds is not None:
        seconds = {mode: wanted.mode_seconds.get(mode, 0) for mode in Mode}
        if not all(0 <= value <= MAX_SECONDS for value in seconds.values()):
            raise AdjustmentError(f"mode_seconds: must be 0 to {MAX_SECONDS} of each mode")
        charge = rate(tariff, seconds, fault_ended=original["end_cause"] in FAULTS)
        plain = {mode.value: seconds[mode] for mode in Mode}
        return _Net(plain, charge.charge_fen, _plain(charge.split), charge.waived)
    charge_fen = wanted.charge_fen or 0
    if not 0 <= charge_fen <= MAX_CHARGE_FEN:
        raise AdjustmentError(f"charge_fen: must be 0 to {MAX_CHARGE_FEN}")
    zero = {mode.value: 0 for mode in Mode}
    seconds_held = zero if wanted.kind is Kind.VOID else before.mode_seconds
    return _Net(seconds_held, charge_fen, _plain(split_of(tariff, charge_fen)), waived=False)


def _within_limit(original: Mapping[str, Any], before: _Net, after: _Net) -> None:
    """A prepaid consult never bills above what was paid."""
    limit = original.get("prepaid")
    patient_fen = after.split["patient_fen"]
    if limit and patient_fen > max(limit["limit_fen"], before.split["patient_fen"]):
        raise AdjustmentError("the patient would pay more than was prepaid")


def _shares(
    so_far: Sequence[Mapping[str, Any]], after: _Net, tariff: Tariff, *, void: bool
) -> list[dict[str, Any]]:
    """Give what each physician's share changes by.

    Money is allotted by the price of the original's times; so are seconds, to who had that mode.
    """
    original = so_far[0]
    first = shares_of(original, "")
    split = Split(**after.split)
    held = {row["physician_id"]: dict.fromkeys(_SHARED, 0) for row in first}
    for record in so_far:
        for row in shares_of(record, ""):
            for name in _SHARED:
                held[row["physician_id"]][name] += row[name]
    rows = allotted(first, tariff, split)
    for mode in Mode:
        name = f"{mode}_ms"
        times = [0] * len(rows) if void else _times(original, first, mode, after)
        for row, ms in zip(rows, times, strict=True):
            row[name] = ms
    return [
        {
            "physician_id": row["physician_id"],
            **{name: row[name] - held[row["physician_id"]][name] for name in _SHARED},
        }
        for row in rows
    ]


def _times(
    original: Mapping[str, Any], first: Sequence[Mapping[str, Any]], mode: Mode, after: _Net
) -> list[int]:
    """Give each physician's milliseconds: as delivered while the seconds are the original's."""
    delivered = [row[f"{mode}_ms"] for row in first]
    seconds = after.mode_seconds[mode]
    if seconds == original["mode_seconds"][mode]:
        return delivered
    of_any = [row["voice_ms"] + row["video_ms"] for row in first]
    weights = next((some for some in (delivered, of_any) if any(some)), [1] * len(first))
    return allot(seconds * 1000, weights)


def _amounts(net: _Net) -> tuple[dict[str, int], int, dict[str, int]]:
    return dict(net.mode_seconds), net.charge_fen, dict(net.split)


def _less(after: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    return {name: after[name] - before[name] for name in after}


def _plain(split: Split) -> dict[str, int]:
    return asdict(split)
