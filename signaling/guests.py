"""What befalls guests: invited, come and gone, removed. Pure, as signaling/rules.py.

Nothing here changes the state of a consult: a guest neither begins nor prolongs nor ends it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from signaling import events as ev
from signaling.errors import TooManyGuests
from signaling.events import Effect
from signaling.model import IN_CALL, Consult, Guest, Timers

MAX_GUESTS: Final = 4
"""Of one consult at once, invited or in the call: six participants in all."""

Moved = tuple[Consult, tuple[Effect, ...]]


def invite(c: Consult, e: ev.Invited, _now_ms: int, _t: Timers) -> Moved:
    """One more may come."""
    if len(c.guests) >= MAX_GUESTS:
        raise TooManyGuests(c.id, MAX_GUESTS)
    return replace(c, guests=(*c.guests, Guest(e.guest_id, e.role, e.name))), ()


def remove(c: Consult, e: ev.GuestRemoved, _now_ms: int, _t: Timers) -> Moved | None:
    """Out, and not in again."""
    if c.guest(e.guest_id) is None:
        return None
    guests = tuple(guest for guest in c.guests if guest.id != e.guest_id)
    return replace(c, guests=guests), (ev.Dismiss(e.guest_id),)


def opened(c: Consult, e: ev.GuestOpened, _now_ms: int, _t: Timers) -> Moved | None:
    """The link is used: it opens the consult from now on to its end."""
    guest = c.guest(e.guest_id)
    if guest is None or guest.opened:
        return None
    return _with(c, replace(guest, opened=True)), ()


def joined(c: Consult, e: ev.GuestJoined, _now_ms: int, _t: Timers) -> Moved | None:
    """In the call."""
    guest = c.guest(e.guest_id)
    if guest is None or guest.here or c.freed:
        return None
    return _with(c, replace(guest, here=True, opened=True)), ()


def left(c: Consult, e: ev.GuestLeft, _now_ms: int, _t: Timers) -> Moved | None:
    """Out of the call, by will or by a lost page."""
    guest = c.guest(e.guest_id)
    if guest is None or not guest.here:
        return None
    return _with(c, replace(guest, here=False)), (ev.Dismiss(e.guest_id),)


def _with(c: Consult, guest: Guest) -> Consult:
    return replace(c, guests=tuple(guest if g.id == guest.id else g for g in c.guests))


def outside(c: Consult) -> Consult:
    """After every transition: who was in a call that is none any more is not in it."""
    if c.state in IN_CALL and not c.freed:
        return c
    return replace(c, guests=tuple(replace(guest, here=False) for guest in c.guests))
