"""A failure of the API is a problem (RFC 9457): it says what to do, and nothing of the inside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient
from pydantic import BaseModel, ConfigDict
from structlog.testing import capture_logs

from server import problems as module
from server.problems import MAX_BODY_BYTES, Problem, json_response, problems, read_model

Client = TestClient[web.Request, web.Application]
Connect = Callable[[web.Application], Awaitable[Client]]
PLAIN_JSON = {"Content-Type": "application/json"}


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: dict[str, int] = {}


async def echo(request: web.Request) -> web.Response:
    body = await read_model(request, Body)
    return json_response({"name": body.name})


async def fails(_request: web.Request) -> web.Response:
    raise RuntimeError("the password is hunter2")


async def waits(_request: web.Request) -> web.Response:
    raise Problem(429, "too_many", "wait", Retry_After="3")


@pytest.fixture
async def client(aiohttp_client: Connect) -> Client:
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[problems])
    app.router.add_post("/api/echo/{consult_id}", echo)
    app.router.add_get("/api/fails/{consult_id}", fails)
    app.router.add_get("/api/waits", waits)
    return await aiohttp_client(app)


async def refused(answer: Any, status: int, code: str) -> dict[str, Any]:
    """The problem of an answer, checked for its form."""
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = await answer.json(content_type="application/problem+json")
    assert problem["status"] == status
    assert problem["code"] == code
    assert problem["type"] == f"urn:wenzhen:problem:{code}"
    assert problem["title"]
    assert problem["detail"]
    return problem


async def test_a_good_body_is_read(client: Client) -> None:
    async with client.post("/api/echo/c_1", json={"name": "李秀英"}) as answer:
        assert answer.status == 200
        assert await answer.json() == {"name": "李秀英"}
        assert answer.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("data", "headers", "status", "code"),
    [
        (b"{}", {"Content-Type": "text/plain"}, 415, "not_json"),
        (b"name=x", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "not_json"),
        (b"", PLAIN_JSON, 422, "invalid_body"),
        (b"{", PLAIN_JSON, 400, "malformed_json"),
        (b'{"name": "\xff"}', PLAIN_JSON, 400, "malformed_json"),
        (b"[" * 60_000, PLAIN_JSON, 400, "malformed_json"),
        (b"[]", PLAIN_JSON, 422, "invalid_body"),
        (b"{}", PLAIN_JSON, 422, "invalid_body"),
        (b'{"name": 1}', PLAIN_JSON, 422, "invalid_body"),
        (b'{"name": "x", "more": 1}', PLAIN_JSON, 422, "invalid_body"),
        (b'{"name": "x", "inner": {"deep": "y"}}', PLAIN_JSON, 422, "invalid_body"),
        (b" " * (MAX_BODY_BYTES + 1), PLAIN_JSON, 413, "body_too_large"),
    ],
)
async def test_a_bad_body_is_refused(
    client: Client, data: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    async with client.post("/api/echo/c_1", data=data, headers=headers) as answer:
        await refused(answer, status, code)


async def test_a_refused_field_is_named_and_its_value_is_not_repeated(client: Client) -> None:
    wrong = {"name": "x", "inner": {"deep": "hunter2"}}
    async with client.post("/api/echo/c_1", json=wrong) as answer:
        problem = await refused(answer, 422, "invalid_body")
    assert problem["detail"].startswith("inner.deep: ")
    assert "hunter2" not in json.dumps(problem)


async def test_a_body_sent_in_chunks_has_the_same_limit(client: Client) -> None:
    """Without a Content-Length the size is known only while it is read."""

    async def endless() -> Any:
        for _ in range(100):
            yield b" " * 4096

    async with client.post("/api/echo/c_1", data=endless(), headers=PLAIN_JSON) as answer:
        await refused(answer, 413, "body_too_large")


async def test_a_body_that_does_not_come_is_given_up(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiohttp alone would wait for ever (HOSTILE.md)."""
    monkeypatch.setattr(module, "BODY_TIMEOUT_S", 0.05)
    ended = asyncio.Event()

    async def slow() -> Any:
        yield b"{"
        await ended.wait()

    async with asyncio.timeout(5):
        async with client.post("/api/echo/c_1", data=slow(), headers=PLAIN_JSON) as answer:
            await refused(answer, 408, "body_too_slow")
        ended.set()


async def test_a_failure_of_ours_says_nothing_but_500(client: Client) -> None:
    """The log names the route and never the path: paths carry ids of people's consults."""
    with capture_logs() as logged:
        async with client.get("/api/fails/c_1") as answer:
            problem = await refused(answer, 500, "internal_error")
    assert "hunter2" not in json.dumps(problem)
    (entry,) = logged
    assert entry["event"] == "request_failed"
    assert entry["route"] == "/api/fails/{consult_id}"
    assert "c_1" not in repr(entry)


async def test_unknown_paths_and_methods_are_problems_too(client: Client) -> None:
    async with client.get("/api/none") as answer:
        await refused(answer, 404, "not_found")
    async with client.delete("/api/echo/c_1") as answer:
        await refused(answer, 405, "method_not_allowed")
        assert answer.headers["Allow"] == "POST"


async def test_outside_the_api_people_read_the_answer(client: Client) -> None:
    async with client.get("/none") as answer:
        assert answer.status == 404
        assert answer.content_type == "text/plain"


async def test_a_problem_brings_its_headers(client: Client) -> None:
    async with client.get("/api/waits") as answer:
        await refused(answer, 429, "too_many")
        assert answer.headers["Retry-After"] == "3"
