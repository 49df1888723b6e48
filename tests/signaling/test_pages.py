"""Two pages and the server between them, over real sockets and real SQL."""

from __future__ import annotations

import asyncio

from server.storage import Storage
from signaling import events as ev
from signaling import messages as m
from signaling.messages import MeterTick
from tests.signaling.world import ELSEWHERE, JOIN, LIN, WU, World, until, world_on


async def test_a_link_becomes_a_call_and_a_summary(either_world: World) -> None:
    world = either_world
    token = await world.order()
    patient = await world.patient(token)
    hello = await patient.next("hello")
    assert hello["view"]["state"] == "created"
    assert hello["view"]["price"]["video_fen_per_min"] == 2207
    assert [event["kind"] for event in hello["events"]][:1] == ["created"]

    console = await world.console()
    assert (await console.next("hello"))["queue"] == []
    assert (await patient.ask("join", **JOIN))["ok"]
    assert (await patient.next("place"))["place"] == 1
    arrived = await console.next("queue", lambda q: q["upsert"])
    assert arrived["upsert"][0]["patient_name"] == "Zhang San"

    answer = await console.ask("take")
    assert (answer["ok"], answer["result"]) == (True, {"consult_id": "c_00000001"})
    offered = await patient.state("offered")
    assert offered["service"]["physician_name"] == "Dr. Lin"
    assert 0 < offered["answer_by_ms"] <= 45_000
    assert (await console.next("queue", lambda q: q["remove"]))["remove"] == ["c_00000001"]

    fields = {"connection_id": "connection-1", "sdp": "v=0"}
    answered = await console.ask("offer", consult_id="c_00000001", **fields)
    assert answered["result"] == {"sdp": "answer 1 to v=0"}
    assert (await patient.ask("offer", **fields))["result"] == {"sdp": "answer 2 to v=0"}
    assert (await patient.state("connecting"))["pause"] == "connecting"
    assert world.calls.performed == [ev.Engage("p_lin", "video")]
    world.site.desk.submit("c_00000001", ev.MediaStarted("physician"))
    world.site.desk.submit("c_00000001", ev.MediaStarted("patient"))
    assert (await console.state("active"))["pause"] is None

    assert (await console.ask("finish", consult_id="c_00000001", outcome="advised"))["ok"]
    ended = await patient.state("ended")
    assert ended["summary"]["record_id"] == "rec_1"
    assert (await console.state("ended"))["outcome"] == "advised"
    assert (await console.next("released"))["consult_id"] == "c_00000001"
    assert await world.records() == ["c_00000001"]

    case = await world.case()
    assert (case.core.state, case.marks.language) == ("ended", "zh-CN")
    marks = [case.marks.waiting_at, case.marks.offered_at, case.marks.ended_at]
    assert sorted(marks) == marks  # type: ignore[type-var]


async def test_a_repeated_command_gets_the_first_answer(either_world: World) -> None:
    world = either_world
    patient = await world.waiting()
    console = await world.console()
    first = await console.ask("take", "take-number-1")
    assert (await console.ask("take", "take-number-1")) == first
    fields = {"connection_id": "connection-1", "sdp": "v=0"}
    sdp = (await patient.ask("offer", "offer-number-1", **fields))["result"]
    assert (await patient.ask("offer", "offer-number-1", **fields))["result"] == sdp
    refused = await patient.ask("leave", "leave-number-1")
    assert refused["error"]["code"] == "invalid_transition"
    await console.ask("put_back", consult_id="c_00000001")
    await patient.state("waiting")
    assert (await patient.ask("leave", "leave-number-1")) == refused
    # the patient waits again, but this take was answered before
    assert (await console.ask("take", "take-number-1")) == first
    assert (await world.case()).core.state == "waiting"


