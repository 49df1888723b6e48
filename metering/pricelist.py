"""Which version of the prices a new consult has.

An organization has a list of versions, and so may each of its physicians. A version replaces the
earlier ones of its list from its `valid_from_ms` on. Nothing here touches a consult that is ordered
already: the order froze its prices.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from metering.errors import ValidFromPast

TOLERANCE_MS: Final = 60_000
"""The clock of whoever sets prices may be so late."""


@dataclass(frozen=True, slots=True)
class Version:
    """One version of the prices of an organization, or of one physician in it.

    `number` counts the organization's versions in the order in which they were made, from 1 on.
    `valid_from_ms` is in epoch milliseconds, `body` the tariff's RFC 8785 text.
    """

    id: str
    organization_id: str
    number: int
    physician_id: str | None
    valid_from_ms: int
    body: str
    digest: str
    created_at_ms: int
    created_by: str


class Standing(StrEnum):
    """How a version stands at a moment within its own list."""

    SCHEDULED = "scheduled"
    IN_FORCE = "in_force"
    REPLACED = "replaced"


def begins(wanted_ms: int | None, now_ms: int) -> int:
    """Say from when on a new version is valid: what is wanted, and never from before now.

    So no answer of `applying` for a time that has passed ever changes.

    Raises:
        ValidFromPast: what is wanted lies more than `TOLERANCE_MS` back.
    """
    if wanted_ms is not None and wanted_ms < now_ms - TOLERANCE_MS:
        raise ValidFromPast
    return now_ms if wanted_ms is None else max(wanted_ms, now_ms)


def applying(versions: Iterable[Version], physician_id: str | None, at_ms: int) -> Version | None:
    """Choose the version for a consult of one organization that is to take place at `at_ms`.

    The booked physician's own, valid at that time, goes before the organization's. The one that is
    valid from later on wins; of two that are valid from the same moment, the newer.

    Args:
        versions: Of one organization, in any order.
        physician_id: Whom the consult is booked with; None: whoever is free.

    Returns:
        None where no version is valid at that time.
    """
    valid = [one for one in versions if one.valid_from_ms <= at_ms]
    own = [one for one in valid if physician_id is not None and one.physician_id == physician_id]
    common = [one for one in valid if one.physician_id is None]
    return max(own or common, key=_rank, default=None)


def standing(version: Version, in_force: Container[str], at_ms: int) -> Standing:
    """Say how a version stands, given the ids of those in force at `at_ms`."""
    if version.valid_from_ms > at_ms:
        return Standing.SCHEDULED
    return Standing.IN_FORCE if version.id in in_force else Standing.REPLACED


def _rank(version: Version) -> tuple[int, int]:
    return version.valid_from_ms, version.number
