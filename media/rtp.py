"""RTP headers, read and rewritten in place (RFC 3550 §5.1, RFC 8285, RFC 4588, RFC 7741).

Every function works on the first `length` bytes of a buffer that belongs to the caller and may be
longer. Nothing here raises for what a peer sent: a packet that is not well formed gives 0, False
or None. Sequence numbers are 16 bits, timestamps 32 bits, both wrap.
"""

import struct
from collections.abc import Mapping
from typing import Final

from media.sdp import ABS_SEND_TIME_URI, MID_URI

FIXED_HEADER_BYTES: Final = 12
ONE_BYTE_PROFILE: Final = 0xBEDE
TWO_BYTE_PROFILE: Final = 0x1000
"""The upper 12 bits of the two-byte form; the lower four are "appbits" (RFC 8285 §4.3)."""

# abs-send-time counts seconds in 6.18 fixed point: 2**18 / 1000 units in a millisecond
_ABS_SEND_TIME_PER_MS: Final = 262.144

read_header = struct.Struct("!HII").unpack_from
"""At offset 2: (sequence number, timestamp, SSRC)."""
write_header = struct.Struct("!BHII").pack_into
"""At offset 1: marker and payload type, sequence number, timestamp, SSRC."""
_write_u16 = struct.Struct("!H").pack_into

Buffer = bytearray | memoryview | bytes


def header_bytes(data: Buffer, length: int) -> int:
    """The length of the header with CSRCs and extension; 0 if it does not fit into `length`."""
    if length < FIXED_HEADER_BYTES:
        return 0
    first = data[0]
    end = FIXED_HEADER_BYTES + ((first & 0x0F) << 2)
    if first & 0x10:
        if end + 4 > length:
            return 0
        end += 4 + ((data[end + 2] << 8 | data[end + 3]) << 2)
    return end if end <= length else 0


def payload_bytes(data: Buffer, length: int, header: int) -> int:
    """The length of the payload without padding; 0 for a packet of padding only (RFC 3550 §5.1)."""
    if data[0] & 0x20:
        padding = data[length - 1]
        if padding == 0:
            return 0
        return max(0, length - header - padding)
    return length - header


def starts_vp8_keyframe(data: Buffer, start: int, end: int) -> bool:
    """Whether the payload in [start, end) begins a VP8 keyframe (RFC 7741 §4.2, §4.3)."""
    if end - start < 2:
        return False
    first = data[start]
    if not first & 0x10 or first & 0x07:  # not the start of partition 0
        return False
    at = start + 1
    if first & 0x80:
        extended = data[at]
        at += 1
        if extended & 0x80:  # picture id, 7 or 15 bits
            if at >= end:
                return False
            at += 2 if data[at] & 0x80 else 1
        if extended & 0x40:
            at += 1
        if extended & 0x30:
            at += 1
    return at < end and not data[at] & 0x01


