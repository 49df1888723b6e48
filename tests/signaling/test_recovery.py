"""Crashes, a database that is away, and time that passes: nothing acknowledged is lost."""

from __future__ import annotations

import asyncio

import pytest

from server.storage import Storage
from signaling import events as ev
from signaling import messages as m
from signaling import store
from signaling.asks import Ask, Look
from signaling.model import Timers
from tests.signaling.world import JOIN, LIN, WU, World, until, world_on

QUICK = Timers(
    answer_ms=80,
    connecting_ms=150,
    interrupted_ms=80,
    reopen_ms=80,
    hung_up_ms=80,
    offline_ms=60,
    dropped_ms=150,
)


async def test_a_call_survives_the_server(either_storage: Storage) -> None:
    async with world_on(either_storage) as first:
        patient, _ = await first.in_call()
        before = await first.case()
        n = before.core.version
        assert n == 7
        await patient.leave()
        # as after kill -9: nothing more is stored, whatever the pages did
        first.disk.away = True
    async with world_on(either_storage) as second:
        patient = await second.patient("token-of-c_00000001", after=n)
        hello = await patient.next("hello")
        assert [event["kind"] for event in hello["events"]][:1] == ["node_restarted"]
        assert hello["view"]["state"] == "interrupted"
        console = await second.console(consult_id="c_00000001", after=n)
        assert (await console.next("hello"))["call"]["patient_name"] == "Zhang San"
        assert second.calls.performed == [ev.Engage("p_lin", "video")]
        assert ("c_00000001", "patient", True) in second.calls.arrivals
        assert ("c_00000001", "physician", True) in second.calls.arrivals
        for side in ("patient", "physician"):
            second.site.desk.submit("c_00000001", ev.MediaStarted(side))  # type: ignore[arg-type]
        await patient.state("active")
        assert (await console.ask("finish", consult_id="c_00000001"))["ok"]
        assert await second.records() == ["c_00000001"]
        case = await second.case()
        assert (case.marks.epoch, case.marks.created_at) == (2, before.marks.created_at)


async def test_who_waits_keeps_the_place_over_a_restart(storage: Storage) -> None:
    async with world_on(storage) as first:
        await first.waiting("c_00000001")
        await first.waiting("c_00000002")
    async with world_on(storage) as second:
        later = await second.waiting("c_00000003")
        assert (await later.next("place"))["place"] == 3
        console = await second.console()
        queue = (await console.next("hello"))["queue"]
        assert [item["consult_id"] for item in queue] == [
            "c_00000001",
            "c_00000002",
            "c_00000003",
        ]


async def test_two_processes_cannot_both_move_a_consult(storage: Storage) -> None:
    """A process that was paused and wakes up finds that the consult is another's now."""
    async with world_on(storage) as paused:
        await paused.waiting()
        console = await paused.console()
        async with world_on(storage) as running:
            page = await running.console(WU)
            assert (await page.ask("take"))["ok"]
            answer = await console.ask("take", consult_id="c_00000001")
            assert answer["error"]["code"] == "already_taken"
            assert "Dr. Wu" in answer["error"]["message"]


async def test_without_the_database_commands_are_refused_and_nothing_changes(
    either_storage: Storage,
) -> None:
    async with world_on(either_storage) as world:
        patient, console = await world.in_call()
        world.disk.away = True
        performed = list(world.calls.performed)
        refused = await console.ask("finish", "finish-once", consult_id="c_00000001")
        assert refused["error"]["code"] == "storage_unavailable"
        assert (await patient.ask("hang_up"))["error"]["code"] == "storage_unavailable"
        assert world.calls.performed == performed
        world.disk.away = False
        # the same command may be sent again: it was not answered for good
        assert (await console.ask("finish", "finish-once", consult_id="c_00000001"))["ok"]
        assert await world.records() == ["c_00000001"]


async def test_facts_wait_for_the_database_and_are_not_lost(storage: Storage) -> None:
    async with world_on(storage) as world:
        patient, console = await world.in_call()
        world.disk.away = True
        for at_ms in range(1000):  # and none of them piles up
            world.site.desk.submit("c_00000001", ev.MediaStopped("patient", at_ms))
            world.site.desk.submit("c_00000001", ev.MediaStarted("patient"))
        world.site.desk.submit("c_00000001", ev.MediaStopped("patient", 1000))
        assert (await console.ask("hold", consult_id="c_00000001"))["error"] is not None
        world.disk.away = False
        assert (await patient.state("interrupted"))["pause"] == "patient_silent"
        assert (await world.case()).core.version == 8


async def test_a_page_sees_its_running_call_without_the_database(storage: Storage) -> None:
    async with world_on(storage) as world:
        await world.in_call()
        console = await world.console(page="page-0002")
        await console.next("hello")
        world.disk.away = True
        again = await world.console(page="page-0002")
        assert (await again.next("hello"))["call"]["state"] == "active"
        world.disk.away = False


