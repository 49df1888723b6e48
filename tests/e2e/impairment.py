"""One direction of a bad line: which packets get through, and when. Pure: time comes in.

The order of packets is kept, as on most real paths: jitter delays those behind it too.
"""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

UDP = 17
"""The protocol number in an IPv4 header (RFC 768)."""


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a line does to the packets of one direction; nothing, as it stands.

    Attributes:
        loss: Probability that a packet is lost, each by itself.
        delay_ms: Added to each packet; `jitter_ms`: at most so much more, evenly spread.
        rate_kbit_s: What the line carries, IP headers included; 0 for no limit.
        queue_ms: How long a packet waits at most for its turn at that rate; else it is dropped.
        cut: Nothing passes.
        no_udp: UDP vanishes, as behind a firewall that drops it.
    """

    loss: float = 0.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    rate_kbit_s: float = 0.0
    queue_ms: float = 300.0
    cut: bool = False
    no_udp: bool = False


CLEAN = Impairment()


class Direction:
    """The packets under way in one direction.

    Attributes:
        impairment: What happens to packets from now on; those under way arrive as they would.
        passed, dropped: Packets so far.
    """

    def __init__(self, seed: int) -> None:
        self.impairment = CLEAN
        self.passed = 0
        self.dropped = 0
        self._random = random.Random(seed)  # the same packets are lost in every run
        self._under_way: deque[tuple[float, bytes]] = deque()
        self._sent_s = 0.0  # when the line has sent what it took so far
        self._arrives_s = 0.0

    @property
    def next_s(self) -> float | None:
        """When the next packet arrives; None if none is under way."""
        return self._under_way[0][0] if self._under_way else None

    def take(self, packet: bytes, now_s: float) -> None:
        """Send an IP packet along: it arrives later, or never."""
        how = self.impairment
        if how.cut or (how.no_udp and len(packet) > 9 and packet[9] == UDP):
            self.dropped += 1
            return
        if how.loss and self._random.random() < how.loss:
            self.dropped += 1
            return
        sent_s = now_s
        if how.rate_kbit_s:
            begin_s = max(now_s, self._sent_s)
            if begin_s - now_s > how.queue_ms / 1000:
                self.dropped += 1
                return
            self._sent_s = sent_s = begin_s + len(packet) * 8 / (how.rate_kbit_s * 1000)
        late_ms = how.delay_ms
        if how.jitter_ms:
            late_ms += self._random.random() * how.jitter_ms
        self._arrives_s = max(self._arrives_s, sent_s + late_ms / 1000)
        self._under_way.append((self._arrives_s, packet))

    def arrived(self, now_s: float) -> list[bytes]:
        """Take the packets off the line that have arrived by now, in order."""
        packets: list[bytes] = []
        while self._under_way and self._under_way[0][0] <= now_s:
            packets.append(self._under_way.popleft()[1])
        self.passed += len(packets)
        return packets
