"""The order in which patients are taken, and who may see whom. Pure.

A patient waits either for whoever of the organization is free, or for the physician they booked.
Less ``place`` is sooner; a place is given once and kept until the consult is over.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signaling.case import Case, Physician


@dataclass(frozen=True)
class Standing:
    """A waiting patient's place in their line, 1 for the next, and how many wait in it."""

    place: int
    waiting: int


def line(case: Case) -> tuple[str, str | None]:
    """Which line a patient stands in: the organization's, or that of one physician there."""
    return case.order.organization_id, case.order.booked_physician_id


def may_see(physician: Physician, case: Case) -> bool:
    """Whether this physician's queue shows the patient, and they may take them."""
    order = case.order
    return order.organization_id == physician.organization_id and (
        order.booked_physician_id in (None, physician.id)
    )


def in_order(cases: Iterable[Case]) -> list[Case]:
    """Those who wait, the next one first."""
    waiting = [case for case in cases if case.core.state == "waiting"]
    return sorted(waiting, key=lambda case: (case.core.place or 0, case.core.id))


def visible(physician: Physician, cases: Iterable[Case]) -> list[Case]:
    """The queue of one physician, the next one first."""
    return [case for case in in_order(cases) if may_see(physician, case)]


def next_for(physician: Physician, cases: Iterable[Case]) -> list[Case]:
    """Whom this physician takes next, then who comes after; nobody who is offline."""
    return [case for case in visible(physician, cases) if case.core.patient_online]


def standings(cases: Iterable[Case]) -> dict[str, Standing]:
    """By consult id, where everybody who waits stands."""
    lines: dict[tuple[str, str | None], list[str]] = {}
    for case in in_order(cases):
        lines.setdefault(line(case), []).append(case.core.id)
    return {
        consult_id: Standing(place, len(ids))
        for ids in lines.values()
        for place, consult_id in enumerate(ids, start=1)
    }
