"""The price of a record by METERING's rule, in the tests' own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction


def charge_fen(mode_seconds: Mapping[str, int], fen_per_min: Mapping[str, int]) -> int:
    """Σ seconds x rate / 60 over the modes, exact, rounded half-up to one fen once."""
    exact = sum(
        (Fraction(seconds * fen_per_min[mode], 60) for mode, seconds in mode_seconds.items()),
        start=Fraction(0),
    )
    return int(exact + Fraction(1, 2))
