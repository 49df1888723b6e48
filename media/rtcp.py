"""RTCP packets, read and written (RFC 3550 §6, RFC 4585, RFC 5104, draft-alvestrand-rmcat-remb).

Reading never raises: a compound packet ends where it is not well formed, and what it holds is
bounded by its size. Only what the forwarder acts on is read.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

_SR: Final = 200
_RR: Final = 201
_SDES: Final = 202
_RTPFB: Final = 205
_PSFB: Final = 206
_NACK: Final = 1
_PLI: Final = 1
_FIR: Final = 4
_APPLICATION: Final = 15

_HEADER: Final = struct.Struct("!BBH")
_SENDER_INFO: Final = struct.Struct("!IQIII")
_BLOCK: Final = struct.Struct("!IIIIII")
_TWO_SSRCS: Final = struct.Struct("!II")
_NACK_ITEM: Final = struct.Struct("!HH")
_U32: Final = struct.Struct("!I")

MAX_REPORT_BLOCKS: Final = 31
MAX_NACKED: Final = 512
"""Sequence numbers read from one compound packet: as many as a sender's history holds."""

_MAX_REMB_BPS: Final = 0x3FFFF << 63


@dataclass(frozen=True, slots=True)
class SenderReport:
    """RFC 3550 §6.4.1, its report blocks apart. `ntp` is 32.32 fixed point of the sender."""

    ssrc: int
    ntp: int
    rtp_timestamp: int


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """What a receiver says about one stream (RFC 3550 §6.4.1).

    `fraction_lost` is in 1/256 since the last report, `jitter` in timestamp units, `last_sr` the
    middle 32 bits of an NTP time, `delay_since_sr` in 1/65536 s.
    """

    ssrc: int
    fraction_lost: int
    lost: int
    highest: int
    jitter: int
    last_sr: int
    delay_since_sr: int


@dataclass(frozen=True, slots=True)
class Nack:
    """Packets that the receiver of `ssrc` misses (RFC 4585 §6.2.1), at most 17 for each 4 bytes."""

    ssrc: int
    sequences: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class KeyframeRequest:
    """PLI (RFC 4585 §6.3.1) or FIR (RFC 5104 §4.3.1) for `ssrc`."""

    ssrc: int


@dataclass(frozen=True, slots=True)
class Remb:
    """The receiver's estimate of the bandwidth for all of `ssrcs` together, bits per second."""

    bitrate_bps: int
    ssrcs: tuple[int, ...]


Packet = SenderReport | ReportBlock | Nack | KeyframeRequest | Remb


def parse(data: bytes, max_nacked: int = MAX_NACKED) -> list[Packet]:
    """Read a compound (or reduced-size, RFC 5506) packet up to where it is malformed.

    Of all its NACKs together the first `max_nacked` sequence numbers are read: 1,400 bytes can name
    6,000, and nobody has so many to send again.
    """
    packets: list[Packet] = []
    at, end = 0, len(data)
    while at + 8 <= end:
        first, kind, words = _HEADER.unpack_from(data, at)
        after = at + 4 + 4 * words
        if first >> 6 != 2 or after > end:
            break
        count = first & 0x1F
        body = data[at + 4 : after]
        if kind == _SR and len(body) >= 24:
            ssrc, ntp, timestamp, _, _ = _SENDER_INFO.unpack_from(body)
            packets.append(SenderReport(ssrc, ntp, timestamp))
            _read_blocks(body, 24, count, packets)
        elif kind == _RR:
            _read_blocks(body, 4, count, packets)
        elif kind == _RTPFB and count == _NACK and len(body) >= 12 and max_nacked:
            found = _read_nack(body, max_nacked)
            max_nacked -= len(found.sequences)
            packets.append(found)
        elif kind == _PSFB and len(body) >= 8:
            _read_payload_feedback(body, count, packets)
        at = after
    return packets


def _read_blocks(body: bytes, at: int, count: int, packets: list[Packet]) -> None:
    for _ in range(count):
        if at + 24 > len(body):
            return
        ssrc, loss, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
        lost = loss & 0xFFFFFF
        lost -= 0x1000000 if lost & 0x800000 else 0
        packets.append(ReportBlock(ssrc, loss >> 24, lost, highest, jitter, last_sr, delay))
        at += 24


