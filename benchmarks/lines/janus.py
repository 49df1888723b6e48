"""Debian's Janus with its videocall plugin, and the plain page for it, in one network.

ICE-lite and ICE over TCP are on: that is how a Janus with a public address gets through where UDP
is blocked, and what comes closest to this server. All else is as Debian ships it.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.e2e.network import Network

PAGE = Path(__file__).with_name("janus_page")
PAGE_PORT = 8090
API_PORT = 8088
PROGRAM = "/usr/bin/janus"
LIBRARY = "/usr/lib/x86_64-linux-gnu/janus"
START_WITHIN_S = 15.0

CONFIGURATION = {
    "janus.jcfg": f"""
general: {{
    plugins_folder = "{LIBRARY}/plugins"
    transports_folder = "{LIBRARY}/transports"
    events_folder = "{LIBRARY}/events"
    loggers_folder = "{LIBRARY}/loggers"
    debug_level = 4
}}
nat: {{
    ice_lite = true
    ice_tcp = true
    ice_ignore_list = "vmnet"
}}
plugins: {{
    disable = "libjanus_audiobridge.so,libjanus_duktape.so,libjanus_echotest.so,\
libjanus_lua.so,libjanus_nosip.so,libjanus_recordplay.so,libjanus_sip.so,\
libjanus_streaming.so,libjanus_textroom.so,libjanus_videoroom.so,libjanus_voicemail.so"
}}
transports: {{
    disable = "libjanus_mqtt.so,libjanus_nanomsg.so,libjanus_pfunix.so,\
libjanus_rabbitmq.so,libjanus_websockets.so"
}}
""",
    "janus.transport.http.jcfg": f"""
general: {{
    json = "compact"
    base_path = "/janus"
    http = true
    port = {API_PORT}
    ip = "0.0.0.0"
}}
""",
    "janus.plugin.videocall.jcfg": "general: {\n}\n",
}


@asynccontextmanager
async def run_janus(network: Network, host: str) -> AsyncIterator[str]:
    """Run it for the time of the context; yields the address of its page.

    Raises:
        RuntimeError: it did not start; says what it printed.
    """
    processes: list[asyncio.subprocess.Process] = []
    with tempfile.TemporaryDirectory(prefix="wenzhen-janus-") as folder:
        for name, text in CONFIGURATION.items():
            (Path(folder) / name).write_text(text, "utf-8")
        log = Path(folder) / "janus.log"
        pages = ("-m", "http.server", str(PAGE_PORT), "--bind", host, "--directory", str(PAGE))
        try:
            with log.open("wb") as out:
                for argv in ([PROGRAM, "-F", folder], [sys.executable, *pages]):
                    process = await asyncio.create_subprocess_exec(
                        *network.command(*argv), stdout=out, stderr=out
                    )
                    processes.append(process)
            for port in (API_PORT, PAGE_PORT):
                await _listens(network, host, port, log)
            yield f"http://{host}:{PAGE_PORT}/index.html"
        finally:
            for process in processes:
                if process.returncode is None:
                    process.kill()
                await process.wait()


async def _listens(network: Network, host: str, port: int, log: Path) -> None:
    """Wait until the port is open inside the network."""
    code = f"""
import socket, time
for _ in range({int(START_WITHIN_S * 10)}):
    try:
        socket.create_connection(("{host}", {port}), 1).close()
        break
    except OSError:
        time.sleep(0.1)
else:
    raise SystemExit(1)
"""
    process = await asyncio.create_subprocess_exec(*network.command(sys.executable, "-c", code))
    if await process.wait():
        said = await asyncio.to_thread(log.read_text, "utf-8")
        raise RuntimeError(f"nothing listens on port {port}: {said[-2000:]}")
