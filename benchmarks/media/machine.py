"""Processes, cores and memory of this machine (Linux)."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.media.load import Usage, busy_ticks

SERVER_CORE = 0
LOAD_CORE = (os.cpu_count() or 1) - 1
SERVER_NICE, LOAD_NICE, PAGES_NICE = -10, -15, -5
"""Before whatever else runs on the machine, where that is allowed; the same for every server."""


def prepare() -> None:
    """Put this process on its core, before others where that is allowed; allow many files."""
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, LOAD_NICE)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def process(
    argv: Sequence[str], log: Path, core: int, nice: int = 0, **more: object
) -> Iterator[subprocess.Popen[bytes]]:
    """A process on one core; ended with the context."""
    with log.open("ab") as out:
        argv = ["taskset", "-c", str(core), "nice", "-n", str(nice), *argv]
        started = subprocess.Popen(argv, stderr=out, **{"stdout": out, **more})  # type: ignore[call-overload]
    try:
        yield started
    finally:
        started.terminate()
        try:
            started.wait(10)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()


def cpu_ns(pid: int) -> int:
    """CPU time of all threads of a process, living and dead (clock_getcpuclockid(3))."""
    return time.clock_gettime_ns(~pid << 3 | 2)


def memory_bytes(pid: int) -> int:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def usage(pid: int) -> Usage:
    """All clocks now."""
    return Usage(cpu_ns(pid), time.process_time_ns(), busy_ticks())
