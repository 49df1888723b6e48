"""Generators that the property tests of this package share."""

from __future__ import annotations

from hypothesis import strategies as st

from metering.currency import EXPONENTS
from metering.tariff import MAX_FEN, Channel, FeeBearer, Tariff, make_tariff
from metering.terms import Mode

fen = st.integers(0, MAX_FEN)


@st.composite
def tariffs(draw: st.DrawFn) -> Tariff:
    """Any tariff that the model accepts, all fields drawn."""
    minimum_fen = draw(st.integers(0, 10_000))
    return make_tariff(
        {
            "voice_fen_per_min": draw(st.integers(0, 10_000)),
            "video_fen_per_min": draw(st.integers(0, 10_000)),
            "initial_s": draw(st.integers(1, 180)),
            "increment_s": draw(st.integers(1, 180)),
            "minimum_fen": minimum_fen,
            "free_s": draw(st.integers(0, 300)),
            "cap_fen": draw(st.none() | st.integers(minimum_fen, 10**6)),
            "insurer_base_fen": draw(st.integers(0, 10_000)),
            "channel": draw(st.sampled_from(Channel)),
            "platform_share": str(draw(st.decimals(0, 1, places=4))),
            "fee_bearer": draw(st.sampled_from(FeeBearer)),
            "currency": draw(st.sampled_from(sorted(EXPONENTS))),
        }
    )


mode_seconds = st.fixed_dictionaries({mode: st.integers(0, 100_000) for mode in Mode})
