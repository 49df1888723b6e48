"""What is recorded of a call: a tap on the tracks of a room, and the parts that come of it. Pure.

A tap sees a packet only while it is delivered: nothing is recorded while nothing is billed. Opus
and VP8 frames are kept as they came; nothing is decoded. A part is a file: its tracks are those
that had something to say when it began, and another part begins when one more joins, or when a
picture takes another shape. Every picture of a part begins with a keyframe.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from media.reorder import Packet, Reorder
from media.rtp import Buffer, payload_bytes
from media.timeline import ParticipantClock, Report, TrackClock
from media.vp8 import Assembler, Frame

PREROLL_MS: Final = 2_500
"""So long a part waits for the first frame of every track that sends; keyframes may be late."""

HEARD_MS: Final = 1_000
MAX_PENDING_BYTES: Final = 8 << 20
"""Twenty seconds of two pictures at 1.5 Mbit/s: beyond, the disk does not follow."""

SHAPE_TOLERANCE: Final = 0.03


class Source(Protocol):
    """The SSRC that carries a track now."""

    @property
    def ssrc(self) -> int:
        """As its packets name it."""

    @property
    def reported(self) -> Report | None:
        """What its last sender report says."""


class Track(Protocol):
    """What a participant sends in one m-line (`media.tracks.IncomingTrack`)."""

    @property
    def role(self) -> str:
        """ "audio", "video" or "screen"."""

    @property
    def clock_rate(self) -> int:
        """Of its timestamps, per second."""

    @property
    def current(self) -> Source | None:
        """None before the first packet."""

    @property
    def delivered(self) -> bool:
        """Whether anybody gets it now."""

    def want_keyframe(self) -> None:
        """Ask the sender for one when that is next allowed."""


@dataclass(frozen=True, slots=True)
class TrackPlan:
    """One track of a part. `role`: "audio", "video" or "screen"; pixels are 0 for audio."""

    participant_id: str
    role: str
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """One frame. `at_ms` is on the caller's monotonic clock."""

    key: tuple[str, str]
    at_ms: int
    data: bytes
    is_keyframe: bool = True
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class Begin:
    """A part with these tracks begins; times in it count from `origin_ms`."""

    tracks: tuple[TrackPlan, ...]
    origin_ms: int


@dataclass(frozen=True, slots=True)
class Write:
    """These frames belong to the part that began last."""

    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True)
class End:
    """The part is complete."""


Step = Begin | Write | End


class TrackTap:
    """One participant's sound or picture, over all connections that carry it."""

    __slots__ = ("_add", "_assembler", "_clock", "_key", "_reorder", "_ssrc", "heard_ms", "track")

    def __init__(
        self, key: tuple[str, str], track: Track, owner: ParticipantClock,
        add: Callable[[Sample], None],
    ) -> None:  # fmt: skip
        self.track = track
        self.heard_ms = -HEARD_MS
        self._key, self._add = key, add
        self._assembler = None if track.role == "audio" else Assembler()
        self._clock = TrackClock(track.clock_rate, owner)
        self._reorder = Reorder()
        self._ssrc = 0

    def __call__(
        self, data: Buffer, length: int, header: int, fields: tuple[int, int, int], now_ms: int
    ) -> None:
        """Take a delivered packet, whose payload starts at `header`; it is copied."""
        size = payload_bytes(
            data, length, header
        )  # 0: padding, whose number is missed all the same
        if fields[2] != self._ssrc:
            self._ssrc = fields[2]
            self._restart()
        self.heard_ms = now_ms
        payload = bytes(data[header : header + size])
        packet = Packet(fields[1], bool(data[1] & 0x80), payload, now_ms)
        self._pass_on(self._reorder.push(fields[0], packet))

    def _restart(self) -> None:
        self._pass_on(self._reorder.flush())
        self._reorder = Reorder()
        self._clock.restart()
        if self._assembler is not None:
            self._assembler.restart()

    def require_keyframe(self) -> None:
        """Nothing but a keyframe is of use next."""
        if self._assembler is not None:
            self._assembler.restart()

    def release(self, now_ms: int | None) -> None:
        """Give up what does not come any more; None: all that is missing."""
        held = self._reorder.flush() if now_ms is None else self._reorder.release(now_ms)
        self._pass_on(held)
        needs_keyframe = self._assembler is not None and self._assembler.needs_keyframe
        if needs_keyframe and self.track.delivered:
            self.track.want_keyframe()

    def _pass_on(self, packets: list[Packet]) -> None:
        for packet in packets:
            if self._assembler is None:
                if packet.payload:
                    self._add_frame(packet, Frame(packet.timestamp, packet.payload, True))
                continue
            frame = self._assembler.push(
                packet.timestamp, packet.marker, packet.payload, packet.lost
            )
            if frame is not None:
                self._add_frame(packet, frame)

    def _add_frame(self, packet: Packet, frame: Frame) -> None:
        source = self.track.current
        report = source.reported if source is not None and source.ssrc == self._ssrc else None
        at_ms = self._clock.at_ms(frame.timestamp, packet.arrived_ms, report)
        self._add(
            Sample(self._key, at_ms, frame.data, frame.is_keyframe, frame.width, frame.height)
        )


