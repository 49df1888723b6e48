"""From a closed meter to the record in the ledger, and to what the patient reads of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from metering import checkpoints, ledger
from metering import quality as evidence
from metering.events import Closed, Opened
from metering.meter import open_meter, reading, step
from metering.rating import Charge, rate
from metering.record import ConsultFacts, build_record
from metering.tariff import parse_tariff
from metering.terms import FAULTS, EndCause, Mode, Party
from server.call import Call
from server.clock import monotonic_ms, wall_ms
from server.errors import MeterElsewhere
from signaling.case import Case
from signaling.events import Settle
from signaling.messages import ChargeLine, Summary
from signaling.model import Consult


async def settle(
    conn: AsyncConnection,
    case: Case,
    consult: Consult,
    call: Call | None,
    ending: Settle,
    at_ms: int,
    node: str,
) -> Summary:
    """Close the meter and append the consult's one record, in the caller's transaction.

    ``case`` is as before the ending transition, ``consult`` as after it. Called again for the
    same consult it finds the record that is there. Returns the final summary.

    Raises:
        MeterElsewhere: another process holds the meter; nothing may be settled here.
        StaleEpoch: another process has taken the meter over.
    """
    now_ms = monotonic_ms()
    if call is None and await checkpoints.load(conn, consult.id) is not None:
        raise MeterElsewhere(consult.id)
    meter = call.meter if call else None
    if meter is None:
        opened = Opened(now_ms, wall_ms(), consult.physician_id or "none", Mode(consult.mode))
        meter = open_meter(opened)
    if call is not None:
        await checkpoints.release(conn, consult.id, call.epoch)
    cause = EndCause(ending.end_cause)
    party = Party(ending.end_party) if ending.end_party else Party.SYSTEM
    closed = step(meter, Closed(now_ms, cause, party))
    tariff = parse_tariff(case.order.tariff)
    facts = _facts(case, consult, cause, party, at_ms, node)
    if call is not None:
        facts = replace(facts, quality=evidence.summary(call.tally))
    # settled now, not when it ended: the database may have been away, and a month over, in between
    appended = await ledger.append(conn, build_record(facts, closed, tariff), wall_ms())
    # from the record, not from this meter: it may have been settled before
    seconds = {mode: int(appended.record["mode_seconds"][mode]) for mode in Mode}
    charge = rate(tariff, seconds, fault_ended=appended.record["end_cause"] in FAULTS)
    return _summary(seconds, charge, tariff.currency, appended.record)


def provisional(call: Call) -> Summary:
    """What the call would come to if it ended now."""
    assert call.meter is not None
    return _summary(reading(call.meter).seconds(), call.charge(), call.tariff.currency, None)


def _facts(
    case: Case, consult: Consult, cause: EndCause, party: Party, at_ms: int, node: str
) -> ConsultFacts:
    marks = case.marks
    waiting_at = marks.waiting_at if marks.waiting_at is not None else marks.created_at
    answered_at = marks.answered_at if marks.answered_at is not None else at_ms
    return ConsultFacts(
        consult_id=consult.id,
        patient_ref=case.order.patient_ref,
        physician_id=consult.physician_id or case.core.physician_id or "none",
        organization_id=case.order.organization_id,
        created_at_ms=marks.created_at,
        waiting_at_ms=marks.waiting_at,
        offered_at_ms=marks.offered_at,
        answered_at_ms=marks.answered_at,
        ended_at_ms=at_ms,
        wait_s=max(0, answered_at - waiting_at) // 1000,
        end_cause=cause,
        end_party=party,
        consent_version=case.order.terms_version,
        node=node,
        epoch=marks.epoch,
        department=case.order.department,
        prepaid_fen=case.limit_fen,
    )


def _summary(
    seconds: Mapping[Mode, int], charge: Charge, currency: str, record: Mapping[str, Any] | None
) -> Summary:
    return Summary(
        voice_s=seconds[Mode.VOICE],
        video_s=seconds[Mode.VIDEO],
        charge_fen=charge.charge_fen,
        currency=currency,
        lines=_lines(charge),
        end_cause=record["end_cause"] if record else None,
        final=record is not None,
        record_id=record["record_id"] if record else None,
    )


def _lines(charge: Charge) -> tuple[ChargeLine, ...]:
    """The steps that concern the patient: what others get of it does not, unless it is paid."""
    split = charge.split
    hidden = {"platform", "physician"}
    if split.patient_fen == charge.charge_fen:
        hidden |= {"insurer", "patient"}
    return tuple(
        ChargeLine.model_validate({k: v for k, v in line.as_dict().items() if k != "text"})
        for line in charge.lines
        if line.step not in hidden
    )
