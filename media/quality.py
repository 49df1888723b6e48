"""What a participant's line is like, from what is counted anyway. Pure.

Two directions: *up* is what the server gets from a participant, *down* what the participant says
that it got from the server (RTCP report blocks, RFC 3550 §6.4.1). Each second the counters are
read; the difference between two moments is a reading. Nothing here costs time per packet.

The estimate of what people make of it is the E-model (ITU-T G.107) in its usual simplification:
R = 93.2 - Id - Ie,eff, with Id of delay after Cole and Rosenbluth (2001) and Ie,eff of random
loss by G.107 eq. 7-29. G.113 lists no Opus; with its concealment it is taken as G.711 with PLC is
there (Ie 0, Bpl 25.1). A direction is rated as if the rest of the way were perfect.
"""

from dataclasses import dataclass, field
from typing import Final, Literal

Level = Literal[0, 1, 2, 3, 4]
Reason = Literal["ok", "upload_weak", "download_weak", "delay", "silent"]

WINDOW_MS: Final = 6_000
"""Loss is taken over so long: browsers report on voice each 5 s."""

MAX_SAMPLES: Final = 8
CODEC_DELAY_MS: Final = 27
"""Opus: a frame of 20 ms and 6.5 ms of look-ahead (RFC 6716 §2)."""

JITTER_BUFFER: Final = 2
"""A receiver waits about so many times the jitter."""

R_DEFAULT: Final = 93.2
BPL_PERCENT: Final = 25.1
MOS_OF_LEVEL: Final[tuple[tuple[float, Level], ...]] = ((4.03, 4), (3.60, 3), (3.10, 2))
"""G.107 Annex B: from there on users are satisfied; some, many are dissatisfied; below, most."""

FALL_AFTER_MS: Final = 2_000
RISE_AFTER_MS: Final = 4_000
WEAK_LEVEL: Final = 2
"""At or below this level somebody should be told."""

LONG_ROUND_TRIP_MS: Final = 400
"""G.114: above 400 ms from mouth to ear talking is unacceptably hard; this is one line's share."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals of one direction at one moment, over all its streams.

    Attributes:
        expected: Packets that were sent, as sequence numbers tell.
        lost: Of these, how many did not come in the first place, repaired or not.
        unrepaired: Of voice, how many did not come at all.
        voice_expected: Of `expected`, how many are voice.
        octets: Payload sent on.
        frames: Pictures sent on.
        jitter_ms: As it is now (RFC 3550 A.8); None before anything came.
    """

    at_ms: int
    expected: int = 0
    lost: int = 0
    voice_expected: int = 0
    unrepaired: int = 0
    octets: int = 0
    frames: int = 0
    jitter_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One direction in figures; None where nothing is known.

    Attributes:
        loss_percent: Lost on the way, repaired or not, of voice and pictures.
        mos: Mean opinion score of voice, 1 to 4.5.
        expected, lost: Packets since the reading before, to be summed up.
    """

    rtt_ms: int | None = None
    jitter_ms: int | None = None
    loss_percent: float | None = None
    bitrate_bps: int = 0
    fps: int = 0
    mos: float | None = None
    expected: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class LineQuality:
    """A participant's line: both directions, 0 to 4 bars, and what is wrong with it."""

    up: Reading
    down: Reading
    level: Level
    reason: Reason


def r_factor(loss_percent: float, delay_ms: float) -> float:
    """The transmission rating factor of G.107, at most 93.2; it falls with loss and delay.

    Args:
        loss_percent: Voice packets that are not heard, 0 to 100, taken as random.
        delay_ms: One way, from mouth to ear.
    """
    impairment = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    loss = 95 * loss_percent / (loss_percent + BPL_PERCENT)
    return R_DEFAULT - impairment - loss


def mos_of(r: float) -> float:
    """The mean opinion score of a rating factor (G.107 Annex B), 1 to 4.5.

    The polynomial dips below 1 for ratings under 6.5: there it is 1.
    """
    if r >= 100:
        return 4.5
    if r <= 0:
        return 1.0
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def voice_mos(loss_percent: float, rtt_ms: int | None, jitter_ms: int | None) -> float:
    """What people make of voice over one direction of one line; without a round trip, of loss."""
    delay_ms = CODEC_DELAY_MS + (rtt_ms or 0) / 2 + JITTER_BUFFER * (jitter_ms or 0)
    return mos_of(r_factor(loss_percent, delay_ms))


