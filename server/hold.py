"""Waiting music: one ticker for everybody who is kept waiting, and what it plays."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Final

import structlog

from media.hold import PACKET_MS, HoldMusic
from media.opus_file import UnusableMusic, read_packets, write_loop
from media.room import Room
from server.clock import monotonic_ms
from server.errors import SettingsError

BUILT_IN: Final = "built-in"
LATE_S: Final = 0.2
log = structlog.get_logger()


async def waiting_room(setting: str, data_dir: Path) -> Waiting:
    """What ``--hold-music`` names. The built-in loop is made by the first start and kept.

    Raises:
        SettingsError: the file cannot be played.
    """
    if setting == BUILT_IN:
        return Waiting(None, data_dir / "hold-music.ogg")
    if not setting:
        return Waiting(None, None)
    try:
        return Waiting(HoldMusic(await asyncio.to_thread(read_packets, Path(setting))), None)
    except UnusableMusic as error:
        raise SettingsError("--hold-music", f"{setting} {error}") from error


class Waiting:
    """Plays to the rooms that are held, one packet in 20 ms to each."""

    def __init__(self, music: HoldMusic | None, loop: Path | None) -> None:
        """``loop``: make the built-in music there, unless it is there, while others are served."""
        self._music, self._loop = music, loop
        self._rooms: dict[str, Room] = {}
        self._some = asyncio.Event()

    def keep(self, consult_id: str, room: Room | None) -> None:
        """Play to this room from now on; None: to nobody of this consult any more."""
        if room is not None:
            self._rooms[consult_id] = room
            self._some.set()
        else:
            self._rooms.pop(consult_id, None)

    async def run(self) -> None:
        """Play while anybody waits. Runs until cancelled."""
        if self._loop is not None:
            self._music = await _built_in(self._loop)
        if self._music is None:
            await asyncio.Event().wait()
        due = time.monotonic()
        while True:
            if not self._rooms:
                self._some.clear()
                await self._some.wait()
                due = time.monotonic()
            due += PACKET_MS / 1000
            late_s = time.monotonic() - due
            if late_s > LATE_S:
                due += late_s  # what was missed is not made up for
            await asyncio.sleep(max(0.0, -late_s))
            self._play()

    def _play(self) -> None:
        music, now_ms = self._music, monotonic_ms()
        assert music is not None, "nobody is kept waiting without music"
        music.advance()
        for consult_id, room in tuple(self._rooms.items()):
            try:
                room.play(music, now_ms)
            except Exception:  # one room's fault is silence there, and nowhere else
                log.exception("call_failed", what="hold", consult_id=consult_id)
                del self._rooms[consult_id]


async def _built_in(path: Path) -> HoldMusic | None:
    def make() -> HoldMusic:
        if not path.is_file():
            write_loop(path)
        return HoldMusic(read_packets(path))

    try:
        return await asyncio.to_thread(make)
    except (UnusableMusic, OSError) as error:
        log.warning("no_hold_music", error=str(error))
        return None
