"""A meter's checkpoint, and how it goes on after its node was lost.

A checkpoint is written as if the node were lost at that moment: the segment under way is in it,
ended at the horizon with `node_lost` and marked as estimated. So whoever reads it, even without
restoring, sees nothing that was not delivered, and nothing has to be cut later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, Final

from metering.errors import MeterError
from metering.events import Closed
from metering.meter import Conditions, Meter, Segment, Totals, bounded, open_segment
from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Party

VERSION: Final = 1

_SEGMENT: Final = tuple(field.name for field in fields(Segment))
_TOTALS: Final = tuple(field.name for field in fields(Totals))


def freeze(meter: Meter) -> dict[str, Any]:
    """Give a checkpoint, JSON-ready: only labels and durations, no monotonic time."""
    cut = open_segment(meter, EndCause.NODE_LOST, estimated=True)
    segments = meter.segments if cut is None else (*meter.segments, cut)
    closed = meter.closed
    return {
        "version": VERSION,
        "epoch": meter.epoch,
        "as_of_at_ms": meter.label(meter.cursor_ms),
        "held": meter.latest.held,
        "mode": meter.latest.mode.value,
        "physician_id": meter.latest.physician_id,
        "segments": [[getattr(segment, name) for name in _SEGMENT] for segment in segments],
        "totals": [getattr(meter.totals, name) for name in _TOTALS],
        "first_media_at_ms": meter.first_media_at_ms,
        "closed": closed and [meter.label(closed.at_ms), closed.cause.value, closed.party.value],
        "estimated": meter.estimated,
        "limit_fen": meter.latest.limit_fen,
        "funded": meter.latest.funded,
    }


def restore(
    frozen: Mapping[str, Any], now_ms: int, wall_ms: int, epoch: int, tariff: Tariff | None = None
) -> Meter:
    """Go on from a checkpoint, in a new run: not engaged, nothing flows, all else as it was.

    The time in between is held or interrupted time, by the wall clock, since no monotonic clock
    outlives its machine; it is never billed. Labels never run backwards, even if the wall clock
    does. A closed meter stays as it is.

    Args:
        tariff: The consult's, by which its prepaid limit is used up.

    Raises:
        MeterError: the checkpoint has another version, or a limit and there is no tariff.
    """
    if frozen.get("version") != VERSION:
        raise MeterError(f"a checkpoint of version {frozen.get('version')} cannot be read")
    limit_fen = frozen.get("limit_fen")
    if limit_fen is not None and tariff is None:
        raise MeterError("a prepaid limit cannot be kept without its tariff")
    as_of_at_ms = int(frozen["as_of_at_ms"])
    anchor_wall_ms = max(wall_ms, as_of_at_ms)
    state = Conditions(
        engaged=False,
        held=bool(frozen["held"]),
        mode=Mode(frozen["mode"]),
        physician_id=str(frozen["physician_id"]),
        patient_flows=False,
        physician_flows=False,
        limit_fen=limit_fen,
        funded=bool(frozen.get("funded", True)),
    )
    meter = Meter(
        anchor_ms=now_ms,
        anchor_wall_ms=anchor_wall_ms,
        epoch=epoch,
        cursor_ms=now_ms,
        now_ms=now_ms,
        settled=state,
        latest=state,
        patient_last_ms=now_ms,
        physician_last_ms=now_ms,
        segments=tuple(_segment(row) for row in frozen["segments"]),
        totals=Totals(*frozen["totals"]),
        first_media_at_ms=frozen["first_media_at_ms"],
        estimated=bool(frozen["estimated"]),
        tariff=tariff,
    )
    meter = bounded(meter)
    if frozen["closed"] is not None:
        at_ms, cause, party = frozen["closed"]
        ended_ms = now_ms + at_ms - anchor_wall_ms
        return replace(meter, closed=Closed(ended_ms, EndCause(cause), Party(party)))
    return replace(meter, totals=_lapsed(meter, anchor_wall_ms - as_of_at_ms), estimated=True)


def _lapsed(meter: Meter, passed_ms: int) -> Totals:
    totals = meter.totals
    if meter.settled.held:
        return replace(totals, held_ms=totals.held_ms + passed_ms)
    if meter.first_media_at_ms is not None:
        return replace(totals, interrupted_ms=totals.interrupted_ms + passed_ms)
    return totals


def _segment(row: list[Any]) -> Segment:
    mode, physician_id, start, end, duration, cause, last_packet, epoch, estimated = row
    return Segment(
        mode=Mode(mode),
        physician_id=physician_id,
        start_at_ms=start,
        end_at_ms=end,
        duration_ms=duration,
        end_cause=EndCause(cause),
        last_packet_at_ms=last_packet,
        epoch=epoch,
        estimated=estimated,
    )