async def test_finishing_a_hundred_times_makes_one_record(either_world: World) -> None:
    world = either_world
    patient, console = await world.in_call()
    for _ in range(50):
        await console.send("finish", "finish-once", consult_id="c_00000001")
    answers = [await console.ask("finish", consult_id="c_00000001") for _ in range(9)]
    assert all(answer["ok"] for answer in answers)
    assert await world.records() == ["c_00000001"]
    case = await world.case()
    assert case.core.version == (await patient.state("ended"))["n"]


async def test_of_two_physicians_one_wins_and_the_other_is_told_who(either_world: World) -> None:
    world = either_world
    await world.waiting()
    pages = [await world.console(LIN), await world.console(WU)]
    answers = await asyncio.gather(*(page.ask("take", consult_id="c_00000001") for page in pages))
    won = [answer for answer in answers if answer["ok"]]
    lost = [answer for answer in answers if not answer["ok"]]
    assert len(won) == len(lost) == 1
    winner = (await world.case()).core.physician_name
    assert lost[0]["error"] == {
        "code": "already_taken",
        "message": f"{winner} has taken this patient",
    }


async def test_taking_the_next_never_gives_two_physicians_one_patient(world: World) -> None:
    for number in (1, 2):
        await world.waiting(f"c_0000000{number}")
    pages = [await world.console(LIN), await world.console(WU)]
    answers = await asyncio.gather(*(page.ask("take") for page in pages))
    assert sorted(answer["result"]["consult_id"] for answer in answers) == [
        "c_00000001",
        "c_00000002",
    ]
    third = await world.console(LIN, page="page-0002")
    assert (await third.ask("take"))["error"]["code"] == "physician_busy"


async def test_a_full_server_refuses_to_take_and_the_queue_stays_as_it_was(world: World) -> None:
    """A line that is free again a moment later serves the same click."""
    await world.waiting()
    console = await world.console()
    world.calls.is_full = True
    for fields in ({}, {"consult_id": "c_00000001"}):
        refused = await console.ask("take", "take-number-1", **fields)
        assert refused["error"]["code"] == "node_full"
    case = await world.case()
    assert (case.core.state, case.core.physician_id) == ("waiting", None)
    world.calls.is_full = False
    assert (await console.ask("take", "take-number-1"))["ok"]
    world.calls.is_full = True
    again = await console.ask("take", "take-number-2", consult_id="c_00000001")
    assert again["ok"], "the call is begun: it needs no second line"


async def test_nobody_is_taken_who_is_booked_with_another(world: World) -> None:
    await world.waiting(booked_physician_id="p_wu", booked_physician_name="Dr. Wu")
    lin, wu = await world.console(LIN), await world.console(WU)
    assert (await lin.next("hello"))["queue"] == []
    assert (await wu.next("hello"))["queue"][0]["mine"] is True
    assert (await lin.ask("take"))["error"]["code"] == "nobody_waits"
    refused = await lin.ask("take", consult_id="c_00000001")
    assert refused["error"]["code"] == "not_your_consult"
    assert (await wu.ask("take"))["ok"]


async def test_an_event_for_anothers_consult_is_refused_and_audited(world: World) -> None:
    await world.in_call()
    for who in (WU, ELSEWHERE):
        page = await world.console(who)
        for kind in ("finish", "hold", "put_back"):
            answer = await page.ask(kind, consult_id="c_00000001")
            assert answer["error"]["code"] == "not_your_consult"
        kind, fields = world.audited[-1]
        assert kind == "not_your_consult"
        assert fields == {
            "consult_id": "c_00000001",
            "physician_id": who.id,
            "command": "put_back",
        }
    unknown = await page.ask("finish", consult_id="c_nobodyknows")
    assert unknown["error"]["code"] == "unknown_consult"
    assert (await world.case()).core.state == "active"


async def test_all_links_that_open_nothing_are_refused_alike(world: World) -> None:
    for auth in (
        {"token": "a-token-that-nobody-has", "page": "page-0001"},
        {"token": "short", "page": "page-0001"},
        {"page": "page-0001"},
        {},
        None,
        {"token": 7, "page": [], "more": "x"},
    ):
        page = await refused(world, "/patient", auth)
        assert page == {"message": "link_invalid", "data": {"code": "link_invalid"}}
    assert (await refused(world, "/console", {"page": "page-0001"}))["message"] == "not_signed_in"


