"""A call's meter and room together: the moments at which other kinds of media begin to count."""

from __future__ import annotations

import asyncio
import json

import pytest

from media import MediaPort, MediaSettings
from metering.tariff import parse_tariff
from server.call import Call
from server.clock import monotonic_ms
from server.demo import TARIFF
from signaling.events import Engage, Fact, SwitchMode
from signaling.messages import Mode
from tests.media.peers import KEYFRAME, TIMEOUT_S, Peer


@pytest.mark.parametrize("cause", ["agreed", "weak"])
async def test_pictures_are_billed_up_to_the_moment_at_which_only_voice_counts(cause: str) -> None:
    """They were delivered until then, though nobody had looked at the meter since they came."""
    facts: list[Fact] = []
    tariff = parse_tariff(json.dumps(TARIFF).encode())
    call = Call("c_1", tariff, 1, lambda _, fact: facts.append(fact), lambda _: None)
    port = await MediaPort.open(MediaSettings())
    room = call.room = port.room("c_1", call)
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    for peer in (patient, physician):
        await peer.join(room, port.port)
        await peer.send("video", KEYFRAME)
    async with asyncio.timeout(TIMEOUT_S):
        while len(facts) < 2:  # noqa: ASYNC110  # both flows
            await asyncio.sleep(0.01)
    video: Mode = "video"
    call.perform(Engage("phy_1", video), monotonic_ms())
    await asyncio.sleep(0.3)
    for peer in (patient, physician):
        await peer.send("video", KEYFRAME)
    for peer in (patient, physician):
        await peer.until(lambda peer=peer: peer.rtp)
    lasts = [room.flow(who).last_ms["video"] for who in ("patient", "physician")]
    if cause == "weak":
        call.video_suspended("patient", True)
    else:
        call.perform(SwitchMode("voice"), monotonic_ms())
    assert call.meter is not None
    assert [call.meter.patient_last_ms, call.meter.physician_last_ms] == lasts
    reading = call.reading()
    assert reading is not None
    assert reading.video_ms >= 290
    for peer in (patient, physician):
        await peer.close()
    await port.close()
