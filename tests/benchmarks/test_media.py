"""The pure parts of `make bench-media`: a figure is worth as much as what it is computed from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.media.chart import draw
from benchmarks.media.control import missing, packets
from benchmarks.media.report import PLAIN, Row, as_object, doubt, line
from benchmarks.media.schedule import (
    AUDIO,
    NS,
    PERIOD_NS,
    VIDEO,
    frame_of,
    percentile,
    schedule,
)

QUIET = Row(
    cpu_us=20.0,
    p50_ms=0.1,
    p99_ms=0.5,
    max_ms=2.0,
    loss_pct=0.0,
    mb_per_call=0.5,
    packets_per_s=300.0,
    generator_late_p99_ms=0.1,
    generator_pct=5.0,
    generator_core_pct=10.0,
    server_pct=5.0,
    idle_pct=0.5,
    others_pct=1.0,
    calls_billing=1.0,
    profile="SRTP_AEAD_AES_128_GCM",
)


@given(participants=st.integers(1, 6), seed=st.integers(0, 1000))
def test_each_participant_sends_evenly_at_its_own_phase(participants: int, seed: int) -> None:
    due = schedule(participants, 2 * NS, seed)
    assert due == sorted(due)
    times = defaultdict(list)
    for packet in due:
        assert packet.number == len(times[packet.participant, packet.kind])
        times[packet.participant, packet.kind].append(packet.at_ns)
    for (_, kind), at_ns in times.items():
        assert {b - a for a, b in pairwise(at_ns)} <= {PERIOD_NS[kind]}
        assert at_ns[0] < PERIOD_NS[kind]
    for participant in range(participants):
        assert len(times[participant, AUDIO]) == 100
        assert len(times[participant, VIDEO]) == 200


def test_participants_are_not_in_step() -> None:
    first = [due.at_ns for due in schedule(100, NS, 1) if due.kind == VIDEO and due.number == 0]
    assert len(set(first)) == 100
    assert max(first) - min(first) > PERIOD_NS[VIDEO] // 2


def test_a_picture_starts_and_ends_once_and_a_keyframe_comes_each_half_second() -> None:
    frames = [frame_of(number) for number in range(400)]
    assert [f.starts for f in frames].count(True) == [f.ends for f in frames].count(True) == 100
    keys = [number for number, f in enumerate(frames) if f.is_key and f.starts]
    assert keys == list(range(0, 400, 48))


@given(st.lists(st.integers(), min_size=1, max_size=200), st.floats(0, 1))
def test_a_percentile_is_one_of_the_values_with_the_share_below_it(
    values: list[int], share: float
) -> None:
    values.sort()
    found = percentile(values, share)
    assert found in values
    assert sum(value < found for value in values) <= share * len(values)


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)), max_size=10))
def test_a_nack_names_its_first_packet_and_those_of_its_mask(
    items: list[tuple[int, int]],
) -> None:
    body = b"".join(a.to_bytes(2, "big") + mask.to_bytes(2, "big") for a, mask in items)
    nack = bytes((0x81, 205)) + (2 + len(items)).to_bytes(2, "big") + bytes(8) + body
    compound = bytes((0x80, 201, 0, 1)) + bytes(4) + nack
    assert [(kind, form) for kind, form, _ in packets(compound)] == [(201, 0), (205, 1)]
    (*_, (_, _, packet)) = packets(compound)
    expected = [
        (first + offset) & 0xFFFF
        for first, mask in items
        for offset in range(17)
        if offset == 0 or mask >> offset - 1 & 1
    ]
    assert list(missing(packet)) == expected


def test_the_object_names_calls_then_figures_then_servers() -> None:
    found = as_object({15: {"wenzhen": QUIET, "janus": QUIET}})
    assert {name: found["15"][name] for name in PLAIN} == {
        name: {"wenzhen": getattr(QUIET, name), "janus": getattr(QUIET, name)} for name in PLAIN
    }


def test_a_row_says_when_its_figures_are_not_the_servers_own() -> None:
    assert doubt(QUIET) == ""
    assert "generator" in line(1, "janus", replace(QUIET, generator_late_p99_ms=3.0))
    assert "others" in line(1, "janus", replace(QUIET, others_pct=40.0))
    assert "full" in line(1, "janus", replace(QUIET, server_pct=95.0))
    assert "billed" in line(1, "janus", replace(QUIET, calls_billing=0.0))


def test_the_chart_is_an_svg_with_a_curve_for_each_server_and_panel() -> None:
    rows = {calls: {"wenzhen": QUIET, "janus": QUIET} for calls in (1, 15, 150)}
    root = ElementTree.fromstring(draw(rows))
    curves = [e for e in root.iter() if e.tag.endswith("polyline")]
    assert len(curves) == 4
    assert all(len(curve.attrib["points"].split()) == 3 for curve in curves)
