"""Recomputing a record's charge from the record alone: its segments, its tariff, its arithmetic.

The chain proves that a record is the one that was settled; this proves that what it asks for
follows from what it says was delivered. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from metering.columns import SHARE, SPLIT
from metering.errors import MeteringError
from metering.rating import rate
from metering.shares import allotted
from metering.tariff import Tariff, make_tariff
from metering.terms import FAULTS, EndCause, Mode

_SUMMED: Final = ("platform_fen", "physician_fen")


def wrong(record: Mapping[str, Any]) -> str | None:
    """Say what of a record does not follow from the rest of it; None where all does.

    Of an original that is everything: seconds from the segments, charge, split and shares from
    the seconds and the frozen tariff, and that a prepaid limit was kept. What a correction changes
    was decided by somebody, so of it only that its amounts add up.
    """
    try:
        return _unbalanced(record) or (_wrong(record) if record["kind"] == "original" else None)
    except (KeyError, TypeError, ValueError, MeteringError) as error:
        return f"it cannot be recomputed: {type(error).__name__}: {error}"


def _wrong(record: Mapping[str, Any]) -> str | None:
    tariff = make_tariff(record["tariff"])
    if record["tariff_digest"] != tariff.digest:
        return "tariff_digest is not that of its tariff"
    rates = {mode.value: tariff.rate_fen_per_min(mode) for mode in Mode}
    totals = dict.fromkeys(rates, 0)
    for one in record["segments"]:
        totals[one["mode"]] += one["duration_ms"]
        if one["rate_fen_per_min"] != rates[one["mode"]]:
            return "the rate of a segment is not its tariff's"
    seconds = {mode: totals[mode.value] // 1000 for mode in Mode}
    charge = rate(tariff, seconds, fault_ended=EndCause(record["end_cause"]) in FAULTS)
    told = {
        "mode_seconds": {mode.value: seconds[mode] for mode in Mode},
        "billable_s": sum(seconds.values()),
        "charge_fen": charge.charge_fen,
        "waived": charge.waived,
        "currency": tariff.currency,
        "split": asdict(charge.split),
    }
    for name, value in told.items():
        if record[name] != value:
            return f"{name} is {record[name]}, and should be {value}"
    limit = record.get("prepaid")
    if limit is not None and charge.split.patient_fen > limit["limit_fen"]:
        return "the patient pays more than was prepaid"
    return _shared_wrongly(record, tariff)


def _shared_wrongly(record: Mapping[str, Any], tariff: Tariff) -> str | None:
    """Compare the shares with the time of each physician; schema version 1 had none."""
    if "shares" not in record:
        return None
    times: dict[str, dict[str, int]] = {}
    for one in record["segments"]:
        mine = times.setdefault(one["physician_id"], {"voice_ms": 0, "video_ms": 0})
        mine[f"{one['mode']}_ms"] += one["duration_ms"]
    if not times:
        times = {record["physician_id"]: {"voice_ms": 0, "video_ms": 0}}
    charge = rate(
        tariff,
        {mode: record["mode_seconds"][mode.value] for mode in Mode},
        fault_ended=EndCause(record["end_cause"]) in FAULTS,
    )
    rows = [{"physician_id": who, **of} for who, of in times.items()]
    if record["shares"] != allotted(rows, tariff, charge.split):
        return "the shares do not follow from each physician's time"
    return None


def _unbalanced(record: Mapping[str, Any]) -> str | None:
    """Whether what is paid is not what is received, in what it is and in what then holds."""
    splits = {"split": record["split"]}
    if "net" in record:
        splits["net"] = record["net"]["split"]
    for name, split in splits.items():
        payable, insurer, patient, platform, physician = (split[one] for one in SPLIT)
        if not insurer + patient == payable == platform + physician:
            return f"{name} does not add up"
    shares = record.get("shares")
    if shares is not None:
        for name in _SUMMED:
            if sum(share[name] for share in shares) != record["split"][name]:
                return f"the shares do not add up to {name}"
        if not all(set(share) == set(SHARE) for share in shares):
            return "a share has other members"
    return None
