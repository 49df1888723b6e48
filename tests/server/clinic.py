"""A whole process in the loop of a test, with a demo clinic in it, asked over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import select

from server import tables
from server.app import running
from server.demo import ORGANIZATION, Demo, prepare
from server.services import Services
from server.settings import Settings


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    cookies: SimpleCookie
    text: str
    json: Any

    def problem(self, status: int, code: str) -> dict[str, Any]:
        """The problem details of a refusal; fails when it is another."""
        assert (self.status, self.json["code"]) == (status, code), self.text
        found: dict[str, Any] = self.json
        return found


@dataclass(frozen=True)
class Clinic:
    """A running process and one browserless client of it, without a cookie jar."""

    services: Services
    demo: Demo
    http: aiohttp.ClientSession

    async def ask(self, method: str, path: str, **more: Any) -> Answer:
        """One request. ``more`` is aiohttp's: json, headers, cookies."""
        url = self.services.base_url + path
        async with self.http.request(method, url, allow_redirects=False, **more) as answer:
            text = await answer.text()
            is_json = answer.content_type.endswith(("/json", "+json"))
            body = await answer.json(content_type=None) if is_json else None
            return Answer(answer.status, answer.headers, answer.cookies, text, body)

    async def api(self, method: str, path: str, key: str | None = None, **more: Any) -> Answer:
        """One request with an API key, the demo's unless another is given."""
        headers = {"Authorization": f"Bearer {key or self.demo.api_key}"} | more.pop("headers", {})
        return await self.ask(method, path, headers=headers, **more)

    async def key(self, *scopes: str, organization: str = ORGANIZATION) -> str:
        """A new API key with these scopes."""
        async with self.services.storage.write() as conn:
            return (await self.services.keys.create(conn, organization, "test", scopes)).key

    async def audited(self, action: str) -> list[Any]:
        """The rows of the audit log with this action."""
        await self.services.auditor.flush()
        query = select(tables.audit).where(tables.audit.c.action == action)
        async with self.services.storage.read() as conn:
            return list(await conn.execute(query))


@asynccontextmanager
async def opened(folder: Path, *, tls: Any = None, **settings: Any) -> AsyncIterator[Clinic]:
    """Run a process with its data below ``folder``; ``tls`` is the client's context."""
    given = {"port": 0, "media_port": 0, "data_dir": folder / "data"}
    given |= {"hold_music": ""} | settings  # a loop of one's own costs each start half a second
    async with running(Settings(**given)) as services:
        demo = await prepare(services)
        connector = aiohttp.TCPConnector(ssl=tls if tls is not None else True)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(connector=connector, cookie_jar=jar) as http:
            yield Clinic(services, demo, http)
