"""Many runs as a table for people and as one object for programs. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from benchmarks.media.run import Result

LATE_MS: Final = 1.0
"""Beyond this the generator itself was late, and latency is not the server's alone."""

BUSY_PCT: Final = 15.0
"""What others may take of the server's core before its figures are doubtful."""

FULL_PCT: Final = 90.0
"""Beyond this there is no more to take; SCHED_RR is held back at 95 %, for 50 ms at a time."""


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of a server at a number of calls."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    loss_pct: float
    mb_per_call: float
    packets_per_s: float
    generator_late_p99_ms: float
    generator_pct: float
    generator_core_pct: float
    server_pct: float
    idle_pct: float
    others_pct: float
    calls_billing: float | None
    profile: str


def row(results: Sequence[Result]) -> Row:
    """The medians over the rounds."""

    def of(pick: Any) -> float:
        return round(float(median(pick(result) for result in results)), 3)

    def server_pct(result: Result) -> float:
        figures = result.figures
        return figures.cpu_us * figures.packets / figures.seconds / 10_000

    billing = "wenzhen_calls_billing"
    return Row(
        cpu_us=of(lambda r: r.figures.cpu_us),
        p50_ms=of(lambda r: r.figures.p50_ms),
        p99_ms=of(lambda r: r.figures.p99_ms),
        max_ms=of(lambda r: r.figures.max_ms),
        loss_pct=of(lambda r: r.figures.loss_pct),
        mb_per_call=of(lambda r: r.mb_per_call),
        packets_per_s=of(lambda r: r.figures.packets / r.figures.seconds),
        generator_late_p99_ms=of(lambda r: r.figures.late_p99_ms),
        generator_pct=of(lambda r: r.figures.generator_pct),
        generator_core_pct=of(lambda r: r.figures.generator_core_pct),
        server_pct=of(server_pct),
        idle_pct=of(lambda r: r.idle_pct),
        others_pct=of(lambda r: max(0.0, r.figures.server_core_pct - server_pct(r))),
        calls_billing=of(lambda r: r.metrics[billing]) if billing in results[0].metrics else None,
        profile=results[0].profile,
    )


HEAD = (
    f"{'calls':>5} {'server':8} {'CPU µs':>7} {'p50 ms':>7} {'p99 ms':>8} {'max ms':>8} "
    f"{'loss %':>7} {'MB/call':>7} {'packets/s':>9} {'late p99':>8} {'server %':>8} {'others %':>8}"
)


def line(calls: int, server: str, found: Row) -> str:
    """One line of the table."""
    return (
        f"{calls:5} {server:8} {found.cpu_us:7.1f} {found.p50_ms:7.2f} {found.p99_ms:8.2f} "
        f"{found.max_ms:8.1f} {found.loss_pct:7.3f} {found.mb_per_call:7.2f} "
        f"{found.packets_per_s:9.0f} {found.generator_late_p99_ms:8.2f} {found.server_pct:8.1f} "
        f"{found.others_pct:8.1f}{doubt(found)}"
    )


def doubt(found: Row) -> str:
    """Why the figures may not be the server's own; empty when they are."""
    reasons = []
    if found.generator_late_p99_ms > LATE_MS:
        reasons.append("the generator was late")
    if found.others_pct > BUSY_PCT:
        reasons.append("others used the server's core")
    if found.server_pct > FULL_PCT:
        reasons.append("the core was full")
    if found.calls_billing is not None and found.calls_billing < 1:
        reasons.append("nothing was billed")
    return f"  ({', '.join(reasons)})" if reasons else ""


PLAIN = ("cpu_us", "p50_ms", "p99_ms", "loss_pct", "mb_per_call")
MORE = (
    "max_ms",
    "packets_per_s",
    "generator_late_p99_ms",
    "generator_pct",
    "generator_core_pct",
    "server_pct",
    "idle_pct",
    "others_pct",
    "calls_billing",
    "profile",
)


def as_object(rows: Mapping[int, Mapping[str, Row]]) -> dict[str, Any]:
    """By calls, then by figure, then by server, which other programs read."""
    return {
        str(calls): {
            name: {server: getattr(found, name) for server, found in by_server.items()}
            for name in PLAIN + MORE
        }
        for calls, by_server in rows.items()
    }
