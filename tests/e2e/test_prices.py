"""A clinic's own prices, from setting them to the bill, in a currency without decimals."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.chairs import let_pass
from tests.e2e.conftest import OpenClinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

YEN = {
    "voice_fen_per_min": 600,
    "video_fen_per_min": 1_200,
    "currency": "JPY",
    "platform_share": "0.07",
    "fee_bearer": "patient",
}
DEARER = {"voice_fen_per_min": 9_000, "video_fen_per_min": 9_000}


async def test_a_call_is_billed_in_yen_as_agreed_though_prices_change_meanwhile(
    clinics: OpenClinic,
) -> None:
    """20 yen a second of video and 7 % on top: shown before, while it runs, after, and quoted."""
    async with clinics() as clinic:
        await clinic.server.api("POST", "/api/v1/tariffs", {"tariff": YEN})
        link = await clinic.server.order("李秀英")
        physician, patient = await clinic.physician(), await clinic.patient()
        await patient.arrive(link)
        await expect(patient.page.get_by_text("¥1,200 per minute")).to_be_visible()
        await expect(patient.page.get_by_text("A service fee of 7% is added.")).to_be_visible()
        await patient.join(link)
        await clinic.server.api("POST", "/api/v1/tariffs", {"tariff": DEARER})
        await physician.take()
        await patient.gets_video()
        await let_pass(3)
        await expect(patient.find("cost")).to_have_text(re.compile(r"¥\d+"))
        await expect(patient.find("cost")).not_to_have_text(re.compile(r"\."))
        await physician.finish()

        record = (await clinic.settled()).record
        assert await patient.summary() == clinic.shown(record)
        assert record["currency"] == "JPY"
        assert record["charge_fen"] == 20 * record["mode_seconds"]["video"]
        summary = patient.find("summary")
        await expect(summary).to_contain_text(f"¥{record['charge_fen']:,}")
        await expect(summary).to_contain_text(f"You pay ¥{record['split']['patient_fen']:,}")
        asked = {"tariff": record["tariff"], "mode_seconds": record["mode_seconds"]}
        quote = await clinic.server.api("POST", "/api/v1/quotes", asked)
        assert quote["tariff_digest"] == record["tariff_digest"]
        assert {name: quote[name] for name in record["split"]} == record["split"]
        assert quote["charge_fen"] == record["charge_fen"]
