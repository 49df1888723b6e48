"""The kept inputs of each target: one file each, a line of base64 for each input."""

from __future__ import annotations

import base64
import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol, cast

FOLDER = Path(__file__).with_name("corpus")
TARGETS = ("stun", "rtp", "rtcp", "sdp")
MOST_BYTES = 200_000
"""Kept of one target; the shortest inputs first, which are the quickest and the clearest."""


class Target(Protocol):
    """A module with a fuzz target."""

    def target(self, data: bytes) -> None:
        """Throw `data` at the code; raises for a fault of ours."""

    def seeds(self) -> Iterable[bytes]:
        """What a real peer would send."""


def load(name: str) -> Target:
    """The module of a target."""
    return cast("Target", importlib.import_module(f"tests.fuzz.{name}"))


def inputs(name: str) -> list[bytes]:
    """Everything kept for a target, and its seeds."""
    file = FOLDER / f"{name}.txt"
    lines = file.read_text("ascii").split() if file.exists() else []
    return [*load(name).seeds(), *map(base64.b64decode, lines)]


def keep(name: str, found: Iterable[bytes]) -> int:
    """Replace what is kept for a target. Returns how many inputs were kept."""
    kept: list[str] = []
    room = MOST_BYTES
    for data in sorted(set(found), key=lambda data: (len(data), data)):
        room -= len(data)
        if room < 0:
            break
        kept.append(base64.b64encode(data).decode("ascii"))
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.txt").write_text("".join(line + "\n" for line in kept), "ascii")
    return len(kept)
