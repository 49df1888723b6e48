"""What a receiver reports of one stream (RFC 3550 §6.4.1). Pure."""

from dataclasses import dataclass
from typing import Final

from media.feedback import ReceiveTracker
from media.rtcp import ReportBlock

MAX_REMEMBERED: Final = 8
"""Sender reports whose echo still gives a round trip."""

MAX_TIME_MS: Final = 60_000
"""More jitter or round trip than this nobody is believed."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What a receiver got of a stream, beside what we know of it ourselves.

    `sent` packets so far, of which `lost` went missing on the way, repaired or not, but for a
    constant: only differences count. It may claim any number, even less than before.
    """

    sent: int
    lost: int
    jitter_ms: int


class Reports:
    """The reports of one receiver about one stream.

    Attributes:
        reception: As of the latest; None before the first.
    """

    __slots__ = ("_absent", "_clock_rate", "_sent", "_source", "_unrepaired", "reception")

    def __init__(self, clock_rate: int) -> None:
        self.reception: Reception | None = None
        self._clock_rate = clock_rate
        self._sent: list[tuple[int, int]] = []
        self._source: ReceiveTracker | None = None
        self._unrepaired = 0
        self._absent = 0  # numbers of the stream that were never sent, as they never came

    def sent(self, ntp: int, now_ms: int) -> None:
        """A sender report went out; `ntp` is its time, 32.32 fixed point of whichever clock."""
        self._sent.append((ntp >> 16 & 0xFFFFFFFF, now_ms))
        del self._sent[:-MAX_REMEMBERED]

    def take(
        self, block: ReportBlock, sent: int, source: ReceiveTracker | None, now_ms: int
    ) -> int | None:
        """Keep what a block says.

        Args:
            sent: Packets of the stream sent so far.
            source: Where they come from now. What never came here is missing there too, which is
                no fault of that line.
        Returns:
            The round trip in milliseconds, if the block names a sender report of ours.
        """
        unrepaired = 0 if source is None else source.unrepaired
        if source is self._source:
            self._absent += unrepaired - self._unrepaired
        self._source, self._unrepaired = source, unrepaired
        jitter_ms = min(block.jitter * 1000 // self._clock_rate, MAX_TIME_MS)
        self.reception = Reception(sent, block.lost - self._absent, jitter_ms)
        for ntp, sent_ms in self._sent:
            if ntp == block.last_sr:
                passed_ms = now_ms - sent_ms - (block.delay_since_sr * 1000 >> 16)
                return max(0, min(passed_ms, MAX_TIME_MS))
        return None