async def test_who_does_not_answer_is_back_at_the_same_place(storage: Storage) -> None:
    async with world_on(storage, QUICK) as world:
        patient = await world.waiting("c_00000001")
        await world.waiting("c_00000002")
        console = await world.console()
        await console.ask("take")
        await patient.state("waiting")
        assert (await console.next("released"))["consult_id"] == "c_00000001"
        assert (await patient.next("place", lambda p: p["waiting"] == 2))["place"] == 1


async def test_media_that_does_not_come_is_asked_for_again_and_then_given_up(
    storage: Storage,
) -> None:
    async with world_on(storage, QUICK) as world:
        patient = await world.waiting()
        console = await world.console()
        await console.ask("take")
        await patient.ask("offer", connection_id="connection-1", sdp="v=0")
        world.site.desk.submit("c_00000001", ev.MediaStarted("physician"))
        for _ in range(2):
            await patient.next("reconnect_media")
        failed = await patient.state("failed")
        assert failed["summary"]["end_cause"] == "setup_failed"
        await console.next("released")
        assert not [seen for seen in console.received if seen["kind"] == "reconnect_media"]


async def test_a_page_that_is_gone_is_offline_then_dropped(storage: Storage) -> None:
    async with world_on(storage, QUICK) as world:
        console = await world.console()
        patient = await world.waiting()
        await console.next("queue", lambda q: q["upsert"] and q["upsert"][0]["online"])
        await patient.leave()
        await console.next("queue", lambda q: q["upsert"] and not q["upsert"][0]["online"])
        await console.next("queue", lambda q: q["remove"])
        assert (await world.case()).core.state == "abandoned"


async def test_a_short_absence_while_waiting_is_no_event(world: World) -> None:
    """Thousands of pages that return at once cost no write to the database."""
    console = await world.console()
    patient = await world.waiting()
    await patient.leave()
    again = await world.patient("token-of-c_00000001", after=3)
    hello = await again.next("hello")
    assert (hello["events"], hello["view"]["n"], hello["view"]["state"]) == ([], 3, "waiting")
    assert (await again.next("place"))["place"] == 1
    assert (await console.ask("take"))["ok"]
    assert (await again.state("offered"))["n"] == 4


async def test_who_takes_a_patient_sees_that_the_page_is_gone(world: World) -> None:
    patient = await world.waiting()
    console = await world.console()
    await patient.leave()

    async def noticed() -> bool:
        return "c_00000001" not in world.site.pages._patients

    await until(noticed)
    assert (await world.case()).core.patient_here
    assert (await console.ask("take"))["ok"]
    await console.next("consult", lambda u: not u["view"]["patient_online"])
    assert not (await world.case()).core.patient_here


async def test_who_comes_back_to_a_freed_call_goes_on_in_the_same_consult(
    storage: Storage,
) -> None:
    timers = Timers(interrupted_ms=80)
    async with world_on(storage, timers) as world:
        patient, console = await world.in_call()
        await patient.leave()
        world.site.desk.submit("c_00000001", ev.MediaStopped("patient", 1))
        await console.next("released")
        back = await world.patient("token-of-c_00000001", after=8)
        assert (await back.next("hello"))["view"]["state"] == "waiting"
        other = await world.console(WU)
        assert (await other.ask("take"))["ok"]
        assert (await back.state("offered"))["service"]["physician_name"] == "Dr. Wu"


async def test_who_hung_up_and_stays_away_has_ended_the_call(storage: Storage) -> None:
    async with world_on(storage, QUICK) as world:
        patient, console = await world.in_call()
        await patient.ask("hang_up")
        ended = await console.state("ended")
        assert ended["summary"]["end_cause"] == "patient_hangup"
        assert await world.records() == ["c_00000001"]


async def test_links_that_nobody_used_are_closed(storage: Storage) -> None:
    async with world_on(storage) as first:
        await first.order(closes_at=1)
    async with world_on(storage) as world:

        async def expired() -> bool:
            return (await world.case()).core.state == "expired"

        await until(expired)


async def test_a_commit_whose_answer_was_lost_is_caught_up_with(storage: Storage) -> None:
    """Somebody else, or we ourselves, moved the row: the effects are made good."""
    async with world_on(storage) as world:
        patient, console = await world.in_call()
        keeper = world.site.desk._keepers["c_00000001"]
        before = keeper.case
        await console.ask("finish", consult_id="c_00000001")
        await patient.state("ended")
        world.calls.performed.clear()
        again = world.site.desk._keeper("c_00000001", before)
        again.submit(ev.MediaStopped("patient", 5))

        async def performed() -> bool:
            return bool(world.calls.performed)

        await until(performed)
        assert world.calls.performed == [ev.Settle("physician_finish", "physician")]
        assert await world.records() == ["c_00000001"]