def _read_nack(body: bytes, most: int) -> Nack:
    sequences: list[int] = []
    for at in range(8, len(body) - 3, 4):
        if len(sequences) >= most:
            break
        pid, mask = _NACK_ITEM.unpack_from(body, at)
        sequences.append(pid)
        sequences.extend(pid + bit + 1 & 0xFFFF for bit in range(16) if mask >> bit & 1)
    return Nack(_U32.unpack_from(body, 4)[0], tuple(sequences[:most]))


def _read_payload_feedback(body: bytes, form: int, packets: list[Packet]) -> None:
    if form == _PLI:
        packets.append(KeyframeRequest(_U32.unpack_from(body, 4)[0]))
    elif form == _FIR:
        for at in range(8, len(body) - 7, 8):
            packets.append(KeyframeRequest(_U32.unpack_from(body, at)[0]))
    elif form == _APPLICATION and body[8:12] == b"REMB" and len(body) >= 16:
        count = body[12]
        if len(body) < 16 + 4 * count:
            return
        bitrate_bps = ((body[13] & 0x03) << 16 | body[14] << 8 | body[15]) << (body[13] >> 2)
        packets.append(Remb(bitrate_bps, struct.unpack_from(f"!{count}I", body, 16)))


def _packet(count: int, kind: int, body: bytes) -> bytes:
    return _HEADER.pack(0x80 | count, kind, len(body) // 4) + body


def receiver_report(ssrc: int, blocks: Sequence[ReportBlock]) -> bytes:
    """An RR from `ssrc`; blocks beyond `MAX_REPORT_BLOCKS` are left out."""
    blocks = blocks[:MAX_REPORT_BLOCKS]
    body = _U32.pack(ssrc)
    for block in blocks:
        lost = max(-0x800000, min(block.lost, 0x7FFFFF)) & 0xFFFFFF
        body += _BLOCK.pack(
            block.ssrc,
            block.fraction_lost << 24 | lost,
            block.highest,
            block.jitter,
            block.last_sr,
            block.delay_since_sr,
        )
    return _packet(len(blocks), _RR, body)


def sender_report(report: SenderReport, packets: int, octets: int) -> bytes:
    """An SR without report blocks."""
    return _packet(
        0,
        _SR,
        _SENDER_INFO.pack(
            report.ssrc,
            report.ntp,
            report.rtp_timestamp & 0xFFFFFFFF,
            packets & 0xFFFFFFFF,
            octets & 0xFFFFFFFF,
        ),
    )


def source_description(ssrc: int, cname: str) -> bytes:
    """An SDES packet with the CNAME that every compound packet carries (RFC 3550 §6.5)."""
    text = cname.encode()[:255]
    chunk = _U32.pack(ssrc) + bytes((1, len(text))) + text
    return _packet(1, _SDES, chunk + bytes(4 - len(chunk) % 4))


def nack(sender_ssrc: int, media_ssrc: int, sequences: Iterable[int]) -> bytes:
    """A generic NACK for `sequences`, each within 16 bits, in order of sending."""
    items: list[tuple[int, int]] = []
    for sequence in sequences:
        if items:
            pid, mask = items[-1]
            distance = sequence - pid & 0xFFFF
            if 1 <= distance <= 16:
                items[-1] = (pid, mask | 1 << distance - 1)
                continue
        items.append((sequence, 0))
    body = b"".join(_NACK_ITEM.pack(pid, mask) for pid, mask in items)
    return _packet(_NACK, _RTPFB, _TWO_SSRCS.pack(sender_ssrc, media_ssrc) + body)


def picture_loss(sender_ssrc: int, media_ssrc: int) -> bytes:
    """A PLI."""
    return _packet(_PLI, _PSFB, _TWO_SSRCS.pack(sender_ssrc, media_ssrc))


def remb(sender_ssrc: int, bitrate_bps: int, ssrcs: Sequence[int]) -> bytes:
    """A REMB; the bitrate is rounded down to what 18 bits of mantissa can say."""
    bitrate_bps = max(0, min(bitrate_bps, _MAX_REMB_BPS))
    exponent = max(0, bitrate_bps.bit_length() - 18)
    mantissa = bitrate_bps >> exponent
    head = bytes(
        (len(ssrcs), exponent << 2 | mantissa >> 16, mantissa >> 8 & 0xFF, mantissa & 0xFF)
    )
    body = _TWO_SSRCS.pack(sender_ssrc, 0) + b"REMB" + head
    return _packet(_APPLICATION, _PSFB, body + struct.pack(f"!{len(ssrcs)}I", *ssrcs))
