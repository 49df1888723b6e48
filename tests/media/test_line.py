"""What a room says of its participants' lines, with real packets and real reports."""

from media import MediaPort, Room, rtcp
from tests.media.peers import DELTA_FRAME, KEYFRAME, Listener, Peer
from tests.media.test_room import hear_each_other, ssrc


async def report(peer: Peer, about: int, lost: int, last_sr: int) -> None:
    """What a browser says each second of a stream that it gets."""
    block = rtcp.ReportBlock(about, 0, lost, 0, 480, last_sr, 0)
    data = rtcp.receiver_report(peer.audio_ssrc, [block])
    await peer.send_rtcp(data)


async def test_a_receivers_report_tells_round_trip_and_loss(
    pair: tuple[Peer, Peer], room: Room, port: MediaPort, listener: Listener
) -> None:
    """The echo of the forwarded sender report gives the time; the block, what went missing."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    for _ in range(20):
        await patient.send("audio")
    packets = await physician.until(lambda: len(physician.rtp) >= 20 and physician.rtp)
    about = ssrc(packets[0])
    sr = rtcp.SenderReport(patient.audio_ssrc, 0xAAAA_1234_5678_BBBB, 0)
    await patient.send_rtcp(rtcp.sender_report(sr, 1, 1) + rtcp.source_description(1, "p"))
    await physician.until(
        lambda: [r for d in physician.rtcp for r in rtcp.parse(d) if r.ssrc == about]  # type: ignore[union-attr]
    )
    await report(physician, about, 0, 0x1234_5678)
    await physician.bind()  # answered after what was sent before
    now_ms = port.now_ms()
    assert room.quality(now_ms)["physician"].down.loss_percent is None, "nothing to compare with"
    for _ in range(20):
        await patient.send("audio")
    await physician.until(lambda: len(physician.rtp) >= 40)
    await report(physician, about, 5, 0x1234_5678)
    await physician.bind()
    lines = room.quality(now_ms + 1_000)
    down = lines["physician"].down
    assert down.loss_percent == 25
    assert down.rtt_ms is not None
    assert down.rtt_ms < 1_000
    assert down.jitter_ms == 10
    assert down.mos is not None
    assert down.mos < 3
    assert down.bitrate_bps == lines["patient"].up.bitrate_bps > 0
    assert lines["patient"].up.loss_percent == 0
    assert lines["patient"].up.rtt_ms is None, "it has reported nothing"


async def test_packets_that_do_not_come_are_the_senders_weak_upload(
    pair: tuple[Peer, Peer], room: Room, port: MediaPort, listener: Listener
) -> None:
    patient, _physician = pair
    await hear_each_other(pair, listener)
    room.deliver("voice")
    now_ms = port.now_ms()
    for second in range(8):
        lines = room.quality(now_ms + 1_000 * second)
        for _ in range(6):
            await patient.send("audio")
        for _ in range(2):
            patient.skip("audio")
        await patient.send("audio")
        await patient.bind()
    assert (lines["patient"].level, lines["patient"].reason) == (1, "upload_weak")
    assert lines["patient"].up.loss_percent is not None
    assert 20 < lines["patient"].up.loss_percent < 25
    assert lines["physician"].reason == "ok"


async def test_pictures_are_counted_by_their_last_packets(
    pair: tuple[Peer, Peer], room: Room, port: MediaPort, listener: Listener
) -> None:
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", KEYFRAME, marker=True)
    await physician.until(lambda: len(physician.rtp) == 1)
    now_ms = port.now_ms()
    room.quality(now_ms)
    for _ in range(12):
        await patient.send("video", DELTA_FRAME)
        await patient.send("video", DELTA_FRAME, marker=True)
    await physician.until(lambda: len(physician.rtp) == 25)
    lines = room.quality(now_ms + 1_000)
    assert lines["patient"].up.fps == lines["physician"].down.fps == 12


async def test_who_is_not_connected_is_silent(
    pair: tuple[Peer, Peer], room: Room, port: MediaPort, listener: Listener
) -> None:
    patient, _physician = pair
    await hear_each_other(pair, listener)
    await patient.close()
    await listener.wait("failed", "patient")
    room.tick(port.now_ms() + 5_000)
    lines = room.quality(port.now_ms() + 5_000)
    assert (lines["patient"].level, lines["patient"].reason) == (0, "silent")
    await room.leave("patient")
    assert "patient" not in room.quality(port.now_ms() + 6_000)