async def refused(world: World, namespace: str, auth: object) -> dict[str, object]:
    import socketio.exceptions

    try:
        await world.connect(namespace, auth)
    except socketio.exceptions.ConnectionError:
        pass
    else:
        raise AssertionError("let in")
    seen: dict[str, object] = world.pages[-1].refused
    return seen


async def test_the_newest_page_has_the_consult(world: World) -> None:
    """The link on a second device moves the consult there: one billed party, never two."""
    token = await world.order()
    first = await world.patient(token, "page-0001")
    await first.next("hello")
    second = await world.patient(token, "page-0002")
    await second.next("hello")
    assert (await first.next("goodbye"))["code"] == "moved"
    await first.closes()
    assert (await second.ask("join", **JOIN))["ok"]
    assert (await world.case()).core.patient_here


async def test_a_page_that_reconnects_resumes_after_its_last_event(world: World) -> None:
    token = await world.order()
    page = await world.patient(token)
    await page.next("hello")
    await page.ask("join", **JOIN)
    seen = (await page.state("waiting"))["n"]
    console = await world.console()
    await console.ask("take")
    again = await world.patient(token, after=seen)  # the same page, before its old end is noticed
    hello = await again.next("hello")
    assert [event["n"] for event in hello["events"]] == [seen + 1]
    assert hello["events"][0]["kind"] == "taken"
    assert (hello["view"]["state"], hello["view"]["n"]) == ("offered", seen + 1)
    assert not [message for message in page.received if message["kind"] == "goodbye"]
    assert world.calls.arrivals[-1] == ("c_00000001", "patient", True)


async def test_a_console_that_reloads_returns_to_its_call(world: World) -> None:
    _, console = await world.in_call()
    again = await world.console(page="page-0002")
    hello = await again.next("hello")
    assert hello["call"]["state"] == "active"
    assert hello["call"]["patient_name"] == "Zhang San"
    await console.next("goodbye")
    await again.ask("finish", consult_id="c_00000001")
    await again.state("ended")
    receipt = await world.console(page="page-0002", consult_id="c_00000001", after=3)
    assert (await receipt.next("hello"))["call"]["state"] == "ended"
    other = await world.console(WU, consult_id="c_00000001", after=3)
    assert (await other.next("hello"))["call"] is None


async def test_a_patient_sees_the_place_move(world: World) -> None:
    first = await world.waiting("c_00000001")
    second = await world.waiting("c_00000002")
    assert await second.next("place") == {"kind": "place", "place": 2, "waiting": 2}
    await first.next("place", lambda p: p["waiting"] == 2)
    console = await world.console()
    await console.ask("take", consult_id="c_00000001")
    assert await second.next("place") == {"kind": "place", "place": 1, "waiting": 1}
    await console.ask("put_back", consult_id="c_00000001")
    assert await second.next("place") == {"kind": "place", "place": 2, "waiting": 2}


async def test_a_price_that_was_not_shown_is_not_agreed(world: World) -> None:
    page = await world.patient(await world.order())
    answer = await page.ask("join", **{**JOIN, "tariff_digest": "0" * 64})
    assert answer["error"]["code"] == "price_changed"
    answer = await page.ask("join", **{**JOIN, "terms_version": "2020-01"})
    assert answer["error"]["code"] == "price_changed"
    assert (await world.case()).core.state == "created"


async def test_a_link_whose_time_is_over_joins_no_more(world: World) -> None:
    page = await world.patient(await world.order(closes_at=1))
    answer = await page.ask("join", **JOIN)
    assert answer["error"]["code"] == "invalid_transition"
    assert (await world.case()).core.state == "expired"


