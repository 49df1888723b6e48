"""Rooms with real participants: real UDP and TCP, real STUN, real DTLS-SRTP."""

import asyncio
import gc
import struct
from collections import Counter
from collections.abc import Iterator

import pytest

from media import (
    ConnectionReplaced,
    MediaPort,
    OfferRejected,
    Room,
    RoomClosed,
    feedback,
    rtcp,
    tracks,
)
from media.dtls import DtlsTransport
from media.endpoint import Endpoint
from media.flow import FLOW_TIMEOUT_MS
from media.forwarder import Forwarder
from media.inbound import MAX_LOOKUPS, Inbound
from media.room import MAX_ABSENT
from media.rtp import extension_value
from media.tracks import IncomingTrack, Source, Subscription
from tests.media.peers import (
    ABS_SEND_TIME_ID,
    DELTA_FRAME,
    KEYFRAME,
    MID_ID,
    TIMEOUT_S,
    Listener,
    Peer,
    hear_each_other,
    sequence,
    ssrc,
)


async def test_who_left_long_ago_is_forgotten(room: Room) -> None:
    """A call of an hour may see any number of guests; the room keeps the latest of them."""
    for number in range(MAX_ABSENT + 8):
        peer = Peer(f"guest-{number}")
        await peer.signal(room)
        await room.leave(peer.name)
    assert len(room._flows) == MAX_ABSENT + 1
    assert "guest-0" not in room._flows


async def asked_for_keyframe(peer: Peer) -> None:
    await peer.until(
        lambda: [
            p
            for data in peer.rtcp
            for p in rtcp.parse(data)
            if p == rtcp.KeyframeRequest(peer.video_ssrc)
        ]
    )


