"""Times as anybody may write them, and the records that lie between two of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import RangeError
from metering.moments import moment_ms
from metering.ranges import period
from metering.record import rfc3339


@given(
    passed_us=st.integers(86_400 * 10**6, 253_402_200_000 * 10**6),
    offset=st.integers(-23 * 60, 23 * 60),
)
def test_a_moment_is_the_same_in_every_zone_and_not_early(passed_us: int, offset: int) -> None:
    """Rounded up to a millisecond: a record before the moment stays before it."""
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=passed_us)
    there = at.astimezone(timezone(timedelta(minutes=offset)))
    found = moment_ms("from", there.isoformat())
    assert 0 <= found * 1000 - passed_us < 1000
    assert moment_ms("from", rfc3339(found)) == found


WRITTEN = {
    "2026-01-31T00:00:00Z": "2026-01-31T00:00:00.000Z",
    "2026-01-31t00:00:00.5z": "2026-01-31T00:00:00.500Z",
    "2026-01-31T00:00:00.0001Z": "2026-01-31T00:00:00.001Z",
    "2026-01-31T08:00:00+08:00": "2026-01-31T00:00:00.000Z",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00.000Z",
    "1900-01-01T00:00:00Z": "1970-01-01T00:00:00.000Z",
    "0001-01-01T00:00:00+23:00": "1970-01-01T00:00:00.000Z",
    "9999-12-31T23:59:59-23:00": "9999-12-31T23:59:59.999Z",
}


@pytest.mark.parametrize(("text", "meant"), WRITTEN.items())
def test_rfc_3339_is_understood(text: str, meant: str) -> None:
    assert rfc3339(moment_ms("to", text)) == meant


NONE = [
    "", "now", "2026-01-31", "2026-01-31T00:00:00", "2026-01-31 00:00:00Z",
    "2026-01-31T08:00:00 08:00", "2026-02-30T00:00:00Z", "2026-01-31T24:00:00Z",
    "2026-01-31T00:00:61Z", "2026-01-31T00:00Z", "2026-01-31T00:00:00+24:00",
    "٢٠٢٦-01-31T00:00:00Z", "2026-01-31T00:00:00Z\n", "-026-01-31T00:00:00Z",
]  # fmt: skip


@pytest.mark.parametrize("text", NONE, ids=repr)
def test_what_is_no_moment_is_refused_by_its_name(text: str) -> None:
    with pytest.raises(RangeError, match=r"^to: "):
        moment_ms("to", text)


def test_a_period_goes_forward() -> None:
    assert period(None, None).from_at is None
    for later in ("2026-01-01T00:00:00Z", "2025-12-31T00:00:00Z"):
        with pytest.raises(RangeError, match="before"):
            period("2026-01-01T00:00:00Z", later)
