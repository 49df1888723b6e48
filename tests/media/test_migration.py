"""A participant's address changes in the middle of a call, and only theirs to change."""

import asyncio
import socket

import pytest

from media import MediaPort, MediaSettings, Room
from media.ice import SILENT_MS
from tests.media.peers import TIMEOUT_S, Listener, Peer

Pair = tuple[Peer, Peer]


@pytest.fixture
async def talking(pair: Pair, room: Room, listener: Listener) -> Pair:
    """Both are heard."""
    for peer in pair:
        await peer.send("audio")
        await listener.wait("flow_started", peer.name, "audio")
    room.deliver("voice")
    return pair


async def hears(receiver: Peer, sender: Peer, text: bytes) -> None:
    """Wait until `receiver` has what `sender` sends now."""
    await sender.send("audio", text * 8)
    await receiver.until(lambda: any(packet.endswith(text * 8) for packet in receiver.rtp))


async def hears_again(receiver: Peer, sender: Peer) -> None:
    """Wait until packets sent every 20 ms reach `receiver` again."""
    before = len(receiver.rtp)
    async with asyncio.timeout(TIMEOUT_S):
        while len(receiver.rtp) == before:
            await sender.send("audio")
            await asyncio.sleep(0.02)


async def test_a_new_source_address_goes_on_with_its_next_check(
    talking: Pair, port: MediaPort
) -> None:
    """A translator of addresses forgot the old one: a check, a packet, and media is back."""
    patient, physician = talking
    patient.abandon()
    await patient.open(port.port)
    await patient.bind()
    await hears(physician, patient, b"out")
    await hears(patient, physician, b"back")
    assert port.counters.path_changes == 1


async def test_the_old_address_is_kept_until_the_new_one_carries_media(
    talking: Pair, port: MediaPort
) -> None:
    patient, physician = talking
    await hears(physician, patient, b"before")
    old = patient.stay()
    write_old = patient.write_now()
    await patient.open(port.port)
    write_new = patient.write_now()
    await patient.bind()
    assert port.counters.path_changes == 0
    patient.write_over(write_old)
    await hears(physician, patient, b"still there")
    assert port.counters.path_changes == 0
    await hears(patient, physician, b"still here")
    patient.write_over(write_new)
    await hears(physician, patient, b"moved")
    assert port.counters.path_changes == 1
    old.close()
    await hears(patient, physician, b"after")


async def test_a_check_that_somebody_else_sends_again_diverts_nothing(
    talking: Pair, port: MediaPort
) -> None:
    """Whoever saw a check on the way can repeat it; they cannot make authentic media."""
    patient, physician = talking
    await hears(physician, patient, b"before")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as thief:
        thief.connect(("127.0.0.1", port.port))
        thief.setblocking(False)
        loop = asyncio.get_running_loop()
        thief.send(patient.check())
        assert (await loop.sock_recv(thief, 1_500))[:2] == b"\1\1"  # answered, as every such check
        thief.send(b"\x80\x6f" + bytes(60))  # no key, no SRTP
        thief.send(b"\x80\xc8" + bytes(60))
        async with asyncio.timeout(TIMEOUT_S):
            while port.counters.dropped.get("srtcp", 0) < 1:  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0)
        await hears(physician, patient, b"mine")
        await hears(patient, physician, b"yours")
        with pytest.raises(BlockingIOError):
            thief.recv(1_500)
    assert port.counters.path_changes == 0


async def test_a_silent_address_gives_way_to_a_nominated_one_without_media(
    talking: Pair, port: MediaPort
) -> None:
    """Who only listens moves as well, once nothing has come from the old address for a while."""
    patient, physician = talking
    await hears(physician, patient, b"before")
    patient.abandon()
    await patient.open(port.port)
    await patient.bind()
    begin_ms = port.now_ms()
    await hears_again(patient, physician)
    assert SILENT_MS - 200 <= port.now_ms() - begin_ms <= SILENT_MS + 500


