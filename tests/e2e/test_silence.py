"""A side that sends nothing gets nothing, and nobody pays for it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.e2e.chairs import let_pass
from tests.e2e.clock import Spans, received
from tests.e2e.conftest import OpenClinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


def last_before(spans: Spans, moment_s: float) -> float:
    """When the last packet before `moment_s` came."""
    return max(end for start, end in spans if start < moment_s)


async def test_a_patient_who_stops_sending_gets_nothing_and_is_not_billed(
    clinics: OpenClinic,
) -> None:
    """From 2 s after the last packet nothing is forwarded; billing ended with that packet."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        await let_pass(5)
        await patient.silence()
        for chair, reason in ((patient, "from your device"), (physician, "patient's connection")):
            await chair.sees("pause-reason", within_s=4)
            await expect(chair.find("pause-reason")).to_contain_text(reason)
        quiet_s = patient.now.at_s
        await let_pass(3)
        await patient.speak()
        for chair in (patient, physician):
            await chair.sees_no("pause-reason")
            await chair.gets_video()
            await chair.gets_audio()
        await let_pass(3)
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)
        said_until_s = last_before(received(physician.samples), quiet_s)
        heard_until_s = last_before(received(patient.samples), quiet_s)
        assert 1 < heard_until_s - said_until_s < 2.5, "forwarded longer than 2 s: a free call"
        assert len(settled.record["segments"]) == 2
        assert settled.record["interrupted_s"] >= 4
