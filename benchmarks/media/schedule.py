"""When which packet of a call leaves, decided before anything is sent. Pure.

Each participant sends audio, video, a report and a connectivity check, each at its own period
from a random phase: evenly over time and over calls, nobody in step with anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import NamedTuple

AUDIO, VIDEO, REPORT, CHECK = range(4)
"""What a packet is; the first two are RTP, and index what a participant sends."""

NS = 1_000_000_000
PERIOD_NS = (20_000_000, 10_000_000, NS, 4 * NS)
"""50 audio and 100 video packets a second, a report each second, a check each 4 s."""

PACKETS_PER_FRAME = 4
FRAMES_PER_KEYFRAME = 12
"""A keyframe about each 0.5 s: a request is answered by the next, as all is encrypted before."""


class Due(NamedTuple):
    """One packet: when (ns from the start), whose, what, and which of its kind it is."""

    at_ns: int
    participant: int
    kind: int
    number: int


@dataclass(frozen=True, slots=True)
class Frame:
    """Where in a picture a video packet stands."""

    starts: bool
    ends: bool
    is_key: bool
    index: int


def frame_of(number: int) -> Frame:
    """The picture that the `number`-th video packet of a participant belongs to."""
    index, place = divmod(number, PACKETS_PER_FRAME)
    return Frame(
        starts=place == 0,
        ends=place == PACKETS_PER_FRAME - 1,
        is_key=index % FRAMES_PER_KEYFRAME == 0,
        index=index,
    )


def schedule(participants: int, length_ns: int, seed: int) -> list[Due]:
    """All packets of `participants` within `length_ns`, in the order of sending."""
    random = Random(seed)
    due: list[Due] = []
    for participant in range(participants):
        for kind, period_ns in enumerate(PERIOD_NS):
            phase_ns = random.randrange(period_ns)
            times = range(phase_ns, length_ns, period_ns)
            due += [Due(at_ns, participant, kind, n) for n, at_ns in enumerate(times)]
    due.sort()
    return due


def percentile(ordered: list[int], share: float) -> int:
    """The value below which `share` (0 to 1) of an ordered list lies; 0 of an empty one."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0
