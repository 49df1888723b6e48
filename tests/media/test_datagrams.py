"""Batches of datagrams arrive whole, in order, and from where they came."""

import asyncio
import socket
import struct
from collections.abc import Iterator

import pytest

from media.counters import MediaCounters
from media.datagrams import MAX_BATCH, Destination, Inbox, Outbox, Spares
from media.dtls import PacketBuffer

FAMILIES = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


@pytest.fixture(params=sorted(FAMILIES))
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    host = request.param
    one, other = (socket.socket(FAMILIES[host], socket.SOCK_DGRAM) for _ in range(2))
    with one, other:
        for bound in (one, other):
            bound.setblocking(False)
            bound.bind((host, 0))
        yield one, other


def filled(data: bytes) -> PacketBuffer:
    packet = PacketBuffer()
    packet.data[: len(data)] = data
    return packet


def destination_of(sender: socket.socket, receiver: socket.socket) -> Destination:
    """How `receiver` knows `sender`: by what it got from there."""
    sender.sendto(b"here", receiver.getsockname())
    ((_, _, key),) = Inbox(receiver).receive()
    return Destination(key)


def test_a_batch_arrives_whole_in_order_and_with_its_source(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    server, client = pair
    counters = MediaCounters()
    inbox, outbox = Inbox(client), Outbox(server, counters)
    destination = destination_of(client, server)
    assert destination.raw == client.getsockname()[:2]
    sent = [bytes([index]) * (index + 1) for index in range(MAX_BATCH + 3)]
    packets = [filled(data) for data in sent]
    for packet, data in zip(packets, sent, strict=True):
        outbox.add(destination.pointer, packet, len(data))
    outbox.flush()
    got: list[bytes] = []
    while batch := inbox.receive():
        got += [bytes(packet.view[:length]) for packet, length, _ in batch]
        assert {Destination(key).raw for _, _, key in batch} == {server.getsockname()[:2]}
    assert got == sent
    assert counters.dropped == {}


def test_what_the_kernel_refuses_is_counted_and_holds_back_nothing(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """An address that cannot be reached belongs to one participant, the batch to all."""
    server, client = pair
    counters = MediaCounters()
    outbox = Outbox(server, counters)
    there = destination_of(client, server)
    nowhere = Destination(there.key[:2] + bytes(2) + there.key[4:])  # port 0
    packet = filled(b"data")
    for destination in (nowhere, there, nowhere, there):
        outbox.add(destination.pointer, packet, 4)
    outbox.flush()
    assert [client.recv(99) for _ in range(2)] == [b"data"] * 2
    assert counters.dropped == {"send_failed": 2}


def test_an_empty_socket_gives_an_empty_batch(pair: tuple[socket.socket, socket.socket]) -> None:
    assert Inbox(pair[0]).receive() == []


def test_a_copy_that_waits_is_sent_before_it_is_used_again(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """Copies for others went over TCP meanwhile: the next ones must not be sent in its place."""
    server, client = pair
    outbox = Outbox(server, MediaCounters())
    spares, there = Spares(outbox.flush), destination_of(client, server)
    copy = spares.copy(filled(b"mine"), 4)
    assert spares.copy(filled(b"mine"), 4) is copy, "not used yet: the same"
    outbox.add(there.pointer, copy, 4)
    spares.use()
    for _ in range(2 * MAX_BATCH):
        assert spares.copy(filled(b"else"), 4) is not copy or client.recv(99) == b"mine"
        spares.use()
    outbox.flush()
    with pytest.raises(BlockingIOError):
        client.recv(99)


async def test_the_loop_sees_datagrams_that_a_batch_left(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    """One batch at a time lets other work run; the rest is read in the next turn."""
    server, client = pair
    for _ in range(2 * MAX_BATCH):
        client.sendto(b"data", server.getsockname())
    inbox, counts, done = Inbox(server), list[int](), asyncio.Event()

    def read() -> None:
        counts.append(len(inbox.receive()))
        if sum(counts) == 2 * MAX_BATCH:
            done.set()

    asyncio.get_running_loop().add_reader(server.fileno(), read)
    async with asyncio.timeout(10):
        await done.wait()
    asyncio.get_running_loop().remove_reader(server.fileno())
    assert counts == [MAX_BATCH, MAX_BATCH]


def test_a_link_local_address_keeps_the_interface_it_is_good_on() -> None:
    """fe80::1 is a different host on every interface."""
    key = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", 40_000, 0)
    key += socket.inet_pton(socket.AF_INET6, "fe80::1") + struct.pack("=I", 1)
    assert Destination(key).raw == ("fe80::1%1", 40_000)
