"""How much one participant may send, and what happens to who sends more.

Counting each packet would cost all calls something for the sake of a few. So packets are counted in
a random tenth of the time. Who sends more than a call needs in such a sample is counted all the
time; who does so over two seconds is capped: what is over is dropped before it is decrypted, until
they have been within the limits for two seconds. Reports (RTCP) are few, so each is counted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from media.counters import MediaCounters

SAMPLE_ONE_IN: Final = 10
WINDOW_MS: Final = 2_000

P = TypeVar("P")
"""A packet, in whatever it is kept."""

Take = Callable[[P, int, int], None]
"""Takes a packet, its length in bytes, and the time in milliseconds."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a participant may send each second.

    A call in full resolution with a shared screen has about 600 packets and 4 Mbit.
    """

    packets: int = 1_500
    bits: int = 6_000_000
    reports: int = 300


class FloodGate(Generic[P]):
    """In front of one connection's packets. Call `tick` every 100 ms or so.

    Attributes:
        capped: The participant sends too much, and the excess is dropped.
    """

    __slots__ = (
        "_counters", "_limits", "_octets", "_octets_left", "_over_ms", "_packets", "_packets_left",
        "_reports_left", "_reports_ms", "_sum_ms", "_sum_octets", "_sum_packets", "_take",
        "_take_report", "_ticked_ms", "_watching", "capped",
    )  # fmt: skip

    def __init__(
        self,
        take: Take[P],
        take_report: Callable[[bytes, int], None],
        counters: MediaCounters,
        now_ms: int,
        limits: Limits = Limits(),  # frozen
    ) -> None:
        self.capped = False
        self._take, self._take_report = take, take_report
        self._counters, self._limits = counters, limits
        self._ticked_ms = now_ms
        self._packets = self._octets = 0  # since the last tick, while counted
        self._packets_left = self._octets_left = 0
        self._reports_left = limits.reports
        self._watching = False
        self._sum_ms = self._sum_packets = self._sum_octets = 0
        self._over_ms = self._reports_ms = now_ms - WINDOW_MS  # when too much came last

    def receive_rtcp(self, data: bytes, now_ms: int) -> None:
        """Take an SRTCP packet."""
        if self._reports_left <= 0:
            self._reports_ms = now_ms
            self._counters.drop("flood")
            return
        self._reports_left -= 1
        self._take_report(data, now_ms)

    def _count(self, packet: P, length: int, now_ms: int) -> None:
        self._packets += 1
        self._octets += length
        self._take(packet, length, now_ms)

    def _cap(self, packet: P, length: int, now_ms: int) -> None:
        self._packets += 1
        self._octets += length
        if self._packets_left <= 0 or self._octets_left < length:
            self._counters.drop("flood")
            return
        self._packets_left -= 1
        self._octets_left -= length
        self._take(packet, length, now_ms)

    def tick(self, now_ms: int, sample: bool) -> Take[P]:
        """Judge what came since the last tick.

        Args:
            sample: Count until the next; to be chosen by chance, once in `SAMPLE_ONE_IN`.
        Returns:
            What takes SRTP packets until the next tick.
        """
        passed_ms = max(1, now_ms - self._ticked_ms)
        self._ticked_ms = now_ms
        limits = self._limits
        packets, octets = limits.packets * passed_ms // 1000, limits.bits * passed_ms // 8000
        is_over = self._packets > packets or self._octets > octets
        if is_over:
            self._over_ms = now_ms
        self.capped = (
            self._watch(passed_ms, is_over)
            or (self.capped and now_ms - self._over_ms < WINDOW_MS)
            or now_ms - self._reports_ms < WINDOW_MS
        )
        self._packets = self._octets = 0
        self._packets_left, self._octets_left = packets, octets
        refill = max(1, limits.reports * passed_ms // 1000)
        self._reports_left = min(limits.reports, self._reports_left + refill)
        if self.capped:
            return self._cap
        return self._count if sample or self._watching else self._take

    def _watch(self, passed_ms: int, is_over: bool) -> bool:
        """Add up from the first excess on; whether two seconds' worth have come by now."""
        if not self._watching:
            if not is_over:
                return False
            self._watching = True
            self._sum_ms = self._sum_packets = self._sum_octets = 0
        self._sum_ms += passed_ms
        self._sum_packets += self._packets
        self._sum_octets += self._octets
        limits = self._limits
        is_flood = (
            self._sum_packets > limits.packets * WINDOW_MS // 1000
            or self._sum_octets > limits.bits * WINDOW_MS // 8000
        )
        if is_flood or self._sum_ms >= WINDOW_MS:
            self._watching = False
        return is_flood
