"""Recordings of real calls: consent, files, what a crash leaves, who may download them."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import io
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest
from sqlalchemy import insert, update

from media.endpoint import Endpoint
from media.inbound import Inbound
from media.recorder import Recorder, TrackPlan, TrackTap
from media.room import Room
from media.webm import PartWriter
from metering.errors import MeterError
from server import tables
from server.accounts import new_id
from server.api.session import COOKIE
from server.call import Call
from server.clock import Clock, wall_ms
from signaling import store
from signaling.case import freeze
from signaling.tables import consults
from tests.media.test_webm import samples
from tests.media.vp8_stream import payloads, pictures, tone
from tests.server.clinic import Answer, Clinic, opened
from tests.server.party import Party, finished, in_call

FRAMES = 50
SETTINGS: dict[str, Any] = {"recording": True, "recording_min_free_mb": 1}


async def film(party: Party) -> None:
    """Send real sound and pictures, in real time, over and over."""
    frames, sounds = pictures(320, 240, FRAMES, keyframes_every=10), tone(2 * FRAMES)
    number = 0
    while True:
        frame = frames[number % FRAMES]
        parts = payloads(frame.data, number & 0x7FFF)
        for part in parts:
            await party.peer.send("video", part, timestamp=3_600 * number, marker=part is parts[-1])
        for half in (0, 1):
            index = 2 * number + half
            sound = sounds[index % len(sounds)].data
            await party.peer.send("audio", sound, timestamp=960 * index)
            await asyncio.sleep(0.02)
        number += 1


@asynccontextmanager
async def filmed(clinic: Clinic) -> AsyncIterator[tuple[Party, Party]]:
    """A video call with real pictures."""
    async with in_call(clinic) as (patient, physician):
        tasks = [asyncio.create_task(film(party)) for party in (patient, physician)]
        for party in (patient, physician):
            party.sending.clear()
        try:
            yield patient, physician
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def is_recording(update: Any, state: str) -> bool:
    return (update["view"]["recording"] or {}).get("state") == state


async def agreed(patient: Party, physician: Party) -> str:
    """Asked and answered: it is recorded."""
    asked = await physician.page.ask("record", consult_id=physician.consult_id)
    assert asked["ok"], asked
    view = (await patient.page.next("consult", lambda u: u["view"]["recording"]))["view"]
    recording = view["recording"]
    answer = await patient.page.ask(
        "answer_recording",
        recording_id=recording["id"],
        accept=True,
        terms_version=recording["terms_version"],
    )
    assert answer["ok"], answer
    await physician.page.next("consult", lambda u: is_recording(u, "on"))
    return str(recording["id"])


async def listed(clinic: Clinic, consult_id: str | None) -> list[dict[str, Any]]:
    answer = await clinic.api("GET", f"/api/v1/consults/{consult_id}/recordings")
    assert answer.status == 200, answer.text
    found: list[dict[str, Any]] = answer.json["data"]
    return found


async def complete(clinic: Clinic, consult_id: str | None) -> list[dict[str, Any]]:
    """The parts, once none is being written."""
    async with asyncio.timeout(20):
        while True:
            rows = await listed(clinic, consult_id)
            if rows and all(row["state"] != "recording" for row in rows):
                return rows
            await asyncio.sleep(0.1)


async def fetched(clinic: Clinic, part: dict[str, Any], **headers: str) -> tuple[int, bytes]:
    url = f"{clinic.services.base_url}/api/v1/recordings/{part['id']}/file"
    auth = {"Authorization": f"Bearer {clinic.demo.api_key}"} | headers
    async with clinic.http.get(url, headers=auth) as answer:
        return answer.status, await answer.read()


def decoded(data: bytes) -> tuple[Counter[str], dict[str, tuple[float, float]]]:
    """Frames of each track, and its first and last time in seconds."""
    counts: Counter[str] = Counter()
    times: dict[str, tuple[float, float]] = {}
    with av.open(io.BytesIO(data)) as container:
        for frame in container.decode():
            kind = "audio" if isinstance(frame, av.AudioFrame) else "video"
            counts[kind] += 1
            at = float(frame.time or 0)
            times[kind] = (times.get(kind, (at, at))[0], at)
    return counts, times


async def test_a_call_is_recorded_from_consent_to_the_end(tmp_path: Path) -> None:
    """Both sides, in sound and picture; nothing of the hold; the file is whole and audited."""
    async with opened(tmp_path, **SETTINGS) as clinic, filmed(clinic) as (patient, physician):
        here = {"consult_id": physician.consult_id}
        recording_id = await agreed(patient, physician)
        await patient.metered("video", 2_000)
        await physician.page.ask("hold", **here)
        await asyncio.sleep(1)
        await physician.page.ask("resume", **here)
        await patient.metered("video", 3_500)
        await finished(clinic, physician)
        parts = await complete(clinic, physician.consult_id)
        assert {(part["state"], part["recording_id"]) for part in parts} == {
            ("finished", recording_id)
        }
        assert [part["part"] for part in parts] == list(range(1, len(parts) + 1))
        part = max(parts, key=lambda part: int(part["size_bytes"]))  # a slow start makes another
        assert part["consent"]["agreed_n"] == part["consent"]["proposed_n"] + 1
        status, data = await fetched(clinic, part)
        assert status == 200
        assert hashlib.sha256(data).hexdigest() == part["sha256"]
        assert len(data) == part["size_bytes"]
        with av.open(io.BytesIO(data)) as container:
            titles = sorted(stream.metadata["title"] for stream in container.streams)
        assert titles == ["patient audio", "patient video", "physician audio", "physician video"]
        counts, times = decoded(data)
        assert counts["audio"] >= 2 * 60
        assert counts["video"] >= 2 * 20
        length = times["audio"][1] - times["audio"][0]
        assert 2 <= length <= 20
        assert counts["audio"] / 2 * 0.02 <= length - 0.7, "the hold is a gap"
        assert await clinic.audited("recording_downloaded")
        folder = clinic.services.settings.data_dir / "recordings"
        assert folder.stat().st_mode & 0o777 == 0o700
        status, tail = await fetched(clinic, part, Range="bytes=-100")
        assert (status, tail) == (206, data[-100:])
        assert len(await clinic.audited("recording_downloaded")) == 2


def live_objects() -> Counter[str]:
    """What is in memory of calls, reachable or not."""
    kinds = (Call, Room, Endpoint, Inbound, Recorder, TrackTap)
    return Counter(type(found).__name__ for found in gc.get_objects() if type(found) in kinds)


@pytest.fixture
def no_collection() -> Iterator[None]:
    """As the server runs: full collections are minutes apart."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_collection")
