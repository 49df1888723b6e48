"""What senders are told, and what weak lines and floods lead to, between real participants."""

import asyncio

import pytest

from media import MediaPort, Room, endpoint, limits, relief, rtcp
from media.estimates import (
    RESUME_BITRATE_BPS,
    START_BITRATE_BPS,
    VOICE_BITRATE_BPS,
    WITHHELD_BITRATE_BPS,
)
from tests.media.peers import DELTA_FRAME, KEYFRAME, TIMEOUT_S, Listener, Peer, hear_each_other


def told_bps(peer: Peer) -> int | None:
    """The last estimate that a sender was told."""
    told = [p for data in peer.rtcp for p in rtcp.parse(data) if isinstance(p, rtcp.Remb)]
    return told[-1].bitrate_bps if told else None


async def until_told(peer: Peer, bitrate_bps: int) -> None:
    """Wait for an estimate; REMB rounds down to 18 bits."""
    await peer.until(lambda: 0 <= bitrate_bps - (told_bps(peer) or 0) <= bitrate_bps >> 17)


async def says(peer: Peer, *estimates_bps: int) -> None:
    for bitrate_bps in estimates_bps:
        await peer.send_rtcp(rtcp.receiver_report(1, ()) + rtcp.remb(1, bitrate_bps, []))


async def seen(pair: tuple[Peer, Peer], room: Room, listener: Listener) -> None:
    """A video call in which both have got a keyframe."""
    await hear_each_other(pair, listener)
    room.deliver("video")
    for peer, other in (pair, pair[::-1]):
        await peer.send("video", KEYFRAME)
        await other.until(lambda other=other: other.rtp)


async def loses(receiver: Peer, sender: Peer, listener: Listener, suspended: bool) -> None:
    """Voice goes on, and the receiver says that it loses two fifths of it, or nothing any more,
    until it is told that its video is suspended, or not any more."""
    lost = heard = 0
    about = receiver.answered_ssrc("audio")
    async with asyncio.timeout(TIMEOUT_S):
        while ("video_suspended", receiver.name, suspended) not in listener.events:
            for _ in range(25):
                await sender.send("audio")
            heard += 25
            lost += 10 * suspended
            await sender.bind()
            report = rtcp.ReportBlock(about, 0, lost, heard, 0, 0, 0)
            await receiver.send_rtcp(rtcp.receiver_report(1, (report,)))
            await receiver.bind()


async def test_who_gets_no_video_any_more_limits_nobody(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await seen(pair, room, listener)
    await says(physician, 900_000, 200_000)
    await until_told(patient, 200_000)
    room.deliver("voice")
    room.deliver("video")
    await until_told(patient, 200_000)  # the same connection: what it said still holds
    again = Peer("physician", variant=3)
    again.connection_id = "physician-2"
    await again.join(room, port.port)
    await again.send("audio")
    await until_told(patient, START_BITRATE_BPS)
    await again.close()


async def test_no_sender_is_asked_for_more_than_the_room_allows(
    port: MediaPort, listener: Listener
) -> None:
    room = port.room("limited", listener, max_video_bps=300_000)
    pair = Peer("patient"), Peer("physician", variant=3)
    for peer in pair:
        await peer.join(room, port.port)
    await seen(pair, room, listener)
    await says(pair[1], 2_000_000)
    await until_told(pair[0], 300_000 + VOICE_BITRATE_BPS)
    for peer in pair:
        await peer.close()


async def test_a_line_too_weak_for_video_gets_voice_alone_and_video_again(
    pair: tuple[Peer, Peer], room: Room, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "JUDGE_INTERVAL_MS", 100)
    monkeypatch.setattr(relief, "WEAK_AFTER_MS", 200)
    monkeypatch.setattr(relief, "FIRST_WAIT_MS", 500)
    patient, physician = pair
    await seen(pair, room, listener)
    await says(physician, 300_000, 60_000)
    await loses(physician, patient, listener, suspended=True)
    await until_told(patient, WITHHELD_BITRATE_BPS)
    heard = len(physician.rtp)
    await patient.send("video", KEYFRAME)
    await patient.send("audio", b"heard" * 4)
    packets = await physician.until(lambda: physician.rtp[heard:])
    assert [p[24:] for p in packets] == [b"heard" * 4]
    patient.rtcp.clear()
    await loses(physician, patient, listener, suspended=False)
    await until_told(patient, RESUME_BITRATE_BPS)
    await patient.until(
        lambda: any(
            rtcp.KeyframeRequest(patient.video_ssrc) in rtcp.parse(data) for data in patient.rtcp
        )
    )
    heard = len(physician.rtp)
    await patient.send("video", DELTA_FRAME)
    await patient.send("video", KEYFRAME + b"back")
    (packet,) = await physician.until(lambda: physician.rtp[heard:])
    assert packet.endswith(b"back")


async def test_a_line_that_is_gone_is_not_weak_any_more(
    pair: tuple[Peer, Peer], room: Room, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page that comes back over another line must find its pictures."""
    monkeypatch.setattr(endpoint, "JUDGE_INTERVAL_MS", 100)
    monkeypatch.setattr(relief, "WEAK_AFTER_MS", 200)
    await seen(pair, room, listener)
    await says(pair[1], 300_000, 60_000)
    await loses(pair[1], pair[0], listener, suspended=True)
    await room.leave("physician")
    assert ("video_suspended", "physician", False) in listener.events


async def flood(peer: Peer, packets: int) -> None:
    """Send what is no SRTP; the server has seen it all when this returns."""
    junk = bytes((0x80, peer.audio_type)) + bytes(60)
    for number in range(packets):
        peer.write(junk)
        if number % 50 == 49:
            await peer.bind()


async def test_a_flood_is_capped_and_told_and_the_other_side_unharmed(
    pair: tuple[Peer, Peer],
    port: MediaPort,
    room: Room,
    listener: Listener,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "SAMPLE_ONE_IN", 1)
    monkeypatch.setattr(limits, "WINDOW_MS", 400)
    patient, physician = pair
    await seen(pair, room, listener)
    capped = ("flooding", "patient", True)
    async with asyncio.timeout(TIMEOUT_S):
        while capped not in listener.events:
            await flood(patient, 400)
    await flood(patient, 1_000)
    assert port.counters.dropped["flood"] >= 500
    assert port.counters.capped == 1
    heard = len(patient.rtp)
    for _ in range(50):
        await physician.send("audio")
    await patient.until(lambda: len(patient.rtp) == heard + 50)
    await listener.wait("flooding", "patient", False)
    assert not [event for event in listener.events if event[:2] == ("flooding", "physician")]
