"""How much bandwidth receivers have, and what a sender is told of it (REMB). Pure."""

from collections.abc import Collection
from typing import Final

REMB_LIFETIME_MS: Final = 5_000
"""Receivers repeat their estimate each second (draft-alvestrand-rmcat-remb §2.3)."""

START_BITRATE_BPS: Final = 800_000
"""A clear picture of 640x480. Browsers go there at once if told in their first two seconds."""

START_SHARE_BPS: Final = 300_000
"""With so much each of several senders begins: a tile is small, and nobody knows the line yet."""

LEAST_SHARE_BPS: Final = 100_000
"""A small picture, as the tiles of a room are."""

LEAST_ALONE_BPS: Final = 150_000
"""A single sender is told no less while the receiver's line shows no queue. One that became longer
looks like a queue to libwebrtc: the estimate falls, less comes in, and it follows that down."""

RESUME_BITRATE_BPS: Final = 200_000
"""With so much video begins again on a line that was too weak for it."""

WITHHELD_BITRATE_BPS: Final = 60_000
"""What a sender is told whose video nobody gets for now: voice, and the least a browser sends."""

VOICE_BITRATE_BPS: Final = 100_000
"""Redundant Opus with its headers: a limit for video leaves room for it."""

SPACING_MS: Final = 50
_FALL: Final = 0.97


class ReceiverEstimate:
    """What one receiver says of its line.

    A receiver that has had little to receive knows little: libwebrtc starts from what came in, be
    it voice alone, and from there adds 8 % a second. So a receiver counts with a floor until its
    estimate falls for the first time, which says that its line is full (the estimate is then 85 %
    of what really came through).
    """

    __slots__ = ("_at_ms", "_bitrate_bps", "_floor_bps")

    def __init__(self) -> None:
        self._at_ms: int | None = None
        self._bitrate_bps = self._floor_bps = 0

    def put(self, bitrate_bps: int, now_ms: int) -> None:
        """Keep the receiver's REMB."""
        if not self.is_fresh(now_ms):
            self._floor_bps = START_BITRATE_BPS
        elif bitrate_bps < self._bitrate_bps * _FALL:
            self._floor_bps = 0
        self._bitrate_bps, self._at_ms = bitrate_bps, now_ms

    def restart(self, now_ms: int) -> None:
        """Video begins again: what was said of voice alone is no measure, and START is too much."""
        self._bitrate_bps, self._floor_bps, self._at_ms = 0, RESUME_BITRATE_BPS, now_ms

    def is_fresh(self, now_ms: int) -> bool:
        """Whether the receiver said something in the last `REMB_LIFETIME_MS`."""
        return self._at_ms is not None and now_ms - self._at_ms < REMB_LIFETIME_MS

    @property
    def total_bps(self) -> int:
        """What the receiver can take, all senders together."""
        return max(self._bitrate_bps, self._floor_bps)

    def share_bps(self, senders: int, *, is_calm: bool = False) -> int:
        """What each of so many senders may use.

        Of several each has at least `LEAST_SHARE_BPS`: they all go by their weakest receiver, so
        one bad line would take every picture from everybody. It is relieved of video itself.

        Args:
            is_calm: Nothing but the estimate speaks of a queue.
        """
        if senders == 1:
            return max(self.total_bps, LEAST_ALONE_BPS if is_calm else 0)
        floor_bps = min(self._floor_bps, START_SHARE_BPS)
        return max(self._bitrate_bps // senders, floor_bps, LEAST_SHARE_BPS)


class Estimates:
    """What one sender may use: the least that its receivers have.

    Attributes:
        max_bps: No more than this for video; 0 for no limit.
    """

    __slots__ = (
        "_by_receiver", "_is_watched", "_is_withheld", "_told_bps", "_told_ms", "max_bps",
    )  # fmt: skip

    def __init__(self) -> None:
        self.max_bps = 0
        self._by_receiver: dict[str, tuple[int, int]] = {}  # -> (bps, at ms)
        self._is_watched = self._is_withheld = False
        self._told_bps: int | None = None
        self._told_ms = -SPACING_MS

    def put(self, receiver: str, bitrate_bps: int, now_ms: int) -> None:
        """Keep what a receiver has for this sender."""
        self._by_receiver[receiver] = bitrate_bps, now_ms

    def serve(self, receivers: Collection[str], is_withheld: bool) -> None:
        """Count these receivers alone: who left, or gets no video any more, is forgotten.

        Args:
            is_withheld: Video is kept from somebody who would get it; maybe from all.
        """
        for receiver in self._by_receiver.keys() - receivers:
            del self._by_receiver[receiver]
        self._is_watched, self._is_withheld = bool(receivers), is_withheld

    def bitrate_bps(self, now_ms: int) -> int | None:
        """What the sender is to be told; None while nobody gets video from it."""
        if not self._is_watched:
            return WITHHELD_BITRATE_BPS if self._is_withheld else None
        fresh = [
            bitrate_bps
            for bitrate_bps, at_ms in self._by_receiver.values()
            if now_ms - at_ms < REMB_LIFETIME_MS
        ]
        lowest_bps = min(fresh, default=START_BITRATE_BPS)
        return min(lowest_bps, self.max_bps + VOICE_BITRATE_BPS) if self.max_bps else lowest_bps

    def due_bps(self, now_ms: int) -> int | None:
        """What to tell the sender now, if it has changed and was not told a moment ago."""
        bitrate_bps = self.bitrate_bps(now_ms)
        if bitrate_bps == self._told_bps or now_ms - self._told_ms < SPACING_MS:
            return None
        return bitrate_bps

    def told(self, bitrate_bps: int, now_ms: int) -> None:
        """It goes out now."""
        self._told_bps, self._told_ms = bitrate_bps, now_ms
