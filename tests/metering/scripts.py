"""A made-up call: packets and commands in, the events that a shell would report, and a model.

The model knows nothing of horizons or pending changes: it cuts time at every moment at which
anything happens, and asks for each piece whether it is billable.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import strategies as st

from metering.events import (
    Closed,
    Disengaged,
    Engaged,
    Event,
    FlowSeen,
    FlowStarted,
    FlowStopped,
    Held,
    ModeChanged,
    Opened,
    PhysicianChanged,
    Resumed,
    Tick,
)
from metering.meter import FLOW_GAP_MS
from metering.terms import EndCause, Mode, Party, Side

POLL_MS = 700
WALL_MS = 1_770_000_000_000

Command = Engaged | Disengaged | Held | Resumed | ModeChanged | PhysicianChanged


@dataclass(frozen=True)
class Script:
    """When packets came from each side, what was commanded, and when it ended."""

    packets: dict[Side, tuple[int, ...]]
    commands: tuple[Command, ...]
    end_ms: int

    @property
    def opened(self) -> Opened:
        return Opened(at_ms=0, wall_ms=WALL_MS, physician_id="phy_1", mode=Mode.VIDEO)

    @property
    def closed(self) -> Closed:
        return Closed(self.end_ms, EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN)

    def intervals(self, side: Side) -> list[tuple[int, int]]:
        """Unite the packets of a side in which no gap is above the limit."""
        found: list[tuple[int, int]] = []
        for at_ms in (at_ms for at_ms in self.packets[side] if at_ms <= self.end_ms):
            if found and at_ms - found[-1][1] <= FLOW_GAP_MS:
                found[-1] = (found[-1][0], at_ms)
            else:
                found.append((at_ms, at_ms))
        return found

    def delivered(self, until_ms: int) -> dict[Mode, int]:
        """Give the billable milliseconds per mode before `until_ms`, by brute force."""
        found = dict.fromkeys(Mode, 0)
        for start_ms, end_ms, mode in self.pieces(until_ms):
            found[mode] += end_ms - start_ms
        return found

    def pieces(self, until_ms: int, *more_marks: int) -> list[tuple[int, int, Mode]]:
        """Give the billable intervals before `until_ms`, cut at whatever happened."""
        until_ms = min(until_ms, self.end_ms)
        flows = {side: self.intervals(side) for side in Side}
        marks = {0, until_ms, *more_marks} | {command.at_ms for command in self.commands}
        marks |= {mark for side in Side for pair in flows[side] for mark in pair}
        times = sorted(mark for mark in marks if mark <= until_ms)
        found: list[tuple[int, int, Mode]] = []
        for start, end in pairwise(times):
            mode = self._mode_when_billable(start)
            both = all(any(a <= start and end <= b for a, b in flows[side]) for side in Side)
            if mode is not None and both:
                found.append((start, end, mode))
        return found

    def _mode_when_billable(self, at_ms: int) -> Mode | None:
        engaged, held, mode = False, False, Mode.VIDEO
        reached = bisect_right([command.at_ms for command in self.commands], at_ms)
        for command in self.commands[:reached]:
            match command:
                case Engaged() | Disengaged():
                    engaged = isinstance(command, Engaged)
                case Held() | Resumed():
                    held = isinstance(command, Held)
                case ModeChanged():
                    mode = command.mode
        return mode if engaged and not held else None

    def events(self) -> list[tuple[int, Event]]:
        """Give (when reported, event) in order, as a shell that polls would report them."""
        happenings: list[tuple[int, int, object]] = []
        happenings += [(at, 0, side) for side in Side for at in self.packets[side]]
        happenings += [(command.at_ms, 1, command) for command in self.commands]
        happenings += [(at, 2, None) for at in range(POLL_MS, self.end_ms, POLL_MS)]
        last: dict[Side, int | None] = dict.fromkeys(Side)
        reports: list[tuple[int, Event]] = []
        for at_ms, _, what in sorted(happenings, key=lambda one: one[:2]):
            if at_ms > self.end_ms:
                break
            if isinstance(what, Side):
                reports += [(at_ms, event) for event in packet_events(what, last, at_ms)]
            elif what is None:
                reports += [(at_ms, event) for event in poll_events(last, at_ms)]
            else:
                reports.append((at_ms, what))  # type: ignore[arg-type]
        return reports + [(self.end_ms, event) for event in poll_events(last, self.end_ms)]


def packet_events(side: Side, last: dict[Side, int | None], at_ms: int) -> list[Event]:
    before, last[side] = last[side], at_ms
    if before is None:
        return [FlowStarted(side, at_ms)]
    if at_ms - before > FLOW_GAP_MS:
        return [FlowStopped(side, before), FlowStarted(side, at_ms)]
    return []


def poll_events(last: dict[Side, int | None], at_ms: int) -> list[Event]:
    events: list[Event] = [Tick(at_ms)]
    for side, last_ms in last.items():
        if last_ms is not None and at_ms - last_ms > FLOW_GAP_MS:
            events.append(FlowStopped(side, last_ms))
            last[side] = None
        elif last_ms is not None:
            events.append(FlowSeen(side, last_ms))
    return events


@st.composite
def packets(draw: st.DrawFn) -> tuple[int, ...]:
    """Runs of packets with small gaps, and between runs gaps around and above the limit."""
    times: list[int] = []
    at_ms = draw(st.integers(0, 3_000))
    for _ in range(draw(st.integers(0, 5))):
        step_ms = draw(st.sampled_from([20, 60, 333, 1_000, FLOW_GAP_MS]))
        count = draw(st.integers(1, 12))
        times += [at_ms + index * step_ms for index in range(count)]
        at_ms = times[-1] + draw(st.integers(1, 3 * FLOW_GAP_MS))
    return tuple(times)


def commands(at_ms: int) -> st.SearchStrategy[Command]:
    return st.one_of(
        st.just(Engaged(at_ms)),
        st.just(Disengaged(at_ms, EndCause.PATIENT_HANGUP)),
        st.just(Held(at_ms)),
        st.just(Resumed(at_ms)),
        st.builds(ModeChanged, st.sampled_from(Mode), st.just(at_ms)),
        st.builds(PhysicianChanged, st.sampled_from(["phy_1", "phy_2"]), st.just(at_ms)),
    )


@st.composite
def scripts(draw: st.DrawFn) -> Script:
    """Any call of up to a minute or so."""
    times = sorted(draw(st.lists(st.integers(500, 30_000), max_size=12)))
    given = [draw(commands(at_ms)) for at_ms in times]
    return Script(
        packets={side: draw(packets()) for side in Side},
        commands=(Engaged(draw(st.integers(0, 500))), *given),
        end_ms=draw(st.integers(1_000, 60_000)),
    )
