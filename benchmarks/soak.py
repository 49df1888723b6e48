"""Calls for an hour: whether the server's memory and its CPU per packet stay as they are.

The synthetic calls of `benchmarks.media` (50 audio and 100 video packets a second each way, with
reports and checks) against the whole server, without an end: packets are encrypted as they are
sent. Each minute prints the resident memory of the server, its CPU time for each packet that it
forwarded, and the share of packets that did not come; the first loses what comes before both sides
of a call are there.

Prints one JSON object on the last line. `python -m benchmarks.soak --calls 30 --minutes 60`
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.media import machine
from benchmarks.media.load import MEDIA
from benchmarks.media.participant import MOST_BYTES, Participant
from benchmarks.media.run import PagesProcess, set_up
from benchmarks.media.schedule import CHECK, NS, PERIOD_NS, VIDEO, Due, schedule
from benchmarks.media.servers import ROOT, Running, wenzhen
from benchmarks.media.wire import SLOTS, Reader, Table, Wire, exact_sleeps

CYCLE_NS = max(PERIOD_NS)
"""After so long the schedule repeats: a whole number of each period."""

NAP_S = 0.001
FIRST_MINUTE = 5
"""Figures before this one are of a server that still grows into its load."""


@dataclass(frozen=True, slots=True)
class Minute:
    """What one minute gave."""

    minute: int
    rss_mb: float
    cpu_us: float
    loss_pct: float
    packets: int


class Soak:
    """The load of all participants, for as long as one likes."""

    def __init__(self, wire: Wire, participants: list[Participant]) -> None:
        self.participants = participants
        self.sent = self.received = 0
        self._table = Table(SLOTS, SLOTS * MOST_BYTES)
        self._routes = [self._table.route(p.index, p.remote) for p in participants]
        self._send = self._table.sender(wire)
        self._reader = Reader(wire, 0)

    def run(self, minutes: int, each_minute: Callable[[int], None]) -> None:
        """Send by the clock, and read what comes back."""
        start_ns = time.time_ns()
        due = _forever(len(self.participants))
        following = next(due)
        minute = 1
        while minute <= minutes:
            now_ns = time.time_ns() - start_ns
            count = 0
            while following.at_ns <= now_ns and count < SLOTS:
                self._write(following, start_ns + following.at_ns)
                following = next(due)
                count += 1
            if count:
                self._leave(count)
            self._drain()
            if now_ns >= minute * 60 * NS:
                each_minute(minute)
                minute += 1
            if following.at_ns > now_ns:
                time.sleep(NAP_S)

    def _write(self, due: Due, sent_ns: int) -> None:
        table, participant = self._table, self.participants[due.participant]
        if due.kind <= VIDEO:
            length = participant.write(table.memory, table.place, due.kind, due.number, sent_ns)
            self.sent += 1
        else:
            is_check = due.kind == CHECK
            data = participant.check() if is_check else participant.report(due.number, sent_ns)
            length = len(data)
            table.memory.data[table.place : table.place + length] = data
        table.add(length, self._routes[due.participant])

    def _leave(self, count: int) -> None:
        """Send what was written; what the kernel does not take counts as lost."""
        first = 0
        while first < count:
            first += max(1, self._send(first, count - first))
        self._table.clear()

    def _drain(self) -> None:
        while got := self._reader.read():
            self.received += got - len(self._reader.kinds(got).translate(None, MEDIA))


def _forever(participants: int) -> Iterator[Due]:
    """The schedule of one cycle, again and again."""
    cycle = schedule(participants, CYCLE_NS, seed=participants)
    in_cycle = [CYCLE_NS // period_ns for period_ns in PERIOD_NS]
    number = 0
    while True:
        for due in cycle:
            yield Due(
                due.at_ns + number * CYCLE_NS,
                due.participant,
                due.kind,
                due.number + number * in_cycle[due.kind],
            )
        number += 1


def soak(calls: int, minutes: int) -> list[Minute]:
    """One run of the server; a row for each minute, printed as it comes."""
    with tempfile.TemporaryDirectory(prefix="bench-soak-") as name:
        folder = Path(name)
        with wenzhen(folder, calls) as server:
            try:
                return _soak(server, folder, calls, minutes)
            except BaseException:
                print((folder / "server.log").read_text()[-3_000:], file=sys.stderr)
                raise


def _soak(server: Running, folder: Path, calls: int, minutes: int) -> list[Minute]:
    argv = [sys.executable, "-m", "benchmarks.media.pages", server.kind, json.dumps(server.setup)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT}
    wire = Wire()
    rows: list[Minute] = []
    with machine.process(
        argv, folder / "pages.log", machine.LOAD_CORE, machine.PAGES_NICE, **pipes
    ) as child:
        load = Soak(wire, set_up(wire, PagesProcess(child), server, calls))
        before = [machine.cpu_ns(server.pid), load.sent, load.received]

        def note(minute: int) -> None:
            now = [machine.cpu_ns(server.pid), load.sent, load.received]
            cpu_ns, sent, received = (b - a for a, b in zip(before, now, strict=True))
            before[:] = now
            rows.append(
                Minute(
                    minute,
                    round(machine.memory_bytes(server.pid) / 1e6, 2),
                    round(cpu_ns / 1_000 / max(received, 1), 3),
                    round(100 * (1 - received / max(sent, 1)), 4),
                    received,
                )
            )
            row = rows[-1]
            print(
                f"  {minute:3}  {row.rss_mb:8.1f} MB  {row.cpu_us:6.2f} µs/packet  "
                f"{row.loss_pct:8.3f} % lost  {row.packets} packets",
                flush=True,
            )

        load.run(minutes, note)
    wire.close()
    return rows


def slope_per_hour(rows: list[Minute], name: str) -> float:
    """By how much a figure grows in an hour: least squares over the rows; 0 of less than two."""
    count = len(rows)
    if count < 2:
        return 0.0
    xs, ys = [row.minute for row in rows], [float(getattr(row, name)) for row in rows]
    mean_x, mean_y = sum(xs) / count, sum(ys) / count
    spread = sum((x - mean_x) ** 2 for x in xs)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True)) / spread


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak")
    parser.add_argument("--calls", type=int, default=30)
    parser.add_argument("--minutes", type=int, default=60)
    asked = parser.parse_args()
    machine.isolate(sys.argv[1:], "benchmarks.soak")
    os.environ["WENZHEN_LONGEST_CALL_S"] = str(60 * asked.minutes + 1_800)
    machine.prepare()
    exact_sleeps()
    gc.disable()  # nothing here makes cycles, and a collection would be a gap in the load
    print(f"{asked.calls} calls for {asked.minutes} minutes")
    rows = soak(asked.calls, asked.minutes)
    steady = [row for row in rows if row.minute >= min(FIRST_MINUTE, asked.minutes)]
    shown = {str(row.minute): asdict(row) for row in (steady[:1] + steady[-1:])}
    result = {
        "calls": asked.calls,
        "minutes": asked.minutes,
        "at": shown,
        "slope_per_hour": {
            name: round(slope_per_hour(steady, name), 3) for name in ("rss_mb", "cpu_us")
        },
        "loss_pct": round(sum(row.loss_pct for row in steady) / len(steady), 4),
    }
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
