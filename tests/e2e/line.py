"""A line between two network namespaces that loses, delays, throttles and cuts, as a test says.

Kernels without ``netem`` are common in virtual machines, so the line is a process of our own
between two TUN devices: the same on every machine, seeded, and changed at will in a call. Loss and
delay strike all that passes: media, the page's socket and its HTTP. Needs root.

``python -m tests.e2e.line FD FD SEED`` is that process: it takes impairments as JSON lines on its
stdin, and answers each with how many packets have passed and how many have not.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import select
import struct
import sys
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.impairment import CLEAN, Direction, Impairment
from tests.e2e.network import Network, inside, run

ROOT = Path(__file__).resolve().parents[2]
SERVER_HOST = "10.91.0.1"
CLIENT_HOSTS = ("10.91.1.2", "10.91.2.2")
"""The client's address, and the one it changes to."""

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MTU = 1500
_BATCH = 64
_PRIORITY = -10


@dataclass
class Line:
    """Two networks and the line between them. Open with `open_line`."""

    server: Network
    client: Network
    client_device: str
    process: asyncio.subprocess.Process
    client_host: str = CLIENT_HOSTS[0]

    async def become(self, impairment: Impairment = CLEAN) -> tuple[int, int]:
        """Treat packets so from now on, in both directions.

        Returns:
            How many packets passed and how many were dropped until now.
        """
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps(asdict(impairment)).encode() + b"\n")
        async with asyncio.timeout(5):
            passed, dropped = json.loads(await self.process.stdout.readline())
        return passed, dropped

    def move(self) -> None:
        """Give the client another address, and take its old one away in the same moment."""
        old, device = self.client_host, self.client_device
        new = CLIENT_HOSTS[1 - CLIENT_HOSTS.index(old)]
        inside(self.client, "ip", "address", "add", f"{new}/32", "dev", device)
        inside(self.client, "ip", "address", "del", f"{old}/32", "dev", device)
        self.client_host = new


@asynccontextmanager
async def open_line(seed: int = 1) -> AsyncIterator[Line]:
    """A clean line for the time of the context."""
    tag = uuid.uuid4().hex[:8]
    server, client = Network(f"wenzhen-s-{tag}"), Network(f"wenzhen-c-{tag}")
    devices = (f"wzs{tag}", f"wzc{tag}")
    fds: list[int] = []
    process: asyncio.subprocess.Process | None = None
    try:
        ends = zip((server, client), devices, (SERVER_HOST, CLIENT_HOSTS[0]), strict=True)
        for network, device, host in ends:
            run("ip", "netns", "add", network.namespace or "")
            fds.append(_tun(device))
            _settle(network, device, host)
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.e2e.line", str(fds[0]), str(fds[1]), str(seed)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=fds,
            cwd=ROOT,
        )
        line = Line(server, client, devices[1], process)
        await line.become()
        yield line
    finally:
        if process is not None and process.returncode is None:
            process.kill()
            await process.wait()
        for fd in fds:
            os.close(fd)
        for network in (server, client):
            with contextlib.suppress(RuntimeError):  # it was never made
                run("ip", "netns", "del", network.namespace or "")


def _tun(device: str) -> int:
    """Open a TUN device of this name; it lives as long as the descriptor."""
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    request = struct.pack("16sH14x", device.encode(), _IFF_TUN | _IFF_NO_PI)
    fcntl.ioctl(fd, _TUNSETIFF, request)
    return fd


def _settle(network: Network, device: str, host: str) -> None:
    """Move the device into its network, with an address, as the way to everywhere."""
    run("ip", "link", "set", device, "netns", network.namespace or "")
    inside(network, "sysctl", "-q", "-w", "net.ipv6.conf.all.disable_ipv6=1")
    inside(network, "ip", "link", "set", "lo", "up")
    inside(network, "ip", "address", "add", f"{host}/32", "dev", device)
    inside(network, "ip", "link", "set", device, "mtu", str(_MTU), "up")
    inside(network, "ip", "route", "add", "default", "dev", device)


# --- the process --------------------------------------------------------------------------------


class _Carrier:
    """Carries packets between two descriptors until the third, of the control, ends."""

    def __init__(self, ends: tuple[int, int], control: int, seed: int) -> None:
        self._control = control
        self._orders = b""
        self._ways = {
            ends[0]: (Direction(seed), ends[1]),
            ends[1]: (Direction(seed + 1), ends[0]),
        }

    def carry(self) -> None:
        """Until the control ends."""
        waiting = [*self._ways, self._control]
        while True:
            due = [way.next_s for way, _ in self._ways.values() if way.next_s is not None]
            patience_s = max(0.0, min(due) - time.monotonic()) if due else None
            readable, _, _ = select.select(waiting, [], [], patience_s)
            if self._control in readable and not self._obey():
                return
            for source, (way, _) in self._ways.items():
                if source in readable:
                    _fill(way, source)
            for way, sink in self._ways.values():
                for packet in way.arrived(time.monotonic()):
                    with contextlib.suppress(OSError):  # the far device is full: one more loss
                        os.write(sink, packet)

    def _obey(self) -> bool:
        """Take the orders that have come; False when no more will come."""
        read = os.read(self._control, 65_536)
        *orders, self._orders = (self._orders + read).split(b"\n")
        for order in orders:
            impairment = Impairment(**json.loads(order))
            for way, _ in self._ways.values():
                way.impairment = impairment
            ways = [way for way, _ in self._ways.values()]
            counts = (sum(way.passed for way in ways), sum(way.dropped for way in ways))
            sys.stdout.write(json.dumps(counts) + "\n")
            sys.stdout.flush()
        return bool(read)


def _fill(way: Direction, source: int) -> None:
    now_s = time.monotonic()
    for _ in range(_BATCH):
        try:
            packet = os.read(source, _MTU + 100)
        except BlockingIOError:
            return
        way.take(packet, now_s)


def main() -> int:
    """Carry."""
    one, other, seed = map(int, sys.argv[1:])
    with contextlib.suppress(PermissionError):
        os.nice(_PRIORITY)  # a line that waits for a core would add a delay of its own
    _Carrier((one, other), sys.stdin.fileno(), seed).carry()
    return 0


if __name__ == "__main__":
    sys.exit(main())
