"""Records to put into ledgers: made by the real meter and rating, not by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from metering.events import (
    Closed,
    Engaged,
    FlowSeen,
    FlowStarted,
    Held,
    ModeChanged,
    Opened,
    Resumed,
)
from metering.meter import Meter, open_meter, step
from metering.quality import DirectionTally, SideTally, summary
from metering.record import ConsultFacts, build_record
from metering.tariff import make_tariff
from metering.terms import EndCause, Mode, Party, Side

WALL_MS = 1_770_000_000_000
TARIFF = make_tariff({"voice_fen_per_min": 1097, "video_fen_per_min": 2207})

QUALITY = SideTally(
    level_s=(0, 0, 0, 1, 14),
    rtt_count=15,
    rtt_sum_ms=720,
    down=DirectionTally(15, 6540, 401, 10_000, 12),
)

FACTS = ConsultFacts(
    consult_id="con_1",
    patient_ref="pat_7f3a",
    physician_id="phy_1",
    organization_id="org_1",
    created_at_ms=WALL_MS - 120_000,
    waiting_at_ms=WALL_MS - 90_000,
    offered_at_ms=WALL_MS - 8_000,
    answered_at_ms=WALL_MS - 3_000,
    ended_at_ms=WALL_MS + 18_012,
    wait_s=82,
    end_cause=EndCause.PHYSICIAN_FINISH,
    end_party=Party.PHYSICIAN,
    consent_version="2026-01",
    node="node_1",
    epoch=1,
    quality=summary({Side.PATIENT: QUALITY}),
    department="全科",
)


def metered() -> Meter:
    """Give a closed meter: 10 s video, 3 s hold, 5 s voice, as in docs/metering.md."""
    meter = open_meter(Opened(0, WALL_MS, "phy_1", Mode.VIDEO))
    for event in (
        Engaged(0),
        FlowStarted(Side.PATIENT, 0),
        FlowStarted(Side.PHYSICIAN, 0),
        *(FlowSeen(side, 10_000) for side in Side),
        Held(10_000),
        *(FlowSeen(side, 13_000) for side in Side),
        Resumed(13_000),
        ModeChanged(Mode.VOICE, 13_000),
        *(FlowSeen(side, 18_000) for side in Side),
        Closed(18_012, EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN),
    ):
        meter = step(meter, event)
    return meter


def record(consult_id: str = "con_1") -> dict[str, Any]:
    """Give a record that is not yet in a ledger."""
    return build_record(replace(FACTS, consult_id=consult_id), metered(), TARIFF)
