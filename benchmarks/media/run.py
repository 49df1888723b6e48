"""One run of one server: start it, set the calls up, load it, evaluate, end it."""

from __future__ import annotations

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from aiortc import RTCCertificate

from benchmarks.media import machine
from benchmarks.media.evaluate import Figures, evaluate
from benchmarks.media.load import Load, Window
from benchmarks.media.participant import Participant, connect, keep
from benchmarks.media.schedule import NS
from benchmarks.media.servers import ROOT, SERVERS, Running
from benchmarks.media.wire import Wire

GROUP = 16
"""Calls that are set up together: a server ends connections that take 30 s."""

WARM_S = 3.0
CALLS_A_WARM_S = 100
"""Our server stores the begin of each call: so many begin in a second more of warming up."""

ENCRYPT_NS = 12_000
ANSWER_S = 60.0
IDLE_S = 1.0


class PagesProcess:
    """The pages' process, asked over its pipes."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child

    def ask(
        self, command: dict[str, Any], meanwhile: Callable[[], None] = lambda: None
    ) -> dict[str, Any]:
        """Send a command; its answer. `meanwhile` is called each 0.2 s.

        Raises:
            RuntimeError: the pages could not do it, ended or were too slow.
        """
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(json.dumps(command).encode() + b"\n")
        self._child.stdin.flush()
        end_s = time.monotonic() + ANSWER_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._child.stdout, selectors.EVENT_READ)
            while not selector.select(0.2):
                meanwhile()
                if time.monotonic() > end_s:
                    raise RuntimeError("the pages did not answer")
        line = self._child.stdout.readline()
        if not line:
            raise RuntimeError("the pages ended")
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise RuntimeError(found["error"])
        return found


@dataclass(frozen=True, slots=True)
class Result:
    """One run of one server.

    Attributes:
        mb_per_call: Growth of the resident memory by the calls, divided by their number.
        idle_pct: What the server took of its core before the first call.
        profile: The SRTP profile that was negotiated.
        metrics: What the server says of itself at the end, while the calls are still there.
    """

    figures: Figures
    mb_per_call: float
    idle_pct: float
    profile: str
    metrics: dict[str, float]


def measure(kind: str, calls: int, seconds: float) -> Result:
    """Measure `calls` on a fresh server for `seconds`.

    Raises:
        RuntimeError, TimeoutError: it could not be; the server's last words are on stderr.
    """
    with tempfile.TemporaryDirectory(prefix="bench-media-") as name:
        folder = Path(name)
        try:
            with SERVERS[kind](folder, calls) as server:
                return _measure(server, folder, calls, seconds)
        except (RuntimeError, TimeoutError):
            for log in ("server.log", "pages.log"):
                if (folder / log).exists():
                    print((folder / log).read_text()[-3_000:], file=sys.stderr)
            raise


def _measure(server: Running, folder: Path, calls: int, seconds: float) -> Result:
    argv = [sys.executable, "-m", "benchmarks.media.pages", server.kind, json.dumps(server.setup)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "cwd": ROOT}
    core, nice = machine.LOAD_CORE, machine.PAGES_NICE
    wire = Wire()
    try:
        with machine.process(argv, folder / "pages.log", core, nice, **pipes) as child:
            pages = PagesProcess(child)
            pages.ask({"metrics": True})  # the first answer of a server takes memory of its own
            idle_pct = _idle_pct(server.pid)
            empty_bytes = machine.memory_bytes(server.pid)
            participants = set_up(wire, pages, server, calls)
            warm_s = WARM_S + calls / CALLS_A_WARM_S
            window = Window(int(warm_s * NS), int((warm_s + seconds) * NS))
            load = Load(wire, participants, window, forwards=server.clip is None)
            start_ns = _encrypt(load)
            with machine.punctual():
                run = load.run(start_ns, lambda: machine.usage(server.pid))
            full_bytes = machine.memory_bytes(server.pid)
            metrics = pages.ask({"metrics": True})
    finally:
        wire.close()
    figures = evaluate(load, run)
    growth_mb = (full_bytes - empty_bytes) / calls / 1e6
    return Result(figures, growth_mb, idle_pct, participants[0].profile, metrics)


def _idle_pct(pid: int) -> float:
    """What a server takes of its core while it has nothing to do."""
    used_ns, at_ns = machine.cpu_ns(pid), time.monotonic_ns()
    time.sleep(IDLE_S)
    return 100 * (machine.cpu_ns(pid) - used_ns) / (time.monotonic_ns() - at_ns)


def _encrypt(load: Load) -> int:
    """Encrypt everything; the time to start at (Unix, ns), until which consent is kept."""
    wire, participants = load.wire, load.participants
    planned_ns = time.time_ns() + len(load.due) * ENCRYPT_NS + NS
    load.encrypt(planned_ns, lambda: keep(wire, participants))
    start_ns = max(planned_ns, time.time_ns() + NS // 4)  # a busy machine takes longer
    while time.time_ns() < start_ns:
        keep(wire, participants)
        for arrival in wire.receive(0.01):
            participants[arrival.participant].arrived(wire, arrival)
    return start_ns


def set_up(wire: Wire, pages: PagesProcess, server: Running, calls: int) -> list[Participant]:
    """Signal and connect every call, some at a time."""
    certificate = RTCCertificate.generateCertificate()
    random = Random(calls)
    participants = [
        Participant(index, certificate, wire.port, random, server.clip)
        for index in range(2 * calls)
    ]
    for first in range(0, calls, GROUP):
        group = range(first, min(first + GROUP, calls))
        both = {n: participants[2 * n : 2 * n + 2] for n in group}
        sdps = {n: [p.description(server.dtls) for p in sides] for n, sides in both.items()}
        answers = pages.ask({"calls": sdps}, lambda: keep(wire, participants))
        for number, sides in both.items():
            for participant, sdp in zip(sides, answers[str(number)], strict=True):
                participant.take(sdp)
        connect(wire, [p for sides in both.values() for p in sides], participants)
    return participants