class Recorder:
    """Collects what the taps bring, and says what to do with it.

    Call `take` at least twice a second and carry out its steps in order; after `stop` it gives the
    last ones.

    Attributes:
        dropped: Frames left out because they were not taken in time; their place is a gap.
    """

    def __init__(self, agreed: Callable[[str], bool]) -> None:
        """`agreed` says of a participant whether they know of the recording and agree to it."""
        self.dropped = 0
        self._agreed = agreed
        self._taps: dict[tuple[str, str], TrackTap] = {}
        self._clocks: dict[str, ParticipantClock] = {}
        self._pending: list[Sample] = []
        self._pending_bytes = 0
        self._part: dict[tuple[str, str], TrackPlan] | None = None
        self._stopped = False

    def tap(self, participant_id: str, track: Track) -> TrackTap | None:
        """Where the packets of a track go; None for who has not agreed, and after `stop`."""
        if self._stopped or not self._agreed(participant_id):
            return None
        key = (participant_id, track.role)
        tap = self._taps.get(key)
        if tap is None:
            clock = self._clocks.setdefault(participant_id, ParticipantClock())
            tap = self._taps[key] = TrackTap(key, track, clock, self._add)
        tap.track = track
        return tap

    def _add(self, sample: Sample) -> None:
        if self._stopped:
            return
        if self._pending_bytes + len(sample.data) > MAX_PENDING_BYTES:
            self.dropped += 1
            self._taps[sample.key].require_keyframe()
            return
        self._pending.append(sample)
        self._pending_bytes += len(sample.data)

    def stop(self) -> None:
        """Take nothing more; `take` gives what is there."""
        for tap in self._taps.values():
            tap.release(None)
        self._stopped = True
        self._taps.clear()  # they refer back to this

    def take(self, now_ms: int) -> list[Step]:
        """What is to be done now, in order."""
        if not self._stopped:
            for tap in self._taps.values():
                tap.release(now_ms)
        steps: list[Step] = []
        while self._pending:
            if self._part is None:
                if not self._may_begin(now_ms):
                    break
                steps.append(self._begin())
            ready = self._fitting()
            if ready:
                steps.append(Write(ready))
            if self._pending:  # what comes next fits into no track of this part
                steps.append(self._end())
        if self._stopped and self._part is not None:
            steps.append(self._end())
        return steps

    def _may_begin(self, now_ms: int) -> bool:
        """Whether every track that sends has its first frame, or has had time enough."""
        first_ms = min(sample.at_ms for sample in self._pending)
        if self._stopped or now_ms - first_ms >= PREROLL_MS:
            return True
        sending = {k for k, tap in self._taps.items() if now_ms - tap.heard_ms < HEARD_MS}
        return sending <= {sample.key for sample in self._pending}

    def _begin(self) -> Begin:
        first: dict[tuple[str, str], Sample] = {}
        for sample in self._pending:
            first.setdefault(sample.key, sample)
        self._part = {
            key: TrackPlan(*key, sample.width, sample.height)
            for key, sample in sorted(first.items(), reverse=True)
        }
        origin_ms = min(sample.at_ms for sample in self._pending)
        return Begin(tuple(self._part.values()), origin_ms)

    def _fitting(self) -> tuple[Sample, ...]:
        """Take the frames up to the first that the part has no place for."""
        assert self._part is not None
        count = 0
        for sample in self._pending:
            plan = self._part.get(sample.key)
            if plan is None or (sample.width and not _same_shape(plan, sample)):
                break
            count += 1
        ready = tuple(self._pending[:count])
        del self._pending[:count]
        self._pending_bytes -= sum(len(sample.data) for sample in ready)
        return ready

    def _end(self) -> End:
        """The next part begins with keyframes: pictures without one are left out until then."""
        self._part = None
        seen: set[tuple[str, str]] = set()
        kept = []
        for sample in self._pending:
            if sample.is_keyframe:
                seen.add(sample.key)
            if sample.key in seen:
                kept.append(sample)
        for key, tap in self._taps.items():
            if key not in seen:
                tap.require_keyframe()
        self._pending = kept
        self._pending_bytes = sum(len(sample.data) for sample in kept)
        return End()


def _same_shape(plan: TrackPlan, sample: Sample) -> bool:
    """Whether a picture of this size shows in the track: players scale, they do not turn."""
    ratio = (sample.width * plan.height) / (sample.height * plan.width)
    return abs(ratio - 1) <= SHAPE_TOLERANCE
