"""One run of load: everything encrypted first, then sent by the clock, then evaluated."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.media.control import Control
from benchmarks.media.participant import (
    AUDIO_TYPE,
    MOST_BYTES,
    RTX_TYPE,
    VIDEO_TYPE,
    Participant,
)
from benchmarks.media.schedule import CHECK, NS, REPORT, VIDEO, Due, schedule
from benchmarks.media.wire import SLOTS, Reader, Table, Wire, exact_sleeps

BATCH = 16
"""Packets in one system call at most: the last leaves some 30 µs after the first."""

SPACING_NS = 50_000
"""Between two system calls at least, as network cards hold interrupts back; up to 0.05 ms late."""

DRAIN_NS = 500_000
NAP_NS = 1_000_000
TAIL_NS = NS // 2
LATEST_NS = 10 * NS
SAMPLE = 200
MEDIA = bytes(kind | marker for kind in (AUDIO_TYPE, VIDEO_TYPE, RTX_TYPE) for marker in (0, 0x80))


@dataclass(frozen=True, slots=True)
class Window:
    """What is measured of a run: from `warm_ns` to `end_ns` after its start."""

    warm_ns: int
    end_ns: int


@dataclass(slots=True)
class Usage:
    """Clocks of the server, the generator and both cores at one moment (ns)."""

    server_ns: int
    generator_ns: int
    busy_ticks: tuple[int, ...]


@dataclass(slots=True)
class Run:
    """What a run saw."""

    start_ns: int = 0
    sent: array[int] = field(default_factory=lambda: array("q"))  # pairs: first packet, time
    marks: list[tuple[int, Usage]] = field(default_factory=list)
    count: int = 0
    feedback: dict[str, int] = field(default_factory=dict)
    samples: list[tuple[int, bytes]] = field(default_factory=list)
    refused: int = 0


class Load:
    """The packets of all participants for one run."""

    def __init__(
        self, wire: Wire, participants: list[Participant], window: Window, *, forwards: bool = True
    ) -> None:
        """Plan the run; `encrypt` must follow. `forwards`: what comes back is what was sent."""
        self.wire, self.participants, self.window = wire, participants, window
        self.forwards = forwards
        planned = schedule(len(participants), window.end_ns, seed=len(participants))
        self.due = [due for due in planned if due.kind != REPORT]
        self.places = _places(self.due)
        self._reports = [due for due in planned if due.kind == REPORT]
        self._table = Table(len(self.due), len(self.due) * MOST_BYTES)
        self.reader = Reader(wire, len(self.due) * 5 // 4 + 10_000)
        self._unknown: set[tuple[int, int]] = set()

    def encrypt(self, start_ns: int, keep: Callable[[], None]) -> None:
        """Write all packets, as of a start at `start_ns`; call `keep` each second."""
        table = self._table
        routes = [table.route(p.index, p.remote) for p in self.participants]
        next_s = time.monotonic() + 1
        for at_ns, index, kind, number in self.due:
            table.add(self._write(Due(start_ns + at_ns, index, kind, number)), routes[index])
            if time.monotonic() > next_s:
                next_s += 1
                keep()

    def _write(self, due: Due) -> int:
        participant, place = self.participants[due.participant], self._table.place
        if due.kind == CHECK:
            data = participant.check()
            self._table.memory.data[place : place + len(data)] = data
            return len(data)
        return participant.write(self._table.memory, place, due.kind, due.number, due.at_ns)

    def run(self, start_ns: int, usage: Callable[[], Usage]) -> Run:
        """Send everything by the clock and read what comes back; ends 10 s late at the latest."""
        exact_sleeps()
        run, send = Run(start_ns), self._table.sender(self.wire)
        control = self._control(start_ns, send)
        times = array("q", (start_ns + d.at_ns for d in self.due))
        count, at, drained_ns, left_ns, clock = len(times), 0, 0, 0, time.time_ns
        stages = self._stages(run, usage)
        gc.disable()
        while at < count:
            now_ns = clock()
            due_ns = max(times[at], left_ns + SPACING_NS)
            if due_ns <= now_ns:
                left_ns = now_ns
                after = at + 1
                most = min(count, at + BATCH)
                while after < most and times[after] <= now_ns:
                    after += 1
                got = send(at, after - at)
                if got > 0:
                    run.sent.extend((at, now_ns))
                    at += got
                else:
                    run.refused += 1
            elif now_ns - drained_ns < DRAIN_NS:
                time.sleep(min(due_ns - now_ns, NAP_NS) / NS)
                continue
            if now_ns - drained_ns >= DRAIN_NS:
                drained_ns = now_ns
                self._drain(run, control)
                control.send_reports(now_ns)
                if now_ns >= stages[-1][0]:
                    stages.pop()[1]()
                if now_ns > times[-1] + LATEST_NS:
                    break
        run.count = at
        run.marks.append((clock(), usage()))
        end_ns = clock() + TAIL_NS
        while clock() < end_ns:
            self._drain(run, control)
            time.sleep(0.001)
        gc.enable()
        run.feedback = dict(control.feedback)
        return run

    def _control(self, start_ns: int, send: Callable[[int, int], int]) -> Control:
        def resend(participant: int, kind: int, number: int) -> None:
            places = self.places[participant, kind == VIDEO]
            if number < len(places):
                send(places[number], 1)  # the same bytes: the server lacks them

        reports = [due._replace(at_ns=due.at_ns + start_ns) for due in self._reports]
        return Control(self.wire, self.participants, reports, resend)

    def _stages(self, run: Run, usage: Callable[[], Usage]) -> list[tuple[int, Callable[[], None]]]:
        """What is done once, and when; the last comes first."""

        def learn() -> None:
            everybody = range(len(self.participants))
            self._unknown = {(p, kind) for p in everybody for kind in (AUDIO_TYPE, VIDEO_TYPE)}

        def begin() -> None:
            self._unknown = set()
            run.marks.append((time.time_ns(), usage()))

        warm_ns = self.window.warm_ns
        begin_ns = run.start_ns + warm_ns
        return [(1 << 62, lambda: None), (begin_ns, begin), (begin_ns - warm_ns // 3, learn)]

    def _drain(self, run: Run, control: Control) -> None:
        reader, got = self.reader, SLOTS
        while got == SLOTS:
            got = reader.read()
            if not got:
                return
            kinds = reader.kinds(got)
            if kinds.translate(None, MEDIA):
                self._take_others(control, kinds)
            if self._unknown:
                self._learn(run, got)
            elif reader.count % SAMPLE < got:
                run.samples.append(reader.packet(0))

    def _learn(self, run: Run, got: int) -> None:
        """Keep the first packet of each stream: it tells how the server numbers the stream."""
        for slot in range(got):
            stream = self.reader.stream(slot)
            if stream in self._unknown:
                self._unknown.discard(stream)
                run.samples.append(self.reader.packet(slot))

    def _take_others(self, control: Control, kinds: bytes) -> None:
        now_ns = time.time_ns()
        for slot, kind in enumerate(kinds):
            if kind not in MEDIA:
                index, data = self.reader.packet(slot)
                if 0 <= index < len(self.participants):
                    control.take(index, data, now_ns)


def _places(due: list[Due]) -> dict[tuple[int, bool], list[int]]:
    """By sender and kind: where its n-th packet stands in the order of sending."""
    places: dict[tuple[int, bool], list[int]] = {}
    for place, packet in enumerate(due):
        if packet.kind <= VIDEO:
            places.setdefault((packet.participant, packet.kind == VIDEO), []).append(place)
    return places


def busy_ticks() -> tuple[int, ...]:
    """Ticks that each core has been busy."""
    found = []
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and line[3].isdigit():
            numbers = [int(n) for n in line.split()[1:9]]
            found.append(sum(numbers) - numbers[3] - numbers[4])
    return tuple(found)
