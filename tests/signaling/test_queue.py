"""Who is next, who may see whom, and where everybody stands."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from signaling.case import Case, Marks, NewConsult, Physician, freeze, rfc3339, thaw
from signaling.messages import State
from signaling.model import Arm, Consult, OpenProposal, OpenRecording, arm
from signaling.queue import in_order, line, may_see, next_for, standings, visible

LIN = Physician("p_lin", "Dr. Lin", "Chief physician", "o_1")


def case(
    number: int,
    place: int,
    *,
    booked: str | None = None,
    organization: str = "o_1",
    state: State = "waiting",
    online: bool = True,
) -> Case:
    order = NewConsult(
        id=f"c_{number:08d}",
        organization_id=organization,
        organization="Demo",
        department="",
        channel="third_party",
        patient_ref="",
        patient_name="",
        tariff="{}",
        tariff_digest="0" * 64,
        terms_version="1",
        link_hash=str(number),
        opens_at=0,
        closes_at=1,
        booked_physician_id=booked,
    )
    core = Consult(order.id, state=state, place=place, patient_online=online)
    return Case(order, core, Marks(created_at=0))


CASES = st.lists(
    st.builds(
        case,
        st.integers(1, 10**8 - 1),
        st.integers(1, 100),
        booked=st.sampled_from([None, None, "p_lin", "p_wu"]),
        organization=st.sampled_from(["o_1", "o_2"]),
        state=st.sampled_from(["waiting", "waiting", "offered", "ended"]),
        online=st.booleans(),
    ),
    max_size=30,
    unique_by=lambda made: made.core.id,
)


@given(CASES)
def test_the_next_is_who_came_first_of_those_the_physician_may_see(cases: list[Case]) -> None:
    queue = next_for(LIN, cases)
    assert all(item.core.state == "waiting" and item.core.patient_online for item in queue)
    assert all(may_see(LIN, item) for item in queue)
    places = [item.core.place for item in queue]
    assert places == sorted(places, key=lambda place: place or 0)
    seen = {item.core.id for item in visible(LIN, cases)}
    assert {item.core.id for item in queue} <= seen


@given(CASES, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_who_is_asked_first(cases: list[Case], random: Random) -> None:
    shuffled = list(cases)
    random.shuffle(shuffled)
    assert in_order(cases) == in_order(shuffled)


@given(CASES)
def test_everybody_who_waits_stands_somewhere_in_their_own_line(cases: list[Case]) -> None:
    standing = standings(cases)
    waiting = in_order(cases)
    assert set(standing) == {item.core.id for item in waiting}
    for item in waiting:
        mates = [other for other in waiting if line(other) == line(item)]
        assert standing[item.core.id].waiting == len(mates)
        assert standing[item.core.id].place == mates.index(item) + 1


def test_a_booked_patient_is_for_their_physician_alone() -> None:
    assert may_see(LIN, case(1, 1))
    assert may_see(LIN, case(1, 1, booked="p_lin"))
    assert not may_see(LIN, case(1, 1, booked="p_wu"))
    assert not may_see(LIN, case(1, 1, organization="o_2"))


@given(
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(-(10**6), 10**6),
    st.integers(0, 10**6),
)
def test_deadlines_outlive_the_clock_they_were_counted_on(
    now_ms: int, later_ms: int, elapsed_ms: int, left_ms: int
) -> None:
    """A wall clock that was set back makes nothing due early."""
    consult = Consult(
        "c_00000001",
        proposal=OpenProposal("proposal1", "video"),
        recording=OpenRecording("recording1", "on", "1", 7, 8),
    )
    consult = arm(consult, now_ms, Arm(on={"answer": left_ms}))
    thawed = thaw(freeze(consult, now_ms), later_ms, elapsed_ms)
    assert thawed.deadlines == (("answer", later_ms + left_ms - max(0, elapsed_ms)),)
    assert replace(thawed, deadlines=consult.deadlines) == consult


def test_times_are_written_as_rfc_3339() -> None:
    assert rfc3339(1_700_000_000_007) == "2023-11-14T22:13:20.007Z"
