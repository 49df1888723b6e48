"""The port under wrong and hostile use: strangers, garbage, limits."""

import asyncio
import os
import random
import socket
import struct
from collections.abc import AsyncIterator

import pytest
import uvloop
from aioice import stun

from media import MediaPort, MediaSettings, PortUnavailable, Room
from media.tcp import STRANGER_TIMEOUT_MS, TcpConnection
from tests.media.peers import TIMEOUT_S, Listener, Peer

FOREIGN_HELLO = (
    bytes.fromhex("16feff0000000000000000003a0100002e000000000000002efefd")
    + os.urandom(32)
    + bytes.fromhex("0000000002c02b0100")
)


@pytest.fixture
def stranger() -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    yield opened
    opened.close()


async def dropped(port: MediaPort, reason: str, at_least: int) -> None:
    """Wait until the port has counted so many."""
    async with asyncio.timeout(TIMEOUT_S):
        while port.counters.dropped.get(reason, 0) < at_least:  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0)


async def talk(pair: tuple[Peer, Peer], room: Room, listener: Listener) -> None:
    """Open the voice of both sides."""
    for peer in pair:
        await peer.send("audio")
        await listener.wait("flow_started", peer.name, "audio")
    room.deliver("voice")


async def test_udp_and_tcp_have_the_same_number(port: MediaPort) -> None:
    candidates = {(c.protocol, c.port) for c in port.candidates}
    assert candidates == {("udp", port.port), ("tcp", port.port)}
    udp, tcp = sorted(port.candidates, key=lambda c: c.protocol, reverse=True)
    assert udp.priority > tcp.priority


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
async def test_a_busy_port_gives_one_clear_sentence(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        number = taken.getsockname()[1]
        with pytest.raises(PortUnavailable, match=f"the media port {number} on 127.0.0.1"):
            await MediaPort.open(MediaSettings(port=number))


async def test_a_stranger_reaches_neither_dtls_nor_srtp(
    port: MediaPort, stranger: socket.socket
) -> None:
    address = ("127.0.0.1", port.port)
    for data in (FOREIGN_HELLO, b"\x80\x60" + bytes(40), b"\x80\xc8" + bytes(40), b"\xff" * 20):
        stranger.sendto(data, address)
    await dropped(port, "stranger", 4)
    stranger.sendto(b"", address)
    await dropped(port, "empty", 1)
    stranger.sendto(b"\0\1\0\0" + bytes(16), address)
    await dropped(port, "stun", 1)
    stranger.setblocking(False)
    with pytest.raises(BlockingIOError):
        stranger.recv(1)


async def test_a_wrong_password_gets_no_answer_and_no_way_in(
    port: MediaPort, room: Room, stranger: socket.socket
) -> None:
    patient = Peer("patient")
    await patient.signal(room)
    stranger.sendto(patient.check(password="x" * 24), ("127.0.0.1", port.port))
    await dropped(port, "stun", 1)
    stranger.sendto(FOREIGN_HELLO, ("127.0.0.1", port.port))
    await dropped(port, "stranger", 1)


async def test_a_foreign_hello_before_dtls_changes_nothing(
    port: MediaPort, room: Room, stranger: socket.socket
) -> None:
    patient = Peer("patient")
    await patient.signal(room)
    await patient.open(port.port)
    await patient.bind()
    for data in (FOREIGN_HELLO, b""):
        stranger.sendto(data, ("127.0.0.1", port.port))
    await dropped(port, "stranger", 1)
    assert await patient.handshake() == "connected"
    await patient.close()


async def test_a_forged_check_takes_no_address_from_another_call(
    port: MediaPort, room: Room, listener: Listener, pair: tuple[Peer, Peer]
) -> None:
    """A participant of any call can sign a check and send it with a foreign source address."""
    patient, physician = pair
    await talk(pair, room, listener)
    forger, elsewhere = Peer("forger"), port.room("consult-2", Listener())
    await forger.signal(elsewhere)
    patient.write(forger.check())  # as if it came from there
    await dropped(port, "address_taken", 1)
    await elsewhere.close()
    await patient.send("audio", b"there" * 4)
    (packet,) = await physician.until(lambda: physician.rtp)
    assert packet.endswith(b"there" * 4)
    await physician.send("audio", b"back" * 4)
    (packet,) = await patient.until(lambda: patient.rtp)
    assert packet.endswith(b"back" * 4)
    assert port.counters.dropped == {"address_taken": 1}


async def test_an_address_may_be_used_again_when_its_call_is_over(
    port: MediaPort, room: Room
) -> None:
    """A translator of addresses gives a new call the port of one that has ended."""
    first, second = Peer("patient"), Peer("patient")
    await first.join(room, port.port)
    await room.leave("patient")
    second.connection_id = "patient-2"
    await second.signal(room)
    first.write(second.check())
    assert (await first.next_answer()).message_class == stun.Class.RESPONSE
    await first.close()


async def test_an_endpoint_forgets_its_own_addresses_only(
    port: MediaPort, room: Room, listener: Listener, pair: tuple[Peer, Peer]
) -> None:
    patient, physician = pair
    await talk(pair, room, listener)
    endpoint = room._participants["physician"].endpoint
    assert endpoint is not None
    port.forget(endpoint, tuple(path.address for path in port._udp_paths.values()))
    await physician.send("audio")
    await dropped(port, "stranger", 1)
    await patient.send("audio", b"there" * 4)
    await physician.until(lambda: physician.rtp)


async def test_garbage_from_a_validated_address_ends_nothing(
    port: MediaPort, room: Room, listener: Listener, pair: tuple[Peer, Peer]
) -> None:
    """A participant's own page may be hostile: it must not harm anybody, itself included."""
    patient, physician = pair
    await talk(pair, room, listener)
    generator = random.Random(7)
    for first in range(256):
        patient.write(bytes((first,)) + generator.randbytes(generator.randint(0, 1_400)))
    patient.write(b"")
    patient.write(FOREIGN_HELLO)
    patient.write(b"\x15\xfe\xfd" + bytes(8) + b"\0\2\2\x28")  # a fatal alert in plain text
    patient.write(bytes(1_501))
    await patient.bind()
    await patient.send("audio", b"still" * 4)
    (packet,) = await physician.until(lambda: physician.rtp)
    assert packet.endswith(b"still" * 4)
    assert [e for e in listener.events if e[0] == "failed"] == []


async def test_a_flood_of_garbage_costs_a_call_no_packet(
    port: MediaPort,
    room: Room,
    listener: Listener,
    pair: tuple[Peer, Peer],
    stranger: socket.socket,
) -> None:
    patient, physician = pair
    await talk(pair, room, listener)
    pool = [os.urandom(size) for size in range(1, 1_400, 7)]
    for number in range(50):
        for data in pool[:100]:
            stranger.sendto(data, ("127.0.0.1", port.port))
        await patient.send("audio", struct.pack("!I", number) * 4)
        await asyncio.sleep(0)
    await physician.until(lambda: len(physician.rtp) == 50)
    assert sum(port.counters.dropped.values()) > 4_000


async def test_undefined_payload_types_are_not_media(
    port: MediaPort, room: Room, listener: Listener, pair: tuple[Peer, Peer]
) -> None:
    """Flow is billed: only what was negotiated counts."""
    patient, _ = pair
    patient.video_type = patient.audio_type = 80
    await patient.send("video")
    await dropped(port, "payload_type", 1)
    await patient.send("audio")
    await dropped(port, "unknown_source", 1)
    assert room.flow("patient").any_on is False


async def test_padding_alone_is_no_flow(
    port: MediaPort, room: Room, pair: tuple[Peer, Peer]
) -> None:
    patient, _ = pair
    assert patient.dtls is not None
    header = struct.pack("!BBHII", 0xA0, patient.video_type, 9, 0, patient.video_ssrc)
    await patient.dtls._send_rtp(header + bytes(9) + b"\x0a")
    await patient.bind()
    assert room.flow("patient").any_on is False


@pytest.fixture
async def small() -> AsyncIterator[MediaPort]:
    opened = await MediaPort.open(MediaSettings(max_tcp_connections=2, max_tcp_per_address=2))
    yield opened
    await opened.close()


async def test_connections_over_the_limit_are_closed(small: MediaPort) -> None:
    peers = [Peer(str(number)) for number in range(3)]
    for peer in peers:
        await peer.open(small.port, tcp=True)
    async with asyncio.timeout(TIMEOUT_S):
        await peers[2].tcp.lost.wait()
    assert small.counters.tcp_refused == 1
    for peer in peers:
        await peer.close()


async def test_a_connection_without_a_signed_check_is_closed(port: MediaPort, room: Room) -> None:
    patient, idle = Peer("patient"), Peer("idle")
    await patient.signal(room)
    for peer in (patient, idle):
        await peer.open(port.port, tcp=True)
    await patient.bind()
    idle.write(FOREIGN_HELLO)
    await dropped(port, "stranger", 1)
    port._limits.close_strangers(port.now_ms() + STRANGER_TIMEOUT_MS + 1)
    async with asyncio.timeout(TIMEOUT_S):
        await idle.tcp.lost.wait()
    await patient.bind()
    for peer in (patient, idle):
        await peer.close()


async def test_a_frame_larger_than_a_datagram_ends_its_connection(port: MediaPort) -> None:
    peer = Peer("large")
    await peer.open(port.port, tcp=True)
    peer.write(bytes(1_501))
    async with asyncio.timeout(TIMEOUT_S):
        await peer.tcp.lost.wait()
    await peer.close()


async def test_frames_may_come_in_pieces(port: MediaPort, room: Room) -> None:
    patient = Peer("patient")
    await patient.signal(room)
    await patient.open(port.port, tcp=True)
    check = patient.check()
    for octet in len(check).to_bytes(2, "big") + check:
        patient.tcp.stream.write(bytes((octet,)))
    assert (await patient.next_answer()).transaction_id == check[8:20]
    await patient.close()


async def test_a_closed_port_can_be_opened_again() -> None:
    first = await MediaPort.open(MediaSettings())
    number = first.port
    await first.close()
    again = await MediaPort.open(MediaSettings(port=number))
    assert again.port == number
    await again.close()


async def test_a_bug_in_one_call_is_told_once_and_harms_no_other(
    port: MediaPort,
    room: Room,
    listener: Listener,
    pair: tuple[Peer, Peer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A packet that hits a bug comes a hundred times a second: the log must not."""
    patient, physician = pair
    await talk(pair, room, listener)
    endpoint = room._participants["patient"].endpoint
    assert endpoint is not None

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    endpoint.receive_rtp = broken
    for _ in range(20):
        await patient.send("audio")
    await dropped(port, "internal_error", 20)
    await physician.send("audio", b"alive" * 4)
    (packet,) = await patient.until(lambda: patient.rtp)
    assert packet.endswith(b"alive" * 4)
    assert len([r for r in caplog.records if "could not be handled" in r.message]) == 1


async def test_a_bug_with_one_frame_does_not_end_its_connection(port: MediaPort) -> None:
    """As over UDP: the frames after it are served."""
    room = port.room("consult-1", Listener())
    patient = Peer("patient")
    await patient.join(room, port.port, tcp=True)
    endpoint = room._participants["patient"].endpoint
    assert endpoint is not None

    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    endpoint.receive_rtp = broken
    await patient.send("audio")
    await dropped(port, "internal_error", 1)
    await patient.bind()
    await patient.close()


async def test_the_end_of_a_connection_ends_no_later_one_from_its_address(port: MediaPort) -> None:
    """A client may use its port again as soon as a reset has freed it."""
    room = port.room("consult-1", Listener())
    patient = Peer("patient")
    await patient.join(room, port.port, tcp=True)
    endpoint = room._participants["patient"].endpoint
    assert endpoint is not None
    former = TcpConnection(port, port._limits, port.counters)
    former.address, former.holder = (
        ("tcp", *patient.tcp.stream.get_extra_info("sockname")),
        endpoint,
    )
    port.lose_connection(former)
    await patient.send("audio")
    async with asyncio.timeout(TIMEOUT_S):
        while not room.flow("patient").on["audio"]:  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert endpoint._path is not None
    await patient.close()


async def test_calls_tick_on_after_a_bug_with_a_probe(
    port: MediaPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One task ticks for all calls: without it none would last."""

    def broken(_now_ms: int) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(port._probes, "tick", broken)
    await dropped(port, "internal_error", 2)


def test_a_connection_that_was_reset_before_it_was_taken_is_closed() -> None:
    """With the loop that serves: it takes connections without asking who they are from."""
    errors: list[object] = []

    async def reset_at_once() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context))
        port = await MediaPort.open(MediaSettings())
        for _ in range(5):
            with socket.socket() as client:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                client.connect(("127.0.0.1", port.port))
        peer = Peer("next")
        await peer.open(port.port, tcp=True)
        peer.write(bytes(1_501))  # refused, after the others
        async with asyncio.timeout(TIMEOUT_S):
            await peer.tcp.lost.wait()
        await peer.close()
        await port.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(reset_at_once())
    assert errors == []
