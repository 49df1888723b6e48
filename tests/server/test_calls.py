"""Whole calls through a whole process: what is carried is what is billed, and nothing else.

Real pages over socket.io, real media over DTLS-SRTP, the ledger read through the API.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from media import rtcp
from metering import checkpoints
from metering.record import rfc3339
from server import settling
from server.clock import wall_ms
from tests.postgres import PostgresServer
from tests.server.clinic import Clinic, opened
from tests.server.party import (
    Party,
    finished,
    in_call,
    joined,
    new_peer,
    page_of_patient,
    page_of_physician,
)
from tests.signaling.world import until

REPORT_EVERY_S = 0.3
SLACK_MS = 400
"""Of the test's own clock: a packet is 20 ms, a busy machine is late."""


class Watch:
    """A clock of the test's own: how long each thing lasted, seen from outside."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    def lap_ms(self) -> int:
        """Milliseconds since the last lap."""
        before, self._since = self._since, time.monotonic()
        return round((self._since - before) * 1000)


async def test_video_hold_and_voice_are_billed_as_an_independent_clock_saw_them(
    either: Clinic,
) -> None:
    async with in_call(either) as (patient, physician):
        watch = Watch()
        consult = {"consult_id": physician.consult_id}
        await patient.metered("video", 1500)
        assert (await physician.page.ask("hold", **consult))["ok"]
        video_ms = watch.lap_ms()
        await patient.page.state("held")
        before = patient.heard(), physician.heard()
        await _a_second_later(patient)
        await _a_second_later(patient)
        heard = patient.heard() - before[0], physician.heard() - before[1]
        assert max(heard) <= 2, "only what was under way arrives in a hold"
        assert (await physician.page.ask("set_mode", mode="voice", **consult))["ok"]
        assert (await physician.page.ask("resume", **consult))["ok"]
        held_ms = watch.lap_ms()
        await patient.metered("voice", 1200)
        record = await finished(either, physician)
        voice_ms = watch.lap_ms()
        ended = await patient.page.state("ended")
    segments = {mode: 0 for mode in ("voice", "video")}
    for segment in record["segments"]:
        segments[segment["mode"]] += segment["duration_ms"]
    assert abs(segments["video"] - video_ms) < SLACK_MS
    assert abs(segments["voice"] - voice_ms) < SLACK_MS
    assert record["mode_seconds"] == {mode: ms // 1000 for mode, ms in segments.items()}
    assert abs(record["held_s"] * 1000 - held_ms) < 1000 + SLACK_MS
    assert record["end_cause"] == "physician_finish"
    assert ended["summary"]["charge_fen"] == record["charge_fen"]
    assert ended["summary"]["record_id"] == record["record_id"]
    assert ended["summary"]["final"]


async def test_in_a_voice_call_no_picture_passes(clinic: Clinic) -> None:
    """What is not billed is not delivered: video is dearer, so it ends with its price."""
    async with in_call(clinic) as (patient, physician):
        await patient.peer.until(lambda: _kinds(patient) == {"audio", "video"})
        assert (await patient.page.ask("set_mode", mode="voice"))["ok"]
        patient.peer.rtp.clear()
        physician.peer.rtp.clear()
        await patient.metered("voice", 1000)
        assert len(_packets(patient, "video")) <= 2
        assert len(_packets(physician, "video")) <= 2
        assert len(_packets(patient, "audio")) > 10


async def test_who_falls_silent_is_not_billed_from_the_last_packet_on(clinic: Clinic) -> None:
    """DESIGN.md: no authenticated packet for 2 s is a stopped flow, back-dated to the last."""
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 1000)
        watch = Watch()
        patient.sending.clear()
        for party in (patient, physician):
            view = await party.page.state("interrupted")
            assert view["pause"] == "patient_silent"
        assert 1500 < watch.lap_ms() < 4500
        before = patient.heard()
        await physician.peer.send("audio")
        at_silence = await _reading(clinic, physician)
        assert patient.heard() - before <= 1, "nothing is forwarded to who sends nothing"
        patient.sending.set()
        await patient.page.state("active")
        tick = await patient.metered("video", at_silence + 800)
        assert tick["running"]
        record = await finished(clinic, physician)
    first, *_ = record["segments"]
    assert first["end_cause"] == "media_lost_patient"
    assert first["duration_ms"] == at_silence
    assert at_silence < 2000, "the two seconds of waiting are not billed"
    assert record["interrupted_s"] >= 1


async def test_the_physician_reads_that_the_patient_hung_up(clinic: Clinic) -> None:
    """Not that both lines are down: what the physician does next depends on it."""
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 500)
        assert (await patient.page.ask("hang_up"))["ok"]
        tick = await physician.page.next("meter")
        while tick["running"] or tick["pause"] == "connecting":
            tick = await physician.page.next("meter")
        assert tick["pause"] == "hung_up"


async def test_both_lines_are_shown_summed_up_and_counted(clinic: Clinic) -> None:
    """What a patient who complains of a bad line saw is in the record, and whose fault it was."""
    async with in_call(clinic) as (patient, physician):
        for party in (patient, physician):
            for _ in range(3):
                shown = await party.page.next("quality")
            assert shown["consult_id"] == physician.consult_id
            lines = {line["participant_id"]: line for line in shown["lines"]}
            assert set(lines) == {"patient", "physician"}
            for line in lines.values():
                assert (line["level"], line["reason"]) == (4, "ok")
                assert line["up"]["mos"] > 4
                assert line["up"]["loss_pct"] == 0
                assert line["up"]["bitrate_bps"] > 10_000
                assert line["down"]["bitrate_bps"] > 10_000
        await patient.metered("video", 3_000)
        metrics = (await clinic.ask("GET", "/metrics")).text
        record = await finished(clinic, physician)
    assert 'wenzhen_lines{level="4"} 2.0' in metrics
    assert 'wenzhen_line_mos_bucket{direction="up",le="4.3"} 0.0' in metrics
    assert 'wenzhen_line_mos_count{direction="up"} 0.0' not in metrics
    for line in record["quality"].values():
        assert sum(line["level_s"][:4]) == 0
        assert line["level_s"][4] in range(2, record["billable_s"] + 2)
        assert line["up"]["loss_pct_x100"] == 0
        assert 400 < line["up"]["mos_worst_x100"] <= line["up"]["mos_mean_x100"] <= 450
        assert line["down"] == dict.fromkeys(line["down"]), "these peers report nothing"


async def test_who_falls_silent_has_no_bars(clinic: Clinic) -> None:
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 500)
        patient.sending.clear()
        silent = {"level": 0, "reason": "silent"}.items()

        def has_no_bars(message: Any) -> bool:
            return any(
                line["participant_id"] == "patient" and silent <= line.items()
                for line in message["lines"]
            )

        await physician.page.next("quality", has_no_bars)


async def test_finishing_a_hundred_times_makes_one_record(clinic: Clinic) -> None:
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 500)
        for _ in range(50):
            await physician.page.send("finish", consult_id=physician.consult_id)
        first = await physician.page.next("answer")
        assert first["ok"]
        for _ in range(49):
            await physician.page.next("answer")
        page = (await clinic.api("GET", "/api/v1/records")).json
    assert len(page["data"]) == 1


async def test_after_a_restart_the_call_resumes_and_the_gap_is_free(tmp_path: Path) -> None:
    """SIGTERM in a call: the pages come back, the same consult goes on, one record."""
    async with opened(tmp_path) as clinic, in_call(clinic) as (patient, physician):
        token_url, consult_id = clinic.demo.patient_url, physician.consult_id
        await patient.metered("video", 1200)
        watch = Watch()
    async with opened(tmp_path) as again:
        object.__setattr__(again.demo, "patient_url", token_url)
        patient = Party(await page_of_patient(again, after=1), new_peer("patient"))
        auth = {"consult_id": consult_id, "after": 1}
        physician = Party(await page_of_physician(again, **auth), new_peer("physician"))
        physician.consult_id = consult_id
        try:
            for party in (patient, physician):
                await party.page.next("reconnect_media")
            async with joined(again, patient, physician):
                gap_ms = watch.lap_ms()
                resumed = await patient.metered("video", 2200)
                assert resumed["video_ms"] < 2200 + 2000
                record = await finished(again, physician)
                total_ms = sum(segment["duration_ms"] for segment in record["segments"])
                assert abs(total_ms - 1200 - watch.lap_ms()) < 2000
        finally:
            await patient.page.leave()
            await physician.page.leave()
    assert record["epoch"] == 2
    measured_s = sum(record["quality"]["patient"]["level_s"])
    assert abs(measured_s * 1000 - total_ms) <= 2_500, "of both runs, each rounded to a second"
    assert len({segment["epoch"] for segment in record["segments"]}) == 2
    assert record["interrupted_s"] >= gap_ms // 1000 - 1


async def test_a_call_goes_on_while_the_database_is_away(
    postgres_server: PostgresServer, postgres_url: str, tmp_path: Path
) -> None:
    """HOSTILE.md: running calls go on, and nothing of them is lost."""
    name = postgres_url.rsplit("/", 1)[1]
    async with opened(tmp_path, database_url=postgres_url) as clinic:
        async with in_call(clinic) as (patient, physician):
            await patient.metered("video", 500)
            postgres_server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            postgres_server.psql(
                f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
            )
            away = await patient.metered("video", 2000)
            assert away["running"]

            async def noticed() -> bool:
                return clinic.services.calls.checkpoint_failures > 0

            await until(noticed)
            postgres_server.psql(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            record = await finished(clinic, physician)
        assert record["mode_seconds"]["video"] >= away["video_ms"] // 1000
        assert len(record["segments"]) == 1


async def test_what_is_stored_late_is_settled_late(
    clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month that was over meanwhile must not change: its statement may be printed."""
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 500)
        later_ms = wall_ms() + 7_200_000
        monkeypatch.setattr(settling, "wall_ms", lambda: later_ms)
        record = await finished(clinic, physician)
    assert record["settled_at"] == rfc3339(later_ms)
    assert record["ended_at"] < record["settled_at"]


