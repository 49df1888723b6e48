"""Figures of all lines for /metrics: they add up, and they grow by nothing but counts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.lines import Histogram


@given(values=st.lists(st.floats(0, 10), max_size=50))
def test_a_histogram_counts_each_value_in_every_bucket_that_holds_it(values: list[float]) -> None:
    """Prometheus' buckets are cumulative, bounds included; the last one holds everything."""
    found = Histogram(0.0, 0.5, 5.0)
    for value in values:
        found.add(value)
    assert found.buckets() == [
        *((str(b), sum(value <= b for value in values)) for b in (0.0, 0.5, 5.0)),
        ("+Inf", len(values)),
    ]
    assert found.sum == sum(values)
