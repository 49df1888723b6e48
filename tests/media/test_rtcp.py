"""RTCP, written and read back, and read from anything."""

import struct

from aiortc import rtp as aiortc_rtp
from hypothesis import example, given
from hypothesis import strategies as st

from media import rtcp
from media.history import HISTORY_PACKETS

U32 = st.integers(0, 2**32 - 1)
U16 = st.integers(0, 65_535)
BLOCKS = st.lists(
    st.builds(
        rtcp.ReportBlock,
        ssrc=U32,
        fraction_lost=st.integers(0, 255),
        lost=st.integers(-(2**23), 2**23 - 1),
        highest=U32,
        jitter=U32,
        last_sr=U32,
        delay_since_sr=U32,
    ),
    max_size=rtcp.MAX_REPORT_BLOCKS,
)


@given(data=st.binary(max_size=200))
def test_no_bytes_raise(data: bytes) -> None:
    rtcp.parse(data)


@given(kind=st.integers(200, 207), first=st.integers(0x80, 0xBF), body=st.binary(max_size=100))
def test_no_body_raises(kind: int, first: int, body: bytes) -> None:
    words = len(body) // 4
    rtcp.parse(bytes((first, kind)) + words.to_bytes(2, "big") + body)


@given(ssrc=U32, blocks=BLOCKS)
def test_receiver_reports_are_what_aiortc_reads(ssrc: int, blocks: list[rtcp.ReportBlock]) -> None:
    data = rtcp.receiver_report(ssrc, blocks)
    assert rtcp.parse(data) == blocks
    (theirs,) = aiortc_rtp.RtcpPacket.parse(data)
    assert theirs.ssrc == ssrc
    assert [(r.ssrc, r.packets_lost, r.highest_sequence) for r in theirs.reports] == [
        (b.ssrc, b.lost, b.highest) for b in blocks
    ]


@given(sequences=st.lists(U16, min_size=1, max_size=40, unique=True), ssrc=U32)
def test_nacks_name_exactly_what_is_missing(sequences: list[int], ssrc: int) -> None:
    data = rtcp.nack(1, ssrc, sequences)
    (ours,) = rtcp.parse(data)
    assert isinstance(ours, rtcp.Nack)
    assert ours.ssrc == ssrc
    assert set(ours.sequences) == set(sequences)
    (theirs,) = aiortc_rtp.RtcpPacket.parse(data)
    assert {number & 0xFFFF for number in theirs.lost} == set(sequences)  # it does not wrap


@given(masks=st.lists(U16, min_size=1, max_size=360), per_packet=st.integers(1, 360))
@example(masks=[0xFFFF] * 359, per_packet=359)
@example(masks=[0xFFFF] * 90, per_packet=1)
def test_no_more_is_read_of_nacks_than_a_history_holds(masks: list[int], per_packet: int) -> None:
    """A datagram can name 6,103 packets, which took more than a millisecond to look up."""
    items = [struct.pack("!HH", 17 * at & 0xFFFF, mask) for at, mask in enumerate(masks)]
    data = b""
    for at in range(0, len(items), per_packet):
        part = items[at : at + per_packet]
        data += struct.pack("!BBHII", 0x81, 205, 2 + len(part), 1, 2) + b"".join(part)
    named = [number for found in rtcp.parse(data, 10**6) for number in found.sequences]
    assert len(named) == sum(1 + mask.bit_count() for mask in masks)
    assert all(found.sequences for found in rtcp.parse(data))
    read = [number for found in rtcp.parse(data) for number in found.sequences]
    assert read == named[:HISTORY_PACKETS]


@given(bitrate_bps=st.integers(0, 2**40), ssrcs=st.lists(U32, max_size=8))
def test_estimates_are_never_rounded_up(bitrate_bps: int, ssrcs: list[int]) -> None:
    (found,) = rtcp.parse(rtcp.remb(1, bitrate_bps, ssrcs))
    assert isinstance(found, rtcp.Remb)
    assert found.ssrcs == tuple(ssrcs)
    assert bitrate_bps * 0.9999 - 1 <= found.bitrate_bps <= bitrate_bps


@given(ssrc=U32, ntp=st.integers(0, 2**64 - 1), stamp=U32)
def test_sender_reports_come_back(ssrc: int, ntp: int, stamp: int) -> None:
    report = rtcp.SenderReport(ssrc, ntp, stamp)
    data = rtcp.sender_report(report, 7, 8) + rtcp.source_description(ssrc, "name")
    assert rtcp.parse(data) == [report]
    first, second = aiortc_rtp.RtcpPacket.parse(data)
    assert (first.sender_info.packet_count, first.sender_info.octet_count) == (7, 8)
    assert second.chunks[0].items == [(1, b"name")]


@given(ssrc=U32, blocks=BLOCKS)
def test_blocks_of_sender_reports_are_read_too(ssrc: int, blocks: list[rtcp.ReportBlock]) -> None:
    """Who sends media reports on what it gets in its own sender reports (RFC 3550 §6.4.1)."""
    receivers = rtcp.receiver_report(ssrc, blocks)
    info = struct.pack("!QIII", 5 << 16, 6, 7, 8)
    head = struct.pack("!BBHI", 0x80 | len(blocks), 200, 6 + 6 * len(blocks), ssrc)
    data = head + info + receivers[8:]
    assert rtcp.parse(data) == [rtcp.SenderReport(ssrc, 5 << 16, 6), *blocks]
    (theirs,) = aiortc_rtp.RtcpPacket.parse(data)
    assert [r.ssrc for r in theirs.reports] == [b.ssrc for b in blocks]


def test_both_ways_to_ask_for_a_keyframe_are_read() -> None:
    fir = bytes.fromhex("84ce0004 00000001 00000000 00000002 07000000")
    assert rtcp.parse(rtcp.picture_loss(1, 2)) == rtcp.parse(fir) == [rtcp.KeyframeRequest(2)]


def test_a_compound_packet_is_read_up_to_where_it_breaks() -> None:
    whole = rtcp.receiver_report(1, ()) + rtcp.picture_loss(1, 2)
    assert rtcp.parse(whole + b"\x81\xce\xff\xff" + bytes(8)) == [rtcp.KeyframeRequest(2)]