async def test_a_call_that_another_process_took_is_let_go(clinic: Clinic) -> None:
    """Every write is `WHERE epoch = mine`: who was paused and wakes up cannot bill."""
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 500)
        assert physician.consult_id is not None
        async with clinic.services.storage.write() as conn:
            await checkpoints.claim(conn, physician.consult_id, 2, wall_ms())

        async def gone() -> bool:
            return len(clinic.services.calls) == 0

        await until(gone)
        assert (await clinic.api("GET", "/api/v1/records")).json["data"] == []


async def _a_second_later(party: Party) -> None:
    """The next reading of the meter; one comes a second."""
    await party.page.next("meter")


async def _reading(clinic: Clinic, physician: Party) -> int:
    """What the meter of the running call says now, milliseconds of video."""
    assert physician.consult_id is not None
    summary = clinic.services.calls._calls[physician.consult_id].reading()
    assert summary is not None
    return summary.video_ms


def _packets(party: Party, kind: str) -> list[bytes]:
    number = party.peer.audio_type if kind == "audio" else party.peer.video_type
    return [packet for packet in party.peer.rtp if packet[1] & 0x7F == number]


def _kinds(party: Party) -> set[str]:
    return {kind for kind in ("audio", "video") if _packets(party, kind)}


async def _suffer(party: Party) -> None:
    """Report what a page on a line of 50 kbit/s would: half of the voice is lost."""
    ssrc = party.peer.answered_ssrc("audio")
    while True:
        lost = len(_packets(party, "audio")) // 2
        block = rtcp.ReportBlock(ssrc, 128, lost, 0, 0, 0, 0)
        await party.peer.send_rtcp(rtcp.receiver_report(1, [block]) + rtcp.remb(1, 50_000, []))
        await asyncio.sleep(REPORT_EVERY_S)


async def test_while_a_line_is_too_weak_for_pictures_voice_is_billed(clinic: Clinic) -> None:
    """What is not billed is not delivered, and what is not delivered is not billed."""
    async with in_call(clinic) as (patient, physician):
        await patient.metered("video", 500)
        await physician.peer.send_rtcp(rtcp.receiver_report(1, ()) + rtcp.remb(1, 300_000, []))
        suffering = asyncio.create_task(_suffer(physician))
        for party in (patient, physician):
            assert (await party.page.next("line"))["weak"] == ["physician"]
        first = await patient.metered("voice", 300)
        seen = len(_packets(patient, "video")), len(_packets(physician, "video"))
        later = await patient.metered("voice", first["voice_ms"] + 1_000)
        assert later["video_ms"] == first["video_ms"]
        assert (len(_packets(patient, "video")), len(_packets(physician, "video"))) == seen
        suffering.cancel()
        record = await finished(clinic, physician)
    assert [segment["mode"] for segment in record["segments"]] == ["video", "voice"]
    assert record["segments"][0]["end_cause"] == "mode_change"