class ExtensionMap:
    """How the header extensions of one sender become those of one receiver.

    Attributes:
        is_identity: Both number their extensions alike and no mid is rewritten: nothing to do.
    """

    __slots__ = ("_abs_send_time", "_ids", "_mid_id", "_mid_value", "is_identity")

    def __init__(
        self,
        incoming: Mapping[str, int],
        outgoing: Mapping[str, int],
        incoming_mid: str,
        outgoing_mid: str,
    ) -> None:
        """`incoming` and `outgoing` map extension URIs to the id that each side negotiated."""
        ids = bytearray(256)
        for uri, number in incoming.items():
            ids[number] = outgoing.get(uri, 0)
        self._ids = bytes(ids)
        self._mid_id = incoming.get(MID_URI, 0)
        self._mid_value = outgoing_mid.encode()
        self._abs_send_time = outgoing.get(ABS_SEND_TIME_URI, 0)
        self.is_identity = dict(incoming) == dict(outgoing) and incoming_mid == outgoing_mid

    def rewrite(self, data: bytearray, header: int) -> None:
        """Renumber the elements; those that the receiver did not negotiate become padding.

        Args:
            data: A packet with the X bit set.
            header: Its `header_bytes`.
        """
        start = FIXED_HEADER_BYTES + ((data[0] & 0x0F) << 2)
        profile = data[start] << 8 | data[start + 1]
        if profile == ONE_BYTE_PROFILE:
            self._rewrite_one_byte(data, start + 4, header)
        elif profile & 0xFFF0 == TWO_BYTE_PROFILE:
            self._rewrite_two_byte(data, start + 4, header)
        else:  # a profile that nobody negotiated
            _blank(data, start + 4, header)

    def _rewrite_one_byte(self, data: bytearray, at: int, end: int) -> None:
        ids = self._ids
        while at < end:
            first = data[at]
            if first == 0:
                at += 1
                continue
            number = first >> 4
            after = at + 2 + (first & 0x0F)
            if number == 15 or after > end:  # 15 ends the list (RFC 8285 §4.2)
                _blank(data, at, end)
                return
            new = ids[number]
            if number == self._mid_id and new:
                new = self._rewrite_mid(data, at + 1, after, new)
            if 0 < new < 15:
                data[at] = new << 4 | first & 0x0F
            else:
                _blank(data, at, after)
            at = after

    def _rewrite_two_byte(self, data: bytearray, at: int, end: int) -> None:
        ids = self._ids
        while at < end:
            number = data[at]
            if number == 0:
                at += 1
                continue
            after = at + 2 + data[at + 1] if at + 1 < end else end + 1
            if after > end:
                _blank(data, at, end)
                return
            new = ids[number]
            if number == self._mid_id and new:
                new = self._rewrite_mid(data, at + 2, after, new)
            if new:
                data[at] = new
            else:
                _blank(data, at, after)
            at = after

    def _rewrite_mid(self, data: bytearray, start: int, end: int, new: int) -> int:
        """Put the receiver's mid in place of the sender's: only where it fits, else drop it."""
        value = self._mid_value
        if end - start != len(value):
            return 0
        data[start:end] = value
        return new

    def delay_abs_send_time(self, data: bytearray, elapsed_ms: int) -> None:
        """Move the sending time of a packet that is sent again `elapsed_ms` later.

        Without it the receiver's bandwidth estimator would take the wait for a queue. `data` has
        the receiver's numbering.
        """
        at = find_extension(data, len(data), self._abs_send_time)
        if at and data[at - 1] & 0x0F == 2:
            value = int.from_bytes(data[at : at + 3], "big")
            value = value + round(elapsed_ms * _ABS_SEND_TIME_PER_MS) & 0xFFFFFF
            data[at : at + 3] = value.to_bytes(3, "big")


def _blank(data: bytearray, start: int, end: int) -> None:
    """Turn bytes into padding, which receivers skip (RFC 8285 §4.1.1)."""
    data[start:end] = bytes(end - start)


def find_extension(data: Buffer, length: int, number: int) -> int:
    """Where the value of the one-byte-form element `number` starts; 0 if there is none."""
    if not number or not data[0] & 0x10:
        return 0
    end = header_bytes(data, length)
    at = FIXED_HEADER_BYTES + ((data[0] & 0x0F) << 2)
    if not end or data[at] << 8 | data[at + 1] != ONE_BYTE_PROFILE:
        return 0
    at += 4
    while at < end:
        first = data[at]
        if first == 0:
            at += 1
            continue
        after = at + 2 + (first & 0x0F)
        if first >> 4 == 15 or after > end:
            return 0
        if first >> 4 == number:
            return at + 1
        at = after
    return 0


def extension_value(data: Buffer, length: int, number: int) -> bytes | None:
    """The value of the one-byte-form element `number`; None if there is none."""
    at = find_extension(data, length, number)
    return bytes(data[at : at + 1 + (data[at - 1] & 0x0F)]) if at else None


def wrap_rtx(packet: bytes | bytearray, payload_type: int, sequence: int, ssrc: int) -> bytearray:
    """The retransmission of `packet` in the RTX format (RFC 4588 §4)."""
    header = header_bytes(packet, len(packet))
    rtx = bytearray(len(packet) + 2)
    rtx[:header] = packet[:header]
    rtx[header : header + 2] = packet[2:4]
    rtx[header + 2 :] = packet[header:]
    rtx[1] = packet[1] & 0x80 | payload_type
    _write_u16(rtx, 2, sequence)
    rtx[8:12] = ssrc.to_bytes(4, "big")
    return rtx


def unwrap_rtx(data: bytearray, length: int, header: int, payload_type: int, ssrc: int) -> int:
    """Restore in place the packet that an RTX packet carries (RFC 4588 §4).

    Args:
        header: `header_bytes` of the RTX packet, which has at least two bytes of payload.
        payload_type: Of the original packet, as negotiated by `apt`.
        ssrc: Of the original packet.
    Returns:
        The length of the restored packet, two bytes less.
    """
    data[2:4] = data[header : header + 2]
    data[header : length - 2] = data[header + 2 : length]
    data[1] = data[1] & 0x80 | payload_type
    data[8:12] = ssrc.to_bytes(4, "big")
    return length - 2
