"""Plausible records through the real meter, rating and ledger: for load tests and demos."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from metering import events as e
from metering.adjust import Correction, Kind, corrected
from metering.meter import Meter, Reading, open_meter, reading, step
from metering.quality import DirectionTally, SideTally, summary
from metering.record import ConsultFacts, build_record
from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Party, Side

EVENING_MS = 4 * 3600_000
PHYSICIANS = 8
DEPARTMENTS = ("全科", "儿科", "皮肤科", "心内科")
CORRECTED_EACH = 250
"""Of so many records one corrects an earlier one."""

TARIFF: Final = Tariff(voice_fen_per_min=1097, video_fen_per_min=2207, platform_share="0.2")
_ENDS: Final = (
    (EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN),
    (EndCause.PATIENT_HANGUP, Party.PATIENT),
    (EndCause.MEDIA_LOST_PATIENT, Party.PATIENT),
    (EndCause.MEDIA_LOST_PHYSICIAN, Party.PHYSICIAN),
    (EndCause.SETUP_FAILED, Party.SYSTEM),
)
_WEIGHTS: Final = (840, 120, 25, 10, 5)


def simulate(
    index: int, first_day_at_ms: int, seed: int = 0, organization_id: str = "org_sim"
) -> dict[str, Any]:
    """The record of the ``index``-th simulated consult, without its place in the chain.

    Forty calls an evening for each of eight physicians in four departments: most by video, some
    with a hold, a change to voice, a colleague who takes over, a prepaid limit, or a line that is
    lost. The same arguments give the same record.
    """
    rng = random.Random(f"{seed}/{index}")  # noqa: S311  # plausible, not secret
    day, call = divmod(index, 40 * PHYSICIANS)
    start_at = first_day_at_ms + day * 86_400_000 + call * EVENING_MS // (40 * PHYSICIANS)
    played = _Play(rng, start_at, call % PHYSICIANS).play()
    wait_ms = rng.randrange(5_000, 900_000)
    facts = ConsultFacts(
        consult_id=f"c_{organization_id}_{seed}x{index:012d}",
        patient_ref=f"p_sim_{rng.randrange(10**9)}",
        physician_id=played.physician_id,
        organization_id=organization_id,
        created_at_ms=start_at - wait_ms - 60_000,
        waiting_at_ms=start_at - wait_ms,
        offered_at_ms=start_at - 900,
        answered_at_ms=start_at - 300,
        ended_at_ms=start_at + played.length_ms,
        wait_s=wait_ms // 1000,
        end_cause=played.cause,
        end_party=played.party,
        consent_version="sim",
        node="sim",
        epoch=1,
        quality=_quality(rng, reading(played.meter)),
        department=DEPARTMENTS[call % PHYSICIANS % len(DEPARTMENTS)],
        prepaid_fen=played.prepaid_fen,
    )
    return build_record(facts, played.meter, TARIFF)


def correction(index: int, so_far: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The next record of a consult, which corrects it: some of it back, or all. None: it is free.

    ``so_far`` are its records as they stand in the ledger, the original first.
    """
    charge_fen = so_far[-1].get("net", so_far[-1])["charge_fen"]
    if not charge_fen:
        return None
    wanted = Correction(
        so_far[-1]["record_id"], Kind.ADJUSTMENT, "goodwill", "accountant:sim", charge_fen // 2
    )
    if index % 3 == 0:
        wanted = replace(wanted, kind=Kind.VOID, reason="complaint", charge_fen=None)
    return corrected(so_far, wanted)


@dataclass
class _Play:
    """One call, played through the meter."""

    rng: random.Random
    at_ms: int
    physician: int
    cause: EndCause = EndCause.PHYSICIAN_FINISH
    party: Party = Party.PHYSICIAN
    prepaid_fen: int | None = None
    length_ms: int = 0
    meter: Meter = field(init=False)

    @property
    def physician_id(self) -> str:
        return f"ph_sim_{self.physician}"

    def play(self) -> _Play:
        rng = self.rng
        mode = Mode.VIDEO if rng.random() < 0.7 else Mode.VOICE
        self.length_ms = round(rng.lognormvariate(12.6, 0.7))
        self.meter = open_meter(e.Opened(0, self.at_ms, self.physician_id, mode))
        self.cause, self.party = rng.choices(_ENDS, weights=_WEIGHTS)[0]
        if self.cause is EndCause.SETUP_FAILED:
            self.length_ms = rng.randrange(20_000, 90_000)
            return self._close()
        self._do(e.Engaged(0), e.FlowStarted(Side.PATIENT, 0), e.FlowStarted(Side.PHYSICIAN, 40))
        if rng.random() < 0.03:
            self.prepaid_fen = rng.choice((5_000, 10_000))
            self._do(e.Granted(self.prepaid_fen, TARIFF, 40))
        if rng.random() < 0.2:
            self._hold()
        if rng.random() < 0.02:
            self._hand_over()
        if mode is Mode.VIDEO and rng.random() < 0.1:
            self._seen(self.length_ms * 2 // 3)
            self._do(e.ModeChanged(Mode.VOICE, self.length_ms * 2 // 3))
        self._seen(self.length_ms)
        if reading(self.meter).stopped_by is EndCause.QUOTA_EXHAUSTED:
            self.cause, self.party = EndCause.QUOTA_EXHAUSTED, Party.SYSTEM
        return self._close()

    def _hold(self) -> None:
        began_ms = self.length_ms // 3
        lasted_ms = self.rng.randrange(5_000, 60_000)
        self._seen(began_ms)
        self._do(e.Held(began_ms), e.Resumed(began_ms + lasted_ms))
        self.length_ms += lasted_ms + 1_000

    def _hand_over(self) -> None:
        """A colleague of the same department goes on."""
        at_ms = self.length_ms // 2 + 60_000
        self.length_ms = max(self.length_ms, at_ms + 30_000)
        self.physician = (self.physician + len(DEPARTMENTS)) % PHYSICIANS
        self._seen(at_ms)
        self._do(e.PhysicianChanged(self.physician_id, at_ms))

    def _close(self) -> _Play:
        self._do(e.Closed(self.length_ms, self.cause, self.party))
        return self

    def _seen(self, at_ms: int) -> None:
        self._do(*(e.FlowSeen(side, at_ms) for side in Side))

    def _do(self, *events: e.Event) -> None:
        for event in events:
            self.meter = step(self.meter, event)


def _quality(rng: random.Random, read: Reading) -> dict[str, Any] | None:
    seconds = sum(read.seconds().values())
    if not seconds:
        return None
    sides = {}
    for side in Side:
        weak_s = rng.randrange(seconds) // 20
        direction = DirectionTally(seconds, 430 * seconds, 350, 50 * seconds, seconds // 4)
        level_s = (0, 0, weak_s, weak_s, seconds - 2 * weak_s)
        rtt_ms = rng.randrange(15, 180)
        sides[side] = SideTally(level_s, seconds, rtt_ms * seconds, direction, direction)
    return summary(sides)
