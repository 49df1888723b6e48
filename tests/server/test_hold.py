"""Waiting music of a process: what is played, from where, and to whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.errors import SettingsError
from server.hold import waiting_room
from tests.server.clinic import opened
from tests.server.party import in_call


def music(packets: list[bytes]) -> list[bytes]:
    """What was no packet of the party's own: those have 60 bytes of zero."""
    return [packet for packet in packets if packet[-60:] != bytes(60)]


async def test_a_file_that_is_no_music_is_said_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "music.ogg"
    path.write_bytes(b"no music")
    with pytest.raises(SettingsError, match="--hold-music"):
        await waiting_room(str(path), tmp_path)


async def test_the_patient_hears_the_built_in_music_while_held_and_pays_nothing(
    tmp_path: Path,
) -> None:
    """It is made by the first start; the physician hears nothing."""
    async with (
        opened(tmp_path, hold_music="built-in") as clinic,
        in_call(clinic) as (patient, physician),
    ):
        await patient.metered("video", 500)
        before = len(patient.peer.rtp)
        await physician.page.ask("hold", consult_id=physician.consult_id)
        held = await patient.page.next("meter", lambda tick: tick["pause"] == "held")
        await patient.peer.until(lambda: len(music(patient.peer.rtp[before:])) >= 30)
        later = await patient.page.next("meter", lambda tick: tick["pause"] == "held")
        assert later["charge_fen"] == held["charge_fen"]
        assert not later["running"]
        heard = len(physician.peer.rtp)
        await patient.page.next("meter")
        assert len(physician.peer.rtp) == heard
        assert (clinic.services.settings.data_dir / "hold-music.ogg").is_file()
