"""A full node says so, overshoots by nothing, and leaves running calls alone."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from server.admission import (
    CALL_PACKETS_PER_S,
    LAGS_TO_CLOSE,
    LAGS_TO_OPEN,
    MEASURED_AFTER_MS,
    Admission,
    Limits,
)
from server.clock import monotonic_ms
from tests.server.clinic import opened
from tests.server.party import finished, in_call, page_of_patient, page_of_physician
from tests.signaling.world import until

LIMIT = 10 * CALL_PACKETS_PER_S
RATES = st.integers(0, 2 * LIMIT)


def admission(**limits: int) -> Admission:
    return Admission(Limits(**{"max_packets_per_s": LIMIT, "max_loop_lag_ms": 100} | limits))


@given(rate=RATES, takes=st.integers(1, 30))
def test_a_burst_of_takes_never_overshoots(rate: int, takes: int) -> None:
    """None of the calls has sent a packet when the next physician clicks."""
    node = admission()
    node.observe(rate, 0, 0)
    admitted = 0
    for number in range(takes):
        if node.admit():
            node.reserve(f"c_{number}", 0)
            admitted += 1
    assert admitted == 0 or rate + admitted * CALL_PACKETS_PER_S <= LIMIT
    assert admitted + node.refused == takes
    assert node.expected_calls == admitted


@given(rate=RATES)
def test_a_node_that_is_full_opens_only_when_the_load_has_fallen(rate: int) -> None:
    """Else it would open and close with each packet more or less."""
    node = admission()
    node.observe(LIMIT, 0, 0)
    assert node.full == "packets"
    node.observe(rate, 0, 1_000)
    assert (node.full is None) == (rate + CALL_PACKETS_PER_S <= 0.9 * LIMIT)


@given(limit=st.integers(1, CALL_PACKETS_PER_S))
def test_a_limit_below_one_call_lets_one_in(limit: int) -> None:
    """A setting may be foolish; a clinic that can never be reached is worse."""
    node = admission(max_packets_per_s=limit)
    assert node.admit()
    node.reserve("c_1", 0)
    assert not node.admit()
    node.release("c_1")
    assert node.admit()


def test_a_call_counts_as_expected_until_its_packets_are_measured() -> None:
    node = admission(setup_ms=60_000)
    node.reserve("c_1", 0)
    node.reserve("c_2", 0)
    node.flows("c_1", 5_000)
    node.flows("c_1", 6_000)
    node.flows("c_never_taken", 6_000)
    node.observe(600, 0, 5_000 + MEASURED_AFTER_MS)
    assert node.expected_calls == 1
    node.observe(600, 0, 60_000)
    assert node.expected_calls == 0, "one that is never set up counts no longer"


def test_one_slow_second_closes_nothing_and_one_good_one_opens_nothing() -> None:
    node = admission()
    node.observe(0, 500, 0)
    assert node.full is None
    for second in range(1, LAGS_TO_CLOSE):
        node.observe(0, 101, second * 1_000)
    assert node.full == "lag"
    assert not node.admit()
    for second in range(LAGS_TO_OPEN - 1):
        node.observe(0, 50, 10_000 + second * 1_000)
    assert node.full == "lag"
    node.observe(0, 50, 20_000)
    assert node.full is None


@given(rate=st.integers(0, 10**9), lag_ms=st.integers(0, 10**6), takes=st.integers(0, 50))
def test_without_limits_everybody_is_let_in(rate: int, lag_ms: int, takes: int) -> None:
    node = admission(max_packets_per_s=0, max_loop_lag_ms=0)
    for number in range(takes):
        node.observe(rate, lag_ms, number)
        node.reserve(f"c_{number}", number)
    assert node.admit()


async def test_a_full_node_refuses_a_take_and_the_patient_keeps_the_place(tmp_path: Path) -> None:
    async with opened(tmp_path, max_packets_per_s=1_000) as clinic:
        node = clinic.services.calls.admission
        node.reserve("another call", monotonic_ms())
        patient, physician = await page_of_patient(clinic), await page_of_physician(clinic)
        try:
            view = (await patient.next("hello"))["view"]
            digest, terms = view["price"]["digest"], view["terms_version"]
            agreed = {"mode": "video", "tariff_digest": digest, "terms_version": terms}
            assert (await patient.ask("join", language="zh-CN", **agreed))["ok"]
            place = await patient.next("place")
            refused = await physician.ask("take", "take-0001")
            assert refused["error"]["code"] == "node_full"
            hello = await page_of_physician(clinic)
            assert len((await hello.next("hello"))["queue"]) == 1
            await hello.leave()
            assert (await clinic.ask("GET", "/readyz")).json == {"status": "full"}
            metrics = (await clinic.ask("GET", "/metrics")).text
            assert 'wenzhen_full{reason="packets"} 1.0' in metrics
            assert "wenzhen_takes_refused_total 1.0" in metrics
            node.release("another call")
            assert (await clinic.ask("GET", "/readyz")).json == {"status": "ready"}
            physician = await page_of_physician(clinic)
            assert (await physician.ask("take", "take-0001"))["ok"], "not kept: nothing was done"
            assert place["place"] == 1
        finally:
            await patient.leave()
            await physician.leave()


async def test_a_full_node_keeps_its_running_call_whole(tmp_path: Path) -> None:
    """Holding, an ICE restart and going on are no new calls."""
    async with opened(tmp_path, max_packets_per_s=300) as clinic:
        node = clinic.services.calls.admission

        async def is_measured() -> bool:
            return node.expected_calls == 0 and node.packets_per_s > 100

        async with in_call(clinic) as (patient, physician):
            await until(is_measured, within_s=15)
            assert node.full == "packets"
            assert not node.admit()
            consult = {"consult_id": physician.consult_id}
            assert (await physician.page.ask("hold", **consult))["ok"]
            assert (await physician.page.ask("resume", **consult))["ok"]
            sdp = patient.peer.offer()
            again = {"connection_id": patient.peer.connection_id, "sdp": sdp}
            assert (await patient.page.ask("offer", **again))["ok"]
            tick = await patient.metered("video", 500)
            await patient.metered("video", tick["video_ms"] + 500)
            await finished(clinic, physician)

        async def is_open() -> bool:
            return node.full is None

        await until(is_open, within_s=15)
