"""Pages are reloaded, devices change, people hang up: it stays one consult and one record."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.chairs import Chair, let_pass
from tests.e2e.conftest import OpenClinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def both_get_everything(*chairs: Chair) -> None:
    """Both are in the call and see by themselves, hear once touched, and nothing is paused."""
    for chair in chairs:
        await chair.sees("in-call")
        await chair.gets_video()
        await chair.touch()
        await chair.gets_audio()
        await chair.sees_no("pause-reason")


async def test_a_reloaded_page_returns_to_the_call(clinics: OpenClinic) -> None:
    """F5, a crashed tab, a phone that dropped the page: nobody has to click anything."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        for reloading in (patient, physician):
            await let_pass(2)
            await reloading.reload()
            await both_get_everything(patient, physician)
        await let_pass(2)
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)


async def test_the_link_on_a_second_device_moves_the_call_there(clinics: OpenClinic) -> None:
    """One billed party, never two; the first device says where the call went."""
    async with clinics() as clinic:
        first, physician = await clinic.call()
        await let_pass(3)
        second = await clinic.patient()
        await second.arrive(clinic.server.demo["patient_url"])
        await both_get_everything(second, physician)
        await first.sees("take-back")
        await first.sees_no("in-call")
        await let_pass(3)
        await physician.finish()

        settled = await clinic.settled()
        assert await second.summary() == clinic.shown(settled.record)


async def test_a_patient_who_hung_up_may_come_back_and_pays_for_both_parts(
    clinics: OpenClinic,
) -> None:
    """Hanging up is not finishing: billing stops at once, the physician finishes."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        await let_pass(3)
        await patient.hang_up()
        await expect(physician.find("pause-reason")).to_contain_text("has hung up")
        await let_pass(3)
        await patient.rejoin()
        await both_get_everything(patient, physician)
        await let_pass(3)
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)
        assert len(settled.record["segments"]) == 2
