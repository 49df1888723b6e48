"""What goes back to a source: receiver reports, NACKs, keyframe requests."""

from typing import Final

from media.rtcp import ReportBlock

MAX_MISSING: Final = 128
"""Packets that are asked for at once; with more missing only a keyframe helps."""

REPAIR_MS: Final = 1_000
"""How long a missing packet is waited for; later a keyframe is asked for."""

REPAIRS_MS: Final = (800, 2_000)
"""On a long way: to wait for two repairs, but at least so long, and to ask for four, at most."""

KEEP_MS: Final = 3_000
"""How long it is still taken when it comes after all: a receiver waits so long for a frame."""

NACK_INTERVALS_MS: Final = (30, 100, 400)
"""A packet is asked for again after: at least, if the round trip is not known, and at most."""

KEYFRAME_INTERVAL_MS: Final = 500
KEYFRAME_UNDER_WAY_MS: Final = 1_500
"""On a weak line a keyframe takes a second: another one would only stand in its way."""

KEYFRAME_BEGINS_MS: Final = 500
"""Beside the round trip: when none has begun to arrive by then, it or the request was lost."""

_NEVER: Final = 1 << 62


class ReceiveTracker:
    """Reception of one SSRC: statistics (RFC 3550 A.3, A.8) and the packets that are missing.

    Attributes:
        highest: Extended highest sequence number received.
        missing: Packets that would still be taken: number to (missed since ms, to ask for at ms).
        broken: Some of `missing` were given up: only a keyframe helps. A hint for video.
        received: Packets counted.
        missed: Packets that were not there when a later one came, repaired since or not.
    """

    __slots__ = (
        "_base",
        "_clock_rate",
        "_expected_before",
        "_jitter_16",
        "_received_before",
        "_sr_arrived_ms",
        "_sr_ntp",
        "_timestamp",
        "_transit",
        "broken",
        "highest",
        "missed",
        "missing",
        "received",
        "ssrc",
    )

    def __init__(self, ssrc: int, clock_rate: int) -> None:
        self.ssrc = ssrc
        self.highest = -1
        self.received = 0
        self.missed = 0
        self._clock_rate = clock_rate
        self._base = 0
        self._timestamp = -1
        self._transit = 0  # arrival less timestamp, in timestamp units
        self._jitter_16 = 0  # in 1/16 timestamp units, as RFC 3550 A.8 keeps it
        self.missing: dict[int, tuple[int, int]] = {}
        self.broken = False
        self._expected_before = 0
        self._received_before = 0
        self._sr_ntp = 0
        self._sr_arrived_ms = 0

    def accept(self, sequence: int, timestamp: int, now_ms: int) -> bool:
        """Count a packet; False if it came too late or was repaired meanwhile: drop it."""
        if sequence - self.highest & 0xFFFF == 1 and self.received:
            self.highest += 1
        elif not self._accept_other(sequence, timestamp, now_ms):
            return False
        self.received += 1
        if timestamp != self._timestamp:  # of a frame's packets the first tells of the way
            self._timestamp = timestamp
            transit = now_ms * self._clock_rate // 1000 - timestamp
            change = transit - self._transit & 0xFFFFFFFF
            self._transit = transit
            if change > 0x7FFFFFFF:
                change = 0x100000000 - change
            self._jitter_16 += change - (self._jitter_16 + 8 >> 4)
        return True

    @property
    def expected(self) -> int:
        """How many packets the source has sent, by its sequence numbers (RFC 3550 A.3)."""
        return 0 if self.highest < 0 else self.highest - self._base + 1

    @property
    def unrepaired(self) -> int:
        """How many of the expected packets have not come, or not yet."""
        return self.expected - self.received

    @property
    def jitter_ms(self) -> int:
        """Interarrival jitter (RFC 3550 A.8), milliseconds."""
        return (self._jitter_16 >> 4) * 1000 // self._clock_rate

    def _accept_other(self, sequence: int, timestamp: int, now_ms: int) -> bool:
        """Take the first packet, one after a gap, or one that fills a gap."""
        if self.highest < 0:
            self._base = self.highest = sequence
            self._timestamp = timestamp
            self._transit = now_ms * self._clock_rate // 1000 - timestamp
            return True
        ahead = sequence - self.highest & 0xFFFF
        if not 0 < ahead < 0x8000:
            return self.missing.pop(sequence, None) is not None
        first = self.highest + 1
        self.highest += ahead
        self._note_gap(first, ahead - 1, now_ms)
        return True

    def is_missing(self, sequence: int) -> bool:
        """Whether a retransmission of `sequence` repairs a gap."""
        return sequence in self.missing

    def _note_gap(self, first: int, count: int, now_ms: int) -> None:
        missing = self.missing
        self.missed += count
        if count > MAX_MISSING:  # a keyframe makes all of it moot: what stays reminds of that
            missing.clear()
            missing[first + count - 1 & 0xFFFF] = (now_ms, _NEVER)
            self.broken = True
            return
        for sequence in range(first, first + count):
            missing[sequence & 0xFFFF] = (now_ms, now_ms)
        while len(missing) > MAX_MISSING:
            del missing[next(iter(missing))]
            self.broken = True

    def keyframe_began(self, sequence: int) -> None:
        """With this packet a keyframe begins: nobody needs what is missing before it."""
        for number in list(self.missing):
            if sequence - number & 0xFFFF < 0x8000:
                del self.missing[number]
        self.broken = any(at_ms == _NEVER for _, at_ms in self.missing.values())

    def due_nacks(self, now_ms: int, round_trip_ms: int | None = None) -> list[int]:
        """Which packets to ask for now: each at once, then five times a round trip.

        A line that loses packets loses repairs too, and a sender repeats one no sooner than after
        a round trip: it must not wait for the request as well.
        """
        least, unknown, most = NACK_INTERVALS_MS
        interval_ms, broken_ms, asked_ms = unknown, REPAIR_MS, REPAIR_MS
        if round_trip_ms is not None:
            interval_ms = max(least, min(round_trip_ms // 5, most))
            soonest_ms, longest_ms = REPAIRS_MS
            broken_ms = max(soonest_ms, min(2 * round_trip_ms + interval_ms, REPAIR_MS))
            asked_ms = max(REPAIR_MS, min(9 * round_trip_ms // 2, longest_ms))
        due: list[int] = []
        for sequence, (since_ms, at_ms) in list(self.missing.items()):
            if now_ms - since_ms >= KEEP_MS:
                del self.missing[sequence]
                continue
            if now_ms - since_ms >= broken_ms:
                self.broken = True
            if now_ms - since_ms >= asked_ms:
                self.missing[sequence] = (since_ms, _NEVER)
            elif at_ms <= now_ms:
                self.missing[sequence] = (since_ms, now_ms + interval_ms)
                due.append(sequence)
        if not self.missing:
            self.broken = False
        return due

    def sender_reported(self, ntp: int, now_ms: int) -> None:
        """Remember the source's SR, for the round trip that it computes (RFC 3550 §6.4.1)."""
        self._sr_ntp = ntp >> 16 & 0xFFFFFFFF
        self._sr_arrived_ms = now_ms

    def report(self, now_ms: int) -> ReportBlock | None:
        """The block for the next receiver report; None before the first packet."""
        if self.highest < 0:
            return None
        expected = self.expected
        expected_since = expected - self._expected_before
        lost_since = expected_since - (self.received - self._received_before)
        self._expected_before = expected
        self._received_before = self.received
        fraction = 0
        if expected_since > 0 and lost_since > 0:
            fraction = min(255, (lost_since << 8) // expected_since)
        delay = (now_ms - self._sr_arrived_ms) * 65_536 // 1000 if self._sr_ntp else 0
        return ReportBlock(
            ssrc=self.ssrc,
            fraction_lost=fraction,
            lost=expected - self.received,
            highest=self.highest & 0xFFFFFFFF,
            jitter=min(self._jitter_16 >> 4, 0xFFFFFFFF),
            last_sr=self._sr_ntp,
            delay_since_sr=min(delay, 0xFFFFFFFF),
        )


class KeyframeRequests:
    """Asks for keyframes, at most one each `KEYFRAME_INTERVAL_MS` for one source."""

    __slots__ = ("_asked_ms", "_wanted")

    def __init__(self) -> None:
        self._wanted = False
        self._asked_ms: int | None = None

    def want(self) -> None:
        """A receiver needs a keyframe."""
        self._wanted = True

    def want_again(self, now_ms: int) -> None:
        """A receiver still waits for one: it is wanted unless it was asked for just now.

        A wish that is kept until it may be passed on would then bring another keyframe, after the
        one that fulfils it.
        """
        if self._asked_ms is None or now_ms - self._asked_ms >= KEYFRAME_INTERVAL_MS:
            self._wanted = True

    def want_repair(self, now_ms: int, round_trip_ms: int | None = None) -> None:
        """What is missing needs a keyframe, unless one is under way that was asked for before.

        Once one has begun to arrive, what is missing before it counts no more (`ReceiveTracker`).
        """
        under_way_ms = KEYFRAME_UNDER_WAY_MS
        if round_trip_ms is not None:
            under_way_ms = min(KEYFRAME_BEGINS_MS + round_trip_ms, KEYFRAME_UNDER_WAY_MS)
        if self._asked_ms is None or now_ms - self._asked_ms >= under_way_ms:
            self._wanted = True

    def due(self, now_ms: int) -> bool:
        """Whether to ask the source now. After True the wish counts as passed on."""
        if not self._wanted:
            return False
        if self._asked_ms is not None and now_ms - self._asked_ms < KEYFRAME_INTERVAL_MS:
            return False
        self._wanted = False
        self._asked_ms = now_ms
        return True
