"""Facts that wait to be taken note of. Pure."""

from __future__ import annotations

from collections.abc import Hashable

from signaling import events as ev
from signaling.events import Fact


def about_of(fact: Fact) -> Hashable:
    """Facts about the same thing: of these only the last counts."""
    match fact:
        case ev.MediaStarted(side=side) | ev.MediaStopped(side=side):
            return "media", side
        case ev.PatientGone() | ev.PatientBack():
            return "page"
        case ev.GuestOpened(guest_id=guest_id) | ev.GuestLeft(guest_id=guest_id):
            return fact.kind, guest_id
        case _:
            return fact.kind
