"""Processes, cores and memory of this machine (Linux)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.media.load import Usage, busy_ticks
from benchmarks.media.wire import SERVER_ADDRESS

SERVER_CORE = 0
LOAD_CORE = (os.cpu_count() or 1) - 1
SERVER_NICE, LOAD_NICE, PAGES_NICE = -20, -20, -10
"""Before whatever else runs on the machine, where that is allowed; the same for every server."""


REALTIME = "WENZHEN_BENCH_REALTIME"
"""An environment variable: servers run before whatever else is on the machine (SCHED_RR, root)."""

INSIDE = "WENZHEN_BENCH_INSIDE"


def isolate(argv: Sequence[str], module: str = "benchmarks.media") -> None:
    """Go on in a network namespace of our own, where 10.77.0.0/16 is this machine.

    Janus takes no loopback interface for media and sends by the interface of its candidate
    (IP_UNICAST_IF), so that participants on 127.0.0.0/8 would never hear from it. In the namespace
    nothing can leave the machine. It ends with its last process.
    """
    if INSIDE in os.environ:
        for command in (
            "link set lo up",
            "link add bench0 type veth peer name bench1",
            f"address add {SERVER_ADDRESS}/16 dev bench0",
            "link set bench0 up",
            "link set bench1 up",
            "route add local 10.77.0.0/17 dev bench0",
        ):
            subprocess.run(["ip", *command.split()], check=True)
        return
    flags = "-n" if os.geteuid() == 0 else "-rn"
    if subprocess.run(["unshare", flags, "true"], check=False).returncode:
        sys.exit("this user may not make a network namespace: run the benchmark as root")
    os.environ[INSIDE] = "1"
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    os.execvp("unshare", ["unshare", flags, sys.executable, "-m", module, *argv])


def described() -> str:
    """This machine in a line: its processor, its cores, its kernel."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((x.split(":")[1].strip() for x in lines if x.startswith("model name")), "CPU")
    if SERVER_CORE == LOAD_CORE:
        model += " (one core for server and generator: the figures are of both)"
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"


def prepare() -> None:
    """Put this process on its core, before others where that is allowed; allow many files."""
    os.sched_setaffinity(0, {LOAD_CORE})
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, LOAD_NICE)
        # niceness counts within a session only where sessions are scheduled as groups (sched(7))
        Path("/proc/self/autogroup").write_text(str(SERVER_NICE))


@contextlib.contextmanager
def punctual() -> Iterator[None]:
    """Let this thread, the generator's, run as soon as it wants to, where that is allowed."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Wait until no other run of this benchmark is under way on this machine."""
    with (Path(tempfile.gettempdir()) / "wenzhen-bench-media.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("waiting for another run of this benchmark to end ...", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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
        before_others = (
            ["chrt", "--rr", "1"] if core == SERVER_CORE and REALTIME in os.environ else []
        )
        argv = ["taskset", "-c", str(core), "nice", "-n", str(nice), *before_others, *argv]
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
