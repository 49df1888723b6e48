"""Redundant audio between real participants."""

from media import MediaPort, Room
from tests.media.peers import Listener, Peer, hear_each_other, red_payload, sequence, ssrc


async def join_with_red(
    room: Room, port: MediaPort, listener: Listener, *types: int | None
) -> tuple[Peer, Peer]:
    """A patient and a physician in a voice call; `types` are their formats of redundant audio."""
    pair = Peer("patient"), Peer("physician", variant=3)
    for peer, red_type in zip(pair, types, strict=True):
        peer.red_type = red_type
        await peer.join(room, port.port)
    await hear_each_other(pair, listener)
    room.deliver("voice")
    return pair


async def test_redundant_audio_arrives_in_the_receivers_numbers(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = await join_with_red(room, port, listener, 63, 60)
    await patient.send("red", red_payload(patient.audio_type, [b"before", b"now"]))
    (packet,) = await physician.until(lambda: physician.rtp)
    assert packet[1] & 0x7F == 60
    assert ssrc(packet) == physician.answered_ssrc("audio")
    assert packet[24:] == red_payload(physician.audio_type, [b"before", b"now"])
    for peer in (patient, physician):
        await peer.close()


async def test_who_does_not_know_redundant_audio_gets_opus(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    """Firefox offers none: it must hear Chromium all the same, and the other way round."""
    patient, physician = await join_with_red(room, port, listener, 63, None)
    await patient.send("red", red_payload(patient.audio_type, [b"before", b"now"]))
    await patient.send("audio", b"plain")
    packets = await physician.until(lambda: physician.rtp if len(physician.rtp) == 2 else None)
    assert [p[1] & 0x7F for p in packets] == [physician.audio_type] * 2
    assert [p[24:] for p in packets] == [b"now", b"plain"]
    assert sequence(packets[1]) == sequence(packets[0]) + 1 & 0xFFFF
    await physician.send("audio", b"plain")
    (packet,) = await patient.until(lambda: patient.rtp)
    assert packet[1] & 0x7F == patient.audio_type
    for peer in (patient, physician):
        await peer.close()


async def test_redundant_audio_alone_keeps_a_flow_going(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    """It is what Chromium sends: if it did not count, nothing would be delivered or billed."""
    patient = Peer("patient")
    patient.red_type, patient.names_ssrcs = 63, False
    await patient.join(room, port.port)
    await patient.send("red", red_payload(patient.audio_type, [b"now"]))
    await listener.wait("flow_started", "patient", "audio")
    await patient.close()


async def test_malformed_redundant_audio_is_dropped(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = await join_with_red(room, port, listener, 63, 60)
    for payload in (b"", bytes((0x80 | patient.audio_type,)), red_payload(1, [b"other"])):
        await patient.send("red", payload)
    await patient.send("audio", b"good")
    packets = await physician.until(lambda: physician.rtp)
    assert [p[24:] for p in packets] == [b"good"]
    assert port.counters.dropped["red"] == 3
    for peer in (patient, physician):
        await peer.close()