async def test_hold_mode_and_hanging_up_reach_the_call_and_both_pages(world: World) -> None:
    patient, console = await world.in_call()
    here = {"consult_id": "c_00000001"}
    world.calls.performed.clear()
    await console.ask("hold", **here)
    assert (await patient.state("held"))["pause"] == "held"
    await console.ask("resume", **here)
    await patient.state("active")
    await patient.ask("set_mode", mode="voice")
    await console.next("consult", lambda u: u["view"]["mode"] == "voice")
    await console.ask("set_mode", "proposal-1", mode="video", **here)
    shown = await patient.next("consult", lambda u: u["view"]["proposal"])
    assert shown["view"]["proposal"] == {"id": "proposal-1", "mode": "video", "fen_per_min": 2207}
    await patient.ask("answer_mode", proposal_id="proposal-1", accept=True)
    await console.next("consult", lambda u: u["view"]["mode"] == "video")
    await patient.ask("hang_up")
    assert (await console.state("interrupted"))["pause"] == "hung_up"
    assert (await patient.state("interrupted"))["may_rejoin"] is True
    await patient.ask("rejoin")
    world.site.desk.submit("c_00000001", ev.MediaStarted("patient"))
    await console.state("active")
    assert world.calls.performed == [
        ev.HoldMedia(),
        ev.ResumeMedia(),
        ev.SwitchMode("voice"),
        ev.SwitchMode("video"),
        ev.Disengage("hung_up", "patient"),
        ev.Engage("p_lin", "video"),
    ]


async def test_a_call_is_recorded_when_both_pages_say_so(world: World) -> None:
    patient, console = await world.in_call()
    here = {"consult_id": "c_00000001"}
    world.calls.performed.clear()
    await console.ask("record", "recording-1", **here)
    shown = await patient.next("consult", lambda u: u["view"]["recording"])
    asked = shown["view"]["recording"]
    assert (asked["id"], asked["state"]) == ("recording-1", "proposed")
    words = {"recording_id": "recording-1", "terms_version": asked["terms_version"]}
    answer = await patient.ask("answer_recording", accept=True, **words)
    assert answer["ok"]
    on = await console.next(
        "consult", lambda u: (u["view"]["recording"] or {}).get("state") == "on"
    )
    started = ev.StartRecording("recording-1", on["view"]["n"] - 1, on["view"]["n"])
    assert world.calls.performed == [started]
    await patient.ask("stop_recording")
    await console.next("consult", lambda u: u["view"]["recording"] is None)
    assert world.calls.performed[-1] == ev.StopRecording()


async def test_a_recording_stops_even_if_that_cannot_be_stored(world: World) -> None:
    """Consent that is taken back holds at once."""
    patient, console = await world.in_call()
    await console.ask("record", "recording-1", consult_id="c_00000001")
    shown = await patient.next("consult", lambda u: u["view"]["recording"])
    version = shown["view"]["recording"]["terms_version"]
    await patient.ask(
        "answer_recording", accept=True, recording_id="recording-1", terms_version=version
    )
    world.disk.away = True
    refused = await patient.ask("stop_recording")
    assert refused["error"]["code"] == "storage_unavailable"
    assert world.calls.performed[-1] == ev.StopRecording()


async def test_nobody_is_asked_where_nothing_is_recorded(world: World) -> None:
    world.calls.may_record = False
    _, console = await world.in_call()
    refused = await console.ask("record", consult_id="c_00000001")
    assert refused["error"]["code"] == "recording_off"


async def test_an_offer_that_media_refuses_changes_nothing(world: World) -> None:
    patient = await world.waiting()
    early = await patient.ask("offer", connection_id="connection-1", sdp="v=0")
    assert early["error"]["code"] == "invalid_transition"
    console = await world.console()
    await console.ask("take")
    answer = await patient.ask("offer", connection_id="connection-1", sdp="bad")
    assert answer["error"]["code"] == "sdp_refused"
    answer = await patient.ask("offer", connection_id="connection-1", sdp="no disk")
    assert answer["error"]["code"] == "storage_unavailable"
    assert (await world.case()).core.state == "offered"


