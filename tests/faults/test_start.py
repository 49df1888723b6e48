"""A server that cannot start says why in one sentence, and to nobody in vain."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.network import free_port
from tests.e2e.server import COMMAND


def refused_start(*options: str) -> str:
    """Start a server that must refuse with status 1; the one line it wrote to stderr."""
    done = subprocess.run(
        [str(COMMAND), "serve", "--demo", *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert done.returncode == 1, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("wenzhen: ")
    return lines[0]


@contextmanager
def taken(kind: socket.SocketKind) -> Iterator[int]:
    """A port on loopback that another program listens on."""
    with socket.socket(socket.AF_INET, kind) as other:
        other.bind(("127.0.0.1", 0))
        if kind is socket.SOCK_STREAM:
            other.listen()
        yield other.getsockname()[1]


def test_a_busy_port_of_the_pages_is_named(tmp_path: Path) -> None:
    with taken(socket.SOCK_STREAM) as port:
        said = refused_start(
            "--port", str(port), "--media-port", str(free_port()), "--data-dir", str(tmp_path)
        )
    assert str(port) in said
    assert "--port" in said


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_busy_media_port_is_named(tmp_path: Path, kind: socket.SocketKind) -> None:
    """The one port carries UDP and TCP: either taken is enough."""
    with taken(kind) as port:
        said = refused_start(
            "--port", str(free_port()), "--media-port", str(port), "--data-dir", str(tmp_path)
        )
    assert str(port) in said
    assert "--media-port" in said


@pytest.mark.parametrize("inside", [".", "below"])
def test_a_data_folder_that_cannot_be_written_is_named(tmp_path: Path, inside: str) -> None:
    """A file where the folder should be: no right of any user changes that."""
    file = tmp_path / "data"
    file.write_text("not a folder", "utf-8")
    said = refused_start("--port", "0", "--media-port", "0", "--data-dir", str(file / inside))
    assert str(file) in said
    assert "--data-dir" in said


def test_a_setting_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    said = refused_start("--drain-s", "soon", "--data-dir", str(tmp_path))
    assert "--drain-s" in said
