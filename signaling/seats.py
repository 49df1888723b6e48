"""Where a page of a call gets whom, as the media side says it. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sitting:
    """Where a page gets a participant: mids of its connection, None where it has no m-line yet."""

    participant_id: str
    audio_mid: str | None
    video_mid: str | None


@dataclass(frozen=True)
class Seats:
    """Whom a page gets, and how many pairs of m-lines it needs for that."""

    needed: int = 1
    participants: tuple[Sitting, ...] = ()
    screen: Sitting | None = None
    """Somebody else's."""
    screen_by: str | None = None