def level_of(reading: Reading) -> Level:
    """How many bars a reading is worth, 1 to 4; what nobody has measured yet is not bad."""
    if reading.mos is None:
        return 4
    worst: Level = 1
    by_mos = next((level for least, level in MOS_OF_LEVEL if reading.mos >= least), worst)
    # pictures suffer before voice does: repairs cost them time and bitrate
    loss = reading.loss_percent or 0.0
    by_loss: Level = 4 if loss < 3 else 3 if loss < 8 else 2 if loss < 15 else 1
    return min(by_mos, by_loss)


@dataclass(frozen=True, slots=True)
class Bars:
    """A level that does not flicker: it falls when it was lower for 2 s, rises after 4 s.

    Give it each raw level with its time by `seen`; `level` is what to show. It moves to the
    nearest level of those seen meanwhile.
    """

    level: Level = 4
    side: int = 0
    since_ms: int = 0
    nearest: Level = 4

    def seen(self, raw: Level, now_ms: int) -> "Bars":
        """The bars after one more raw level."""
        side = (raw > self.level) - (raw < self.level)
        if side == 0:
            return Bars(self.level, 0, now_ms, self.level)
        if side != self.side:
            return Bars(self.level, side, now_ms, raw)
        nearest = max(self.nearest, raw) if side < 0 else min(self.nearest, raw)
        if now_ms - self.since_ms >= (FALL_AFTER_MS if side < 0 else RISE_AFTER_MS):
            return Bars(nearest, 0, now_ms, nearest)
        return Bars(self.level, side, self.since_ms, nearest)


def _ratio(part: int, whole: int) -> float | None:
    return 100 * min(1.0, max(0, part) / whole) if whole > 0 else None


def read(old: Counts, last: Counts, now: Counts, rtt_ms: int | None) -> Reading:
    """The reading of `now`: loss since `old`, rates since `last`; both are from before `now`."""
    loss_percent = _ratio(now.lost - old.lost, now.expected - old.expected)
    voice_loss = _ratio(now.unrepaired - old.unrepaired, now.voice_expected - old.voice_expected)
    heard = loss_percent if voice_loss is None else voice_loss
    passed_ms = max(1, now.at_ms - last.at_ms)
    expected = max(0, now.expected - last.expected)
    return Reading(
        rtt_ms=rtt_ms,
        jitter_ms=now.jitter_ms,
        loss_percent=loss_percent,
        bitrate_bps=max(0, now.octets - last.octets) * 8000 // passed_ms,
        fps=round(max(0, now.frames - last.frames) * 1000 / passed_ms),
        mos=None if heard is None else voice_mos(heard, rtt_ms, now.jitter_ms),
        expected=expected,
        lost=max(0, min(expected, now.lost - last.lost)),
    )


@dataclass(slots=True)
class _Direction:
    """The latest counters of one direction; of another stream or connection they begin anew."""

    samples: list[Counts] = field(default_factory=list)  # a deque takes as much as 80 references
    bars: Bars = field(default_factory=Bars)

    def take(self, now: Counts, rtt_ms: int | None) -> Reading:
        samples = self.samples
        if samples and now.expected < samples[-1].expected:
            samples.clear()
        while len(samples) > 1 and now.at_ms - samples[1].at_ms >= WINDOW_MS:
            del samples[0]
        if samples:
            reading = read(samples[0], samples[-1], now, rtt_ms)
        else:
            reading = Reading(rtt_ms=rtt_ms, jitter_ms=now.jitter_ms)
        samples.append(now)
        del samples[:-MAX_SAMPLES]
        self.bars = self.bars.seen(level_of(reading), now.at_ms)
        return reading


class LineWatch:
    """One participant's line over time. It outlives connections, as the participant does."""

    __slots__ = ("_down", "_up")

    def __init__(self) -> None:
        self._up = _Direction()
        self._down = _Direction()

    def take(self, up: Counts, down: Counts, rtt_ms: int | None, flows: bool) -> LineQuality:
        """Judge the line by the counters of now; call it about once a second.

        Args:
            flows: Media of any kind comes from the participant.
        """
        above, below = self._up.take(up, rtt_ms), self._down.take(down, rtt_ms)
        if not flows:
            return LineQuality(above, below, 0, "silent")
        up_level, down_level = self._up.bars.level, self._down.bars.level
        level = min(up_level, down_level)
        return LineQuality(above, below, level, _reason(up_level, down_level, above))


def _reason(up_level: Level, down_level: Level, up: Reading) -> Reason:
    if min(up_level, down_level) > WEAK_LEVEL:
        return "ok"
    if up_level != down_level:
        return "upload_weak" if up_level < down_level else "download_weak"
    delayed = up.rtt_ms is not None and up.rtt_ms >= LONG_ROUND_TRIP_MS
    return "delay" if delayed else "upload_weak"
