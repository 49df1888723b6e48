"""Which prices a new consult has: stated once more here, by living through the moments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.errors import ValidFromPast
from metering.pricelist import TOLERANCE_MS, Standing, Version, applying, begins, standing

NOW_MS = 1_770_000_000_000
PHYSICIANS = (None, "phy_1", "phy_2")


def version(number: int, physician_id: str | None, valid_from_ms: int) -> Version:
    return Version(
        id=f"tar_{number}",
        organization_id="org_1",
        number=number,
        physician_id=physician_id,
        valid_from_ms=valid_from_ms,
        body="{}",
        digest="0" * 64,
        created_at_ms=0,
        created_by="cli",
    )


whose = st.sampled_from(PHYSICIANS)
times = st.integers(0, 20)
lists = st.lists(st.tuples(whose, times), max_size=12).map(
    lambda made: [version(number, who, at) for number, (who, at) in enumerate(made, 1)]
)


def replayed(versions: list[Version], physician_id: str | None, at_ms: int) -> Version | None:
    """Live through the moments one by one; in each, the versions that begin take over in turn."""
    current: dict[str | None, Version] = {}
    for moment in range(at_ms + 1):
        for one in sorted(versions, key=lambda one: one.number):
            if one.valid_from_ms == moment:
                current[one.physician_id] = one
    return current.get(physician_id, current.get(None))


@given(versions=lists, physician_id=whose, at_ms=times, seed=st.randoms())
def test_the_choice_is_what_living_through_time_gives(
    versions: list[Version], physician_id: str | None, at_ms: int, seed: object
) -> None:
    """In whatever order the versions come."""
    shuffled = list(versions)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    assert applying(shuffled, physician_id, at_ms) == replayed(versions, physician_id, at_ms)


@given(versions=lists, physician_id=whose, at_ms=times, later=st.integers(1, 20), who=whose)
def test_what_begins_later_changes_nothing_before(
    versions: list[Version], physician_id: str | None, at_ms: int, later: int, who: str | None
) -> None:
    """A consult that was ordered yesterday would still be ordered at the same prices."""
    more = [*versions, version(99, who, at_ms + later)]
    assert applying(more, physician_id, at_ms) == applying(versions, physician_id, at_ms)


@given(versions=lists, at_ms=times)
def test_a_physician_s_prices_are_nobody_else_s(versions: list[Version], at_ms: int) -> None:
    others = [one for one in versions if one.physician_id != "phy_1"]
    for physician_id in (None, "phy_2"):
        assert applying(versions, physician_id, at_ms) == applying(others, physician_id, at_ms)


@given(versions=lists, physician_id=whose, at_ms=times)
def test_of_two_from_the_same_moment_the_newer_wins(
    versions: list[Version], physician_id: str | None, at_ms: int
) -> None:
    found = applying(versions, physician_id, at_ms)
    if found is not None:
        again = replace(found, id="tar_again", number=99)
        assert applying([*versions, again], physician_id, at_ms) == again


def test_an_unbooked_consult_has_the_organization_s_prices() -> None:
    versions = [version(1, None, 0), version(2, "phy_1", 0)]
    assert applying(versions, None, 5) == versions[0]
    assert applying(versions, "phy_1", 5) == versions[1]
    assert applying(versions[1:], None, 5) is None


def test_a_physician_s_prices_of_tomorrow_leave_those_of_today() -> None:
    versions = [version(1, None, 0), version(2, "phy_1", 10)]
    assert applying(versions, "phy_1", 9) == versions[0]
    assert applying(versions, "phy_1", 10) == versions[1]


@given(wanted_ms=st.none() | st.integers(NOW_MS - 2 * TOLERANCE_MS, NOW_MS + 10**10))
def test_no_version_begins_in_the_past(wanted_ms: int | None) -> None:
    """A late clock is forgiven, and its version begins now: what was chosen already stays true."""
    if wanted_ms is not None and wanted_ms < NOW_MS - TOLERANCE_MS:
        with pytest.raises(ValidFromPast):
            begins(wanted_ms, NOW_MS)
    else:
        assert begins(wanted_ms, NOW_MS) == max(wanted_ms or NOW_MS, NOW_MS)


def test_a_version_waits_is_in_force_and_is_replaced() -> None:
    one = version(1, None, 10)
    assert standing(one, set(), 9) is Standing.SCHEDULED
    assert standing(one, {one.id}, 10) is Standing.IN_FORCE
    assert standing(one, {"tar_2"}, 11) is Standing.REPLACED
