"""Where a test's server and browser live: this machine's network, or one where UDP is refused."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ADMIN_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


@dataclass(frozen=True, slots=True)
class Network:
    """Every program of a test starts through `command`. No `namespace`: the machine's own."""

    namespace: str | None = None

    def command(self, *argv: str) -> list[str]:
        """The command line that runs `argv` in this network, in the same process."""
        if self.namespace is None:
            return list(argv)
        return [_program("ip"), "netns", "exec", self.namespace, *argv]

    def wrapper(self, program: str, folder: Path) -> Path:
        """An executable file in `folder` that runs `program` in this network."""
        path = folder / f"in-{self.namespace}"
        line = " ".join(self.command(program))
        path.write_text(f'#!/bin/sh\nexec {line} "$@"\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path


def free_port() -> int:
    """A port that is free for TCP and UDP on loopback."""
    while True:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", 0))
            port: int = tcp.getsockname()[1]
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port


@contextmanager
def loopback() -> Iterator[Network]:
    """A network of loopback alone. Needs root."""
    network = Network(f"wenzhen-{uuid.uuid4().hex[:8]}")
    run("ip", "netns", "add", network.namespace or "")
    try:
        inside(network, "ip", "link", "set", "lo", "up")
        yield network
    finally:
        run("ip", "netns", "del", network.namespace or "")


@contextmanager
def without_udp(media_port: int) -> Iterator[Network]:
    """A network of loopback alone that refuses every datagram to `media_port`. Needs root."""
    with loopback() as network:
        for program in ("iptables", "ip6tables"):
            rule = ["-A", "INPUT", "-p", "udp", "--dport", str(media_port), "-j", "REJECT"]
            inside(network, program, *rule)
        yield network


def refused_datagrams(network: Network) -> int:
    """How many datagrams the rule of `without_udp` refused so far."""
    rows = inside(network, "iptables", "-L", "INPUT", "-v", "-x", "-n").splitlines()
    return sum(int(row.split()[0]) for row in rows if "REJECT" in row)


def _program(name: str) -> str:
    path = shutil.which(name, path=ADMIN_PATH)
    if path is None:
        raise RuntimeError(f"these tests need the program {name}")
    return path


def inside(network: Network, program: str, *arguments: str) -> str:
    """Run a program in a network and return what it printed, as `run` does."""
    return run(*network.command(_program(program), *arguments))


def run(program: str, *arguments: str) -> str:
    """Run a program and return what it printed.

    Raises:
        RuntimeError: it failed; says what it said.
    """
    command = [_program(program) if "/" not in program else program, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
