"""The command: `python -m benchmarks.media --calls "1 5 15" --servers wenzhen,janus`."""

from __future__ import annotations

import argparse
import json
import selectors
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from aiortc import RTCCertificate

from benchmarks.media import machine
from benchmarks.media.evaluate import Figures, evaluate
from benchmarks.media.load import Load, Window
from benchmarks.media.participant import Participant, connect, keep
from benchmarks.media.schedule import NS
from benchmarks.media.servers import ROOT, SERVERS, Running, missing
from benchmarks.media.wire import Wire

GROUP = 16
"""Calls that are set up together: a server ends connections that take 30 s."""


class PagesProcess:
    """The pages' process, asked over its pipes."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def post(self, command: dict[str, Any]) -> None:
        """Send a command; `read` takes its answer."""
        assert self._child.stdin is not None
        self._child.stdin.write(json.dumps(command).encode() + b"\n")
        self._child.stdin.flush()

    def read(self, meanwhile: Any = None) -> dict[str, Any]:
        """The answer to the oldest command; `meanwhile` is called each 0.2 s.

        Raises:
            RuntimeError: the pages ended or were too slow.
        """
        assert self._child.stdout is not None
        end_s = time.monotonic() + 60
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while not selector.select(0.2):
                if meanwhile is not None:
                    meanwhile()
                if time.monotonic() > end_s:
                    raise RuntimeError("the pages did not answer")
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the pages ended")
        found: dict[str, Any] = json.loads(line)
        return found


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one server."""

    figures: Figures
    mb_per_call: float
    profile: str
    metrics: dict[str, float]


def measure(kind: str, calls: int, seconds: float) -> Result:
    """One run: start, set up, load, evaluate, end."""
    with tempfile.TemporaryDirectory(prefix="bench-media-") as name:
        folder = Path(name)
        try:
            with SERVERS[kind](folder, calls) as server:
                return _measure(server, folder, calls, seconds)
        except Exception:
            for log in ("server.log", "pages.log"):
                if (folder / log).exists():
                    print((folder / log).read_text()[-3_000:], file=sys.stderr)
            raise


def _measure(server: Running, folder: Path, calls: int, seconds: float) -> Result:
    argv = [sys.executable, "-m", "benchmarks.media.pages", server.kind, json.dumps(server.setup)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT}
    wire = Wire()
    with machine.process(
        argv, folder / "pages.log", machine.LOAD_CORE, machine.PAGES_NICE, **pipes
    ) as child:
        pages = PagesProcess(child)
        time.sleep(0.5)
        empty_bytes = machine.memory_bytes(server.pid)
        participants = _set_up(wire, pages, server, calls)
        warm_s = 3 + calls / 50
        window = Window(int(warm_s * NS), int((warm_s + seconds) * NS))
        load = Load(wire, participants, window)
        # the length of the encryption is not known: times are of a start that comes then
        start_ns = time.time_ns() + len(load.due) * 12_000 + NS
        load.encrypt(start_ns, lambda: keep(wire, participants))
        while time.time_ns() < start_ns:
            keep(wire, participants)
            for arrival in wire.receive(0.01):
                participants[arrival.participant].arrived(wire, arrival)
        run = load.run(start_ns, lambda: machine.usage(server.pid))
        full_bytes = machine.memory_bytes(server.pid)
        pages.post({"metrics": True})
        metrics = pages.read()
    wire.close()
    return Result(
        evaluate(load, run),
        (full_bytes - empty_bytes) / calls / 1e6,
        participants[0].profile,
        metrics,
    )


def _set_up(wire: Wire, pages: PagesProcess, server: Running, calls: int) -> list[Participant]:
    """Signal and connect every call, some at a time."""
    certificate = RTCCertificate.generateCertificate()
    random = Random(calls)
    participants = [Participant(i, certificate, wire.port, random) for i in range(2 * calls)]
    for first in range(0, calls, GROUP):
        group = range(first, min(first + GROUP, calls))
        pages.post(
            {
                "calls": {
                    n: [participants[2 * n + s].description(server.setups[s]) for s in (0, 1)]
                    for n in group
                }
            }
        )
        answers = pages.read(lambda: keep(wire, participants))
        both = [participants[2 * n + s] for n in group for s in (0, 1)]
        for number, sdps in answers.items():
            for side, sdp in enumerate(sdps):
                participants[2 * int(number) + side].take(sdp)
        connect(wire, both, participants)
    return participants


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.media")
    parser.add_argument("--calls", default="1 5 15 30 80 150")
    parser.add_argument("--servers", default="wenzhen,janus")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=12)
    args = parser.parse_args()
    machine.isolate(sys.argv[1:])
    machine.prepare()
    kinds = args.servers.split(",")
    if "janus" in kinds and missing():
        print(missing(), file=sys.stderr)
        return 1
    calls: dict[str, Any] = {}
    for count in map(int, args.calls.replace(",", " ").split()):
        results: dict[str, list[Result]] = {kind: [] for kind in kinds}
        for _ in range(args.rounds):
            for kind in kinds:
                with machine.alone():
                    result = measure(kind, count, args.seconds)
                results[kind].append(result)
                print(count, kind, result, flush=True)
        calls[str(count)] = {
            name: {
                kind: round(median(getattr(r.figures, name) for r in results[kind]), 3)
                for kind in kinds
            }
            for name in ("cpu_us", "p50_ms", "p99_ms", "loss_pct")
        } | {
            "mb_per_call": {
                kind: round(median(r.mb_per_call for r in results[kind]), 3) for kind in kinds
            }
        }
    print(json.dumps({"calls": calls}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
