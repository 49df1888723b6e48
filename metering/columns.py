"""The columns beside a record's text, which find it and sum it up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

SPLIT: Final = ("payable_fen", "insurer_fen", "patient_fen", "platform_fen", "physician_fen")
SHARE: Final = ("physician_id", "voice_ms", "video_ms", "platform_fen", "physician_fen")


def columns_of(record: Mapping[str, Any], settled_at: str) -> dict[str, Any]:
    """Give the columns of a record but its text.

    `settled_at` stands in for that of a record of schema version 1, which has none.
    """
    seconds, split = record["mode_seconds"], record["split"]
    return {
        "organization_id": record["organization_id"],
        "seq": record["seq"],
        "record_id": record["record_id"],
        "consult_id": record["consult_id"],
        "revision": record["revision"],
        "kind": record["kind"],
        "settled_at": record.get("settled_at", settled_at),
        "ended_at": record["ended_at"],
        "physician_id": record["physician_id"],
        "department": record.get("department", ""),
        "voice_s": seconds["voice"],
        "video_s": seconds["video"],
        "currency": record["currency"],
        "charge_fen": record["charge_fen"],
        **{name: split[name] for name in SPLIT},
        "hash": record["hash"],
    }


def shares_of(record: Mapping[str, Any], settled_at: str) -> list[dict[str, Any]]:
    """Give the rows of a record's shares, in its order.

    A record of schema version 1 has the one share of its physician.
    """
    found = record.get("shares")
    if found is None:
        times = dict.fromkeys(("voice_ms", "video_ms"), 0)
        for one in record["segments"]:
            times[f"{one['mode']}_ms"] += one["duration_ms"]
        found = [{**record["split"], **times, "physician_id": record["physician_id"]}]
    place = {
        "organization_id": record["organization_id"],
        "seq": record["seq"],
        "settled_at": record.get("settled_at", settled_at),
    }
    return [{**place, **{name: share[name] for name in SHARE}} for share in found]