async def test_nothing_of_a_recorded_call_stays_in_memory(tmp_path: Path) -> None:
    async with opened(tmp_path, **SETTINGS) as clinic:
        before = live_objects()
        async with filmed(clinic) as (patient, physician):
            await agreed(patient, physician)
            await patient.metered("video", 500)
            assert set(live_objects() - before) == {
                "Call", "Room", "Endpoint", "Inbound", "Recorder", "TrackTap",
            }  # fmt: skip
            await finished(clinic, physician)
            await complete(clinic, physician.consult_id)
        async with asyncio.timeout(10):
            while live_objects() - before:  # noqa: ASYNC110  # ticks end with the second
                await asyncio.sleep(0.1)


async def test_either_side_ends_it_and_the_call_goes_on(tmp_path: Path) -> None:
    async with opened(tmp_path, **SETTINGS) as clinic, filmed(clinic) as (patient, physician):
        await agreed(patient, physician)
        await patient.metered("video", 1_500)
        assert (await patient.page.ask("stop_recording"))["ok"]
        parts = await complete(clinic, physician.consult_id)
        assert {part["state"] for part in parts} == {"finished"}
        ticks = await patient.metered("video", 2_000)
        assert ticks["running"]
        assert clinic.services.recordings.recorder(str(physician.consult_id)) is None


async def test_the_disk_is_left_to_the_bills(tmp_path: Path) -> None:
    """Too little is free: both pages are told, and the call goes on."""
    full = SETTINGS | {"recording_min_free_mb": 10**9}
    async with opened(tmp_path, **full) as clinic, filmed(clinic) as (patient, physician):
        await agreed(patient, physician)
        for party in (patient, physician):
            await party.page.next("consult", lambda u: is_recording(u, "failed"))
        assert (await patient.metered("video", 1_500))["running"]
        assert await listed(clinic, physician.consult_id) == []


