"""The figures of a bad line are themselves checked: on made-up samples, with no browser."""

from __future__ import annotations

import pytest

from tests.e2e.clock import Sample
from tests.e2e.quality import quality, recovery_s

RATE = 48_000


def call(*, silent: tuple[float, float], seconds: float = 10.0) -> list[Sample]:
    """A sample every 50 ms at 20 frames/s and 50 packets/s; nothing arrives while `silent`."""
    samples: list[Sample] = []
    frames = packets = concealed = 0
    for step in range(int(seconds * 20) + 1):
        at_s = step / 20
        if silent[0] < at_s <= silent[1]:
            concealed += RATE // 20
        else:
            frames += 1
            packets += 2 + step % 2
        played = step * RATE // 20
        row = Sample(0.0, at_s, 1, "udp", "u", packets, 0.0, 4 * frames, frames, played, concealed)
        samples.append(row)
    return samples


def test_a_silence_is_concealment_and_a_gap() -> None:
    found = quality(call(silent=(4.0, 6.0)), 0, 10)
    assert found.concealed_pct == pytest.approx(20)
    assert found.picture_gap_s == found.sound_gap_s == pytest.approx(2.05)
    assert found.fps == pytest.approx(16)


def test_recovery_counts_from_the_event_until_both_flow_again() -> None:
    """The half-second window that tells "it flows" ends soon after the line is good again."""
    found = recovery_s(call(silent=(4.0, 6.0)), event_s=5.5, end_s=10)
    assert found == pytest.approx(0.7, abs=0.2)


def test_what_never_stopped_recovers_in_no_time() -> None:
    assert recovery_s(call(silent=(0, 0)), event_s=5, end_s=10) == 0


def test_what_does_not_come_back_never_recovers() -> None:
    samples = call(silent=(4.0, 10.0))
    assert recovery_s(samples, event_s=4, end_s=10) is None
    assert quality(samples, 4, 10).picture_gap_s == pytest.approx(6)


def test_a_stretch_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="0 samples"):
        quality(call(silent=(0, 0)), 20, 30)
