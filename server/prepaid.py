"""Prepaid consults: what is left of the limit, and to be there at the moment it is reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from metering.meter import runs_out_ms
from metering.rating import affordable_s, rate
from metering.tariff import parse_tariff
from metering.terms import FAULTS, Mode
from server.call import Call
from server.clock import monotonic_ms
from signaling.case import Case
from signaling.messages import Prepaid

CONFIRM_MS: Final = 5
"""A limit is reached once packets of both sides have passed it: they come every 20 ms."""
PENDING_MS: Final = 20
"""How soon to look again while a change of mode is not yet counted."""


def standing(case: Case, totals_ms: Mapping[Mode, int]) -> Prepaid | None:
    """What is prepaid, used and left of a consult; ``totals_ms`` is what was billed so far.

    None: it has no limit. Some fifty ratings: not for every tick.
    """
    limit_fen = case.limit_fen
    if limit_fen is None:
        return None
    tariff = parse_tariff(case.order.tariff)
    summary, is_fault = case.marks.summary, False
    if summary is not None:  # it is over, and the record says how
        totals_ms = {Mode.VOICE: summary.voice_s * 1000, Mode.VIDEO: summary.video_s * 1000}
        is_fault = summary.end_cause in FAULTS
    seconds = {mode: total_ms // 1000 for mode, total_ms in totals_ms.items()}
    left: dict[Mode, int | None] = dict.fromkeys(Mode, 0)
    if summary is None:
        for mode in Mode:
            more_s = affordable_s(tariff, seconds, mode, limit_fen)
            begun = totals_ms[mode] % 1000 > 0  # the second that is under way is used
            left[mode] = None if more_s is None else max(0, more_s - begun)
    return Prepaid(
        limit_fen=limit_fen,
        used_fen=rate(tariff, seconds, fault_ended=is_fault).split.patient_fen,
        voice_left_s=left[Mode.VOICE],
        video_left_s=left[Mode.VIDEO],
    )


class Deadlines:
    """Looks at each prepaid call when its limit is reached, not at the next tick.

    ``look`` must bring the call's meter up to now, and call :meth:`watch` again.
    """

    def __init__(self, look: Callable[[Call], None]) -> None:
        self._look = look
        self._due: dict[str, tuple[int, asyncio.TimerHandle]] = {}

    def watch(self, call: Call) -> None:
        """Know when the call must be looked at next, from what its meter says now."""
        if call.limit_fen is None:
            return
        now_ms = monotonic_ms()
        at_ms = self._next(call, now_ms)
        known = self._due.get(call.consult_id)
        if known is not None:
            if known[0] == at_ms:
                return
            self.forget(call.consult_id)
        if at_ms is not None:
            wait_s = max(0, at_ms - now_ms) / 1000
            timer = asyncio.get_running_loop().call_later(wait_s, self._reached, call)
            self._due[call.consult_id] = (at_ms, timer)

    def _next(self, call: Call, now_ms: int) -> int | None:
        meter = call.meter
        if meter is None:
            return None
        if meter.latest.billable and meter.pending:
            return now_ms + PENDING_MS
        out_ms = runs_out_ms(meter)
        return None if out_ms is None else max(out_ms, now_ms + CONFIRM_MS)

    def _reached(self, call: Call) -> None:
        self._due.pop(call.consult_id, None)
        self._look(call)

    def forget(self, consult_id: str) -> None:
        """The call is over."""
        known = self._due.pop(consult_id, None)
        if known is not None:
            known[1].cancel()
