"""The published examples of the rules (METERING.md): every row of its table, once, as data.

Rates are illustrative: voice 10.97, video 22.07 CNY per minute. Times are what was billable, in the
order in which it was; each way of asking (rating, meter, command, HTTP) recomputes every charge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

RATES: Final = {"voice_fen_per_min": 1097, "video_fen_per_min": 2207}
MINUTES: Final = {"initial_s": 60, "increment_s": 60}
TENTHS: Final = {"initial_s": 60, "increment_s": 6}
PUBLIC: Final = {"channel": "public_hospital"}
SHARE: Final = {"platform_share": "0.2"}


@dataclass(frozen=True)
class Example:
    """What was talked, by which tariff, and every figure that the rules give for it."""

    segments: str
    tariff: Mapping[str, Any]
    gives: Mapping[str, int]
    interrupted_s: int = 0

    @property
    def full_tariff(self) -> dict[str, Any]:
        return {**RATES, **self.tariff}

    @property
    def parts(self) -> list[tuple[str, int]]:
        """The segments, as modes and whole seconds."""
        pairs = [part.split(":") for part in self.segments.split(",")]
        return [(mode, int(seconds)) for mode, seconds in pairs]

    def mode_seconds(self) -> dict[str, int]:
        found = {"voice": 0, "video": 0}
        for mode, seconds in self.parts:
            found[mode] += seconds
        return found


def charge(fen: int) -> dict[str, int]:
    return {"charge_fen": fen}


def split(insurer: int, patient: int, platform: int, physician: int) -> dict[str, int]:
    return {
        "charge_fen": 7770,
        "insurer_fen": insurer,
        "patient_fen": patient,
        "platform_fen": platform,
        "physician_fen": physician,
    }


PUBLISHED: Final = (
    Example("voice:425", {}, charge(7770)),
    Example("voice:425", MINUTES, charge(8776)),
    Example("voice:425", TENTHS, charge(7789)),
    Example("voice:61", {}, charge(1115)),
    Example("voice:61", MINUTES, charge(2194)),
    Example("voice:190,voice:65", {}, charge(4662), interrupted_s=47),
    Example("voice:180,video:245", {}, charge(12303)),
    Example("voice:180,video:245", MINUTES, charge(14326)),
    Example("voice:100,voice:100", {}, charge(3657)),
    Example("voice:273", {}, charge(4991)),  # prepaid 50.00: one second more is above it
    Example("voice:425", {"insurer_base_fen": 2000, **PUBLIC}, split(2000, 5770, 0, 7770)),
    Example("voice:425", {"insurer_base_fen": 2000}, split(0, 7770, 0, 7770)),
    Example("voice:425", SHARE, split(0, 7770, 1554, 6216)),
    Example("voice:425", {**SHARE, "fee_bearer": "patient"}, split(0, 9324, 1554, 7770)),
)
PREPAID_FEN: Final = 5000
