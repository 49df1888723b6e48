"""What is played to who is kept waiting: Opus packets of a file, over and over. Pure.

One source for all: it advances once in 20 ms, and all who wait hear the same. Each receiver's
forwarder gives its packets that receiver's numbers, as it does with a participant's.
"""

from collections.abc import Sequence
from typing import Final

PACKET_MS: Final = 20
STEP: Final = 960
"""Timestamp units in a packet: Opus always counts 48000 a second (RFC 7587 §4.1)."""

MAX_PAYLOAD_BYTES: Final = 1_200
_FRAME_MS_2: Final = {
    **{config: (20, 40, 80, 120)[config & 3] for config in range(12)},  # SILK: twice the time
    **{config: (20, 40)[config & 1] for config in range(12, 16)},  # hybrid
    **{config: (5, 10, 20, 40)[config & 3] for config in range(16, 32)},  # CELT
}


class HoldMusic:
    """The packet that is due now.

    Attributes:
        payload: Opus, 20 ms.
        sequence, timestamp: Its numbers, which count on without end.
    """

    __slots__ = ("_at", "_packets", "payload", "sequence", "timestamp")

    def __init__(self, packets: Sequence[bytes]) -> None:
        """`packets`: at least one, each of 20 ms."""
        self._packets = tuple(packets)
        self._at = 0
        self.payload = self._packets[0]
        self.sequence = self.timestamp = 0

    def advance(self) -> None:
        """The next packet; after the last the first again."""
        self._at = (self._at + 1) % len(self._packets)
        self.payload = self._packets[self._at]
        self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + STEP & 0xFFFFFFFF


def duration_ms(packet: bytes) -> float:
    """How long an Opus packet sounds (RFC 6716 §3.1); 0 for what is none."""
    if not packet:
        return 0
    frames = (1, 2, 2, packet[1] & 0x3F if len(packet) > 1 else 0)[packet[0] & 3]
    return frames * _FRAME_MS_2[packet[0] >> 3] / 2
