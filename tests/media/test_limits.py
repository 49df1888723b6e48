"""Who floods is capped; who calls never is."""

from hypothesis import given, settings
from hypothesis import strategies as st

from media.counters import MediaCounters
from media.dtls import PacketBuffer
from media.limits import WINDOW_MS, FloodGate, Limits

TICK_MS = 100
PACKET = PacketBuffer()
LIMITS = Limits(packets=1_000, bits=4_000_000, reports=100)
SAMPLES = st.lists(st.booleans(), min_size=1, max_size=40)


class Line:
    """A connection behind a gate: what comes through each tick."""

    def __init__(self, samples: list[bool]) -> None:
        self.counters = MediaCounters()
        self.taken = self.reports = self.now_ms = self.ticks = 0
        self.samples = samples
        self.gate = FloodGate(self._take, self._take_report, self.counters, 0, LIMITS)
        self.receive_rtp = self.gate.tick(0, False)

    def _take(self, packet: PacketBuffer, length: int, now_ms: int) -> None:
        self.taken += 1

    def _take_report(self, data: bytes, now_ms: int) -> None:
        self.reports += 1

    def tick(self, packets: int, length: int = 400, reports: int = 0) -> int:
        """Let packets come, then a tick; returns how many came through."""
        self.taken = self.reports = 0
        for _ in range(packets):
            self.receive_rtp(PACKET, length, self.now_ms)
        for _ in range(reports):
            self.gate.receive_rtcp(b"", self.now_ms)
        self.now_ms += TICK_MS
        self.ticks += 1
        sample = self.samples[self.ticks % len(self.samples)]
        self.receive_rtp = self.gate.tick(self.now_ms, sample)
        return self.taken


@given(samples=SAMPLES, sent=st.lists(st.integers(0, 100), max_size=60))
def test_who_keeps_within_the_limits_loses_nothing(samples: list[bool], sent: list[int]) -> None:
    line = Line(samples)
    assert [line.tick(count) for count in sent] == sent
    assert not line.gate.capped


@given(samples=SAMPLES, burst=st.integers(0, 900))
def test_a_burst_is_no_flood(samples: list[bool], burst: int) -> None:
    """A queue on the way that empties at once brings seconds of a call in one moment."""
    line = Line(samples)
    assert [line.tick(count) for count in [40, burst, *[40] * 30]] == [40, burst, *[40] * 30]


@settings(deadline=None)
@given(
    sent=st.integers(120, 500),
    length=st.integers(100, 1_200),
    sampled_at=st.integers(1, 20),
)
def test_a_flood_is_capped_two_seconds_after_it_was_noticed(
    sent: int, length: int, sampled_at: int
) -> None:
    line = Line([n == sampled_at for n in range(40)])
    for _ in range(sampled_at + WINDOW_MS // TICK_MS + 1):
        line.tick(sent, length)
    assert line.gate.capped
    for _ in range(10):
        through = line.tick(sent, length)
        assert through <= LIMITS.packets // 10
        assert through * length * 8 <= LIMITS.bits // 10
    assert line.counters.dropped["flood"] >= 10 * (sent - LIMITS.packets // 10)


def test_large_packets_are_limited_by_their_bits() -> None:
    line = Line([True])
    for _ in range(40):
        line.tick(60, 1_200)  # 600 packets and 5.8 Mbit each second
    assert line.gate.capped
    assert line.tick(60, 1_200) == LIMITS.bits // 8 // 10 // 1_200


def test_who_stops_flooding_is_free_again() -> None:
    line = Line([True])
    for _ in range(30):
        line.tick(500)
    assert line.gate.capped
    for _ in range(WINDOW_MS // TICK_MS):
        assert line.gate.capped
        assert line.tick(40) == 40
    assert not line.gate.capped


def test_a_flood_of_reports_is_capped_and_ends() -> None:
    line = Line([False])
    line.tick(5, reports=LIMITS.reports + 50)
    assert (line.reports, line.gate.capped) == (LIMITS.reports, True)
    assert line.counters.dropped["flood"] == 50
    line.tick(5, reports=50)
    assert line.reports == LIMITS.reports // 10
    for _ in range(WINDOW_MS // TICK_MS + 1):
        line.tick(5)
    assert not line.gate.capped
    assert line.tick(5, reports=20) == 5
    assert line.reports == 20


def test_nothing_is_counted_but_in_samples() -> None:
    """Counting costs each packet something: only a tenth of the time pays it."""
    line = Line([False, False, True])
    kinds = []
    for _ in range(6):
        kinds.append(line.receive_rtp == line._take)
        line.tick(40)
    assert kinds == [True, True, False, True, True, False]
