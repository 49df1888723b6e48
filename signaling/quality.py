"""What the parties' lines are like, as both pages show it."""

from __future__ import annotations

from typing import Literal

from signaling.wire import ConsultId, Outgoing

LineReason = Literal["ok", "upload_weak", "download_weak", "delay", "silent"]


class LineReading(Outgoing):
    """One direction of a line in figures; null where nothing is known.

    ``loss_pct`` went missing on the way, repaired or not. ``mos`` is an estimate of how good
    people find the voice, 1 to 4.5 (ITU-T G.107).
    """

    rtt_ms: int | None
    jitter_ms: int | None
    loss_pct: float | None
    bitrate_bps: int
    fps: int
    mos: float | None


class Line(Outgoing):
    """A participant's line: ``up`` is what they send, ``down`` what they get.

    ``level`` is 0 to 4 bars, 0 while nothing comes from them. It falls after two seconds and rises
    after four, so it does not flicker. ``reason`` says what is wrong: ``upload_weak``,
    ``download_weak`` or ``delay`` at two bars and below, ``silent`` at none, else ``ok``.
    """

    participant_id: str
    level: Literal[0, 1, 2, 3, 4]
    reason: LineReason
    up: LineReading
    down: LineReading


class Quality(Outgoing):
    """What the lines are like, once a second while in a call."""

    kind: Literal["quality"] = "quality"
    consult_id: ConsultId
    lines: tuple[Line, ...]
