"""Who else is in the room, told to every page of a call when it changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from signaling import messages as m
from signaling.case import Case
from signaling.page import Page
from signaling.ports import CallControl
from signaling.views import roster

Viewers = Callable[[str], Iterable[tuple[str, Page]]]


class Rosters:
    """Tells each page of a call its roster, once for all changes of one turn of the loop.

    ``viewers`` gives the pages of a consult with the participant whose page each is. What a page
    was told last is not told again.
    """

    def __init__(
        self, calls: CallControl, case: Callable[[str], Case | None], viewers: Viewers
    ) -> None:
        self._calls, self._case, self._viewers = calls, case, viewers
        self._due: dict[str, asyncio.Handle] = {}
        self._told: dict[str, m.Roster] = {}

    def changed(self, consult_id: str) -> None:
        """Soon. Never blocks."""
        if consult_id not in self._due:
            loop = asyncio.get_running_loop()
            self._due[consult_id] = loop.call_soon(self._tell, consult_id)

    def forget(self, sid: str) -> None:
        """The page is gone."""
        self._told.pop(sid, None)

    def _tell(self, consult_id: str) -> None:
        del self._due[consult_id]
        case = self._case(consult_id)
        if case is None:
            return
        for viewer, page in self._viewers(consult_id):
            if not page.greeted:
                continue
            now = roster(case, self._calls.seats(consult_id, viewer), viewer)
            before = self._told.get(page.sid)
            if now != before and (before is not None or now.participants or now.seats > 1):
                self._told[page.sid] = now
                page.send(now)
