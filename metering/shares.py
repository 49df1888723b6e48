"""What each physician of a consult has earned: its fee, allotted by the price of their time.

A consult that was handed over has segments of several physicians and one charge, rounded once. The
physicians' fee and the platform's share are allotted by price times milliseconds, in whole fen, so
that the shares always add up to those of the record (the method of the largest remainder; of equal
remainders, who treated first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from metering.meter import Segment
from metering.rating import Split
from metering.tariff import Tariff
from metering.terms import Mode

NAMES = ("voice_ms", "video_ms", "platform_fen", "physician_fen")


def shares(
    segments: Sequence[Segment], physician_id: str, tariff: Tariff, split: Split
) -> list[dict[str, Any]]:
    """Give a share for each physician, in the order in which they treated.

    A consult without a segment has the one share of `physician_id`. `platform_fen` and
    `physician_fen` add up to those of `split`; `voice_ms` and `video_ms` are what was delivered.
    """
    times: dict[str, dict[Mode, int]] = {}
    for one in segments:
        of_one = times.setdefault(one.physician_id, dict.fromkeys(Mode, 0))
        of_one[one.mode] += one.duration_ms
    if not times:
        times = {physician_id: dict.fromkeys(Mode, 0)}
    rows = [
        {"physician_id": who, "voice_ms": of[Mode.VOICE], "video_ms": of[Mode.VIDEO]}
        for who, of in times.items()
    ]
    return allotted(rows, tariff, split)


def allotted(
    rows: Sequence[Mapping[str, Any]], tariff: Tariff, split: Split
) -> list[dict[str, Any]]:
    """Allot a split to physicians of whom `rows` has the id and the times, as `shares` gave it."""
    weights = [
        row["voice_ms"] * tariff.voice_fen_per_min + row["video_ms"] * tariff.video_fen_per_min
        for row in rows
    ]
    if not any(weights):
        weights = [row["voice_ms"] + row["video_ms"] or 1 for row in rows]
    platform = allot(split.platform_fen, weights)
    physician = allot(split.physician_fen, weights)
    return [
        {
            "physician_id": row["physician_id"],
            "voice_ms": row["voice_ms"],
            "video_ms": row["video_ms"],
            "platform_fen": platform[index],
            "physician_fen": physician[index],
        }
        for index, row in enumerate(rows)
    ]


def allot(total: int, weights: Sequence[int]) -> list[int]:
    """Divide `total` (0 or more) by `weights` (0 or more, one above 0) into whole numbers."""
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    rests = [total * weight % whole for weight in weights]
    last = sorted(range(len(weights)), key=lambda index: -rests[index])
    for index in last[: total - sum(parts)]:
        parts[index] += 1
    return parts
