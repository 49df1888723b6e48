"""Seats stay: whoever comes and goes, a page never sees a tile continue with somebody else."""

from hypothesis import given
from hypothesis import strategies as st

from media.seating import HOME, SCREEN, assign, needed

PEOPLE = ("patient", "guest-1", "guest-2", "guest-3", "guest-4", SCREEN)
CROWDS = st.lists(st.lists(st.sampled_from(("physician", *PEOPLE)), unique=True), max_size=30)


@given(CROWDS, st.sampled_from([*HOME.values(), None]))
def test_who_stays_keeps_the_seat_and_nobody_shares_one(
    crowds: list[list[str]], home: str | None
) -> None:
    held: dict[str, int] = {}
    for crowd in crowds:
        seats = assign(held, crowd, home)
        assert set(seats) == set(crowd)
        assert len(set(seats.values())) == len(seats)
        assert all(seats[who] == held[who] for who in crowd if who in held)
        held = seats


@given(CROWDS)
def test_no_more_lines_are_needed_than_people_were_there_at_once(crowds: list[list[str]]) -> None:
    """M-lines never go away: freed ones must be used again, or a long call would run out."""
    held: dict[str, int] = {}
    most = 0
    for crowd in crowds:
        held = assign(held, crowd, "physician")
        most = max(most, len([who for who in crowd if who != "physician"]))
        assert needed(held) <= most + 1


@given(CROWDS)
def test_seat_0_is_kept_for_the_other_party(crowds: list[list[str]]) -> None:
    """The large picture of a patient's page is their physician's, present or not."""
    held: dict[str, int] = {}
    for crowd in crowds:
        held = assign(held, crowd, "physician")
        assert all((seat == 0) == (who == "physician") for who, seat in held.items())


def test_a_room_of_six_with_a_screen_fits_into_an_offer() -> None:
    """16 m-sections are read (media/sdp_lines.py); one of them is for one's own screen."""
    assert 2 * needed(assign({}, PEOPLE, "physician")) + 1 <= 16
