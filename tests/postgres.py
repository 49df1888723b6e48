"""A real PostgreSQL for the tests: one server per session, one empty database per test.

Use the fixture `postgres_url`. The binaries are looked for in `WENZHEN_TEST_POSTGRES_BIN`, on the
path, and where Debian puts them. PostgreSQL refuses to run as root, so then it runs as the user
`postgres` or, failing that, `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class PostgresServer:
    """A running server that trusts everybody on loopback, and ends with the test session."""

    bin: Path
    home: Path
    port: int
    user: str | None

    def start(self) -> None:
        """Start, or start again after `stop`; it serves when this returns."""
        options = f"-h 127.0.0.1 -p {self.port} -c unix_socket_directories="
        self._control("-l", self.home / "log", "-o", options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop; `immediate` is a crash, after which it recovers from its log."""
        self._control("-m", mode, "stop")

    def _control(self, *arguments: str | Path) -> None:
        control = [self.bin / "pg_ctl", "-D", self.home / "data", "-w", "-t", "50"]
        _run([*control, *arguments], self.user, self.home)

    def psql(self, statement: str) -> str:
        """Run one statement as the superuser, outside any transaction; give its output."""
        command = [self.bin / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        address = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "wenzhen", "postgres"]
        return _run([*command, "-c", statement, *address], None, Path("/"))

    def url(self, database: str) -> str:
        """Give the address of a database of this server."""
        return f"postgresql://wenzhen@127.0.0.1:{self.port}/{database}"


def _run(command: list[str | Path], user: str | None, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        user=user,
        group=None if user is None else pwd.getpwnam(user).pw_gid,
        extra_groups=None if user is None else [],
        cwd=cwd,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stdout}{done.stderr}")
    return done.stdout


def _binaries() -> Path:
    named = os.environ.get("WENZHEN_TEST_POSTGRES_BIN")
    on_path = shutil.which("initdb")
    places = [Path(named)] if named else []
    places += [Path(on_path).resolve().parent] if on_path else []
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for place in places:
        if (place / "initdb").exists() and (place / "pg_ctl").exists():
            return place
    raise RuntimeError(
        "these tests need PostgreSQL: install it (Debian: apt-get install postgresql), "
        "or name its folder of programs in WENZHEN_TEST_POSTGRES_BIN"
    )


def _user() -> str | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_postgres() -> Iterator[PostgresServer]:
    """Run a server in a folder of its own; stop it and remove the folder afterwards."""
    programs, user = _binaries(), _user()
    home = Path(tempfile.mkdtemp(prefix="wenzhen-pg-"))
    try:
        if user is not None:
            shutil.chown(home, user)
        initdb = [programs / "initdb", "-D", home / "data", "-U", "wenzhen", "-A", "trust"]
        _run([*initdb, "-E", "UTF8", "--no-locale", "--no-instructions"], user, home)
        server = PostgresServer(programs, home, _free_port(), user)
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(home)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The server that all tests of a session share."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> Iterator[str]:
    """Give the address of a new, empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    postgres_server.psql(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    postgres_server.psql(f"DROP DATABASE {name} WITH (FORCE)")
