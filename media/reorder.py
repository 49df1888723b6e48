"""RTP packets back in order, for recording: what may still be repaired is waited for. Pure."""

from dataclasses import dataclass
from typing import Final

WAIT_MS: Final = 600
"""A repair comes within some round trips, or not at all (`media.feedback`)."""

MAX_HELD: Final = 1_024
MAX_JUMP: Final = 3_000
"""A greater step of sequence numbers is a new count (RFC 3550 A.1 MAX_DROPOUT)."""

PAUSE_MS: Final = 2_000
"""After so long nothing is repaired any more, and numbers may have gone round."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. `lost`: packets between the former one and this are missing."""

    timestamp: int
    marker: bool
    payload: bytes
    arrived_ms: int
    lost: bool = False


class Reorder:
    """Holds packets until those before them are there, or are given up."""

    __slots__ = ("_held", "_last_ms", "_lost", "_next")

    def __init__(self) -> None:
        self._next: int | None = None  # extended sequence number that is to come out next
        self._held: dict[int, Packet] = {}
        self._lost = False
        self._last_ms = 0

    def push(self, sequence: int, packet: Packet) -> list[Packet]:
        """Take a packet as it arrives; returns what can be passed on now, in order."""
        if self._next is None:
            self._next = sequence
        pause_ms, self._last_ms = packet.arrived_ms - self._last_ms, packet.arrived_ms
        step = (sequence - self._next + 0x8000 & 0xFFFF) - 0x8000
        if not -MAX_JUMP < step < MAX_JUMP or pause_ms > PAUSE_MS:
            out = self.flush()
            self._lost = self._lost or sequence != self._next & 0xFFFF
            self._next = sequence
            return out + self._take(sequence, packet)
        if step < 0:
            return []  # it was given up, or passed on before
        return self._take(self._next + step, packet)

    def _take(self, number: int, packet: Packet) -> list[Packet]:
        self._held.setdefault(number, packet)
        out = self._ready()
        while len(self._held) > MAX_HELD:
            out += self._skip()
        return out

    def release(self, now_ms: int) -> list[Packet]:
        """Give up what has been waited for long enough; returns what can be passed on now."""
        out: list[Packet] = []
        while self._held and now_ms - self._held[min(self._held)].arrived_ms >= WAIT_MS:
            out += self._skip()
        return out

    def flush(self) -> list[Packet]:
        """Give up all that is missing; returns everything that is held."""
        out: list[Packet] = []
        while self._held:
            out += self._skip()
        return out

    def _skip(self) -> list[Packet]:
        self._next, self._lost = min(self._held), True
        return self._ready()

    def _ready(self) -> list[Packet]:
        out: list[Packet] = []
        while (packet := self._held.pop(self._next or 0, None)) is not None:
            if self._lost:
                packet = Packet(
                    packet.timestamp, packet.marker, packet.payload, packet.arrived_ms, lost=True
                )
                self._lost = False
            out.append(packet)
            self._next = (self._next or 0) + 1
        return out
