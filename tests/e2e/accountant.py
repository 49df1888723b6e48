"""The accountant in front of the billing page, and a server with a month of simulated records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from playwright.async_api import Browser, expect
from sqlalchemy import insert

from server import demo, migrate, tables
from server.clock import wall_ms
from server.demo import ORGANIZATION, STAFF_USERNAME
from server.storage import Storage
from tests.e2e.chairs import Chair
from tests.e2e.clinic import Browsers, Clinic, open_clinic
from tests.e2e.server import Server
from tests.server import entries

CONTRAST = Path(__file__).with_name("contrast.js").read_text("utf-8")
NOT_SIGNED_IN = r"401 .*/api/v1/staff/session$"
"""A page that asks who is signed in gets 401 when nobody is, and Chromium notes each 401."""
RECORDS = 360
JANUARY = "from=2026-01-01&to=2026-01-31"
NAMES = ("林薇", "陈建国", "Maria Santos", "王秀英", "赵敏", "Aleksandr Featherstonehaugh", "李强")


class Accountant(Chair):
    """Signs in and looks at bills."""

    async def sign_in(self, server: Server, hash_: str = "") -> None:
        """Open the page at `hash_` and sign in."""
        self.tolerate(NOT_SIGNED_IN)
        await self.page.goto(f"{server.base_url}/billing{hash_}")
        await self.find("username").fill(STAFF_USERNAME)
        await self.find("password").fill(server.demo["password"])
        await self.press("sign-in")

    async def go(self, server: Server, hash_: str, sees: str) -> None:
        """Open the page elsewhere, already signed in."""
        await self.page.goto(f"{server.base_url}/billing{hash_}")
        await self.sees(sees)
        await expect(self.page.locator("main")).not_to_have_attribute("aria-busy", "true")

    async def in_view(self) -> bool:
        """Whether nothing of the page is cut off or must be scrolled sideways."""
        wide: bool = await self.page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        return wide

    async def unreadable(self) -> list[str]:
        """Texts that are too faint and controls without a name."""
        found: list[str] = await self.page.evaluate(CONTRAST)
        return found


async def fill(server: Server, count: int = RECORDS) -> None:
    """Give a server that has not started yet a clinic with physicians and records."""
    storage = await Storage.open(f"sqlite:///{server.data_dir / 'wenzhen.sqlite3'}")
    try:
        await migrate.upgrade(storage)
        await demo.create_clinic(storage)
        async with storage.write() as conn:
            rows = [_physician(number, name) for number, name in enumerate(NAMES)]
            await conn.execute(insert(tables.physicians), rows)
            await entries.append(conn, count)
    finally:
        await storage.close()


def _physician(number: int, name: str) -> dict[str, object]:
    return {
        "id": f"ph_sim_{number}",
        "organization_id": ORGANIZATION,
        "username": f"sim{number}",
        "password_hash": "",
        "name": name,
        "title": "医师",
        "department": "全科",
        "created_at": wall_ms(),
    }


@asynccontextmanager
async def billing_clinic(browsers: Browsers, kept: Path | None = None) -> AsyncIterator[Clinic]:
    """A running clinic with `RECORDS` records of January 2026."""
    server = Server()
    await fill(server)
    async with open_clinic(browsers, server, kept) as clinic:
        yield clinic


async def sit(browser: Browser, name: str = "accountant", **options: object) -> Accountant:
    """An accountant's browser."""
    return await Accountant.sit(browser, name, watched=False, **options)
