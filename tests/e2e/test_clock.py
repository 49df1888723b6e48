"""The independent clock is itself checked: on made-up samples, with no browser."""

from __future__ import annotations

import pytest

from tests.e2e.clock import Sample, common, growing, observe, union


def samples(*counts: tuple[float, int, int], load: float = 0.0) -> list[Sample]:
    """One sample for each (at_s, audio_packets, frames)."""
    return [Sample(load, at_s, 1, "udp", "u", a, 0.0, 4 * f, f) for at_s, a, f in counts]


def steady(start_s: int, end_s: int, *, frames: bool) -> list[Sample]:
    """A sample every 0.1 s, with 5 packets and perhaps 2 frames in each."""
    steps = range((end_s - start_s) * 10 + 1)
    return samples(*((start_s + i / 10, 5 * i, 2 * i if frames else 0) for i in steps))


def test_spans_bridge_the_time_between_packets_and_no_longer() -> None:
    seen = samples((0, 0, 0), (0.1, 5, 0), (1.8, 5, 0), (1.9, 9, 0), (5.0, 9, 0), (5.1, 12, 0))
    spans = growing(seen, lambda sample: sample.audio_packets)
    assert spans == ((0, 1.9), (5.0, 5.1))


def test_counters_that_start_again_with_a_reload_still_count() -> None:
    seen = [*samples((0, 0, 0), (0.1, 50, 0)), *samples((4.0, 3, 0), (4.1, 8, 0), load=1.0)]
    spans = growing(seen, lambda sample: sample.audio_packets)
    assert spans == ((0, 0.1), (4.0, 4.1))


def test_spans_are_joined_and_intersected() -> None:
    assert union([((0.0, 1.0), (4.0, 5.0)), ((0.5, 2.0),)]) == ((0.0, 2.0), (4.0, 5.0))
    assert common(((0.0, 2.0), (4.0, 5.0)), ((1.0, 4.5),)) == ((1.0, 2.0), (4.0, 4.5))


def test_only_what_both_sides_received_counts() -> None:
    seen = observe([steady(0, 10, frames=True)], [steady(4, 12, frames=True)])
    assert seen.video_s == pytest.approx(6, abs=0.1)
    assert seen.voice_s == pytest.approx(0, abs=0.1)


def test_the_mode_is_video_while_pictures_arrive() -> None:
    pictures = steady(0, 6, frames=True)
    voice = [Sample(0.0, 6 + i / 10, 1, "", "", 300 + 5 * i, 0, 480, 120) for i in range(1, 41)]
    seen = observe([[*pictures, *voice]], [[*pictures, *voice]])
    assert seen.video_s == pytest.approx(6, abs=0.1)
    assert seen.voice_s == pytest.approx(4, abs=0.1)
    assert seen.agrees_with({"voice": 4, "video": 5})
    assert not seen.agrees_with({"voice": 4, "video": 8})
