"""RTP of a participant through learning, reroom, rewriting and retransmission."""

from __future__ import annotations

from collections.abc import Iterator

from media import rtcp
from media.sdp import MID_URI
from tests.fuzz.peers import AUDIO, VIDEO, Room
from tests.fuzz.script import Step, read, write
from tests.media.packets import DELTA_FRAME, KEYFRAME, rtp

RAW, AS_VIDEO, AS_AUDIO, AS_REPAIR, NEW_SOURCE, AS_RED, PASS, AGAIN = range(8)


def _payload_types() -> dict[int, int]:
    assert VIDEO.codec is not None
    assert AUDIO.codec is not None
    return {
        AS_AUDIO: AUDIO.codec.payload_type,
        AS_RED: AUDIO.codec.red_payload_type or 0,
        AS_VIDEO: VIDEO.codec.payload_type,
        NEW_SOURCE: VIDEO.codec.payload_type,
        AS_REPAIR: VIDEO.codec.rtx_payload_type or 0,
    }


PAYLOAD_TYPES = _payload_types()


def target(data: bytes) -> None:
    """Whatever comes: no exception, sound packets only, and no index sent twice."""
    room = Room()
    for step in read(data):
        kind = step.what % 8
        room.now_ms += step.how & 31
        if kind == PASS:
            room.tick(step.how * 16)
        elif kind == AGAIN:
            for receiver in room.receivers:
                stream = receiver.video.stream
                missing = [stream.first_sequence + n & 0xFFFF for n in step.data[:64]]
                receiver.end.receive_rtcp(rtcp.nack(1, stream.ssrc, missing), room.now_ms)
        elif len(step.data) >= 12:
            room.rtp(_dressed(step.data, kind))


def _dressed(data: bytes, kind: int) -> bytes:
    """The packet with the fields right that would else stop nearly all at the door."""
    packet = bytearray(data)
    packet[0] = packet[0] & 0x3F | 0x80
    if kind == RAW:
        return bytes(packet)
    section = AUDIO if kind in (AS_AUDIO, AS_RED) else VIDEO
    packet[1] = packet[1] & 0x80 | PAYLOAD_TYPES[kind]
    if kind == NEW_SOURCE:
        packet[8:11] = bytes(3)
    else:
        ssrc = section.ssrcs[0]
        if kind == AS_REPAIR:
            ssrc = next(iter(section.rtx_ssrcs.values()), ssrc)
        packet[8:12] = ssrc.to_bytes(4, "big")
    return bytes(packet)


def seeds() -> Iterator[bytes]:
    """Calls of a few packets: steady, with gaps and rerooms, with a change of SSRC."""
    mid = [(VIDEO.extensions[MID_URI], VIDEO.mid.encode())]
    frames = [KEYFRAME, *[DELTA_FRAME] * 6]
    video = [
        Step(AS_VIDEO, 10, rtp(n, frame, 3000 * n, elements=mid)) for n, frame in enumerate(frames)
    ]
    audio = [Step(AS_AUDIO, 20, rtp(n, bytes(40), 960 * n)) for n in range(5)]
    yield write(video + audio)
    opus = PAYLOAD_TYPES[AS_AUDIO]
    red = [bytes((0x80 | opus, 0x0F, 0, n, opus)) + bytes(n) + b"new" for n in (0, 40, 200)]
    yield write([*audio, *[Step(AS_RED, 20, rtp(5 + n, f)) for n, f in enumerate(red)], *audio])
    yield write([*video[:2], *video[4:], Step(PASS, 7, b""), *video[2:4]])
    rerooms = [Step(AS_REPAIR, 5, rtp(n, n.to_bytes(2, "big") + DELTA_FRAME)) for n in (2, 3)]
    yield write([*video[:2], *video[4:], *rerooms, Step(AGAIN, 0, bytes(range(8)))])
    yield write([*video, *[Step(AS_REPAIR, 1, rtp(9, b"\0\1" + bytes(200)))] * 2])
    other = [Step(NEW_SOURCE, 9, s.data) for s in video]
    yield write([*video, *other, Step(PASS, 255, b""), *video])
    late = [(10, DELTA_FRAME), (12, DELTA_FRAME), (13, KEYFRAME), (11, DELTA_FRAME)]
    yield write([*video, *[Step(NEW_SOURCE, 9, rtp(n, frame)) for n, frame in late]])
    yield write([Step(AS_VIDEO, 9, rtp(65_530 + n, KEYFRAME, two_byte=True)) for n in range(12)])
    padded = bytearray(rtp(1, bytes(19) + b"\x14"))
    padded[0] |= 0x20
    yield write([Step(AS_AUDIO, 9, bytes(padded)), Step(RAW, 9, bytes(padded))])
    yield write([Step(AS_VIDEO, 9, rtp(n * 9000, KEYFRAME, csrcs=n)) for n in range(12)])
