"""How well a side was served over a stretch of time, from what its page received. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from tests.e2e.clock import Sample

FLOW_WINDOW_S = 0.5
"""How far back "it flows" looks."""

STAYS_S = 2.0
"""A picture that comes and goes is not back yet."""

FLOWING_FPS = 6.0
CONCEALED_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one side, over one stretch.

    Attributes:
        concealed_pct: Share of the played audio that the browser made up (concealedSamples).
        freezes, frozen_s: As the browser counts them: frames that came far later than usual. A
            freeze counts when it is over.
        picture_gap_s, sound_gap_s: The longest time without a decoded frame; without an audio
            packet. The stretch's ends count, so what never came back is in here.
        fps: Decoded frames a second.
    """

    concealed_pct: float
    freezes: int
    frozen_s: float
    picture_gap_s: float
    sound_gap_s: float
    fps: float
    packets_lost: int
    nacks: int


def quality(samples: Sequence[Sample], start_s: float, end_s: float) -> Quality:
    """Of the samples of one load of a page, ascending.

    Raises:
        ValueError: no two of them are within the stretch.
    """
    seen = [sample for sample in samples if start_s <= sample.at_s <= end_s]
    if len(seen) < 2:
        raise ValueError(f"{len(seen)} samples from {start_s} to {end_s}")
    first, last = seen[0], seen[-1]
    played = last.audio_samples - first.audio_samples
    concealed = last.concealed_samples - first.concealed_samples
    return Quality(
        concealed_pct=100 * concealed / played if played else 100.0,
        freezes=last.freezes - first.freezes,
        frozen_s=last.frozen_s - first.frozen_s,
        picture_gap_s=_longest_gap(seen, [sample.frames for sample in seen]),
        sound_gap_s=_longest_gap(seen, [sample.audio_packets for sample in seen]),
        fps=(last.frames - first.frames) / (last.at_s - first.at_s),
        packets_lost=last.packets_lost - first.packets_lost,
        nacks=last.nacks - first.nacks,
    )


def _longest_gap(samples: Sequence[Sample], counts: Sequence[int]) -> float:
    grew_s = [s.at_s for s, (a, b) in zip(samples[1:], pairwise(counts), strict=True) if b > a]
    moments = [samples[0].at_s, *grew_s, samples[-1].at_s]
    return max(later - earlier for earlier, later in pairwise(moments))


def recovery_s(samples: Sequence[Sample], event_s: float, end_s: float) -> float | None:
    """How long after `event_s` picture and sound both flowed again, and went on for `STAYS_S`.

    Returns:
        0 if they never stopped; None if they did not come back before the stretch ended.
    """
    times = [sample.at_s for sample in samples]
    bad_s = event_s
    for index in range(bisect_left(times, event_s), bisect_right(times, end_s)):
        before = bisect_left(times, times[index] - FLOW_WINDOW_S)
        if not _flows(samples[before], samples[index]):
            bad_s = times[index]
        elif times[index] - bad_s >= STAYS_S:
            return bad_s - event_s
    return None


def _flows(before: Sample, now: Sample) -> bool:
    elapsed_s = now.at_s - before.at_s
    played = now.audio_samples - before.audio_samples
    concealed = now.concealed_samples - before.concealed_samples
    return (
        now.frames - before.frames >= FLOWING_FPS * elapsed_s
        and now.audio_packets > before.audio_packets
        and concealed <= CONCEALED_MOST * played
    )
