"""The server dies in the middle of a call."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.e2e.chairs import CONNECTION_LOST, let_pass
from tests.e2e.conftest import OpenClinic

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_after_kill_9_the_call_comes_back_by_itself_into_the_same_record(
    clinics: OpenClinic,
) -> None:
    """Nobody clicks: both pages return, one record goes on, and the time between is free."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        for chair in (patient, physician):
            chair.tolerate(CONNECTION_LOST)
        await let_pass(6)
        await clinic.server.kill9()
        await let_pass(3)
        await clinic.server.restart()
        for chair in (patient, physician):
            await chair.sees("in-call")
            await chair.gets_video()
            await chair.gets_audio()
            await chair.sees_no("pause-reason")
        await let_pass(5)
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)
        gaps = [after[0] - before[1] for before, after in pairwise(settled.seen.served)]
        assert max(gaps) > 3, "the server was gone for 3 s, so nothing can have arrived"
        assert settled.record["mode_seconds"]["video"] >= 10
