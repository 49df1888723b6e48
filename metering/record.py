"""The closed, immutable record of one consult (a CDR): what was metered, and what it costs.

It names no person and holds no complaint and no clinical text: the patient is a pseudonym.
Everything needed to recompute the charge is in it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import rfc8785

from metering.errors import RecordError
from metering.meter import Meter, Segment, reading
from metering.rating import rate
from metering.shares import shares
from metering.tariff import Tariff
from metering.terms import CONSULT_END_CAUSES, FAULTS, EndCause, Mode, Party

SCHEMA_VERSION: Final = 2
ORIGINAL: Final = 0
"""The revision of a consult's first record; corrections count up from it."""
_REFERENCE: Final = re.compile(r"[A-Za-z0-9._:@/-]{1,128}", re.ASCII)
_LABEL: Final = re.compile(r"[^\x00-\x1f\x7f]{0,200}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999: RFC 3339 has no later one."""


def is_reference(text: str) -> bool:
    """Whether a text may stand in a record: an id, with no place for a name or a sentence."""
    return _REFERENCE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class ConsultFacts:
    """What the record says of the consult beside seconds and money.

    `*_at_ms` are epoch milliseconds, None where it never happened. References are ids of 1 to 128
    letters, digits and `._:@/-`: there is no place for a name or a sentence. `prepaid_fen` is all
    that was granted (`metering.events.Granted`), None without a limit. `quality` is a summary
    (`metering.quality`) of objects and lists of integers and such ids. `department` is the clinic's
    own label, at most 200 characters. `end_cause` must be one that ends a consult.
    """

    consult_id: str
    patient_ref: str
    physician_id: str
    organization_id: str
    created_at_ms: int
    waiting_at_ms: int | None
    offered_at_ms: int | None
    answered_at_ms: int | None
    ended_at_ms: int
    wait_s: int
    end_cause: EndCause
    end_party: Party
    consent_version: str
    node: str
    epoch: int
    quality: Mapping[str, Any] | None = None
    department: str = ""
    prepaid_fen: int | None = None


def record_id(consult_id: str, revision: int = ORIGINAL) -> str:
    """Derive a record's id, so that settling twice cannot make two records.

    `rec_` and the first 32 hex digits of SHA-256 over the RFC 8785 form of
    `[consult_id, revision]`.
    """
    return "rec_" + hashlib.sha256(rfc8785.dumps([consult_id, revision])).hexdigest()[:32]


def rfc3339(at_ms: int) -> str:
    """Write epoch milliseconds as RFC 3339 UTC: `2026-02-02T02:40:00.000Z`.

    Raises:
        RecordError: before 1970 or after 9999.
    """
    if not 0 <= at_ms <= _LAST_MS:
        raise RecordError(f"{at_ms} ms is no time between 1970 and 9999")
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def epoch_ms(text: str) -> int:
    """Give the epoch milliseconds of what `rfc3339` wrote."""
    passed = datetime.fromisoformat(text) - _EPOCH
    return round(passed / timedelta(milliseconds=1))


def build_record(facts: ConsultFacts, meter: Meter, tariff: Tariff) -> dict[str, Any]:
    """Close a consult: give its record, JSON-ready, still without its place in the ledger.

    Raises:
        RecordError: the meter is not closed, or a fact has a form that a record must not have.
    """
    if meter.closed is None:
        raise RecordError("the meter still runs: close it first")
    _check(facts)
    seconds = reading(meter).seconds()
    charge = rate(tariff, seconds, fault_ended=facts.end_cause in FAULTS)
    return {
        "schema_version": SCHEMA_VERSION,
        "record_id": record_id(facts.consult_id),
        "consult_id": facts.consult_id,
        "revision": ORIGINAL,
        "kind": "original",
        "patient_ref": facts.patient_ref,
        "physician_id": facts.physician_id,
        "organization_id": facts.organization_id,
        "department": facts.department,
        "channel": tariff.channel.value,
        **_times(facts, meter),
        "wait_s": facts.wait_s,
        "held_s": meter.totals.held_ms // 1000,
        "interrupted_s": meter.totals.interrupted_ms // 1000,
        "mode_seconds": {mode.value: seconds[mode] for mode in Mode},
        "billable_s": sum(seconds.values()),
        "segments": [_segment(one, tariff) for one in meter.segments],
        "end_cause": facts.end_cause.value,
        "end_party": facts.end_party.value,
        "tariff": tariff.as_dict(),
        "tariff_digest": tariff.digest,
        "currency": tariff.currency,
        "charge_fen": charge.charge_fen,
        "waived": charge.waived,
        "split": asdict(charge.split),
        "prepaid": None if facts.prepaid_fen is None else {"limit_fen": facts.prepaid_fen},
        "shares": shares(meter.segments, facts.physician_id, tariff, charge.split),
        "quality": None if facts.quality is None else dict(facts.quality),
        "consent_version": facts.consent_version,
        "node": facts.node,
        "epoch": facts.epoch,
        "estimated": meter.estimated,
    }


def _times(facts: ConsultFacts, meter: Meter) -> dict[str, str | None]:
    """Give all times. `started_at` is the first billable moment, else the answer, else creation."""
    first_ms = meter.segments[0].start_at_ms if meter.segments else None
    later_ms = facts.answered_at_ms or facts.created_at_ms
    return {
        "created_at": rfc3339(facts.created_at_ms),
        "waiting_at": _time(facts.waiting_at_ms),
        "offered_at": _time(facts.offered_at_ms),
        "answered_at": _time(facts.answered_at_ms),
        "first_media_at": _time(meter.first_media_at_ms),
        "started_at": rfc3339(later_ms if first_ms is None else first_ms),
        "ended_at": rfc3339(facts.ended_at_ms),
    }


def _time(at_ms: int | None) -> str | None:
    return None if at_ms is None else rfc3339(at_ms)


def _segment(segment: Segment, tariff: Tariff) -> dict[str, Any]:
    return {
        "mode": segment.mode.value,
        "physician_id": segment.physician_id,
        "started_at": rfc3339(segment.start_at_ms),
        "ended_at": rfc3339(segment.end_at_ms),
        "duration_ms": segment.duration_ms,
        "end_cause": segment.end_cause.value,
        "last_packet_at": rfc3339(segment.last_packet_at_ms),
        "rate_fen_per_min": tariff.rate_fen_per_min(segment.mode),
        "epoch": segment.epoch,
        "estimated": segment.estimated,
    }


def _check(facts: ConsultFacts) -> None:
    if facts.end_cause not in CONSULT_END_CAUSES:
        raise RecordError(f"end_cause: {facts.end_cause} ends a segment, not a consult")
    if facts.wait_s < 0 or facts.epoch < 0:
        raise RecordError("wait_s, epoch: must not be negative")
    if not _LABEL.fullmatch(facts.department):
        raise RecordError("department: must be at most 200 characters, none of control")
    texts = {field.name: getattr(facts, field.name) for field in fields(facts)}
    del texts["quality"], texts["department"]
    for name, value in [*texts.items(), *_leaves("quality", facts.quality)]:
        if isinstance(value, str) and not is_reference(value):
            raise RecordError(f"{name}: must be 1 to 128 letters, digits or ._:@/-")


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Every name and every value within `value`.

    Raises:
        RecordError: a value is neither an integer nor text; fractions have no one canonical form.
    """
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield f"a name in {name}", key
            yield from _leaves(f"{name}.{key}", inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _leaves(name, inner)
    elif value is None or isinstance(value, int | str):
        yield name, value
    else:
        raise RecordError(f"{name}: must be an integer or a reference")