async def test_what_the_muxer_refuses_ends_the_recording_and_both_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody may see the red sign while nothing is kept."""

    def refused(*_: object) -> None:
        raise av.error.ArgumentError(22, "Invalid argument")

    monkeypatch.setattr(PartWriter, "write", refused)
    async with opened(tmp_path, **SETTINGS) as clinic, filmed(clinic) as (patient, physician):
        await agreed(patient, physician)
        for party in (patient, physician):
            await party.page.next("consult", lambda u: is_recording(u, "failed"))
        assert (await patient.metered("video", 500))["running"]


async def test_without_the_setting_nobody_is_asked(clinic: Clinic) -> None:
    async with in_call(clinic) as (_, physician):
        refused = await physician.page.ask("record", consult_id=physician.consult_id)
        assert refused["error"]["code"] == "recording_off"


# --- after a crash -------------------------------------------------------------------------------


async def left_behind(clinic: Clinic, name: str, **values: Any) -> str:
    """A row as a crash leaves it, of the demo's consult."""
    part_id, consult_id = new_id("r"), await demo_consult(clinic)
    async with clinic.services.storage.write() as conn:
        await conn.execute(
            insert(tables.recordings).values(
                {
                    "id": part_id,
                    "consult_id": consult_id,
                    "recording_id": "recording-1",
                    "part": 1,
                    "state": "recording",
                    "file": name,
                    "node": clinic.services.calls.node,
                    "started_at": wall_ms(),
                    "proposed_n": 7,
                    "agreed_n": 8,
                }
                | values
            )
        )
    return part_id


async def demo_consult(clinic: Clinic) -> str:
    answer = await clinic.api("POST", "/api/v1/consults", json={"patient_name": "王芳"})
    found: str = answer.json["consult_id"]
    return found


def unfinished(clinic: Clinic, name: str) -> Path:
    """What a killed writer leaves: a copy of the file before it is closed."""
    folder = clinic.services.settings.data_dir / "recordings"
    path = folder / "being-written"
    tracks = (TrackPlan("patient", "video", 320, 240), TrackPlan("patient", "audio"))
    writer = PartWriter(path, tracks, 5_000)
    writer.write(samples())
    shutil.copy(path, folder / name)
    writer.close()
    path.unlink()
    return folder / name


