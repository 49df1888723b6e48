"""Top-ups as a clinic's systems ask for them, and commands that what is prepaid does not cover."""

from __future__ import annotations

import asyncio
from typing import Any

from signaling import events as ev
from signaling import messages as m
from signaling.asks import Ask
from signaling.prepaid import TopUp
from tests.signaling.world import JOIN, LIN, World

CONSULT = "c_00000001"


async def top_up(world: World, fen: int, key: str = "key00001") -> m.Answer:
    answered: asyncio.Future[m.Answer] = asyncio.get_running_loop().create_future()
    command = TopUp(kind="top_up", id=key, fen=fen)
    world.site.desk.ask(CONSULT, Ask(command, None, answered.set_result, keep_refusal=False))
    return await answered


def code(answer: m.Answer) -> str:
    assert answer.error is not None
    return answer.error.code


async def test_a_top_up_is_stored_shown_and_carried_out(world: World) -> None:
    token = await world.order(prepaid_fen=1_000)
    patient = await world.patient(token)
    hello = await patient.next("hello")
    assert hello["view"]["prepaid"]["limit_fen"] == 1_000
    answer = await top_up(world, 200)
    assert answer.ok
    assert answer.result == {"fen": "200", "limit_fen": "1200", "used_fen": "0", "left_s": "600"}
    update = await patient.next("consult", lambda u: u["event"]["kind"] == "topped_up")
    assert update["event"]["by"] == "clinic"
    assert update["view"]["prepaid"]["limit_fen"] == 1_200
    assert await top_up(world, 200) == answer
    assert (await world.case()).limit_fen == 1_200
    assert world.calls.performed == [ev.Grant(200)]


async def test_what_was_not_stored_is_refused_and_may_be_sent_again(world: World) -> None:
    await world.order(prepaid_fen=1_000)
    world.disk.away = True
    assert code(await top_up(world, 200)) == "storage_unavailable"
    world.disk.away = False
    assert (await top_up(world, 200)).ok
    assert (await world.case()).limit_fen == 1_200


async def test_who_cannot_be_topped_up_is_refused_each_time_anew(world: World) -> None:
    await world.order()
    assert code(await top_up(world, 200)) == "not_prepaid"
    answered: asyncio.Future[m.Answer] = asyncio.get_running_loop().create_future()
    command = TopUp(kind="top_up", id="key00001", fen=1)
    world.site.desk.ask("c_00000009", Ask(command, None, answered.set_result, keep_refusal=False))
    assert code(await answered) == "unknown_consult"


async def test_video_that_is_not_covered_is_neither_joined_nor_proposed_nor_accepted(
    world: World,
) -> None:
    token = await world.order(prepaid_fen=1)
    patient = await world.patient(token)
    refused: Any = await patient.ask("join", **{**JOIN, "mode": "video"})
    assert refused["error"]["code"] == "prepaid_too_low"
    assert (await patient.ask("join", **{**JOIN, "mode": "voice"}))["ok"]
    console = await world.console(LIN)
    assert (await console.ask("take"))["ok"]
    assert (await patient.ask("offer", connection_id="connection1", sdp="offer"))["ok"]
    consult = {"consult_id": CONSULT}
    refused = await console.ask("set_mode", mode="video", **consult)
    assert refused["error"]["code"] == "prepaid_too_low"
    assert (await top_up(world, 5)).ok
    assert (await console.ask("set_mode", mode="video", **consult))["ok"]
