"""When a recorded frame belongs: RTP timestamps of several tracks on one clock (RFC 3550 §6.4.1).

Each track runs by its own RTP clock from the arrival of its first packet. Sender reports tell how
the tracks of one participant belong together: with them lips and voice stay in step, whatever the
way of each took. Pure.
"""

from dataclasses import dataclass
from typing import Final

MAX_DRIFT_MS: Final = 1_000
"""A timestamp that is further from its packet's arrival begins a new count."""

JUMP_MS: Final = 300
SLEW_MS: Final = 0.5
"""By so much per frame a track moves to where its reports say it belongs."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a sender report says: this timestamp was at this time of the sender's clock."""

    sender_ms: float
    timestamp: int


def report_of(ntp: int, timestamp: int) -> Report:
    """From a sender report; `ntp` is 32.32 fixed point, as on the wire."""
    return Report(ntp * 1000 / 2**32, timestamp)


class ParticipantClock:
    """How far one participant's clock is from ours, the same for all their tracks."""

    __slots__ = ("offset_ms",)

    def __init__(self) -> None:
        self.offset_ms: float | None = None

    def ours_ms(self, sender_ms: float, arrived_ms: int) -> float:
        """A time of the sender's clock on ours; the first packet that is asked for sets it."""
        if self.offset_ms is None or abs(sender_ms + self.offset_ms - arrived_ms) > MAX_DRIFT_MS:
            self.offset_ms = arrived_ms - sender_ms
        return sender_ms + self.offset_ms


class TrackClock:
    """The times of one track's frames, in milliseconds of our clock; they never go back."""

    __slots__ = ("_last_ms", "_owner", "_per_ms", "_start_ms", "_timestamp")

    def __init__(self, clock_rate: int, owner: ParticipantClock) -> None:
        self._per_ms = clock_rate / 1000
        self._owner = owner
        self._start_ms: float | None = None  # the time of the last frame
        self._timestamp = 0
        self._last_ms = -1

    def restart(self) -> None:
        """The next frame is of another stream."""
        self._start_ms = None

    def at_ms(self, timestamp: int, arrived_ms: int, report: Report | None) -> int:
        """When this frame belongs. Ask once for each, in order."""
        if self._start_ms is None:
            at = float(arrived_ms)
        else:
            at = self._start_ms + _difference(timestamp, self._timestamp) / self._per_ms
        if abs(at - arrived_ms) > MAX_DRIFT_MS:
            at, self._start_ms = float(arrived_ms), None
        if report is not None:
            since = _difference(timestamp, report.timestamp) / self._per_ms
            error = self._owner.ours_ms(report.sender_ms + since, arrived_ms) - at
            first = self._start_ms is None or abs(error) > JUMP_MS
            at += error if first else max(-SLEW_MS, min(SLEW_MS, error))
        self._start_ms, self._timestamp = at, timestamp
        self._last_ms = max(round(at), self._last_ms + 1)
        return self._last_ms


def _difference(after: int, before: int) -> int:
    return (after - before + 0x80000000 & 0xFFFFFFFF) - 0x80000000