@pytest.mark.parametrize(
    "reads",
    [[], [False], [True, False], [False, True, False], [False, False, True, False, False]],
    ids=str,
)
async def test_what_a_lost_commit_asks_for_is_done_however_the_reads_fail(
    world: World, reads: list[bool]
) -> None:
    """A hold that is stored and not performed would be heard and billed."""
    patient, console = await world.in_call()
    world.calls.performed.clear()
    keeper = world.site.desk._keepers["c_00000001"]
    world.disk.lost_answers = 1
    world.disk.reads = [True, *reads]  # the first looks for an earlier answer
    held = await console.ask("hold", consult_id="c_00000001")
    assert held["error"]["code"] == "storage_unavailable"
    for page in (patient, console):
        assert (await page.state("held"))["pause"] == "held"
    standing = [ev.Engage("p_lin", "video"), ev.HoldMedia(), ev.StopRecording()]
    assert world.calls.performed == standing
    assert world.site.desk._keepers["c_00000001"] is keeper
    assert (await console.ask("resume", consult_id="c_00000001"))["ok"]
    assert world.calls.performed[3:] == [ev.ResumeMedia()]


async def test_what_was_lost_is_not_forgotten_when_the_next_commit_is_lost_too(
    world: World,
) -> None:
    patient, console = await world.in_call()
    world.calls.performed.clear()
    world.disk.lost_answers = 2
    world.disk.reads = [True, False, True]
    assert not (await console.ask("hold", consult_id="c_00000001"))["ok"]
    world.site.desk.submit("c_00000001", ev.MediaStopped("patient", 1))
    await patient.state("held")
    await console.state("held")
    assert ev.HoldMedia() in world.calls.performed

    async def noted() -> bool:
        return not (await world.case()).core.patient_media

    await until(noted)


async def test_an_end_whose_answer_was_lost_frees_the_physician(world: World) -> None:
    patient, console = await world.in_call()
    world.calls.performed.clear()
    world.disk.lost_answers = 1
    assert not (await console.ask("finish", "finish-once", consult_id="c_00000001"))["ok"]
    await patient.state("ended")
    await console.next("released")
    assert world.calls.performed == [ev.Settle("physician_finish", "physician")]
    assert (await console.ask("finish", "finish-once", consult_id="c_00000001"))["ok"]
    assert await world.records() == ["c_00000001"]


async def test_a_commit_that_failed_indeed_changes_nothing(world: World) -> None:
    _, console = await world.in_call()
    world.calls.performed.clear()
    keeper = world.site.desk._keepers["c_00000001"]
    before, world.disk.away = keeper.case, True
    assert not (await console.ask("hold", consult_id="c_00000001"))["ok"]
    world.disk.away = False
    assert (await console.ask("set_mode", mode="voice", consult_id="c_00000001"))["ok"]
    assert world.calls.performed == [ev.SwitchMode("voice")]
    assert before is not None
    assert (await world.case()).core.version == before.core.version + 1


async def test_who_was_closed_touches_the_database_no_more(world: World) -> None:
    """Rooms are closed after the desk, and report that their media stopped."""
    await world.in_call()
    desk = world.site.desk
    await world.site.close()
    world.disk.reads = [True]
    answers: list[m.Answer] = []
    desk.submit("c_00000001", ev.MediaStopped("patient", 1))
    command = m.Hold(kind="hold", id="command-0001", consult_id="c_00000001")
    desk.ask("c_00000001", Ask(command, LIN, answers.append))
    desk.look("c_00000001", Look(0, lambda _case, _events: None))
    await asyncio.sleep(0)
    assert [answer.error and answer.error.code for answer in answers] == ["server_stopping"]
    assert list(desk.cases()) == []
    assert [task for task in asyncio.all_tasks() if "c_00000001" in task.get_name()] == []
    assert world.disk.reads == [True]


async def test_an_unknown_token_and_event_history(either_world: World) -> None:
    patient = await either_world.waiting()
    await patient.ask("leave")
    async with either_world.disk.read() as conn:
        assert await store.by_link_hash(conn, "0" * 64, either_world.clock) is None
        assert await store.load(conn, "c_nobodyknows", either_world.clock) is None
        history = await store.events(conn, "c_00000001", 0)
        assert [(event.kind, event.by) for event in history] == [
            ("created", "clinic"),
            ("patient_back", "server"),
            ("joined", "patient"),
            ("left", "patient"),
        ]
        assert await store.events(conn, "c_00000001", 3) == history[3:]
        assert await store.live(conn, either_world.clock) == []
    assert JOIN["language"] == (await either_world.case()).marks.language
