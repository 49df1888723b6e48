"""The independent clock: seconds both sides were really served, from what both pages received.

It knows nothing of the server. A party is served while packets of the other party arrive on its
page; the consult runs while both are; it is video while video arrives anywhere. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

PATIENCE_S = 2.0
"""Longer without a packet is a gap, as DESIGN says of a flow; up to it, a stutter in the flow."""

Spans = tuple[tuple[float, float], ...]
"""Disjoint (start, end) in seconds of the wall clock, ascending."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What one load of one page had received at one moment; counters start at 0 with `load`.

    Those with a default are of WebRTC's statistics by the same names: how well it was received.
    """

    load: float
    at_s: float
    connections: int
    protocol: str
    ufrag: str
    audio_packets: int
    audio_energy: float
    video_packets: int
    frames: int
    audio_samples: int = 0
    concealed_samples: int = 0
    freezes: int = 0
    frozen_s: float = 0.0
    packets_lost: int = 0
    nacks: int = 0

    @classmethod
    def of(cls, report: dict[str, Any]) -> Sample:
        """Read what ``bystander.js`` reported."""
        return cls(
            load=report["load"],
            at_s=report["atMs"] / 1000,
            connections=report["connections"],
            protocol=report["protocol"],
            ufrag=report["ufrag"],
            audio_packets=report["audioPackets"],
            audio_energy=report["audioEnergy"],
            video_packets=report["videoPackets"],
            frames=report["frames"],
            audio_samples=report["audioSamples"],
            concealed_samples=report["concealedSamples"],
            freezes=report["freezes"],
            frozen_s=report["frozenS"],
            packets_lost=report["packetsLost"],
            nacks=report["nacks"],
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """Seconds seen per mode, and when: compare whole seconds with a record's."""

    voice_s: float
    video_s: float
    served: Spans

    def agrees_with(self, mode_seconds: dict[str, int], within_s: int = 1) -> bool:
        """Whether a record's whole seconds are these, cut to whole seconds, ± `within_s`."""
        seen = {"voice": int(self.voice_s), "video": int(self.video_s)}
        return all(abs(seen[mode] - mode_seconds.get(mode, 0)) <= within_s for mode in seen)


def growing(samples: Sequence[Sample], count: Callable[[Sample], float]) -> Spans:
    """When `count` grew, gaps up to `PATIENCE_S` bridged."""
    spans: list[tuple[float, float]] = []
    for before, after in pairwise(samples):
        if after.load != before.load:
            grew, since_s = count(after) > 0, after.at_s
        else:
            grew, since_s = count(after) > count(before), before.at_s
        if not grew:
            continue
        if spans and since_s - spans[-1][1] <= PATIENCE_S:
            spans[-1] = (spans[-1][0], after.at_s)
        else:
            spans.append((since_s, after.at_s))
    return tuple(spans)


def union(many: Iterable[Spans]) -> Spans:
    """The moments in any of them."""
    merged: list[tuple[float, float]] = []
    for start, end in sorted(span for spans in many for span in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        else:
            merged.append((start, end))
    return tuple(merged)


def common(one: Spans, other: Spans) -> Spans:
    """The moments in both."""
    pairs = ((max(a, c), min(b, d)) for a, b in one for c, d in other)
    return tuple(sorted((start, end) for start, end in pairs if start < end))


def length_s(spans: Spans) -> float:
    """Seconds in total."""
    return sum(end - start for start, end in spans)


def received(samples: Sequence[Sample]) -> Spans:
    """When anything of the other party arrived on this page."""
    return union(
        [
            growing(samples, lambda sample: sample.audio_packets),
            growing(samples, lambda sample: sample.video_packets),
        ]
    )


def observe(patient: Sequence[Sequence[Sample]], physician: Sequence[Sequence[Sample]]) -> Observed:
    """What all pages of the patient and all of the physician saw of one consult."""
    served = common(
        union(received(samples) for samples in patient),
        union(received(samples) for samples in physician),
    )
    pages = (*patient, *physician)
    pictures = union(growing(page, lambda sample: sample.video_packets) for page in pages)
    video_s = length_s(common(served, pictures))
    return Observed(length_s(served) - video_s, video_s, served)
