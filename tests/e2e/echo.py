"""Datagrams to and fro, to measure a line: ``python -m tests.e2e.echo serve|ask HOST COUNT BYTES``.

``ask`` sends one datagram each 2 ms and prints as JSON the round trips in milliseconds of those
that came back within a second after the last.
"""

from __future__ import annotations

import json
import socket
import sys
import time

PORT = 7
EVERY_S = 0.002
LINGER_S = 1.0


def serve(host: str) -> None:
    """Say that it is ready, and send everything back, until it is ended."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind((host, PORT))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        while True:
            data, source = udp.recvfrom(2048)
            udp.sendto(data, source)


def ask(host: str, count: int, size: int) -> list[float]:
    """The round trips."""
    trips_ms: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        sent = 0
        next_s = time.monotonic()
        while True:
            now_s = time.monotonic()
            if sent < count and now_s >= next_s:
                udp.sendto(str(time.monotonic_ns()).encode().ljust(size), (host, PORT))
                sent += 1
                next_s += EVERY_S
            udp.settimeout(LINGER_S if sent == count else max(0.0001, next_s - now_s))
            try:
                data = udp.recv(2048)
            except (TimeoutError, BlockingIOError):
                if sent == count:
                    return trips_ms
                continue
            trips_ms.append((time.monotonic_ns() - int(data)) / 1e6)


def main() -> int:
    """Serve or ask."""
    what, host, *rest = sys.argv[1:]
    if what == "serve":
        serve(host)
    json.dump(ask(host, *map(int, rest)), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
