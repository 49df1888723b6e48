"""A whole consult over any number of runs of the meter, against a model of single milliseconds.

The model paints one byte for each millisecond of a run: who sends, whether it is held, which mode.
It knows no horizon, no pending change and no segment.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from metering.events import (
    Closed,
    Disengaged,
    Engaged,
    Event,
    Held,
    ModeChanged,
    Opened,
    PhysicianChanged,
    Resumed,
)
from metering.frozen import freeze, restore
from metering.meter import FLOW_GAP_MS, open_meter, reading, step
from metering.rating import rate
from metering.record import build_record
from metering.terms import EndCause, Mode, Party, Side
from tests.metering.samples import FACTS, TARIFF
from tests.metering.scripts import WALL_MS, packet_events, poll_events

END = EndCause.PHYSICIAN_FINISH
PACKET_MS = st.sampled_from([20, 20, 60, 400, 1_000, FLOW_GAP_MS])
SIDES = st.sampled_from([(), (Side.PATIENT,), (Side.PHYSICIAN,), tuple(Side), tuple(Side)])


@dataclass
class Run:
    """What truly happened in one run of the meter: packets, and what was agreed from when on."""

    started_ms: int
    held: bool
    mode: Mode
    packets: dict[Side, list[int]] = field(default_factory=lambda: {side: [] for side in Side})
    agreed: list[tuple[int, str, Any]] = field(default_factory=list)

    def delivered(self, until_ms: int) -> dict[Mode, int]:
        """Count the milliseconds before `until_ms` that are billable, one by one."""
        length = until_ms - self.started_ms
        flows = [self._flow(side, length) for side in Side]
        engaged = self._painted("engaged", False, length)
        free = self._painted("held", self.held, length)
        mode = self._painted("mode", self.mode, length)
        found = dict.fromkeys(Mode, 0)
        for index in range(max(0, length)):
            if flows[0][index] and flows[1][index] and engaged[index] and not free[index]:
                found[mode[index]] += 1
        return found

    def _flow(self, side: Side, length: int) -> list[bool]:
        flows = [False] * max(0, length)
        for before, after in pairwise(self.packets[side]):
            if after - before <= FLOW_GAP_MS:
                for at_ms in range(before, min(after, self.started_ms + length)):
                    flows[at_ms - self.started_ms] = True
        return flows

    def _painted(self, what: str, value: Any, length: int) -> list[Any]:
        painted: list[Any] = []
        for at_ms, name, after in self.agreed:
            if name == what:
                painted += [value] * (at_ms - self.started_ms - len(painted))
                value = after
        return painted + [value] * (length - len(painted))


class Consult(RuleBasedStateMachine):
    """Anything that may happen to a consult, in any order, and any number of crashes."""

    @initialize(mode=st.sampled_from(Mode), epoch=st.just(1))
    def open(self, mode: Mode, epoch: int) -> None:
        self.now_ms, self.wall_ms, self.epoch = 0, WALL_MS, epoch
        self.run = Run(0, held=False, mode=mode)
        self.meter = open_meter(Opened(0, WALL_MS, "phy_1", mode, epoch))
        self.last: dict[Side, int | None] = dict.fromkeys(Side)
        self.before = dict.fromkeys(Mode, 0)
        """Billed in the runs before this one."""
        self.lost = False
        self._save()

    # --- what a shell would report ---------------------------------------------------------------

    def _tell(self, *events: Event) -> None:
        for event in events:
            self.meter = step(self.meter, event)

    def _agree(self, event: Event, name: str, value: Any) -> None:
        self._tell(event)
        self.run.agreed.append((self.now_ms, name, value))

    @rule(
        sides=SIDES, every_ms=PACKET_MS, count=st.integers(1, 12), after_ms=st.integers(0, 2_500),
        poll=st.booleans(),
    )  # fmt: skip
    def talk(
        self, sides: tuple[Side, ...], every_ms: int, count: int, after_ms: int, poll: bool
    ) -> None:
        """Packets from some sides, after a while; the shell looks each time, or at the end."""
        self.now_ms += after_ms
        for _ in range(count):
            self.now_ms += every_ms
            for side in sides:
                self.run.packets[side].append(self.now_ms)
                self._tell(*packet_events(side, self.last, self.now_ms))
            if poll:
                self.look()
        self.look()

    @rule()
    def look(self) -> None:
        self._tell(*poll_events(self.last, self.now_ms))

    @rule()
    def engage(self) -> None:
        self._agree(Engaged(self.now_ms), "engaged", True)

    @rule()
    def disengage(self) -> None:
        self._agree(Disengaged(self.now_ms, EndCause.PATIENT_HANGUP), "engaged", False)

    @rule()
    def hold(self) -> None:
        self._agree(Held(self.now_ms), "held", True)

    @rule()
    def resume(self) -> None:
        self._agree(Resumed(self.now_ms), "held", False)

    @rule(mode=st.sampled_from(Mode))
    def carry(self, mode: Mode) -> None:
        """Another mode: agreed on, or voice since a line is too weak."""
        self._agree(ModeChanged(mode, self.now_ms), "mode", mode)

    @rule(physician=st.sampled_from(["phy_1", "phy_2", "phy_3"]))
    def transfer(self, physician: str) -> None:
        self._tell(PhysicianChanged(physician, self.now_ms))

    @rule(by_ms=st.integers(-(10**7), 10**7))
    def set_clock(self, by_ms: int) -> None:
        """The wall clock is set forth or back: nobody but labels of the next run may care."""
        self.wall_ms += by_ms

    # --- what a node leaves ----------------------------------------------------------------------

    @rule()
    def checkpoint(self) -> None:
        self._save()

    def _save(self) -> None:
        self.saved = json.loads(json.dumps(freeze(self.meter)))
        self.saved_ms = self.meter.cursor_ms

    @rule(down_ms=st.integers(0, 10**6), boot_ms=st.integers(-(10**6), 10**6))
    def crash(self, down_ms: int, boot_ms: int) -> None:
        """The node is lost or paused; another epoch goes on, with another monotonic clock."""
        delivered = self.run.delivered(self.saved_ms)
        self.before = {mode: self.before[mode] + delivered[mode] for mode in Mode}
        self.wall_ms += self.now_ms - self.run.started_ms + down_ms
        self.epoch, self.lost = self.epoch + 1, True
        self.now_ms = boot_ms
        self.meter = restore(self.saved, self.now_ms, self.wall_ms, self.epoch)
        latest = self.meter.latest
        self.run = Run(boot_ms, held=latest.held, mode=latest.mode)
        self.last = dict.fromkeys(Side)
        self._save()

    # --- what must hold at every moment ----------------------------------------------------------

    @invariant()
    def what_is_counted_was_delivered(self) -> None:
        delivered = self.run.delivered(self.meter.cursor_ms)
        for mode in Mode:
            assert self.meter.totals.of(mode) == self.before[mode] + delivered[mode]

    @invariant()
    def segments_do_not_overlap_and_labels_never_run_backwards(self) -> None:
        end_at_ms = 0
        for one in self.meter.segments:
            assert end_at_ms <= one.start_at_ms < one.end_at_ms <= one.last_packet_at_ms
            assert one.duration_ms == one.end_at_ms - one.start_at_ms
            end_at_ms = one.end_at_ms
        epochs = [one.epoch for one in self.meter.segments]
        assert epochs == sorted(epochs)

    def teardown(self) -> None:
        """Whatever happened: closed, it is one record that adds up."""
        if not hasattr(self, "meter"):
            return
        self.look()
        closed = step(self.meter, Closed(self.now_ms, END, Party.PHYSICIAN))
        delivered = self.run.delivered(self.now_ms)
        for mode in Mode:
            assert closed.totals.of(mode) == self.before[mode] + delivered[mode]
            pieces = [one.duration_ms for one in closed.segments if one.mode is mode]
            assert sum(pieces) == closed.totals.of(mode)
        seconds = reading(closed).seconds()
        record = build_record(FACTS, closed, TARIFF)
        assert record["mode_seconds"] == {mode.value: seconds[mode] for mode in Mode}
        assert record["charge_fen"] == rate(TARIFF, seconds).charge_fen
        assert record["estimated"] == self.lost
        again = restore(json.loads(json.dumps(freeze(closed))), 0, self.wall_ms, self.epoch + 1)
        assert build_record(FACTS, again, TARIFF) == record, "settled once, whoever does it"


Consult.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestConsult = Consult.TestCase
