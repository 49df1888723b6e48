"""What anybody in the world can send to the media port."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import threading
import time

from OpenSSL import SSL

BURST_EVERY_S = 0.005


def client_hello() -> bytes:
    """The first flight of a DTLS handshake (RFC 6347 §4.2) that no offer announced."""
    connection = SSL.Connection(SSL.Context(SSL.DTLS_METHOD), None)
    connection.set_connect_state()
    with contextlib.suppress(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(4096)


def send(port: int, datagram: bytes) -> None:
    """One datagram from a socket that nobody knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.sendto(datagram, ("127.0.0.1", port))


def flood(port: int, seconds: float, per_second: int) -> int:
    """Random datagrams of 1 to 1200 bytes, of every kind of RFC 7983. Returns how many."""
    rng = random.Random(7)
    kinds = bytes([*range(4), 16, *range(20, 64), 64, *range(128, 192)])
    noise = os.urandom(4096)
    wait, burst = threading.Event(), int(per_second * BURST_EVERY_S)
    sent, began = 0, time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.connect(("127.0.0.1", port))
        while (spent_s := time.monotonic() - began) < seconds:
            due = int(spent_s * per_second) + burst - sent
            for _ in range(min(due, 4 * burst)):
                start = rng.randrange(2048)
                body = noise[start : start + rng.randrange(1200)]
                stranger.send(bytes([rng.choice(kinds)]) + body)
                sent += 1
            wait.wait(BURST_EVERY_S)
    return sent
