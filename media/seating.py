"""Which of a receiver's m-lines carry whom: seats that stay. Pure.

A seat is a pair of m-lines, one of audio and one of video, that belong together: seat 0 is the pair
that every page offers first, seat k the k-th. Whoever has a seat keeps it while they are in the
room, whoever else comes and goes, and whatever connection they or the receiver build anew. So a
page never sees one person's tile continue with another's picture.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

SCREEN: Final = "screen"
"""Sits like a participant: the one shared screen of a room."""

HOME: Final[Mapping[str, str]] = {
    "patient": "physician",
    "physician": "patient",
    "guest": "physician",
}
"""By side: the participant for whom seat 0 is kept, present or not."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One remote participant, or the screen, as a receiver gets it.

    A mid is None while the receiver has offered no m-line for it; offer more of them then.
    """

    participant_id: str
    audio_mid: str | None
    video_mid: str | None
    is_screen: bool = False


def assign(held: Mapping[str, int], present: Sequence[str], home: str | None) -> dict[str, int]:
    """Give everybody who is present a seat.

    Args:
        held: The seats of before; those of who is not present any more become free.
        present: Who is to be seen and heard, in the order of their coming.
        home: For whom seat 0 is kept; None: for nobody in particular.
    """
    seats = {who: held[who] for who in present if who in held}
    taken = set(seats.values())
    for who in present:
        if who in seats:
            continue
        seat = 0 if home is None or who == home else 1
        while seat in taken:
            seat += 1
        seats[who] = seat
        taken.add(seat)
    return seats


def needed(seats: Mapping[str, int]) -> int:
    """How many pairs of m-lines it takes."""
    return max(seats.values(), default=0) + 1