async def test_the_meter_and_a_lost_connection_are_told_to_both_pages(world: World) -> None:
    patient, console = await world.in_call()
    tick = MeterTick(
        consult_id="c_00000001",
        voice_ms=0,
        video_ms=1500,
        charge_fen=55,
        currency="CNY",
        running=True,
        pause=None,
    )
    world.site.pages.push_meter("c_00000001", tick)
    assert (await patient.next("meter")) == (await console.next("meter"))
    world.site.pages.reconnect_media("c_00000001", "patient")
    await patient.next("reconnect_media")
    world.site.pages.reconnect_media("c_00000001")
    await patient.next("reconnect_media")
    await console.next("reconnect_media")
    assert not [message for message in console.received if message["kind"] == "reconnect_media"]


async def test_a_console_whose_session_is_over_is_closed(world: World) -> None:
    console = await world.console()
    await console.next("hello")
    world.site.pages.signed_out("p_lin")
    assert (await console.next("goodbye"))["code"] == "signed_out"
    await console.closes()


async def test_who_is_signed_out_acts_no_more(world: World) -> None:
    """Not even in the moment until the connection is closed."""
    patient = await world.waiting()
    console = await world.console()
    await console.next("hello")
    (seat,) = [sid for sid in world.site.pages._by_sid if sid not in patient_sids(world)]
    world.site.pages.signed_out("p_lin")
    take = m.Take(kind="take", id="command-0001", consult_id="c_00000001")
    world.site.pages.console_says(seat, take)
    await console.closes()
    other = await world.console(WU)
    assert (await other.ask("take"))["ok"]
    await patient.state("offered")
    assert (await world.case()).core.physician_id == "p_wu"


def patient_sids(world: World) -> list[str]:
    return [seat.page.sid for seat in world.site.pages._patients.values()]


async def test_a_page_that_was_moved_acts_no_more(world: World) -> None:
    page = await world.patient(await world.order())
    await page.next("hello")
    former = world.site.pages._patients["c_00000001"].page
    former.close("moved")
    world.site.pages.patient_says(former.sid, m.Join(kind="join", id="command-0001", **JOIN))
    await page.closes()
    other = await world.patient("token-of-c_00000001", "page-0002")
    assert (await other.next("hello"))["view"]["state"] == "created"
    assert (await other.ask("leave"))["error"]["code"] == "invalid_transition"


async def test_a_console_ends_with_its_session(storage: Storage) -> None:
    """A page left open over night shows no patients in the morning."""
    async with world_on(storage, check_sessions_s=0.05) as world:
        _, console = await world.in_call()
        other = await world.console(WU)
        await other.next("hello")
        del world.doors.physicians["p_lin"]
        assert (await console.next("goodbye"))["code"] == "signed_out"
        await console.closes()
        assert (await other.ask("take"))["error"]["code"] == "nobody_waits"
        assert (await world.case()).core.state == "active"  # the physician signs in and returns


async def test_no_console_is_closed_because_its_session_cannot_be_read(storage: Storage) -> None:
    async with world_on(storage, check_sessions_s=0.02) as world:
        console = await world.console()
        await console.next("hello")
        world.doors.broken = True

        async def asked() -> bool:
            return world.doors.failures > 2

        await until(asked)
        world.doors.broken = False
        assert (await console.ask("take"))["error"]["code"] == "nobody_waits"


async def test_a_stopping_server_takes_nothing_new_and_says_goodbye(world: World) -> None:
    patient, console = await world.in_call()
    other = await world.waiting("c_00000002")
    draining = asyncio.ensure_future(world.site.drain(5))
    await asyncio.sleep(0)
    late = await world.console(WU)
    assert (await late.ask("take"))["error"]["code"] == "server_stopping"
    assert not draining.done()
    await console.ask("finish", consult_id="c_00000001")
    assert await draining
    await world.site.close()
    for page in (patient, other, late):
        assert (await page.next("goodbye"))["code"] == "server_stopping"
        await page.closes()
    # who waits is not gone because the server is: no event says so
    assert (await world.case("c_00000002")).core.patient_here