async def test_what_a_crash_left_is_finished_as_far_as_it_got(clinic: Clinic) -> None:
    part_id = await left_behind(clinic, "left.webm")
    path = unfinished(clinic, "left.webm")
    assert await clinic.services.recordings.store.recover() == 1
    row = await clinic.services.recordings.store.find(part_id)
    assert row is not None
    assert (row["state"], row["size_bytes"]) == ("recovered", path.stat().st_size)
    assert row["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert row["delete_after"] > wall_ms()
    counts, _ = decoded(path.read_bytes())
    assert min(counts.values()) >= 22
    assert await clinic.services.recordings.store.recover() == 0


@pytest.mark.parametrize("content", [None, b"", b"garbage"])
async def test_what_holds_nothing_is_lost_and_said_so(
    clinic: Clinic, content: bytes | None
) -> None:
    part_id = await left_behind(clinic, "left.webm")
    path = clinic.services.recordings.store.path("left.webm")
    if content is not None:
        path.write_bytes(content)
    assert await clinic.services.recordings.store.recover() == 0
    row = await clinic.services.recordings.store.find(part_id)
    assert row is not None
    assert row["state"] == "lost"
    assert not path.exists()
    (await clinic.api("GET", f"/api/v1/recordings/{part_id}/file")).problem(
        409, "recording_unfinished"
    )


async def test_what_others_write_is_left_alone(clinic: Clinic) -> None:
    """Another host's part is not lost because its file is not here."""
    elsewhere = await left_behind(clinic, "far.webm", node="elsewhere-1")
    here = await left_behind(clinic, "here.webm", part=2)
    await clinic.services.recordings.store.recover({here})
    for part_id in (elsewhere, here):
        row = await clinic.services.recordings.store.find(part_id)
        assert row is not None
        assert row["state"] == "recording"


async def test_recordings_are_deleted_when_due_and_that_is_audited(either: Clinic) -> None:
    recordings = either.services.recordings
    kept = await left_behind(either, "kept.webm", state="finished", delete_after=wall_ms() + 60_000)
    due = await left_behind(either, "due.webm", state="finished", delete_after=wall_ms() - 1)
    for name in ("kept.webm", "due.webm"):
        recordings.store.path(name).write_bytes(b"film")
    assert await recordings.store.purge() == 1
    assert recordings.store.path("kept.webm").exists()
    assert not recordings.store.path("due.webm").exists()
    (entry,) = await either.audited("recording_deleted")
    assert entry.detail == due
    (await either.api("GET", f"/api/v1/recordings/{due}/file")).problem(410, "recording_deleted")
    assert (await either.api("GET", f"/api/v1/recordings/{kept}/file")).status == 200
    assert await recordings.store.purge() == 0


# --- who may -------------------------------------------------------------------------------------


async def ready(clinic: Clinic, **values: Any) -> str:
    part_id = await left_behind(clinic, "done.webm", state="finished", **values)
    clinic.services.recordings.store.path("done.webm").write_bytes(b"film")
    return part_id


async def test_a_key_needs_the_scope(clinic: Clinic) -> None:
    path = f"/api/v1/recordings/{await ready(clinic)}/file"
    key = await clinic.key("records", "consults")
    (await clinic.api("GET", path, key)).problem(403, "scope_missing")
    (await clinic.ask("GET", path)).problem(401, "signed_out")
    assert await clinic.audited("recording_downloaded") == []
    answer = await clinic.api("GET", path, await clinic.key("recordings"))
    assert (answer.status, answer.text) == (200, "film")
    assert answer.headers["Content-Type"] == "video/webm"
    assert answer.headers["Cache-Control"] == "no-store"
    (entry,) = await clinic.audited("recording_downloaded")
    assert entry.actor.startswith("key:")


async def test_others_recordings_are_as_unknown_as_those_that_do_not_exist(clinic: Clinic) -> None:
    part_id = await ready(clinic, consult_id="c_00000000000000000000")
    for tail in (f"recordings/{part_id}/file", "recordings/r_none/file", "recordings/%00/file"):
        (await clinic.api("GET", f"/api/v1/{tail}")).problem(404, "unknown_recording")
    (await clinic.api("GET", "/api/v1/consults/c_none/recordings")).problem(
        404, "unknown_recording"
    )


async def signed_in(clinic: Clinic) -> dict[str, str]:
    body = {"username": clinic.demo.username, "password": clinic.demo.password}
    answer: Answer = await clinic.ask("POST", "/api/v1/session", json=body)
    return {COOKIE: answer.cookies[COOKIE].value}


async def test_the_physician_of_the_call_may_and_no_other(clinic: Clinic) -> None:
    cookies = await signed_in(clinic)
    part_id = await ready(clinic)
    path = f"/api/v1/recordings/{part_id}/file"
    (await clinic.ask("GET", path, cookies=cookies)).problem(404, "unknown_recording")
    (refused,) = await clinic.audited("recording_refused")
    assert refused.actor == "physician:ph_demo"
    row = await clinic.services.recordings.store.find(part_id)
    assert row is not None
    await assign(clinic, row["consult_id"])
    answer = await clinic.ask("GET", path, cookies=cookies)
    assert answer.text == "film"
    (entry,) = await clinic.audited("recording_downloaded")
    assert (entry.actor, entry.detail) == ("physician:ph_demo", part_id)
    parts = await clinic.ask(
        "GET", f"/api/v1/consults/{row['consult_id']}/recordings", cookies=cookies
    )
    assert [part["id"] for part in parts.json["data"]] == [part_id]


async def assign(clinic: Clinic, consult_id: str) -> None:
    """As if the demo's physician had had this call."""
    async with clinic.services.storage.write() as conn:
        case = await store.load(conn, consult_id, Clock())
        assert case is not None
        core = replace(case.core, physician_id="ph_demo")
        await conn.execute(
            update(consults).where(consults.c.id == consult_id).values(core=freeze(core, 0))
        )


async def test_nothing_is_sent_that_cannot_be_audited(clinic: Clinic) -> None:
    """The entry comes before the first byte: where it cannot be written there is no download."""
    part_id = await ready(clinic)
    async with clinic.services.storage.write() as conn:
        await conn.exec_driver_sql("ALTER TABLE audit RENAME TO audit_away")
    answer = await clinic.api("GET", f"/api/v1/recordings/{part_id}/file")
    answer.problem(503, "audit_unavailable")
    async with clinic.services.storage.write() as conn:
        await conn.exec_driver_sql("ALTER TABLE audit_away RENAME TO audit")


async def test_who_hangs_up_is_out_and_not_recorded_even_if_the_meter_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What closes must close, whatever else goes wrong."""

    def refused(*_: object) -> None:
        raise MeterError("a bug")

    async with opened(tmp_path, **SETTINGS) as clinic, filmed(clinic) as (patient, physician):
        await agreed(patient, physician)
        (call,) = clinic.services.calls.live()
        monkeypatch.setattr(Call, "perform", refused)
        assert (await patient.page.ask("hang_up"))["ok"]
        assert clinic.services.recordings.recorder(str(physician.consult_id)) is None
        assert call.room is not None
        assert call.room.participants == ("physician",)
        monkeypatch.undo()
