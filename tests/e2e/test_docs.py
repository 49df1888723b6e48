"""The page of the API: what it shows can be found, copied, and is what the server answers."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from tests.e2e.accountant import Accountant, fill, sit
from tests.e2e.clinic import Browsers, Clinic, open_clinic
from tests.e2e.server import Server

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

RECORDS = 5
PHONE = {"viewport": {"width": 320, "height": 640}}
CLIPBOARD = ["clipboard-read", "clipboard-write"]
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "permissions": CLIPBOARD}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def clinic(browsers: Browsers) -> AsyncIterator[Clinic]:
    """A server for all tests of this module, with a few records in its ledger."""
    server = Server()
    await fill(server, RECORDS)
    async with open_clinic(browsers, server) as clinic:
        yield clinic


@asynccontextmanager
async def reader(clinic: Clinic, at: str = "", **options: Any) -> AsyncIterator[Accountant]:
    """Somebody who has the page open, which must report no error and ask no other server."""
    chair = await sit(clinic.browsers.physicians, "reader", **options)
    hosts: set[str | None] = set()
    chair.page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    try:
        await chair.page.goto(f"{clinic.server.base_url}/api/docs{at}")
        await chair.sees("resources")
        yield chair
        assert not chair.faults()
        assert hosts == {clinic.server.host}
    finally:
        await chair.leave()


def operation(chair: Accountant, operation_id: str) -> Locator:
    return chair.page.locator(f"details.operation#{operation_id}")


async def names(fields: Locator) -> list[str]:
    """The fields of one list, without those of objects within it."""
    return await fields.locator(":scope > li > .field > .name").all_inner_texts()


async def run(command: str, key: str) -> Any:
    """What a terminal gets that has the key in its environment."""
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command),
        env={**os.environ, "WENZHEN_KEY": key},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, said = await process.communicate()
    assert process.returncode == 0, said.decode()
    return json.loads(out)


async def test_an_operation_is_found_and_its_example_answers_as_described(
    clinic: Clinic,
) -> None:
    server = clinic.server
    async with reader(clinic, **DESKTOP) as chair:
        described = await server.api("GET", "/api/v1/openapi.json")
        count = sum(len(methods) for methods in described["paths"].values())
        shown = chair.page.locator("details.operation:visible")
        await expect(shown).to_have_count(count)
        await chair.find("filter").fill("head_hash cursor_invalid")
        await expect(chair.find("count")).to_have_text(f"1 of {count} operations")
        pull = operation(chair, "list_records")
        await expect(shown).to_have_count(1)
        await pull.locator("> summary").focus()
        await chair.page.keyboard.press("Enter")
        await expect(pull.locator(".scopes")).to_have_text("scope records")
        limit = pull.locator(".fields > li", has_text="limit").first
        await expect(limit).to_contain_text("1 to 1\u202f000; default 100")
        curl = await chair.find("curl-list_records").inner_text()
        answer = await run(curl, server.demo["api_key"])
        ok = pull.locator("details.answer", has_text="RecordPage").first
        await ok.locator("> summary").click()
        page = ok.locator("> .fields").first
        assert set(await names(page)) == set(answer)
        data = page.locator(":scope > li > .inside").first
        await data.locator("> summary").click()
        assert len(answer["data"]) == RECORDS
        told = set(await names(data.locator("> .fields")))
        for record in answer["data"]:
            assert set(record) <= told


async def test_an_example_is_copied_as_it_is_shown(clinic: Clinic) -> None:
    server = clinic.server
    async with reader(clinic, "#create_consult", **DESKTOP) as chair:
        order = operation(chair, "create_consult")
        await expect(order).to_have_attribute("open", "")
        await expect(order.locator("> summary")).to_be_focused()
        await order.get_by_role("button", name="Copy the example of POST /api/v1/consults").click()
        await expect(order.locator(".copy")).to_have_text("Copied")
        copied = await chair.page.evaluate("navigator.clipboard.readText()")
        assert copied == await chair.find("curl-create_consult").inner_text()
        made = await run(copied, server.demo["api_key"])
        assert made["join_url"].startswith(server.base_url)


async def test_on_a_phone_everything_is_open_without_scrolling_sideways(
    clinic: Clinic,
) -> None:
    async with reader(clinic, **PHONE) as chair:
        await chair.page.evaluate(
            "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
        )
        assert await chair.in_view()
        await chair.find("filter").fill("no such word")
        await chair.sees("none")
        await chair.page.evaluate("location.hash = '#set_tariff'")
        await expect(chair.find("filter")).to_have_value("")
        await expect(operation(chair, "set_tariff").locator("> summary")).to_be_in_viewport()
