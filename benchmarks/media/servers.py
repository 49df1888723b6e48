"""The servers under test: started alone on their core, each with a folder of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import socket
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.media import machine
from benchmarks.media.clip import Clip, encode
from benchmarks.media.seats import seed
from benchmarks.media.wire import SERVER_ADDRESS

ROOT = Path(__file__).resolve().parents[2]
READY_S = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """A server that is ready.

    Attributes:
        setup: What its pages need.
        dtls: The `a=setup` of participants, which are DTLS clients always.
        clip: What participants send, if it must be decodable.
    """

    pid: int
    kind: str
    setup: dict[str, Any]
    dtls: str
    clip: Clip | None = None


@contextlib.contextmanager
def wenzhen(folder: Path, calls: int) -> Iterator[Running]:
    """The whole server on SQLite, with a physician, a session and a consult for each call."""
    data = folder / "data"
    seats = folder / "seats.json"
    data.mkdir()
    database_url = f"sqlite:///{data.absolute()}/wenzhen.sqlite3"
    seats.write_text(json.dumps(asyncio.run(seed(database_url, calls))))
    port, media_port = machine.free_port(), machine.free_port()
    url = f"http://127.0.0.1:{port}"
    command = str(Path(sys.executable).parent / "wenzhen")
    argv = [command, "serve", "--port", str(port)]
    argv += ["--media-host", SERVER_ADDRESS, "--media-port", str(media_port)]
    argv += ["--data-dir", str(data), "--drain-s", "1"]
    argv += ["--connecting-s", "600"]  # media begins when all calls are set up
    argv += ["--max-packets-per-s", "0", "--max-loop-lag-ms", "0"]  # no call is refused
    log = folder / "server.log"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with machine.process(
        argv, log, machine.SERVER_CORE, machine.SERVER_NICE, env=env, cwd=ROOT
    ) as server:
        _until(lambda: _answers(f"{url}/readyz"), server.pid, log)
        setup = {"url": url, "seats": str(seats)}
        yield Running(server.pid, "wenzhen", setup, "actpass")


JANUS = "/usr/bin/janus"
JANUS_LOOPS = "JANUS_EVENT_LOOPS"
"""An environment variable: so many event loops; by default a thread a participant."""
_JANUS_CONFIG = """
general: {{
  configs_folder = "{folder}"
  plugins_folder = "{library}/plugins"
  transports_folder = "{library}/transports"
  events_folder = "{library}/events"
  loggers_folder = "{library}/loggers"
  debug_level = 2
  session_timeout = 0
  {event_loops}
}}
media: {{ ipv6 = false }}
nat: {{ ice_lite = true }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
"""
_JANUS_WS = """
general: {{ json = "compact"  ws = true  ws_port = {port}  ws_ip = "127.0.0.1"  wss = false }}
admin: {{ admin_ws = false }}
"""


@contextlib.contextmanager
def janus(folder: Path, _calls: int) -> Iterator[Running]:
    """Debian's Janus with nothing but the videocall plugin and its WebSocket.

    ICE-lite as ours: it spares Janus the checks.
    """
    library = next(Path("/usr/lib").glob("*/janus"))

    def others(part: str, wanted: str) -> str:
        return ",".join(p.name for p in (library / part).glob("*.so") if wanted not in p.name)

    loops = os.environ.get(JANUS_LOOPS, "")
    (folder / "janus.jcfg").write_text(
        _JANUS_CONFIG.format(
            folder=folder,
            library=library,
            event_loops=f"event_loops = {loops}" if loops else "",
            plugins=others("plugins", "videocall"),
            transports=others("transports", "websockets"),
        )
    )
    port = machine.free_port()
    (folder / "janus.transport.websockets.jcfg").write_text(_JANUS_WS.format(port=port))
    log = folder / "server.log"
    argv = [JANUS, "-F", str(folder), "-o"]
    with machine.process(argv, log, machine.SERVER_CORE, machine.SERVER_NICE) as server:
        _until(lambda: _listens(port), server.pid, log)
        setup = {"url": f"ws://127.0.0.1:{port}/"}
        yield Running(server.pid, "janus", setup, "active")


@contextlib.contextmanager
def aiortc(folder: Path, _calls: int) -> Iterator[Running]:
    """Plain aiortc, which decodes and encodes: it gets a clip that decodes."""
    port = machine.free_port()
    argv = [sys.executable, "-m", "benchmarks.media.relay", str(port)]
    log = folder / "server.log"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    core, nice = machine.SERVER_CORE, machine.SERVER_NICE
    with machine.process(argv, log, core, nice, env=env, cwd=ROOT) as server:
        _until(lambda: _listens(port), server.pid, log)
        setup = {"url": f"http://127.0.0.1:{port}/call"}
        yield Running(server.pid, "aiortc", setup, "active", encode())


def missing() -> str:
    """What to do when Janus is not there; empty when it is."""
    return "" if shutil.which(JANUS) else "Janus is missing: apt-get install janus"


SERVERS = {"wenzhen": wenzhen, "janus": janus, "aiortc": aiortc}


def _until(ready: Any, pid: int, log: Path) -> None:
    end_s = time.monotonic() + READY_S
    while not ready():
        if time.monotonic() > end_s or not Path(f"/proc/{pid}").exists():
            raise RuntimeError(f"the server did not start:\n{log.read_text()[-2_000:]}")
        time.sleep(0.1)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _listens(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
