"""Pictures of the billing page in every look: ``python -m tests.e2e.billing_screenshots``."""

from __future__ import annotations

import asyncio
import sys

from playwright.async_api import async_playwright

from tests.e2e.accountant import JANUARY, Accountant, billing_clinic, sit
from tests.e2e.clinic import Browsers, Clinic, open_browsers
from tests.e2e.screenshots import LOOKS, OUT, Look

NARROW = Look(320, 640, "zh-CN", "light")


async def shoot(chair: Accountant, state: str, look: Look | str) -> None:
    """One picture of the whole page; of the long list what one sees first."""
    path = OUT / f"billing-{state}-{look}.png"
    await chair.page.screenshot(path=path, full_page=state != "records", animations="disabled")


async def play(clinic: Clinic, browsers: Browsers, look: Look) -> None:
    """Sign-in, records, one record, both statements, a correction."""
    server = clinic.server
    chair = await sit(browsers.physicians, **look.options)
    try:
        await chair.page.goto(f"{server.base_url}/billing")
        await chair.sees("username")
        await shoot(chair, "sign-in", look)
        await chair.sign_in(server, f"#records?{JANUARY}")
        await chair.find("found-record").first.wait_for()
        await shoot(chair, "records", look)
        records = await server.records()
        record = next(one for one in records if len(one["segments"]) > 2 and len(one["shares"]) > 1)
        await chair.go(server, f"#record/{record['record_id']}", "record")
        await shoot(chair, "record", look)
        await chair.press("correct")
        await chair.sees("reason")
        await shoot(chair, "correct", look)
        for of in ("physicians", "organization"):
            await chair.go(server, f"#statements?of={of}&month=2026-01", "statement-CNY")
            await shoot(chair, of, look)
        await chair.page.emulate_media(media="print")
        await shoot(chair, "print", look)
    finally:
        await chair.leave()


async def main() -> None:
    """Play what the arguments name, or everything."""
    OUT.mkdir(parents=True, exist_ok=True)
    chosen = [look for look in (*LOOKS, NARROW) if len(sys.argv) == 1 or str(look) in sys.argv[1:]]
    async with (
        async_playwright() as driver,
        open_browsers(driver) as browsers,
        billing_clinic(browsers) as clinic,
    ):
        for look in chosen:
            await play(clinic, browsers, look)


if __name__ == "__main__":
    asyncio.run(main())
