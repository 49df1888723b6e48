"""What a run gave: packets that came, matched to packets that left. Exact, after the run."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from benchmarks.media.load import MEDIA, Load, Run
from benchmarks.media.participant import VIDEO_TYPE
from benchmarks.media.schedule import NS, VIDEO, percentile

LATEST_NS = 100_000_000
"""The last of the window are not asked for: they may be under way when it ends."""


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one run.

    Attributes:
        cpu_us: Server CPU for each RTP packet that came through it.
        late_p99_ms: How late the generator sent; beyond 1 ms or so the other figures are its own.
        server_core_pct, generator_core_pct: How busy the cores were, by whatever.
        feedback: What the servers' RTCP asked for in the run, by kind.
        unmatched: Media packets that were no forwarded original: retransmissions, strangers.
    """

    cpu_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    loss_pct: float
    packets: int
    seconds: float
    late_p99_ms: float
    server_core_pct: float
    generator_core_pct: float
    generator_pct: float
    feedback: dict[str, int]
    unmatched: int
    samples: int
    overflow: int


def evaluate(load: Load, run: Run) -> Figures:
    """The figures of a run.

    Raises:
        RuntimeError: what came is not what was sent.
    """
    (t0_ns, before), (t1_ns, after) = run.marks
    sent_ns = _sent_times(run, len(load.due))
    offsets = _offsets(load, run) if load.forwards else {}
    asked = range_of(t0_ns, t1_ns - LATEST_NS)
    delays: list[int] = []
    arrived = bytearray(len(load.due))
    received = unmatched = 0
    for receiver, kind, sequence, at_ns in load.reader.log():
        if kind not in MEDIA:
            continue
        received += t0_ns <= at_ns < t1_ns
        is_video = (kind & 0x7F) == VIDEO_TYPE
        offset = offsets.get((receiver, is_video))
        numbers = load.places.get((receiver ^ 1, is_video), ())
        number = -1 if offset is None else sequence - offset & 0xFFFF
        if not 0 <= number < len(numbers):
            unmatched += 1
            continue
        place = numbers[number]
        left_ns = sent_ns[place]
        if asked(left_ns) and not arrived[place]:
            arrived[place] = 1
            delays.append(at_ns - left_ns)
    wanted = sum(d.kind <= VIDEO and asked(t) for d, t in zip(load.due, sent_ns, strict=True))
    late = sorted(
        t - run.start_ns - d.at_ns for d, t in zip(load.due, sent_ns, strict=True) if asked(t)
    )
    delays.sort()
    wall_ns = t1_ns - t0_ns
    cores = [
        (b - a) * NS / wall_ns for a, b in zip(before.busy_ticks, after.busy_ticks, strict=True)
    ]
    return Figures(
        cpu_us=(after.server_ns - before.server_ns) / 1_000 / max(received, 1),
        p50_ms=percentile(delays, 0.5) / 1e6,
        p99_ms=percentile(delays, 0.99) / 1e6,
        max_ms=percentile(delays, 1) / 1e6,
        loss_pct=100 * (1 - len(delays) / max(wanted, 1)),
        packets=received,
        seconds=wall_ns / NS,
        late_p99_ms=percentile(late, 0.99) / 1e6,
        server_core_pct=cores[0],
        generator_core_pct=cores[-1],
        generator_pct=(after.generator_ns - before.generator_ns) / wall_ns * 100,
        feedback=run.feedback,
        unmatched=unmatched,
        samples=len(run.samples),
        overflow=load.reader.overflow,
    )


def range_of(first_ns: int, end_ns: int):  # noqa: ANN201  # a predicate
    """Whether a time lies within [first, end)."""
    return lambda at_ns: first_ns <= at_ns < end_ns


def _sent_times(run: Run, count: int) -> array[int]:
    """When each packet left."""
    times = array("q", bytes(8 * count))
    ends = [*run.sent[2::2], run.count]
    for first, at_ns, end in zip(run.sent[::2], run.sent[1::2], ends, strict=True):
        for place in range(first, end):
            times[place] = at_ns
    return times


def _offsets(load: Load, run: Run) -> dict[tuple[int, bool], int]:
    """By receiver and kind: its sequence number of the first packet. Decrypts every sample.

    Raises:
        RuntimeError: a sample is no media of the other side, or numbering has changed.
    """
    offsets: dict[tuple[int, bool], int] = {}
    for receiver, data in run.samples:
        if not 0 <= receiver < len(load.participants) or data[1] not in MEDIA:
            continue
        sequence, sender, kind, number = load.participants[receiver].open(data)
        if sender != receiver ^ 1:
            raise RuntimeError(f"participant {receiver} got media of {sender}")
        if (data[1] & 0x7F) not in (96, 111):
            continue
        offset = sequence - number & 0xFFFF
        if offsets.setdefault((receiver, kind == VIDEO), offset) != offset:
            raise RuntimeError(f"the server renumbered what participant {receiver} gets")
    return offsets
