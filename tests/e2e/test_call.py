"""The main job: a link becomes a call between two browsers, and the call becomes a right record."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.e2e.chairs import let_pass
from tests.e2e.clock import length_s
from tests.e2e.conftest import OpenClinic

ONE_FRAME_BYTES = 90
"""A packet that repeats the frame before it (RFC 2198) has 127 bytes, one without it 60."""

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]


async def test_a_video_call_with_a_hold_and_a_change_to_voice_is_billed_as_it_was(
    clinics: OpenClinic,
) -> None:
    """10 s video, 3 s hold, 5 s voice: seen, heard, recorded to the second, hold not billed."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        assert {patient.now.protocol, physician.now.protocol} == {"udp"}
        await let_pass(10)
        for chair in (patient, physician):
            assert min(await chair.bytes_per_audio_packet()) > ONE_FRAME_BYTES
            for bars in ("quality-self", "quality-other"):
                await expect(chair.find(bars)).to_have_attribute("data-level", re.compile("[34]"))
            await expect(chair.find("quality-note")).to_be_hidden()
        await physician.hold()
        for chair in (patient, physician):
            await expect(chair.find("pause-reason")).to_contain_text("hold")
        await let_pass(3)
        await physician.resume()
        await patient.sees_no("pause-reason")
        await physician.to_voice()
        await let_pass(5)
        for chair in (patient, physician):
            await chair.gets_audio()
        shown_s, shown_fen = await patient.elapsed_s(), await patient.cost_fen()
        await physician.finish()

        settled = await clinic.settled()
        record = settled.record
        assert await patient.summary() == clinic.shown(record)
        assert abs(shown_s - record["billable_s"]) <= 2
        assert 0 < shown_fen <= record["charge_fen"]
        assert record["held_s"] in (2, 3, 4, 5)
        assert record["mode_seconds"]["video"] in range(10, 16)
        assert record["mode_seconds"]["voice"] in range(5, 9)
        assert {segment["mode"] for segment in record["segments"]} == {"video", "voice"}
        assert length_s(settled.seen.served) > 14
        assert set(record["quality"]) == {"patient", "physician"}
        for line in record["quality"].values():
            assert sum(line["level_s"][3:]) > 10
            assert line["rtt_mean_ms"] is not None, "from the browsers' own reports"
            for direction in ("up", "down"):
                assert line[direction]["mos_mean_x100"] > 360
                assert line[direction]["loss_pct_x100"] < 300


async def test_video_comes_back_only_after_the_patient_accepted_its_price(
    clinics: OpenClinic,
) -> None:
    """Down to voice is at once and by anybody; up to video costs more, so the patient is asked."""
    async with clinics() as clinic:
        patient, physician = await clinic.call()
        await let_pass(2)
        await patient.to_voice()
        await physician.sees("to-video")
        frames = (await patient.gets_audio()).frames
        await physician.to_video()
        await patient.sees("accept-video")
        await let_pass(4)
        assert patient.now.frames - frames < 10, "pictures came before their price was accepted"
        await patient.accept_video()
        for chair in (patient, physician):
            await chair.gets_video()
        await let_pass(3)
        await physician.finish()

        settled = await clinic.settled()
        assert await patient.summary() == clinic.shown(settled.record)
        assert settled.record["mode_seconds"]["voice"] >= 4
        assert settled.record["mode_seconds"]["video"] >= 5
        modes = [segment["mode"] for segment in settled.record["segments"]]
        assert modes == ["video", "voice", "video"]
