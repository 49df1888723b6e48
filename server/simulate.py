"""Plausible records through the real meter, rating and ledger: for load tests and demos."""

from __future__ import annotations

import random

from metering import events as e
from metering.meter import Meter, open_meter, step
from metering.record import ConsultFacts, build_record
from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Party, Side

EVENING_MS = 4 * 3600_000
PHYSICIANS = 8
DEPARTMENTS = ("全科", "儿科", "皮肤科", "心内科")


def simulate(
    index: int, first_day_at_ms: int, seed: int = 0, organization_id: str = "org_sim"
) -> dict[str, object]:
    """The record of the ``index``-th simulated consult, without its place in the chain.

    Forty calls an evening for each of eight physicians: most by video, some with a hold, a
    change to voice, or a lost line. The same arguments give the same record.
    """
    rng = random.Random(f"{seed}/{index}")  # noqa: S311  # plausible, not secret
    day, call = divmod(index, 40 * PHYSICIANS)
    start_at = first_day_at_ms + day * 86_400_000 + call * EVENING_MS // (40 * PHYSICIANS)
    physician = f"ph_sim_{call % PHYSICIANS}"
    meter, length_ms, cause, party = _call(rng, start_at, physician)
    tariff = Tariff(voice_fen_per_min=1097, video_fen_per_min=2207)
    wait_ms = rng.randrange(5_000, 900_000)
    facts = ConsultFacts(
        consult_id=f"c_{organization_id}_{seed}x{index:012d}",
        patient_ref=f"p_sim_{rng.randrange(10**9)}",
        physician_id=physician,
        organization_id=organization_id,
        created_at_ms=start_at - wait_ms - 60_000,
        waiting_at_ms=start_at - wait_ms,
        offered_at_ms=start_at - 900,
        answered_at_ms=start_at - 300,
        ended_at_ms=start_at + length_ms,
        wait_s=wait_ms // 1000,
        end_cause=cause,
        end_party=party,
        consent_version="sim",
        node="sim",
        epoch=1,
        department=DEPARTMENTS[call % PHYSICIANS % len(DEPARTMENTS)],
    )
    return build_record(facts, meter, tariff)


def _call(rng: random.Random, at_ms: int, physician: str) -> tuple[Meter, int, EndCause, Party]:
    mode = Mode.VIDEO if rng.random() < 0.7 else Mode.VOICE
    length_ms = round(rng.lognormvariate(12.6, 0.7))
    meter = open_meter(e.Opened(0, at_ms, physician, mode))
    for event in (e.Engaged(0), e.FlowStarted(Side.PATIENT, 0), e.FlowStarted(Side.PHYSICIAN, 40)):
        meter = step(meter, event)
    if rng.random() < 0.2:
        meter = _seen(meter, length_ms // 3)
        meter = step(meter, e.Held(length_ms // 3))
        meter = step(meter, e.Resumed(length_ms // 3 + rng.randrange(5_000, 60_000)))
        length_ms += 60_000
    if mode is Mode.VIDEO and rng.random() < 0.1:
        meter = _seen(meter, length_ms * 2 // 3)
        meter = step(meter, e.ModeChanged(Mode.VOICE, length_ms * 2 // 3))
    meter = _seen(meter, length_ms)
    cause, party = rng.choices(
        (
            (EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN),
            (EndCause.PATIENT_HANGUP, Party.PATIENT),
            (EndCause.MEDIA_LOST_PATIENT, Party.PATIENT),
        ),
        weights=(85, 12, 3),
    )[0]
    return step(meter, e.Closed(length_ms, cause, party)), length_ms, cause, party


def _seen(meter: Meter, at_ms: int) -> Meter:
    for side in Side:
        meter = step(meter, e.FlowSeen(side, at_ms))
    return meter
