"""Video over lossy lines, between real participants."""

import struct

from media import MediaPort, Room, rtcp
from media.feedback import KEYFRAME_INTERVAL_MS, KEYFRAME_UNDER_WAY_MS, REPAIR_MS
from media.history import UNKNOWN_HISTORY_MS
from tests.media.peers import (
    DELTA_FRAME,
    KEYFRAME,
    Listener,
    Peer,
    hear_each_other,
    sequence,
    ssrc,
)


def asked(peer: Peer, packet: rtcp.Packet) -> bool:
    return any(packet in rtcp.parse(data) for data in peer.rtcp)


async def see_each_other(pair: tuple[Peer, Peer], room: Room, listener: Listener) -> None:
    """A video call in which the physician has got the patient's first keyframe."""
    await hear_each_other(pair, listener)
    room.deliver("video")
    await pair[0].send("video", KEYFRAME)
    await pair[1].until(lambda: pair[1].rtp)
    for peer in pair:
        peer.rtcp.clear()


async def test_a_keyframe_is_asked_for_once_a_gap_is_given_up(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """The receiver's decoder would notice only when its picture has stood still for a while."""
    patient, _ = pair
    await see_each_other(pair, room, listener)
    lost = patient.skip("video")
    await patient.send("video", DELTA_FRAME)
    await patient.until(lambda: asked(patient, rtcp.Nack(patient.video_ssrc, (lost,))))
    room.tick(port.now_ms() + KEYFRAME_INTERVAL_MS)  # one that was wanted before is out now
    await patient.bind()
    patient.rtcp.clear()
    room.tick(port.now_ms() + KEYFRAME_INTERVAL_MS + KEYFRAME_UNDER_WAY_MS)
    await patient.until(lambda: asked(patient, rtcp.KeyframeRequest(patient.video_ssrc)))


async def test_nothing_is_asked_for_that_a_keyframe_has_made_moot(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await see_each_other(pair, room, listener)
    assert port._ticker is not None
    port._ticker.cancel()
    room.tick(port.now_ms() + KEYFRAME_INTERVAL_MS)  # one that was wanted before is out now
    await patient.bind()  # answered after what was sent before
    patient.rtcp.clear()
    patient.skip("video")
    await patient.send("video", KEYFRAME)
    await physician.until(lambda: len(physician.rtp) == 2)
    room.tick(port.now_ms() + KEYFRAME_INTERVAL_MS + KEYFRAME_UNDER_WAY_MS)
    await patient.bind()
    packets = [packet for data in patient.rtcp for packet in rtcp.parse(data)]
    assert not [p for p in packets if isinstance(p, rtcp.Nack | rtcp.KeyframeRequest)]


async def test_what_was_given_up_is_passed_on_when_it_comes_after_all(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await see_each_other(pair, room, listener)
    lost = patient.skip("video")
    await patient.send("video", DELTA_FRAME)
    await physician.until(lambda: len(physician.rtp) == 2)
    room.tick(port.now_ms() + REPAIR_MS)
    await patient.send("rtx", struct.pack("!H", lost) + DELTA_FRAME + b"repair")
    packets = await physician.until(lambda: physician.rtp if len(physician.rtp) == 3 else None)
    assert packets[2].endswith(b"repair")
    assert sequence(packets[2]) == sequence(packets[0]) + 1 & 0xFFFF


async def test_a_keyframe_whose_start_was_repaired_begins_no_stream(
    pair: tuple[Peer, Peer], room: Room, listener: Listener
) -> None:
    """The rest of it was not sent to who waited for its start: it could not be decoded."""
    patient, physician = pair
    await hear_each_other(pair, listener)
    room.deliver("video")
    await patient.send("video", DELTA_FRAME)
    lost = patient.skip("video")
    await patient.send("video", DELTA_FRAME + b"of the keyframe")
    await patient.send("rtx", struct.pack("!H", lost) + KEYFRAME + b"repair")
    await patient.send("video", KEYFRAME + b"whole")
    packets = await physician.until(lambda: physician.rtp)
    assert [p[24 + len(KEYFRAME) :] for p in packets] == [b"whole"]


async def test_a_sender_without_nack_is_asked_for_a_keyframe(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    patient.feedback = ("goog-remb", "nack pli")
    for peer in (patient, physician):
        await peer.join(room, port.port)
    await see_each_other((patient, physician), room, listener)
    patient.skip("video")
    await patient.send("video", DELTA_FRAME)
    await patient.bind()  # answered after what was sent before
    patient.rtcp.clear()
    room.tick(port.now_ms() + KEYFRAME_UNDER_WAY_MS)
    await patient.until(lambda: asked(patient, rtcp.KeyframeRequest(patient.video_ssrc)))
    for peer in (patient, physician):
        await peer.close()


async def test_a_keyframe_is_asked_for_in_place_of_what_is_not_kept_any_more(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    """On a line that has just become longer; a browser would wait three seconds before it asks."""
    patient, physician = pair
    await see_each_other(pair, room, listener)
    assert port._ticker is not None
    port._ticker.cancel()
    room.tick(port.now_ms() + KEYFRAME_INTERVAL_MS)  # one that was wanted before is out now
    await patient.bind()
    patient.rtcp.clear()
    room.tick(port.now_ms() + UNKNOWN_HISTORY_MS + 100)
    about = ssrc(physician.rtp[0])
    await physician.send_rtcp(rtcp.nack(1, about, [sequence(physician.rtp[0])]))
    await physician.bind()  # answered after what was sent before
    room.tick(port.now_ms() + 2 * KEYFRAME_INTERVAL_MS)
    await patient.until(lambda: asked(patient, rtcp.KeyframeRequest(patient.video_ssrc)))
    assert port.counters.retransmitted == 0


async def test_a_nack_for_what_we_miss_ourselves_is_not_counted_as_answered(
    pair: tuple[Peer, Peer], port: MediaPort, room: Room, listener: Listener
) -> None:
    patient, physician = pair
    await see_each_other(pair, room, listener)
    patient.skip("video")
    await patient.send("video", DELTA_FRAME)
    packets = await physician.until(lambda: physician.rtp if len(physician.rtp) == 2 else None)
    missing = sequence(packets[0]) + 1 & 0xFFFF
    await physician.send_rtcp(rtcp.nack(1, ssrc(packets[0]), [missing]))
    await physician.bind()  # answered after what was sent before
    assert port.counters.retransmitted == 0
    assert len(physician.rtp) == 2
