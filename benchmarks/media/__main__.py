"""The command: `python -m benchmarks.media --calls "1 5 15" --servers wenzhen,janus`.

Each server gets a core of its own and the same synthetic calls, in turns; the generator has another
core. Prints a table, then one JSON object on the last line. `--help` names the options.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.media import machine
from benchmarks.media.chart import draw
from benchmarks.media.report import HEAD, Row, as_object, line, row
from benchmarks.media.run import measure
from benchmarks.media.servers import missing

MOST_STEPS = (100, 150, 200, 250, 300, 350)
MOST_LOSS_PCT, MOST_P99_MS = 0.1, 20.0


def options() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="benchmarks.media", description=__doc__)
    parser.add_argument("--calls", default="1 5 15 30 80 150", help="how many calls at once")
    parser.add_argument(
        "--servers", default="wenzhen,janus,aiortc", help="of wenzhen, janus, aiortc"
    )
    parser.add_argument("--rounds", type=int, default=2, help="runs of each; medians are shown")
    parser.add_argument("--seconds", type=float, default=12, help="measured in each run")
    parser.add_argument("--chart", type=Path, help="also draw this SVG")
    parser.add_argument("--most", action="store_true", help="find how many calls a core carries")
    parser.add_argument(
        "--realtime",
        action="store_true",
        help="servers before all else, for a machine with other work (SCHED_RR, needs root)",
    )
    return parser.parse_args()


def one(kind: str, calls: int, rounds: int, seconds: float) -> Row:
    """The figures of one server at one number of calls, printed."""
    return several([kind], calls, rounds, seconds)[kind]


def several(kinds: list[str], calls: int, rounds: int, seconds: float) -> dict[str, Row]:
    """The figures of several servers at one number of calls, run in turns, printed."""
    results: dict[str, list[Any]] = {kind: [] for kind in kinds}
    for _ in range(rounds):
        for kind in kinds:
            with machine.alone():
                results[kind].append(measure(kind, calls, seconds))
    rows = {kind: row(found) for kind, found in results.items()}
    for kind, found in rows.items():
        print(line(calls, kind, found), flush=True)
    return rows


def compare(kinds: list[str], counts: list[int], asked: argparse.Namespace) -> dict[str, Any]:
    """All servers at all numbers of calls."""
    rows = {n: several(kinds, n, asked.rounds, asked.seconds) for n in counts}
    found: dict[str, Any] = {"calls": as_object(rows)}
    if asked.chart:
        asked.chart.write_text(draw(rows), encoding="utf-8")
        print(f"chart: {asked.chart}")
    return found


def decoded(seconds: float) -> dict[str, Any]:
    """One call through plain aiortc, which sends packets of its own: CPU and memory."""
    with machine.alone():
        found = measure("aiortc", 1, seconds)
    packets_per_s = round(found.figures.packets / found.figures.seconds, 1)
    print(
        f"aiortc with MediaRelay, 1 call, decoding and encoding: {found.figures.cpu_us:.0f} µs for "
        f"each of the {packets_per_s:.0f} packets/s that it sends, {found.mb_per_call:.0f} MB"
    )
    return {
        "cpu_us": round(found.figures.cpu_us, 3),
        "packets_per_s": packets_per_s,
        "mb_per_call": round(found.mb_per_call, 3),
        "generator_late_p99_ms": round(found.figures.late_p99_ms, 3),
    }


def most(kind: str, seconds: float) -> dict[str, Any]:
    """The most calls that a core carries; a step that fails is tried once more."""
    carried, steps = 0, {}
    for calls in MOST_STEPS:
        for _ in range(2):
            found = one(kind, calls, 1, seconds)
            good = found.loss_pct < MOST_LOSS_PCT and found.p99_ms < MOST_P99_MS
            if good:
                break
        steps[str(calls)] = asdict(found)
        if not good:
            break
        carried = calls
    print(f"{kind} carries {carried} calls on a core with < {MOST_LOSS_PCT} % loss and")
    print(f"p99 < {MOST_P99_MS:g} ms")
    return {"most": {kind: carried}, "steps": steps}


def main() -> int:
    """Measure and print."""
    asked = options()
    kinds = [kind for kind in asked.servers.split(",") if kind != "aiortc"]
    if "janus" in kinds and not asked.most and missing():
        print(missing(), file=sys.stderr)
        return 1
    if asked.chart:
        asked.chart = asked.chart.absolute()
    if asked.realtime:
        os.environ[machine.REALTIME] = "1"
    machine.isolate(sys.argv[1:])
    machine.prepare()
    print(machine.described())
    print("a call is 2 x 150 packets/s through the server; CPU is that of its whole process")
    print(HEAD, flush=True)
    if asked.most:
        found = most(kinds[0], asked.seconds)
    else:
        counts = [int(n) for n in asked.calls.replace(",", " ").split()]
        found = compare(kinds, counts, asked) if kinds else {}
        if "aiortc" in asked.servers and not (kinds and 1 not in counts):
            found["aiortc_mediarelay"] = decoded(asked.seconds)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
