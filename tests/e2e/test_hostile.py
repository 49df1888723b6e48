"""Strangers send to the media port while a call runs (HOSTILE, first row of each table)."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.chairs import let_pass
from tests.e2e.clock import length_s
from tests.e2e.conftest import OpenClinic
from tests.e2e.hostile import client_hello, flood, send

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_strangers_datagrams_do_not_touch_a_running_call(clinics: OpenClinic) -> None:
    """An empty datagram ended an aiortc call, a foreign ClientHello broke its handshake."""
    async with clinics() as clinic:
        port = clinic.server.media_port
        send(port, b"")
        send(port, client_hello())
        patient, physician = await clinic.call()
        credentials = (patient.now.ufrag, physician.now.ufrag)
        for datagram in (b"", client_hello()):
            send(port, datagram)
            for chair in (patient, physician):
                await chair.gets_video()
                await chair.gets_audio()
        sent = await asyncio.to_thread(flood, port, 3.0, 10_000)
        assert sent > 20_000
        for chair in (patient, physician):
            await chair.gets_video()
            await chair.gets_audio()
        await let_pass(2)
        assert [patient.now.connections, physician.now.connections] == [1, 1]
        assert (patient.now.ufrag, physician.now.ufrag) == credentials
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)
        assert len(settled.record["segments"]) == 1
        seen_s = settled.seen.served[-1][1] - settled.seen.served[0][0]
        assert length_s(settled.seen.served) == pytest.approx(seen_s, abs=0.1), "media stood still"
