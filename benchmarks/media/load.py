"""One run of load: everything encrypted first, then sent by the clock, then evaluated."""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.media.participant import (
    AUDIO_TYPE,
    MOST_BYTES,
    RTX_TYPE,
    VIDEO_TYPE,
    Participant,
)
from benchmarks.media.schedule import CHECK, NS, VIDEO, Due, schedule
from benchmarks.media.wire import Reader, Table, Wire, exact_sleeps

BATCH = 16
"""Packets in one system call at most: the last leaves some 30 µs after the first."""

DRAIN_NS = 500_000
NAP_NS = 1_000_000
TAIL_NS = NS // 2
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
    others: list[tuple[int, bytes]] = field(default_factory=list)
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
        self.due = schedule(len(participants), window.end_ns, seed=len(participants))
        self.table = Table(len(self.due), len(self.due) * MOST_BYTES)
        self.reader = Reader(wire, len(self.due) * 5 // 4 + 10_000)
        self._unknown: set[tuple[int, int]] = set()

    def encrypt(self, start_ns: int, keep: Callable[[], None]) -> None:
        """Write all packets, as of a start at `start_ns`; call `keep` each second."""
        table = self.table
        routes = [table.route(p.index, p.remote) for p in self.participants]
        next_s = time.monotonic() + 1
        for at_ns, index, kind, number in self.due:
            table.add(self._write(Due(start_ns + at_ns, index, kind, number)), routes[index])
            if time.monotonic() > next_s:
                next_s += 1
                keep()

    def _write(self, due: Due) -> int:
        participant, place = self.participants[due.participant], self.table.place
        if due.kind <= VIDEO:
            return participant.write(self.table.memory, place, due.kind, due.number, due.at_ns)
        data = (
            participant.check() if due.kind == CHECK else participant.report(due.number, due.at_ns)
        )
        self.table.memory.data[place : place + len(data)] = data
        return len(data)

    def run(self, start_ns: int, usage: Callable[[], Usage]) -> Run:
        """Send everything by the clock and read what comes back."""
        exact_sleeps()
        run = Run(start_ns)
        send, sent = self.table.sender(self.wire), run.sent.extend
        times = array("q", (start_ns + d.at_ns for d in self.due))
        count, at, drained_ns, clock = len(times), 0, 0, time.time_ns
        learn_ns = start_ns + self.window.warm_ns * 2 // 3
        warm_ns = start_ns + self.window.warm_ns
        gc.disable()
        while at < count:
            now_ns = clock()
            due_ns = times[at]
            if due_ns <= now_ns:
                after = at + 1
                most = min(count, at + BATCH)
                while after < most and times[after] <= now_ns:
                    after += 1
                got = send(at, after - at)
                if got > 0:
                    sent((at, now_ns))
                    at += got
                else:
                    run.refused += 1
            elif now_ns - drained_ns < DRAIN_NS:
                time.sleep(min(due_ns - now_ns, NAP_NS) / NS)
                continue
            if now_ns - drained_ns >= DRAIN_NS:
                drained_ns = now_ns
                self._drain(run)
                if now_ns >= learn_ns:
                    learn_ns = 1 << 62
                    streams = range(len(self.participants))
                    self._unknown = {(p, k) for p in streams for k in (AUDIO_TYPE, VIDEO_TYPE)}
                if now_ns >= warm_ns:
                    warm_ns = 1 << 62
                    self._unknown = set()
                    run.marks.append((now_ns, usage()))
        run.marks.append((clock(), usage()))
        while clock() < times[-1] + TAIL_NS:
            self._drain(run)
            time.sleep(0.001)
        gc.enable()
        return run

    def _drain(self, run: Run) -> None:
        reader, got = self.reader, 1
        while got:
            got = reader.read()
            if not got:
                return
            others = reader.kinds(got).translate(None, MEDIA)
            if others:
                self._take_others(run, reader.kinds(got))
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

    def _take_others(self, run: Run, kinds: bytes) -> None:
        for slot, kind in enumerate(kinds):
            if kind in MEDIA:
                continue
            index, data = self.reader.packet(slot)
            if not 0 <= index < len(self.participants):
                continue
            if data[:2] == b"\0\1":
                participant = self.participants[index]
                answer = participant.answer(data, participant.remote)
                self.wire.send(index, answer, participant.remote)
            elif data[0] > 127:
                run.others.append((index, data))


def busy_ticks() -> tuple[int, ...]:
    """Ticks that each core has been busy."""
    found = []
    for line in Path("/proc/stat").read_text().splitlines():
        if line.startswith("cpu") and line[3].isdigit():
            numbers = [int(n) for n in line.split()[1:9]]
            found.append(sum(numbers) - numbers[3] - numbers[4])
    return tuple(found)
