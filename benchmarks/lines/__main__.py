"""What each side gets on a bad line, over this server and over Janus, in real browsers.

The patient is behind a line that loses, delays, throttles or cuts in both directions (see
`tests/e2e/line.py`); server and physician are on its good side. Needs root.

Prints a table, then one JSON object on the last line. `python -m benchmarks.lines [--systems
wenzhen,janus] [CONDITION ...]`
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from dataclasses import asdict
from typing import Any

from playwright.async_api import Playwright, async_playwright

from benchmarks.lines.conditions import CONDITIONS, Condition
from benchmarks.lines.systems import SYSTEMS, Outcome, Side

WITHIN_S = 120.0
HEAD = "concealed  freezes  frozen   longest gap s     frames  recovered  over"
UNITS = "  audio %            s     picture   sound      /s          s       "


async def call(driver: Playwright, system: str, condition: Condition) -> Outcome | str:
    """The outcome, or why there is none: one call that failed must not take the others along."""
    try:
        async with asyncio.timeout(WITHIN_S):
            return await SYSTEMS[system](driver, condition)
    except Exception as error:  # whatever it was belongs into its row
        return f"failed: {type(error).__name__}: {error}".strip().splitlines()[0][:160]


def row(who: str, side: Side) -> str:
    """One line of the table."""
    q = side.quality
    recovered = "never" if side.recovered_s is None else f"{side.recovered_s:.1f}"
    again = f" x{side.connections}" if side.connections > 1 else ""
    return (
        f"    {who:20} {q.concealed_pct:9.1f} {q.freezes:8} {q.frozen_s:7.1f} "
        f"{q.picture_gap_s:10.2f} {q.sound_gap_s:7.2f} {q.fps:9.1f} {recovered:>10}  "
        f"{side.protocol}{again}"
    )


def show(condition: Condition, found: dict[str, Outcome | str]) -> None:
    """Print what came of one condition."""
    print(f"\n{condition.name}: {condition.words} (recovery counts from {condition.recovers_from})")
    for system, outcome in found.items():
        if isinstance(outcome, str):
            print(f"    {system}: {outcome}")
            continue
        print(row(f"{system}, patient", outcome.patient))
        print(row(f"{system}, physician", outcome.physician))
        metered = "-" if outcome.metered_s is None else f"{outcome.metered_s:.2f}"
        print(
            f"    {'':20} served {outcome.seen_s:.2f} s by the clock, metered {metered} s; "
            f"cores {outcome.idle_pct:.0f} % idle"
        )
    sys.stdout.flush()


def plain(outcome: Outcome | str) -> Any:
    """For JSON, with sensible digits."""
    if isinstance(outcome, str):
        return {"failed": outcome}
    return json.loads(json.dumps(asdict(outcome)), parse_float=lambda text: round(float(text), 3))


async def measure(conditions: list[Condition], systems: list[str]) -> dict[str, Any]:
    """All calls, one after the other, each with a line, a server and browsers of its own."""
    result: dict[str, Any] = {}
    print(f"    {'':20} {HEAD}\n    {'':20} {UNITS}")
    async with async_playwright() as driver:
        for condition in conditions:
            found = {system: await call(driver, system, condition) for system in systems}
            show(condition, found)
            result[condition.name] = {system: plain(found[system]) for system in systems}
    return result


def main() -> int:
    """Measure and print."""
    names = [condition.name for condition in CONDITIONS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lines")
    parser.add_argument("conditions", nargs="*", metavar="CONDITION", help=", ".join(names))
    parser.add_argument("--systems", default=",".join(SYSTEMS))
    asked = parser.parse_args()
    if unknown := set(asked.conditions) - set(names):
        parser.error(f"no such condition: {', '.join(sorted(unknown))}")
    chosen = [c for c in CONDITIONS if not asked.conditions or c.name in asked.conditions]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # take the namespaces away then too
    result = asyncio.run(measure(chosen, asked.systems.split(",")))
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
