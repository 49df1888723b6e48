"""VP8 frames out of RTP payloads (RFC 7741), for recording. Pure.

Nothing here raises for what a peer sent.
"""

from dataclasses import dataclass
from typing import Final

MAX_FRAME_BYTES: Final = 1_000_000
_START_CODE: Final = b"\x9d\x01\x2a"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """The payload descriptor (RFC 7741 §4.2).

    Attributes:
        size: Its length; the frame's bytes follow.
        starts: The payload begins a frame: partition 0, from its first byte.
        picture_id: None where the sender counts no pictures; else of `picture_bits` bits.
    """

    size: int
    starts: bool
    picture_id: int | None
    picture_bits: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One complete frame. `width` and `height` in pixels, 0 unless it is a keyframe."""

    timestamp: int
    data: bytes
    is_keyframe: bool
    width: int = 0
    height: int = 0


def descriptor(payload: bytes) -> Descriptor | None:
    """Read the descriptor; None if it is cut short, or if nothing follows it."""
    if not payload:
        return None
    first, at = payload[0], 1
    picture_id, bits = None, 0
    if first & 0x80:
        if len(payload) < 2:
            return None
        extended, at = payload[1], 2
        if extended & 0x80:
            if len(payload) < 4:
                return None
            picture_id, bits = payload[2] & 0x7F, 7
            if payload[2] & 0x80:
                picture_id, bits = picture_id << 8 | payload[3], 15
            at += 1 if bits == 7 else 2
        at += 1 if extended & 0x40 else 0
        at += 1 if extended & 0x30 else 0
    if at >= len(payload):
        return None
    return Descriptor(at, bool(first & 0x10) and not first & 0x07, picture_id, bits)


def frame_of(timestamp: int, data: bytes) -> Frame | None:
    """The frame of these bytes, read from its header (RFC 6386 §9.1); None if it has none."""
    if len(data) < 3:
        return None
    if data[0] & 0x01:
        return Frame(timestamp, data, is_keyframe=False)
    if len(data) < 10 or data[3:6] != _START_CODE:
        return None
    width = int.from_bytes(data[6:8], "little") & 0x3FFF
    height = int.from_bytes(data[8:10], "little") & 0x3FFF
    if not width or not height:
        return None
    return Frame(timestamp, data, True, width, height)


class Assembler:
    """Joins payloads to frames, and lets only such pass as a decoder can use.

    After a loss frames refer to what is not there: everything is left out until the next keyframe.
    A picture id that goes on shows that only padding was lost.

    Attributes:
        needs_keyframe: Ask the sender for one.
    """

    __slots__ = (
        "_last",
        "_open",
        "_parts",
        "_size",
        "_suspect",
        "_timestamp",
        "needs_keyframe",
    )

    def __init__(self) -> None:
        self.needs_keyframe = True
        self._parts: list[bytes] = []
        self._size = 0
        self._timestamp = 0
        self._suspect = False  # packets are missing since the last complete frame
        self._open: Descriptor | None = None  # of the frame that is being joined
        self._last: Descriptor | None = None  # of the last complete one

    def restart(self) -> None:
        """Begin anew, with a keyframe."""
        self.needs_keyframe = True
        self._parts = []

    def push(self, timestamp: int, marker: bool, payload: bytes, lost: bool) -> Frame | None:
        """Take the next payload in order of sequence numbers.

        Args:
            marker: The last packet of a frame has it.
            lost: Packets before this one are missing.
        Returns:
            The frame that it completes, if that can be decoded.
        """
        if lost or (self._parts and timestamp != self._timestamp):
            self._suspect = self._suspect or lost or bool(self._parts)
            self._parts = []
        head = descriptor(payload)
        if head is None:
            return None
        if head.starts and not self._parts:
            self._begin(timestamp, head)
        elif not self._parts:
            self._suspect = True  # its beginning is missing
            return None
        self._parts.append(payload[head.size :])
        self._size += len(payload)
        if self._size > MAX_FRAME_BYTES:
            self.restart()
            return None
        return self._complete() if marker else None

    def _begin(self, timestamp: int, head: Descriptor) -> None:
        self._timestamp, self._size = timestamp, 0
        if self._suspect:
            self.needs_keyframe = self.needs_keyframe or not _follows(head, self._last)
            self._suspect = False
        self._open = head

    def _complete(self) -> Frame | None:
        frame = frame_of(self._timestamp, b"".join(self._parts))
        self._parts = []
        self._last = self._open
        if frame is None:
            self.needs_keyframe = True
        elif frame.is_keyframe:
            self.needs_keyframe = False
        return None if self.needs_keyframe else frame


def _follows(head: Descriptor, last: Descriptor | None) -> bool:
    """Whether the sender counted no picture between these two."""
    if last is None or head.picture_id is None or last.picture_id is None:
        return False
    if head.picture_bits != last.picture_bits:
        return False
    return head.picture_id == last.picture_id + 1 & (1 << head.picture_bits) - 1
