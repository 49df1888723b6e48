"""What the task that owns a consult works with, and whom it tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from signaling import messages as m
from signaling.case import Case
from signaling.messages import Party
from signaling.model import Timers
from signaling.ports import Audit, CallControl, Clock, Database


class Watcher(Protocol):
    """Who tells the pages. Nothing here blocks or raises."""

    def changed(self, before: Case, after: Case, entry: m.Event) -> None:
        """A transition was stored and its effects performed."""

    def released(self, physician_id: str, consult_id: str) -> None:
        """This physician may take the next patient."""

    def ask_reconnect(self, consult_id: str, sides: tuple[Party, ...]) -> None:
        """These sides should connect their media anew."""


@dataclass(frozen=True)
class Surroundings:
    """What every keeper works with."""

    database: Database
    calls: CallControl
    watcher: Watcher
    clock: Clock
    timers: Timers
    audit: Audit
    node: str
    next_place: Callable[[], int]
    stopping: Callable[[], bool]
    moved: Callable[[Case], None]
    """The desk's own books; called before the watcher."""
