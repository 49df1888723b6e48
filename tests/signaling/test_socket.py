"""What a page may send, down to the frame: whoever sends else is closed, others are unharmed."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from socketio import packet as sio_packet

from signaling.messages import MAX_MESSAGE_BYTES
from signaling.socket import BURST, MAX_DEPTH, MAX_REFUSALS, SocketServer, StrictJson, StrictPacket
from tests.signaling.world import WallAndMonotonic, World

PATH = "/socket.io/?EIO=4&transport=websocket"
CONNECT = '40/patient,{"token":"token-of-c_00000001","page":"page-0001"}'


@asynccontextmanager
async def raw(world: World, **headers: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A connection without a library that would keep us from misbehaving."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(world.url + PATH, headers=headers) as ws,
    ):
        assert (await ws.receive_str()).startswith("0{")
        yield ws


async def until_closed(ws: aiohttp.ClientWebSocketResponse) -> list[str]:
    """What still comes until the server closes."""
    seen = []
    async with asyncio.timeout(5):
        async for message in ws:
            seen.append(message.data)
    return seen


def event(*data: Any) -> str:
    return "42/patient," + json.dumps(data)


MALFORMED = {
    "another event": event("hello", {}),
    "the handler of connecting": event("connect", {}, {}),
    "the handler of disconnecting": event("disconnect", "because"),
    "no payload": event("command"),
    "too many arguments": event("command", {}, {}),
    "no list": "42/patient,{}",
    "no name": "42/patient,[]",
    "an acknowledgement": '42/patient,7["command",{}]',
    "an answer to nothing": '43/patient,1["x"]',
    "an error": "44/patient,{}",
    "a binary event": '451-/patient,["command",{"_placeholder":true,"num":0}]',
    "ten thousand million attachments": '459999999999-/patient,["command",{}]',
    "attachments to an event": '421-/patient,["command",{}]',
    "an unknown packet": "49/patient,[]",
    "no number": "4x",
    "half a JSON": '42/patient,["command",{"kind"',
    "deep JSON": "42/patient," + "[" * 60_000,
    "a long number": '42/patient,["command",' + "9" * 5000 + "]",
    "NaN": '42/patient,["command",NaN]',
    "no command": event("command", {"kind": "join"}),
    "a command with more": event("command", {"kind": "leave", "id": "command-01", "more": 1}),
    "a command of the console": event(
        "command", {"kind": "finish", "id": "command-01", "consult_id": "c_00000001"}
    ),
    "a string": event("command", "leave"),
    "null": event("command", None),
}


@pytest.mark.parametrize("frame", MALFORMED.values(), ids=list(MALFORMED))
async def test_who_sends_what_is_no_message_gets_a_goodbye(world: World, frame: str) -> None:
    await world.order()
    async with raw(world) as ws:
        await ws.send_str(CONNECT)
        while "hello" not in await ws.receive_str():
            pass
        started = time.monotonic()
        await ws.send_str(frame)
        rest = await until_closed(ws)
        assert time.monotonic() - started < 2
    assert any('"goodbye"' in text and '"malformed"' in text for text in rest)
    assert world.site.socket.sio._binary_packet == {}


FRAMES: dict[str, str | bytes] = {
    "empty": "",
    "no type": "x",
    "binary": b"\x04\x00",
    "base64": "bAAAA",
    "deep engine.io JSON": "4" + "[" * 100_000,
    "auth that is no object": "40/patient,[]",
    "auth that is deep": "40/patient," + '{"a":' * 20_000,
    "an event before connecting, malformed": '459-["x"]',
    "huge": "4" + "x" * (MAX_MESSAGE_BYTES + 1),
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=list(FRAMES))
async def test_who_sends_what_is_no_frame_is_closed_and_others_go_on(
    world: World, frame: str | bytes, caplog: pytest.LogCaptureFixture
) -> None:
    patient, console = await world.in_call()
    with caplog.at_level(logging.WARNING):
        async with raw(world) as ws:
            if isinstance(frame, bytes):
                await ws.send_bytes(frame)
            else:
                await ws.send_str(frame)
            await until_closed(ws)
    assert (await console.ask("hold", consult_id="c_00000001"))["ok"]
    await patient.state("held")
    assert [record for record in caplog.records if record.exc_info] == []


async def test_an_unknown_namespace_is_not_served(world: World) -> None:
    async with raw(world) as ws:
        for namespace in ("", "/", "/admin,"):
            await ws.send_str("40" + namespace)
            assert (await ws.receive_str()).startswith("44")


async def test_a_second_connect_changes_nothing(world: World) -> None:
    await world.order()
    async with raw(world) as ws:
        for _ in range(3):
            await ws.send_str(CONNECT)
        texts = [await ws.receive_str() for _ in range(4)]
    assert sum(text.startswith("40/patient") for text in texts) == 1
    assert sum(text.startswith("44/patient") for text in texts) == 2


async def test_who_floods_is_closed_and_a_burst_is_not(world: World) -> None:
    await world.order()
    async with raw(world) as ws:
        await ws.send_str(CONNECT)
        while "hello" not in await ws.receive_str():
            pass
        for number in range(BURST // 2):
            await ws.send_str(event("command", {"kind": "leave", "id": f"command-{number}"}))
        answers = 0
        while answers < BURST // 2:
            answers += '"answer"' in await ws.receive_str()
        for number in range(BURST * 2):
            await ws.send_str(event("command", {"kind": "leave", "id": f"another-{number}"}))
        rest = await until_closed(ws)
    assert any('"goodbye"' in text and '"flooding"' in text for text in rest)


async def test_who_floods_before_connecting_is_closed(world: World) -> None:
    async with raw(world) as ws:
        for _ in range(BURST * 2):
            await ws.send_str("40/nowhere,")
        await until_closed(ws)


@pytest.mark.parametrize("namespace", ["/patient", "/console", "/nowhere"])
async def test_a_connection_is_refused_three_times_and_closed(world: World, namespace: str) -> None:
    """What a stranger costs, a read and a line in the audit log, is bounded by connections."""
    async with raw(world) as ws:
        for number in range(10):
            auth = {"token": f"a-token-that-nobody-has-{number}", "page": "page-0001"}
            await ws.send_str(f"40{namespace}," + json.dumps(auth))
        texts = await until_closed(ws)
    assert sum(text.startswith(f"44{namespace}") for text in texts) == MAX_REFUSALS == 3
    assert len(world.audited) == (3 if namespace == "/patient" else 0)


async def test_a_page_that_is_let_in_at_last_is_not_closed(world: World) -> None:
    """The page of a server that is short of its database tries again on the same connection."""
    await world.order()
    async with raw(world) as ws:
        world.disk.away = True
        for _ in range(MAX_REFUSALS - 1):
            await ws.send_str(CONNECT)
            assert "storage_unavailable" in await ws.receive_str()
        world.disk.away = False
        await ws.send_str(CONNECT)
        while "hello" not in await ws.receive_str():
            pass


async def test_who_connects_and_says_nothing_is_closed() -> None:
    server = SocketServer(WallAndMonotonic(), (), silent_s=0.05)
    app = web.Application()
    server.sio.attach(app)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}{PATH}"
    try:
        async with aiohttp.ClientSession() as session, session.ws_connect(url) as ws:
            await until_closed(ws)
    finally:
        await server.close()
        await runner.cleanup()


async def test_long_polling_is_not_offered(world: World) -> None:
    url = f"{world.url}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 400


@pytest.mark.parametrize(
    ("origin", "let_in"),
    [("http://{host}", True), ("https://{host}", True), ("http://evil.example", False)],
)
async def test_pages_of_other_sites_are_not_let_in(world: World, origin: str, let_in: bool) -> None:
    """WebSockets know no same-origin rule (RFC 6455, section 10.2): the server checks."""
    host = world.url.removeprefix("http://")
    if let_in:
        async with raw(world, Origin=origin.format(host=host)) as ws:
            assert not ws.closed
    else:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="400"):
            async with raw(world, Origin=origin.format(host=host)):
                pass


async def test_a_page_that_does_not_read_is_closed(world: World) -> None:
    """It resumes by its event numbers when it reads again; meanwhile it holds no memory."""
    from signaling.messages import MeterTick

    patient, _ = await world.in_call()
    tick = MeterTick(
        consult_id="c_00000001",
        voice_ms=0,
        video_ms=0,
        charge_fen=0,
        currency="CNY",
        running=True,
        pause=None,
    )
    for _ in range(300):  # more than a page's line holds, before it can send any
        world.site.pages.push_meter("c_00000001", tick)
    await patient.closes()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=20,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max((depth(inner) for inner in value.values()), default=0)
    if isinstance(value, list):
        return 1 + max((depth(inner) for inner in value), default=0)
    return 0


@given(JSON, st.booleans())
def test_json_is_read_as_ever_unless_it_is_deep(value: Any, escaped: bool) -> None:
    text = json.dumps(value, ensure_ascii=escaped)
    if depth(value) > MAX_DEPTH:
        with pytest.raises(ValueError, match="deep"):
            StrictJson.loads(text)
    else:
        assert StrictJson.loads(text) == value


@given(st.text(alphabet='[]{}",:\\ax1 ', max_size=200))
def test_any_text_is_json_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        StrictJson.loads(text)


@given(st.text(alphabet='0123456789-/,[]{}"command ', max_size=60))
def test_any_packet_is_one_of_ours_or_a_value_error(text: str) -> None:
    try:
        packet = StrictPacket(encoded_packet=text or "9")
    except (ValueError, AttributeError):
        return
    assert packet.packet_type in (sio_packet.CONNECT, sio_packet.DISCONNECT, sio_packet.EVENT)
    assert packet.attachments == []


async def test_no_page_gets_a_compressor(world: World) -> None:
    """Browsers always offer compression; 300 KB for each waiting page is more than it saves."""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(world.url + PATH, compress=15) as ws,
    ):
        assert (await ws.receive_str()).startswith("0{")
        assert ws.compress == 0