async def test_voice_arrives_with_the_receivers_own_numbers(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """Browsers number payload types and extensions differently: each must see its own."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    await patient.send("audio", b"hello" * 4, timestamp=960)
    (packet,) = await physician.until(lambda: physician.rtp)
    assert packet[1] & 0x7F == physician.audio_type
    assert ssrc(packet) == physician.answered_ssrc("audio")
    assert packet[24:] == b"hello" * 4
    assert extension_value(packet, len(packet), MID_ID + physician.shift) == b"0"
    sent_at = extension_value(packet, len(packet), ABS_SEND_TIME_ID + physician.shift)
    assert sent_at == bytes((1, 2, 3))


async def test_nothing_is_delivered_before_it_is_allowed(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    await patient.send("audio", b"early" * 4)
    await patient.bind()  # answered after what was sent before
    room.deliver("voice")
    await patient.send("audio", b"later" * 4)
    packets = await physician.until(lambda: physician.rtp)
    assert [p[24:] for p in packets] == [b"later" * 4]


async def test_who_sends_nothing_gets_nothing(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """What is not billed is not delivered: else a free call needs only a muted page."""
    patient, physician = pair
    room.deliver("voice")
    await patient.send("audio", b"unheard" * 3)
    await listener.wait("flow_started", "patient", "audio")
    await physician.send("audio")
    await listener.wait("flow_started", "physician", "audio")
    await patient.send("audio", b"heard" * 3)
    packets = await physician.until(lambda: physician.rtp)
    assert [p[24:] for p in packets] == [b"heard" * 3]


async def test_video_alone_buys_no_voice(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """In a voice call only voice is billed: a page that sends video instead would listen free."""
    patient, physician = pair
    room.deliver("voice")
    await physician.send("video", KEYFRAME)
    await listener.wait("flow_started", "physician", "video")
    await patient.send("audio", b"unheard" * 3)
    await listener.wait("flow_started", "patient", "audio")
    await physician.send("audio")
    await listener.wait("flow_started", "physician", "audio")
    await patient.send("audio", b"heard" * 3)
    packets = await physician.until(lambda: physician.rtp)
    assert [p[24:] for p in packets] == [b"heard" * 3]


async def test_a_flow_that_ends_is_dated_back_to_its_last_packet(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, _ = pair
    await patient.send("audio")
    started = await listener.wait("flow_started", "patient", "audio")
    stopped = await listener.wait("flow_stopped", "patient", "audio")
    assert stopped[3] == started[3]
    reading = room.flow("patient")
    assert reading.on == {"audio": False, "video": False}
    assert reading.last_ms == {"audio": started[3], "video": None}


async def test_a_silent_receiver_is_cut_off_after_two_seconds(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    while not any(event[:2] == ("flow_stopped", "physician") for event in listener.events):
        await patient.send("audio")
        await asyncio.sleep(0.02)  # the pace of voice
    heard = len(physician.rtp)
    assert 0 < heard <= 115  # two seconds, and the tick that notices
    await patient.send("audio")
    await physician.send("audio")
    await patient.until(lambda: patient.rtp)
    assert len(physician.rtp) == heard


def fall_silent(port: MediaPort, room: Room) -> None:
    """Tell the room that two seconds have passed in which nobody sent."""
    room.tick(port.now_ms() + FLOW_TIMEOUT_MS)


async def test_who_sends_in_pulses_is_put_on_probation(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """One packet for each two seconds of delivery was a call for nothing."""
    patient, _ = pair
    room.deliver("voice")
    for _ in range(2):
        await hear_each_other(pair, listener)
        fall_silent(port, room)
        listener.events.clear()
    await patient.send("audio", b"pulse" * 4)
    await patient.bind()  # answered after what was sent before
    assert room.flow("patient").any_on is False
    assert listener.events == []


async def test_returning_to_the_room_ends_no_probation(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    """Hanging up and coming back takes a second: timeouts must not be forgotten by it."""
    for number in range(3):
        patient = Peer("patient")
        patient.connection_id = f"patient-{number}"
        await patient.join(room, port.port)
        await patient.send("audio")
        await patient.bind()
        assert room.flow("patient").on["audio"] == (number < 2)
        fall_silent(port, room)
        await room.leave("patient")
        await patient.close()


async def test_nothing_of_a_stopped_sender_passes(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """Repairs and empty packets start no flow, so they must not be carried either."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    lost = patient.skip("video")
    await patient.send("video", DELTA_FRAME)
    await physician.until(lambda: len(physician.rtp) == 2)
    fall_silent(port, room)
    listener.events.clear()
    await physician.send("audio")
    await listener.wait("flow_started", "physician", "audio")
    await patient.send("rtx", struct.pack("!H", lost) + DELTA_FRAME)
    await patient.send("rtx", struct.pack("!H", lost) + DELTA_FRAME + b"probe")
    await patient.send("video", b"")
    await patient.send("audio", b"")
    await patient.send("audio", b"heard" * 4)
    await physician.until(lambda: len(physician.rtp) > 2)
    assert [p[24:] for p in physician.rtp[2:]] == [b"heard" * 4]


async def test_video_comes_back_with_a_keyframe_and_without_a_gap(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """A decoder that starts anywhere else shows nothing, or freezes."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME + b"1")
    await patient.send("video", DELTA_FRAME + b"2")
    await physician.until(lambda: len(physician.rtp) == 2)
    room.deliver("voice")
    for number in range(5):
        await patient.send("video", DELTA_FRAME + bytes((number,)))
    await patient.send("audio", b"marker" * 3)
    await physician.until(lambda: len(physician.rtp) == 3)
    patient.rtcp.clear()
    await asyncio.sleep(0.5)  # the least time between two requests for a keyframe
    room.deliver("video")
    await asked_for_keyframe(patient)
    await patient.send("video", DELTA_FRAME + b"3")
    await patient.send("video", KEYFRAME + b"4")
    await physician.until(lambda: len(physician.rtp) == 4)
    video = [p for p in physician.rtp if ssrc(p) == physician.answered_ssrc("video")]
    assert [p[-1:] for p in video] == [b"1", b"2", b"4"]
    first = sequence(video[0])
    assert [sequence(p) for p in video] == [first, first + 1, first + 2]


async def test_sources_that_the_offer_does_not_name_are_learned(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = Peer("patient"), Peer("physician", variant=2)
    patient.names_ssrcs = False
    for peer in (patient, physician):
        await peer.join(room, port.port)
    await hear_each_other((patient, physician), listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    packets = await physician.until(lambda: physician.rtp)
    assert ssrc(packets[0]) == physician.answered_ssrc("video")
    for peer in (patient, physician):
        await peer.close()


async def test_a_lost_packet_is_asked_for_and_its_repair_forwarded_once(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    lost = patient.skip("video")
    await patient.send("video", DELTA_FRAME)
    nack = rtcp.Nack(patient.video_ssrc, (lost,))
    await patient.until(lambda: any(nack in rtcp.parse(data) for data in patient.rtcp))
    await patient.send("rtx", struct.pack("!H", lost) + DELTA_FRAME + b"repair")
    packets = await physician.until(lambda: physician.rtp if len(physician.rtp) == 3 else None)
    first = sequence(packets[0])
    assert [sequence(p) - first for p in packets] == [0, 2, 1]
    assert packets[2].endswith(b"repair")
    assert packets[2][1] & 0x7F == physician.video_type


async def test_a_receivers_nack_is_answered_from_the_history_as_rtx(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME + b"wanted")
    (packet,) = await physician.until(lambda: physician.rtp)
    await physician.send_rtcp(
        rtcp.receiver_report(1, ()) + rtcp.nack(1, ssrc(packet), [sequence(packet)])
    )
    await physician.until(lambda: len(physician.rtp) == 2)
    rtx = physician.rtp[1]
    assert rtx[1] & 0x7F == physician.rtx_type
    assert rtx[24:26] == packet[2:4]
    assert rtx[26:] == packet[24:]


async def test_a_flood_of_nacks_is_cut_off_until_the_next_tick(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """Looking up numbers that were never sent costs time, so a participant has a share of it."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    (packet,) = await physician.until(lambda: physician.rtp)
    assert port._ticker is not None
    port._ticker.cancel()
    room.tick(port.now_ms())
    never_sent = [sequence(packet) + 1 + at & 0xFFFF for at in range(MAX_LOOKUPS)]
    for at in range(0, MAX_LOOKUPS, 512):
        await physician.send_rtcp(rtcp.nack(1, ssrc(packet), never_sent[at : at + 512]))
    wanted = rtcp.nack(1, ssrc(packet), [sequence(packet)])
    await physician.send_rtcp(wanted)
    await physician.bind()  # answered after what was sent before
    assert port.counters.retransmitted == 0
    room.tick(port.now_ms())
    await physician.send_rtcp(wanted)
    await physician.until(lambda: len(physician.rtp) == 2)
    assert port.counters.retransmitted == 1


async def test_a_receivers_keyframe_request_reaches_the_source(
    pair: tuple[Peer, Peer], room: Room, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracks, "KEYFRAME_ON_ITS_WAY_MS", 0)
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    await physician.until(lambda: physician.rtp)
    await asked_for_keyframe(patient)
    patient.rtcp.clear()
    request = rtcp.picture_loss(1, physician.answered_ssrc("video"))
    await physician.send_rtcp(rtcp.receiver_report(1, ()) + request)
    await asked_for_keyframe(patient)


async def test_a_keyframe_that_is_on_its_way_is_not_asked_for_again(
    pair: tuple[Peer, Peer], room: Room, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that joins asks until it has decoded; in a room each keyframe goes to everybody."""
    monkeypatch.setattr(tracks, "KEYFRAME_ON_ITS_WAY_MS", 60_000)
    monkeypatch.setattr(feedback, "KEYFRAME_INTERVAL_MS", 0)
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    await physician.until(lambda: physician.rtp)
    await asked_for_keyframe(patient)
    patient.rtcp.clear()
    request = rtcp.picture_loss(1, physician.answered_ssrc("video"))
    await physician.send_rtcp(rtcp.receiver_report(1, ()) + request)
    for peer in (physician, patient):
        await peer.bind()  # answered after what was sent before
    requests = [packet for data in patient.rtcp for packet in rtcp.parse(data)]
    assert rtcp.KeyframeRequest(patient.video_ssrc) not in requests


async def test_a_receivers_bandwidth_reaches_the_source(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    await physician.until(lambda: physician.rtp)
    estimate = rtcp.remb(1, 1_200_000, [physician.answered_ssrc("video")])
    await physician.send_rtcp(rtcp.receiver_report(1, ()) + estimate)
    await patient.until(
        lambda: any(
            isinstance(packet, rtcp.Remb)
            and 1_190_000 < packet.bitrate_bps <= 1_200_000
            and patient.video_ssrc in packet.ssrcs
            for data in patient.rtcp
            for packet in rtcp.parse(data)
        )
    )


async def test_sender_reports_arrive_in_the_receivers_terms(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """Without them voice and lips drift apart."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    await patient.send("audio", timestamp=48_000)
    (packet,) = await physician.until(lambda: physician.rtp)
    report = rtcp.SenderReport(patient.audio_ssrc, 77 << 32, 48_000)
    await patient.send_rtcp(rtcp.sender_report(report, 1, 60))
    stamp = int.from_bytes(packet[4:8], "big")
    expected = rtcp.SenderReport(ssrc(packet), 77 << 32, stamp)
    await physician.until(lambda: any(expected in rtcp.parse(data) for data in physician.rtcp))


async def test_an_ice_restart_keeps_dtls_and_the_stream(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    await patient.send("audio")
    await physician.until(lambda: physician.rtp)
    before = patient.answered("ice-ufrag:(.*)"), patient.answered("fingerprint:(.*)")
    await patient.restart(room)
    assert patient.answered("ice-ufrag:(.*)") != before[0]
    assert patient.answered("fingerprint:(.*)") == before[1]
    await patient.send("audio")
    await physician.until(lambda: len(physician.rtp) == 2)
    assert sequence(physician.rtp[1]) == sequence(physician.rtp[0]) + 1 & 0xFFFF
    assert len([e for e in listener.events if e[:2] == ("connected", "patient")]) == 1


async def test_media_follows_a_participant_to_a_new_address(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """Wi-Fi to 4G without an ICE restart: a nominated check and a packet move the path."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    patient.abandon()
    await patient.open(port.port)
    await patient.bind()
    await patient.send("audio", b"from there" * 4)
    await physician.until(lambda: physician.rtp)
    await physician.send("audio", b"moved" * 4)
    (packet,) = await patient.until(lambda: patient.rtp)
    assert packet[24:] == b"moved" * 4


async def test_a_new_connection_replaces_the_older_one(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """The link opened twice: the newest wins, and the receiver's stream goes on."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    await patient.send("audio")
    await physician.until(lambda: physician.rtp)
    again = Peer("patient", variant=5)
    again.connection_id = "patient-2"
    await again.join(room, port.port)
    await again.send("audio")
    await physician.until(lambda: len(physician.rtp) == 2)
    assert sequence(physician.rtp[1]) == sequence(physician.rtp[0]) + 1 & 0xFFFF
    with pytest.raises(ConnectionReplaced):
        await patient.signal(room)
    await again.close()


async def test_a_source_that_changes_in_a_hold_goes_on_in_time(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """Timestamps of sources begin anywhere: a jump of hours would silence the receiver."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    await patient.send("audio", timestamp=0)
    await physician.until(lambda: physician.rtp)
    room.deliver(None)
    patient.audio_ssrc += 100
    await patient.send("audio", timestamp=2**31)
    await patient.bind()  # answered after what was sent before
    room.deliver("voice")
    await patient.send("audio", timestamp=2**31 + 960)
    first, second = await physician.until(lambda: physician.rtp[1:] and physician.rtp)
    stamps = [int.from_bytes(p[4:8], "big") for p in (first, second)]
    assert 0 < (stamps[1] - stamps[0] & 0xFFFFFFFF) < 48_000 * TIMEOUT_S


def media_objects() -> Counter[str]:
    """What is in memory of connections, reachable or not."""
    kinds = (Endpoint, Inbound, IncomingTrack, Source, Subscription, Forwarder, DtlsTransport)
    return Counter(type(found).__name__ for found in gc.get_objects() if type(found) in kinds)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """As the server runs: what reference counting does not free stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("ending", ["leave", "replaced", "room_closed"])
@pytest.mark.parametrize("tcp", [False, True])
async def test_an_ended_connection_leaves_nothing_in_memory(
    port: MediaPort, listener: Listener, ending: str, tcp: bool
) -> None:
    """Histories are megabytes, and a full collection stops the packets of all calls."""
    room = port.room("consult-1", listener)
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    await physician.join(room, port.port)
    await physician.send("audio")
    await listener.wait("flow_started", "physician", "audio")
    before = media_objects()
    await patient.join(room, port.port, tcp=tcp)
    await hear_each_other((patient, physician), listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    await physician.send("video", KEYFRAME)
    await patient.until(lambda: patient.rtp)
    assert media_objects() - before
    if ending == "leave":
        await room.leave("patient")
    elif ending == "replaced":
        patient.connection_id = "patient-2"
        await patient.signal(room)
        await room.leave("patient")
    else:
        await room.close()
    if tcp:
        async with asyncio.timeout(TIMEOUT_S):
            await patient.tcp.lost.wait()
    assert media_objects() - before == Counter()
    await patient.close()
    await physician.close()


async def test_calls_work_over_tcp(port: MediaPort, room: Room, listener: Listener) -> None:
    patient, physician = Peer("patient"), Peer("physician", variant=1)
    await patient.join(room, port.port, tcp=True)
    await physician.join(room, port.port)
    assert (await listener.wait("connected", "patient"))[3] == "tcp"
    await hear_each_other((patient, physician), listener)
    room.deliver("voice")
    await patient.send("audio", b"there" * 4)
    await physician.send("audio", b"back" * 5)
    assert (await physician.until(lambda: physician.rtp))[0][24:] == b"there" * 4
    assert (await patient.until(lambda: patient.rtp))[0][24:] == b"back" * 5
    for peer in (patient, physician):
        await peer.close()


async def test_another_certificate_than_the_offers_is_refused(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    """Who signs the offer must hold the key: else anyone on the path could take the call."""
    patient = Peer("patient")
    patient.fingerprint = Peer("other").fingerprint
    await patient.signal(room)
    await patient.open(port.port)
    await patient.bind()
    async with asyncio.TaskGroup() as tasks:
        handshake = tasks.create_task(patient.handshake())
        assert (await listener.wait("failed", "patient"))[3] == "fingerprint_mismatch"
        handshake.cancel()
    patient.abandon()
    assert room.flow("patient").any_on is False
    assert port.counters.dtls_failures == 1


async def test_a_changed_certificate_needs_a_new_connection(
    pair: tuple[Peer, Peer], room: Room
) -> None:
    patient, _ = pair
    patient.fingerprint = Peer("other").fingerprint
    with pytest.raises(OfferRejected) as caught:
        await patient.signal(room)
    assert caught.value.reason == "fingerprint_changed"


async def test_a_refused_offer_changes_nothing(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, physician = pair
    with pytest.raises(OfferRejected):
        await room.offer("patient", "patient", "patient-2", "v=0\r\n")
    await hear_each_other(pair, listener)
    room.deliver("voice")
    await patient.send("audio")
    await physician.until(lambda: physician.rtp)


async def test_a_page_that_closes_is_reported(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, _ = pair
    await patient.close()
    assert await listener.wait("failed", "patient") == (
        "failed",
        "patient",
        "patient-1",
        "closed_by_peer",
    )


async def test_a_page_that_closes_in_the_call_goes_silent(
    port: MediaPort, pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """What OpenSSL needs to hear its goodbye was freed with the first tick after its packet."""
    patient, _ = pair
    await patient.send("audio")
    started = await listener.wait("flow_started", "patient", "audio")
    await patient.until(lambda: patient.rtcp)  # a report, of such a tick
    await patient.close()
    stopped = await listener.wait("flow_stopped", "patient", "audio")
    assert stopped[3] == started[3]
    assert port.counters.dropped["dtls_over"] == 1
    assert all(event[0] != "failed" for event in listener.events)


async def test_leaving_stops_the_flow_at_once(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, _ = pair
    await patient.send("audio")
    started = await listener.wait("flow_started", "patient", "audio")
    await room.leave("patient")
    assert listener.events[-1] == ("flow_stopped", "patient", "audio", started[3])
    assert room.flow("patient").any_on is False


async def test_a_closed_room_takes_no_offer(port: MediaPort, room: Room) -> None:
    await room.close()
    with pytest.raises(RoomClosed):
        await Peer("patient").signal(room)
    assert port.room(room.room_id, Listener()) is not room


async def test_a_listener_that_fails_does_not_end_the_call(
    port: MediaPort, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Listener):
        def flow_started(self, participant_id: str, kind: str, at_ms: int) -> None:
            super().flow_started(participant_id, kind, at_ms)
            raise RuntimeError("broken")

    listener = Broken()
    room = port.room("broken", listener)
    patient, physician = Peer("patient"), Peer("physician", variant=1)
    for peer in (patient, physician):
        await peer.join(room, port.port)
    await hear_each_other((patient, physician), listener)
    room.deliver("voice")
    await patient.send("audio")
    await physician.until(lambda: physician.rtp)
    assert "the listener of room broken failed" in caplog.text
    for peer in (patient, physician):
        await peer.close()


async def test_a_room_knows_whether_a_participant_has_a_connection(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    patient, _ = pair
    assert room.connects("patient")
    assert not room.connects("stranger")
    await patient.close()
    await listener.wait("failed", "patient")
    assert not room.connects("patient")


async def test_the_first_receiver_s_keyframe_does_not_wait_for_one_that_was_lost(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """Keyframes are asked for at most each 0.5 s: one that nobody gets would hold up the first."""
    patient, physician = pair
    room.deliver("video")
    await patient.send("video", KEYFRAME)
    await listener.wait("flow_started", "patient", "video")
    await patient.bind()  # answered after what was sent before
    requests = [packet for data in patient.rtcp for packet in rtcp.parse(data)]
    assert rtcp.KeyframeRequest(patient.video_ssrc) not in requests
    await physician.send("audio")
    await listener.wait("flow_started", "physician", "audio")
    await asked_for_keyframe(patient)
