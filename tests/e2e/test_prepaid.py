"""A prepaid call as both people see it: what is left, the warning, a top-up, and why it ended."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.conftest import OpenClinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

EIGHT_SECONDS_FEN = 295
"""Of video at 22.07 a minute: 8 s are 294.27, 9 s are 331.05."""


async def test_a_prepaid_call_warns_and_ends_by_itself_at_the_exact_second(
    clinics: OpenClinic,
) -> None:
    async with clinics() as clinic:
        physician = await clinic.physician(locale="zh-CN")
        patient = await clinic.patient()
        link = await clinic.server.order("李秀英", prepaid_fen=EIGHT_SECONDS_FEN)
        await patient.arrive(link)
        await expect(patient.page.get_by_text("Prepaid: ¥2.95. That lasts for 8 s")).to_be_visible()
        await patient.join(link)
        await expect(patient.find("waiting-prepaid")).to_contain_text("8 s of video")
        await physician.take()
        for chair, words in (
            (patient, "Less than a minute is left"),
            (physician, "剩余不足一分钟"),
        ):
            await chair.gets_video()
            await expect(chair.find("prepaid-warning")).to_contain_text(words)
            live = chair.page.locator('[data-ref="live-prepaid"]')
            await expect(live).to_contain_text(words)
            await expect(live).to_have_attribute("aria-live", "assertive")
        await expect(patient.find("left")).to_have_text(
            re.compile(r"Left: ¥[0-2]\.\d\d, 00:0[0-7]")
        )
        await expect(physician.find("left")).to_have_text(
            re.compile(r"剩余 ¥[0-2]\.\d\d，00:0[0-7]")
        )

        await patient.sees("summary", within_s=15)
        words = "The prepaid amount is used up, so the call ended by itself."
        await expect(patient.page.get_by_text(words)).to_be_visible()
        await expect(physician.find("receipt")).to_contain_text("患者的预付金额已用完")
        settled = await clinic.settled("quota_exhausted")
        record = settled.record
        assert await patient.summary() == clinic.shown(record)
        assert [one["duration_ms"] for one in record["segments"]] == [8_000]
        assert (record["charge_fen"], record["end_party"]) == (294, "system")


async def test_after_a_top_up_the_warning_goes_away_on_both_pages(clinics: OpenClinic) -> None:
    async with clinics() as clinic:
        physician, patient = await clinic.physician(), await clinic.patient()
        made = await clinic.server.api("POST", "/api/v1/consults", {"prepaid_fen": 2_000})
        await patient.join(made["join_url"])
        await physician.take()
        for chair in (patient, physician):
            await chair.sees("prepaid-warning")
        path = f"/api/v1/consults/{made['consult_id']}/top-ups"
        more = await clinic.server.api("POST", path, {"fen": 8_000}, once="till/1")
        assert more["limit_fen"] == 10_000
        for chair in (patient, physician):
            await chair.sees_no("prepaid-warning")
            await expect(chair.page.locator('[data-ref="live-prepaid"]')).to_be_empty()
            await expect(chair.find("left")).to_contain_text(re.compile(r"Left: ¥\d\d\.\d\d, 04:"))
        await physician.finish()
        settled = await clinic.settled()
        assert settled.record["prepaid"] == {"limit_fen": 10_000}
        assert len(settled.record["segments"]) == 1
