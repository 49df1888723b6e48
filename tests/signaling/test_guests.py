"""Guests: invited by a link, in and out of the call, and never a reason to bill."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from server.storage import Storage
from signaling import events as ev
from signaling.consult import Consult, step
from signaling.errors import InvalidTransition, TooManyGuests
from signaling.guests import MAX_GUESTS
from signaling.model import Guest, Timers
from signaling.seats import Seats, Sitting
from signaling.tables import command_answers, consult_events, invitations
from tests.signaling.world import WU, Pageful, World, until, world_on

ASK = {"consult_id": "c_00000001", "role": "interpreter", "name": "Anna"}


async def invited(console: Pageful, **fields: Any) -> dict[str, str]:
    answer = await console.ask("invite", **ASK | fields)
    assert answer["ok"], answer
    found: dict[str, str] = answer["result"]
    return found


async def test_a_guest_comes_by_a_link_is_seen_and_leaves(either_world: World) -> None:
    world = either_world
    patient, console = await world.in_call()
    link = await invited(console)
    update = await console.next("consult", lambda u: u["view"]["guests"])
    assert [(g["name"], g["here"]) for g in update["view"]["guests"]] == [("Anna", False)]

    guest = await world.guest(link["token"])
    view = (await guest.next("hello"))["view"]
    assert (view["state"], view["open"], view["me"]["role"]) == ("active", True, "interpreter")
    assert view["patient_name"] == "Zhang San"
    assert not {"price", "summary", "complaint"} & set(view)
    assert (await guest.ask("offer", connection_id="connection-2", sdp="v=0"))["ok"]
    assert world.calls.offers[-1] == ("c_00000001", link["guest_id"], "connection-2")
    update = await patient.next("consult", lambda u: u["view"]["guests"])
    assert update["event"]["kind"] == "guest_joined"
    assert (update["event"]["by"], update["view"]["guests"][0]["here"]) == ("guest", True)
    assert (await guest.ask("leave"))["ok"]
    await patient.next("consult", lambda u: u["event"]["kind"] == "guest_left")
    assert world.calls.performed[-1] == ev.Dismiss(link["guest_id"])
    assert (await guest.ask("offer", connection_id="connection-3", sdp="v=0"))["ok"]

    assert (await console.ask("finish", consult_id="c_00000001"))["ok"]
    ended = await guest.next("consult", lambda u: u["view"]["state"] == "ended")
    assert ended["view"]["open"] is False


async def test_a_removed_guest_is_out_and_the_link_opens_nothing(world: World) -> None:
    _, console = await world.in_call()
    link = await invited(console)
    guest = await world.guest(link["token"])
    await guest.next("hello")
    assert (await guest.ask("offer", connection_id="connection-2", sdp="v=0"))["ok"]
    removal = {"consult_id": "c_00000001", "guest_id": link["guest_id"]}
    assert (await console.ask("remove_guest", **removal))["ok"]
    assert (await guest.next("goodbye"))["code"] == "removed"
    await guest.closes()
    again = await refused(world, link["token"])
    assert again == {"code": "link_invalid"}
    assert (await console.ask("remove_guest", **removal))["ok"]  # no news


async def refused(world: World, token: str) -> Any:
    page = Pageful("/guest")
    world.pages.append(page)
    auth = {"token": token, "page": "page-0009", "after": 0}
    with pytest.raises(Exception, match="namespaces failed"):
        await page.sio.connect(
            world.url, auth=auth, transports=["websocket"], namespaces=["/guest"], wait_timeout=5
        )
    return page.refused["data"] if "data" in (page.refused or {}) else page.refused


async def test_a_link_that_nobody_used_in_time_opens_nothing(storage: Storage) -> None:
    """Forgotten in a chat, it would let anybody in."""
    async with world_on(storage, Timers(invitation_ms=-1)) as world:
        _, console = await world.in_call()
        late = await invited(console)
        assert await refused(world, late["token"]) == {"code": "link_invalid"}
        assert await refused(world, "g." + "x" * 43) == {"code": "link_invalid"}


async def test_a_used_link_opens_to_the_end_of_the_consult(storage: Storage) -> None:
    """A reload after a quarter of an hour is no intrusion."""
    async with world_on(storage, Timers(invitation_ms=1_000)) as world:
        _, console = await world.in_call()
        link = await invited(console)
        guest = await world.guest(link["token"])
        await guest.next("hello")
        await until(lambda: _opened(world))
        async with world.disk.write() as conn:
            await conn.execute(invitations.update().values(expires_at=0))
        again = await world.guest(link["token"], page="page-0002")
        await again.next("hello")
        assert (await guest.next("goodbye"))["code"] == "moved"


async def _opened(world: World) -> bool:
    return (await world.case()).core.guests[0].opened


async def test_neither_the_token_nor_its_hash_is_in_history_or_answers(world: World) -> None:
    """A copy of the database must open no call."""
    _, console = await world.in_call()
    link = await invited(console)
    async with world.disk.read() as conn:
        history = list((await conn.execute(select(consult_events.c.data))).scalars())
        answers = list((await conn.execute(select(command_answers.c.answer))).scalars())
        hashes = list((await conn.execute(select(invitations.c.link_hash))).scalars())
    assert len(hashes) == 1
    for text in history + answers:
        assert link["token"] not in text
        assert hashes[0] not in text


async def test_a_repeated_invitation_is_one_guest(world: World) -> None:
    _, console = await world.in_call()
    first = await console.ask("invite", "command-again", **ASK)
    again = await console.ask("invite", "command-again", **ASK)
    assert first == again
    assert len((await world.case()).core.guests) == 1


async def test_another_physician_invites_nobody(world: World) -> None:
    await world.in_call()
    other = await world.console(WU)
    answer = await other.ask("invite", **ASK)
    assert answer["error"]["code"] == "not_your_consult"


async def test_a_fifth_guest_is_refused(world: World) -> None:
    _, console = await world.in_call()
    for number in range(MAX_GUESTS):
        await invited(console, name=f"Guest {number}")
    answer = await console.ask("invite", **ASK)
    assert answer["error"]["code"] == "too_many_guests"


async def test_a_guest_whose_page_is_gone_has_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("signaling.pages.GUEST_AWAY_S", 0.05)
    patient, console = await world.in_call()
    guest = await world.guest((await invited(console))["token"])
    assert (await guest.ask("offer", connection_id="connection-2", sdp="v=0"))["ok"]
    await guest.leave()
    await patient.next("consult", lambda u: u["event"]["kind"] == "guest_left")


async def test_every_page_is_told_whom_it_gets_where(world: World) -> None:
    patient, console = await world.in_call()
    link = await invited(console)
    guest = await world.guest(link["token"])
    await guest.next("hello")
    who = link["guest_id"]
    world.calls.seated = {
        "patient": Seats(2, (Sitting("physician", "0", "1"), Sitting(who, None, None))),
        who: Seats(3, (Sitting("physician", "0", "1"), Sitting("patient", "2", "3")),
                   Sitting("physician", None, "5"), "physician"),
    }  # fmt: skip
    world.site.pages.seating_changed("c_00000001")
    roster = await patient.next("roster", lambda r: len(r["participants"]) == 2)
    assert roster["seats"] == 2
    assert [(p["role"], p["name"]) for p in roster["participants"]] == [
        ("physician", "Dr. Lin"),
        ("interpreter", "Anna"),
    ]
    roster = await guest.next("roster", lambda r: len(r["participants"]) == 2)
    assert (roster["screen_by"], roster["screen_mid"]) == ("physician", "5")
    assert (await console.ask("stop_screen", consult_id="c_00000001"))["ok"]
    assert world.calls.screens_stopped == 1


async def test_lines_are_asked_for_before_anybody_needs_them(world: World) -> None:
    """Else each who comes makes everybody, and themselves, offer once more before they are seen."""
    patient, console = await world.in_call()
    first, second = await invited(console), await invited(console, name="Bo")
    for page in (patient, console):
        assert (await page.next("roster"))["seats"] == 2
        assert (await page.next("roster"))["seats"] == 3
    guest = await world.guest(first["token"])
    assert (await guest.next("hello"))["view"]["open"]
    roster = await guest.next("roster")
    assert (roster["participants"], roster["seats"]) == ([], 3)
    who = {"consult_id": "c_00000001", "guest_id": second["guest_id"]}
    assert (await console.ask("remove_guest", **who))["ok"]
    assert (await guest.next("roster"))["seats"] == 2


async def test_a_screen_takes_lines_of_all_but_who_shares_it(world: World) -> None:
    patient, console = await world.in_call()
    world.calls.seated = {
        who: Seats(participants=(Sitting(other, "0", "1"),), screen_by="physician")
        for who, other in (("patient", "physician"), ("physician", "patient"))
    }
    world.site.pages.seating_changed("c_00000001")
    assert (await patient.next("roster", lambda r: r["screen_by"]))["seats"] == 2
    assert (await console.next("roster", lambda r: r["screen_by"]))["seats"] == 1


# --- the rules ----------------------------------------------------------------------------------


ACTIVE = Consult("c_1", "active", physician_id="p_lin", guests=(Guest("guest-1", "family", "Li"),))


def test_no_event_of_a_guest_changes_the_state_or_a_deadline() -> None:
    """Guests neither begin nor prolong nor end anything that is billed."""
    consult = ACTIVE
    for event in (
        ev.Invited("guest-2", "nurse", "Wang"),
        ev.GuestOpened("guest-1"),
        ev.GuestJoined("guest-1"),
        ev.GuestLeft("guest-1"),
        ev.GuestRemoved("guest-1"),
    ):
        after, effects = step(consult, event, 1_000)
        assert (after.state, after.deadlines, after.mode) == ("active", (), consult.mode)
        assert all(isinstance(effect, ev.Dismiss) for effect in effects)
        consult = after


def test_only_a_call_can_be_joined() -> None:
    with pytest.raises(InvalidTransition):
        step(Consult("c_1", "waiting", guests=ACTIVE.guests), ev.GuestJoined("guest-1"), 0)


def test_who_was_in_a_call_that_is_over_is_not_in_it() -> None:
    joined, _ = step(ACTIVE, ev.GuestJoined("guest-1"), 0)
    assert joined.guests[0].here
    ended, _ = step(joined, ev.Finished(), 0)
    assert not ended.guests[0].here


def test_an_invitation_names_its_limit() -> None:
    full = Consult(
        "c_1", "active", guests=tuple(Guest(f"guest-{n}", "family", "x") for n in "1234")
    )
    with pytest.raises(TooManyGuests, match="at most 4"):
        step(full, ev.Invited("guest-5", "family", "y"), 0)