async def test_a_lost_connection_falls_back_to_an_address_that_carries_media(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    """Over TCP while UDP comes back: the end of the connection costs no packet after it."""
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    await patient.join(room, port.port, tcp=True)
    await physician.join(room, port.port)
    for peer in (patient, physician):
        await peer.send("audio")
        await listener.wait("flow_started", peer.name, "audio")
    room.deliver("voice")
    await hears(patient, physician, b"over tcp")
    stream = patient.stay()
    await patient.open(port.port)
    patient.write(patient.check(nominate=False))
    await patient.next_answer()
    await hears(physician, patient, b"from udp")
    assert port.counters.path_changes == 0
    stream.close()
    async with asyncio.timeout(TIMEOUT_S):
        while port._limits.connections:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0)
    await hears(patient, physician, b"over udp")
    for peer in (patient, physician):
        await peer.close()


async def test_from_udp_to_tcp_and_nothing_is_left_behind(
    talking: Pair, port: MediaPort, room: Room
) -> None:
    """UDP blocked in mid-call: the same DTLS goes on over TCP."""
    patient, physician = talking
    patient.abandon()
    await patient.open(port.port, tcp=True)
    await patient.restart(room)
    await hears(physician, patient, b"over tcp")
    await hears(patient, physician, b"back over tcp")
    assert len(port._udp_paths) == 2  # the old one until its consent ends
    await room.leave("patient")
    assert len(port._udp_paths) == len(port._validated) == 1


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("hosts", [("::1", "127.0.0.1"), ("127.0.0.1", "::1")])
async def test_one_port_serves_both_families(
    hosts: tuple[str, str], tcp: bool, listener: Listener
) -> None:
    """Bound to "::", an IPv4 peer is called ::ffff:127.0.0.1 by the socket, and by nobody else."""
    port = await MediaPort.open(MediaSettings(host="::", advertise=("::1", "127.0.0.1")))
    room = port.room("consult-1", listener)
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    for peer, host in zip((patient, physician), hosts, strict=True):
        await peer.join(room, port.port, tcp=tcp, host=host)
        told = (await peer.bind()).attributes["XOR-MAPPED-ADDRESS"]
        assert told[0] == host
        await peer.send("audio")
        await listener.wait("flow_started", peer.name, "audio")
    room.deliver("voice")
    await hears(physician, patient, b"there")
    await hears(patient, physician, b"back")
    assert {address[:2] for address in port._validated} == {
        ("tcp" if tcp else "udp", host) for host in hosts
    }
    for peer in (patient, physician):
        await peer.close()
    await room.close()
    assert not port._validated
    assert not port._udp_paths
    await port.close()


async def test_both_families_are_offered_best_first() -> None:
    port = await MediaPort.open(MediaSettings(host="::", advertise=("2001:db8::7", "192.0.2.7")))
    offered = [(c.protocol, c.address) for c in port.candidates]
    assert offered == [
        ("udp", "2001:db8::7"),
        ("udp", "192.0.2.7"),
        ("tcp", "2001:db8::7"),
        ("tcp", "192.0.2.7"),
    ]
    await port.close()


async def test_who_does_not_read_loses_packets_and_holds_up_nobody(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    """A TCP connection whose reader stands still is bounded; nobody else hears of it."""
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    await patient.join(room, port.port, tcp=True)
    await physician.join(room, port.port)
    for peer in (patient, physician):
        await peer.send("audio")
        await listener.wait("flow_started", peer.name, "audio")
    room.deliver("voice")
    patient.tcp.stream.pause_reading()
    (connection,) = port._limits.connections
    async with asyncio.timeout(TIMEOUT_S):
        while not port.counters.dropped.get("tcp_backlog"):
            await patient.send("audio")  # who sends nothing gets nothing
            for _ in range(100):
                await physician.send("audio", bytes(1_100))
            await asyncio.sleep(0)
    assert connection._stream is not None
    assert connection._stream.get_write_buffer_size() < 300_000
    await patient.send("audio", b"alive" * 8)
    await physician.until(lambda: any(p.endswith(b"alive" * 8) for p in physician.rtp))
    for peer in (patient, physician):
        peer.abandon()
