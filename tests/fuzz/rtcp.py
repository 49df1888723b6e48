"""RTCP of both participants: reports, NACKs, keyframe requests, estimates."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from media import rtcp
from tests.fuzz.peers import AUDIO, VIDEO, Room
from tests.fuzz.script import Step, read, write
from tests.media.packets import DELTA_FRAME, KEYFRAME, rtp

RAW, TO_VIDEO, TO_AUDIO, OF_VIDEO, PASS, MEDIA = range(6)
PLACES = (8, 12)
"""Where the SSRC that a message is about may stand: media source, or a FIR's and REMB's entry."""


def target(data: bytes) -> None:
    """Whatever comes: no exception, bounded reading, and feedback that reads back."""
    room = Room()
    numbers = iter(range(1_000_000))
    _media(room, next(numbers), KEYFRAME)
    for step in read(data):
        kind = step.what % 6
        room.now_ms += step.how & 31
        if kind == PASS:
            room.tick(step.how * 16)
        elif kind == MEDIA:
            _media(room, next(numbers) + (step.how >> 6), KEYFRAME if step.how & 1 else DELTA_FRAME)
        else:
            message = _addressed(room, step, kind)
            found = rtcp.parse(message)
            named = sum(len(p.sequences) for p in found if isinstance(p, rtcp.Nack))
            assert named <= rtcp.MAX_NACKED
            assert len(found) <= len(message) // 4 + 1
            room.rtcp(message)
    room.tick(2_000)
    for compound in (*room.back, *(c for r in room.receivers for c in r.sent.rtcp)):
        _reads_back(compound)


def _media(room: Room, number: int, frame: bytes) -> None:
    assert VIDEO.codec is not None
    room.rtp(rtp(number, frame, 3000 * number, VIDEO.ssrcs[0], VIDEO.codec.payload_type))


def _addressed(room: Room, step: Step, kind: int) -> bytes:
    """The message, about a stream that is there."""
    if kind == RAW:
        return step.data
    message = bytearray(step.data)
    receiver = room.receivers[step.how >> 6 & 1]
    ssrc = {
        TO_VIDEO: receiver.video.stream.ssrc,
        TO_AUDIO: receiver.audio.stream.ssrc,
        OF_VIDEO: VIDEO.ssrcs[0],
    }[kind]
    at = 4 if kind == OF_VIDEO else PLACES[step.how >> 7]
    if len(message) >= at + 4:
        message[at : at + 4] = ssrc.to_bytes(4, "big")
    return bytes(message)


def _reads_back(compound: bytes) -> None:
    """Our own compound packets are whole: every part is found by the lengths before it."""
    at = 0
    while at < len(compound):
        first, _, words = struct.unpack_from("!BBH", compound, at)
        assert first >> 6 == 2
        at += 4 + 4 * words
    assert at == len(compound)
    rtcp.parse(compound)


def seeds() -> Iterator[bytes]:
    """Each kind of message by itself, and in a call that goes on."""
    block = rtcp.ReportBlock(VIDEO.ssrcs[0], 25, 4, 70_000, 12, 0x1234, 65_536)
    report = rtcp.sender_report(rtcp.SenderReport(VIDEO.ssrcs[0], 1 << 40, 90_000), 5, 500)
    messages = [
        rtcp.receiver_report(1, [block, block]),
        report + rtcp.source_description(AUDIO.ssrcs[0], "cname"),
        rtcp.nack(1, 2, [0, 1, 5, 17, 40]),
        rtcp.picture_loss(1, 2),
        struct.pack("!BBHIIIBxxx", 0x84, 206, 4, 1, 0, 2, 7),
        rtcp.remb(1, 700_000, [2, 3]),
        struct.pack("!BBHIIHHI", 0x8F, 205, 4, 1, 2, 3, 4, 5),
    ]
    for message in messages:
        yield write([Step(kind, 8, message) for kind in (RAW, TO_VIDEO, TO_AUDIO, OF_VIDEO)])
    media = [Step(MEDIA, n % 2, b"") for n in range(12)]
    waits = [Step(PASS, 7, b"")]
    everything = [Step(TO_VIDEO, 130, message) for message in messages]
    yield write([*media, *everything, *waits, *media, Step(RAW, 1, b"".join(messages)), *waits])
    storm = rtcp.nack(1, 2, range(0, 6_000, 17))[:1_400]
    yield write([*media, *[Step(TO_VIDEO, 1, storm)] * 5])
