"""A recorded call between two browsers, and what the patient hears while on hold."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

import av
import pytest
from playwright.async_api import Page

from tests.e2e.chairs import CONNECTION_LOST, let_pass
from tests.e2e.clinic import Clinic
from tests.e2e.conftest import OpenClinic
from tests.e2e.server import Server

OPTIONS = ("--drain-s", "2", "--recording", "on", "--recording-min-free-mb", "1")

pytestmark = [pytest.mark.e2e, pytest.mark.asyncio(loop_scope="session")]

PLAY = """
async (url) => {
  const video = document.createElement("video");
  video.muted = true;
  video.src = url;
  document.body.append(video);
  await new Promise((done, fail) => {
    video.onloadedmetadata = done;
    video.onerror = () => fail(new Error(video.error.message));
  });
  const ended = new Promise((done, fail) => {
    video.onended = done;
    video.onerror = () => fail(new Error(video.error.message));
  });
  video.playbackRate = 4;
  await video.play();
  await ended;
  return {duration: video.duration, at: video.currentTime, width: video.videoWidth};
}
"""


def fetched(clinic: Clinic, path: str) -> bytes:
    url = clinic.server.base_url + path
    key = {"Authorization": f"Bearer {clinic.server.demo['api_key']}"}
    with urllib.request.urlopen(urllib.request.Request(url, headers=key), timeout=20) as answer:
        found: bytes = answer.read()
    return found


async def parts_of(clinic: Clinic, consult_id: str) -> list[dict[str, Any]]:
    """All parts, once each is complete."""
    async with asyncio.timeout(20):
        while True:
            found = await clinic.server.api("GET", f"/api/v1/consults/{consult_id}/recordings")
            parts: list[dict[str, Any]] = found["data"]
            if parts and all(part["state"] in ("finished", "recovered") for part in parts):
                return parts
            await let_pass(0.2)


def lengths_s(path: Path) -> dict[str, float]:
    """From first to last frame of each track, all of it decoded."""
    times: dict[str, list[float]] = {}
    frames: Counter[str] = Counter()
    with av.open(str(path)) as container:
        for stream in container.streams:
            times[stream.metadata["title"]] = []
        streams = list(container.streams)
        for packet in container.demux():
            title = streams[packet.stream.index].metadata["title"]
            for frame in packet.decode():
                times[title].append(float(frame.time or 0))
                frames[title] += 1
    return {title: max(found) - min(found) for title, found in times.items()}


async def played(page: Page, path: Path) -> dict[str, float]:
    """Shown in a browser to its end."""
    data = await asyncio.to_thread(path.read_bytes)
    await page.route(
        "http://film.invalid/**",
        lambda route: (
            route.fulfill(body=data, content_type="video/webm")
            if route.request.url.endswith(".webm")
            else route.fulfill(body="<!doctype html><body></body>", content_type="text/html")
        ),
    )
    await page.goto("http://film.invalid/")
    found: dict[str, float] = await page.evaluate(PLAY, "http://film.invalid/part.webm")
    return found


async def test_a_recorded_call_with_a_hold_is_kept_played_and_billed_as_it_was(
    clinics: OpenClinic, tmp_path: Path
) -> None:
    """Asked, agreed, signed on both pages; the hold has music, and neither film nor bill."""
    async with clinics(Server(options=OPTIONS)) as clinic:
        patient, physician = await clinic.call()
        await physician.press("record")
        clock = [time.monotonic()]
        await patient.press("agree-recording")
        for chair in (patient, physician):
            await chair.sees("recording-sign")
        clock.append(time.monotonic())
        await let_pass(4)
        await physician.hold()
        before = physician.now.audio_packets
        await patient.gets_audio()
        await let_pass(1)
        assert physician.now.audio_packets - before < 25, "the physician hears nothing"
        await physician.resume()
        for chair in (patient, physician):
            await chair.gets_video()
        await physician.to_voice()
        await let_pass(2)
        clock.append(time.monotonic())
        await patient.press("stop-recording")
        for chair in (patient, physician):
            await chair.sees_no("recording-sign")
        clock.append(time.monotonic())
        await physician.finish()

        record = (await clinic.settled()).record
        parts = await parts_of(clinic, record["consult_id"])
        whole_s = 0.0
        for part in parts:
            path = tmp_path / f"{part['part']}.webm"
            data = await asyncio.to_thread(fetched, clinic, f"/api/v1/recordings/{part['id']}/file")
            path.write_bytes(data)
            lengths = lengths_s(path)
            sounds = [length for title, length in lengths.items() if title.endswith("audio")]
            assert len(sounds) == 2
            assert max(sounds) - min(sounds) < 0.5, lengths
            whole_s += max(sounds)
        assert {title for title in lengths_s(tmp_path / "1.webm")} == {
            "patient audio",
            "patient video",
            "physician audio",
            "physician video",
        }
        agreed, signed, stopping, stopped = clock
        assert stopping - signed - 0.5 <= whole_s <= stopped - agreed + 0.5, (whole_s, clock)
        shown = await played(await patient.context.new_page(), tmp_path / "1.webm")
        assert shown["width"] > 0
        assert shown["at"] >= shown["duration"] - 0.1


async def test_after_kill_9_the_recording_goes_on_and_what_was_before_can_be_played(
    clinics: OpenClinic, tmp_path: Path
) -> None:
    """Consent outlives the process: the sign comes back by itself, and another part begins."""
    async with clinics(Server(options=OPTIONS)) as clinic:
        patient, physician = await clinic.call()
        for chair in (patient, physician):
            chair.tolerate(CONNECTION_LOST)
        await physician.press("record")
        await patient.press("agree-recording")
        await physician.sees("recording-sign")
        await let_pass(7)
        await clinic.server.kill9()
        await clinic.server.restart()
        for chair in (patient, physician):
            await chair.sees("in-call")
            await chair.sees("recording-sign")
            await chair.gets_video()
        await let_pass(4)
        await physician.finish()

        record = await clinic.server.one_record()
        parts = await parts_of(clinic, record["consult_id"])
        assert {part["recording_id"] for part in parts} == {parts[0]["recording_id"]}
        assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
        assert [parts[0]["state"], parts[-1]["state"]] == ["recovered", "finished"]
        for part in (parts[0], parts[-1]):
            path = tmp_path / f"{part['part']}.webm"
            data = await asyncio.to_thread(fetched, clinic, f"/api/v1/recordings/{part['id']}/file")
            path.write_bytes(data)
            assert max(lengths_s(path).values()) > 2
        shown = await played(await patient.context.new_page(), tmp_path / "1.webm")
        assert shown["at"] >= shown["duration"] - 0.1
