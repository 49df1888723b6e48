"""The accountant's page in a real browser: what it shows is what the ledger says."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.accountant import JANUARY, RECORDS, Accountant, billing_clinic, sit
from tests.e2e.clinic import Browsers, Clinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PHONE = {"viewport": {"width": 320, "height": 640}, "locale": "zh-CN"}
DESKTOP = {"viewport": {"width": 1280, "height": 800}, "locale": "en-US"}


@asynccontextmanager
async def seated(browsers: Browsers, **options: Any) -> AsyncIterator[tuple[Clinic, Accountant]]:
    """An accountant signed in at the records of January, whose page must report no error."""
    async with billing_clinic(browsers) as clinic:
        chair = await sit(browsers.physicians, **options)
        try:
            await chair.sign_in(clinic.server, f"#records?{JANUARY}")
            await chair.find("found-record").first.wait_for()
            yield clinic, chair
            assert not chair.faults()
        finally:
            await chair.leave()


async def sums(clinic: Clinic, query: str) -> dict[str, Any]:
    found = await clinic.server.api("GET", f"/api/v1/records/search?{query}&limit=200")
    total: dict[str, Any] = found["totals"][0]
    return total


async def test_records_are_found_filtered_and_paged(browsers: Browsers) -> None:
    async with seated(browsers, **DESKTOP) as (clinic, chair):
        range_ = "from=2026-01-01&to=2026-02-01"
        total = await sums(clinic, range_)
        shown = f"{total['charge_fen'] / 100:,.2f}"
        await expect(chair.find("total")).to_contain_text(shown)
        assert await chair.find("found-record").count() == 50
        await chair.press("more")
        await expect(chair.find("found-record")).to_have_count(100)
        days = await chair.page.locator("tr.day").all_inner_texts()
        assert days == sorted(set(days), key=days.index), "each day has one heading"
        async with chair.page.expect_download() as download:
            await chair.press("records-csv")
        text = (await (await download.value).path()).read_text("utf-8-sig")
        assert len(list(csv.DictReader(io.StringIO(text)))) == RECORDS
        await chair.find("physician").select_option(label="Maria Santos")
        await chair.find("mode").select_option("voice")
        await chair.press("show")
        mine = await sums(clinic, f"{range_}&physician_id=ph_sim_2&mode=voice")
        await expect(chair.find("total")).to_contain_text(f"{mine['charge_fen'] / 100:,.2f}")
        rows = chair.find("found-record")
        await expect(rows).to_have_count(min(50, mine["records"]))
        assert all("Maria Santos" in text for text in await rows.all_inner_texts())
        await chair.page.go_back()
        await expect(chair.find("physician")).to_have_value("")
        await chair.find("from").fill("2025-01-01")
        await chair.find("to").fill("2025-01-31")
        await chair.press("show")
        await chair.sees("found-none")


async def test_a_record_is_explained_and_corrected(browsers: Browsers) -> None:
    """Its time line, its arithmetic to the fen, and a correction that holds afterwards."""
    async with seated(browsers, **DESKTOP) as (clinic, chair):
        records = await clinic.server.records()
        record = next(one for one in records if len(one["segments"]) > 1 and one["held_s"])
        await chair.go(clinic.server, f"#record/{record['record_id']}", "record")
        charge = f"¥{record['charge_fen'] / 100:,.2f}"
        steps = chair.find("steps").locator("tr")
        await expect(steps.filter(has_text="Charge, rounded once")).to_contain_text(charge)
        await expect(chair.find("agrees")).to_contain_text("what the record says")
        table = chair.find("spans").locator("tbody tr")
        billed = table.filter(has_text=re.compile("Video|Voice"))
        assert await billed.count() == len(record["segments"])
        assert await table.filter(has_text="On hold").count() == 1
        bars = chair.find("timeline").locator("rect.span")
        assert await bars.count() == 3 * await table.count()
        await chair.sees("record-facts")
        await chair.press("correct")
        await chair.find("charge").fill("10.5x")
        await chair.find("reason").fill("ticket:4711")
        await chair.press("correct-send")
        await chair.sees("correct-error")
        await chair.find("charge").fill("10.50")
        await chair.press("correct-send")
        await expect(chair.find("corrections").locator("tbody tr")).to_have_count(2)
        await expect(chair.find("corrections")).to_contain_text("staff_demo")
        await expect(steps.filter(has_text="after corrections")).to_contain_text("¥10.50")
        latest = (await clinic.server.records())[-1]
        assert (latest["kind"], latest["net"]["charge_fen"]) == ("adjustment", 1050)


async def test_statements_are_shown_downloaded_and_printed(browsers: Browsers) -> None:
    async with seated(browsers, **DESKTOP) as (clinic, chair):
        await chair.go(clinic.server, "#statements?of=physicians&month=2026-01", "statement-CNY")
        stated = await clinic.server.api("GET", "/api/v1/statements/physicians?month=2026-01")
        table = chair.find("statement-CNY")
        await expect(table.locator("tbody tr")).to_have_count(len(stated["data"]))
        total = f"¥{stated['totals'][0]['physician_fen'] / 100:,.2f}"
        await expect(table.locator("tfoot")).to_contain_text(total)
        async with chair.page.expect_download() as download:
            await chair.press("statement-csv")
        path = await (await download.value).path()
        text = path.read_text("utf-8-sig")
        lines = list(csv.DictReader(io.StringIO(text)))
        calls = stated["totals"][0]["calls"]
        assert sum(int(line["calls"]) for line in lines) == calls >= RECORDS
        await chair.page.emulate_media(media="print")
        for hidden in ("tab-records", "sign-out", "print", "month"):
            await expect(chair.find(hidden)).to_be_hidden()
        await expect(table).to_be_visible()
        assert len(await chair.page.pdf(prefer_css_page_size=True)) > 10_000
        await chair.page.emulate_media(media="screen")
        await chair.find("of-organization").check()
        await chair.press("show-statement")
        await expect(table).to_contain_text("儿科")
        await expect(table).to_contain_text("Third party")


async def test_a_narrow_phone_in_chinese_shows_all_of_it(browsers: Browsers) -> None:
    """WCAG 2.2, 1.4.10: 320 CSS pixels, no scrolling sideways but within data tables."""
    async with seated(browsers, **PHONE) as (clinic, chair):
        await expect(chair.page).to_have_title(re.compile("问诊"))
        await expect(chair.find("tab-statements")).to_have_text("月度报表")
        assert await chair.in_view()
        await chair.find("open-record").first.click()
        await expect(chair.find("steps")).to_contain_text("费用（仅取整一次）")
        assert await chair.in_view()
        await chair.go(clinic.server, "#statements?of=organization&month=2026-01", "statement-CNY")
        assert await chair.in_view()
        await expect(chair.find("statement")).to_contain_text("2026年1月")
        await chair.press("sign-out")
        await chair.sees("username")
        await chair.page.reload()
        await chair.sees("username")


async def test_the_keyboard_alone_reaches_a_record(browsers: Browsers) -> None:
    """Enter in the password field signs in; Tab and Enter open the first record."""
    async with billing_clinic(browsers) as clinic:
        chair = await sit(browsers.physicians, **DESKTOP)
        try:
            chair.tolerate(r"401 .*/api/v1/staff/session$")
            await chair.page.goto(f"{clinic.server.base_url}/billing#records?{JANUARY}")
            keys = chair.page.keyboard
            await chair.find("username").fill("accountant")
            await keys.press("Tab")
            await keys.insert_text("wrong")
            await keys.press("Enter")
            await expect(chair.find("sign-in-error")).to_contain_text("wrong")
            await keys.press("Control+a")
            await keys.insert_text(clinic.server.demo["password"])
            await keys.press("Enter")
            await chair.find("open-record").first.wait_for()
            for _ in range(40):
                if await chair.page.evaluate("document.activeElement.dataset.testid") == (
                    "open-record"
                ):
                    break
                await keys.press("Tab")
            await keys.press("Enter")
            await chair.sees("record-title")
            await expect(chair.find("record-title")).to_be_focused()
            assert not chair.faults()
        finally:
            await chair.leave()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_all_can_be_read_and_has_a_name(browsers: Browsers, scheme: str) -> None:
    """WCAG 2.2 AA: 1.4.3 and 4.1.2, in both schemes."""
    async with seated(browsers, **DESKTOP, color_scheme=scheme) as (clinic, chair):
        records = await clinic.server.records()
        record = next(one for one in records if len(one["segments"]) > 1 and one["held_s"])
        assert await chair.unreadable() == []
        await chair.go(clinic.server, f"#record/{record['record_id']}", "record")
        assert await chair.unreadable() == []
        await chair.find("agrees").evaluate("(text) => (text.style.color = 'rgb(128, 128, 128)')")
        assert len(await chair.unreadable()) == 1, "what is too faint would be noticed"
        await chair.page.reload()
        await chair.press("correct")
        await chair.sees("reason")
        assert await chair.unreadable() == []
        await chair.go(clinic.server, "#statements?of=organization&month=2026-01", "statement-CNY")
        assert await chair.unreadable() == []
        await chair.press("sign-out")
        await chair.sees("username")
        assert await chair.unreadable() == []
