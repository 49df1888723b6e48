"""A consult with all that is kept of it: the order, how it stands, what was when. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from signaling import events as ev
from signaling.events import Event
from signaling.messages import Summary
from signaling.model import TERMINAL, Consult, Guest, OpenProposal, OpenRecording

MAX_CLOCK_GAP_MS = 30 * 24 * 3600 * 1000


@dataclass(frozen=True)
class Physician:
    """Who is signed in at a console."""

    id: str
    name: str
    title: str
    organization_id: str


@dataclass(frozen=True)
class NewConsult:
    """What somebody orders: who, where, at which price, and the link that opens it.

    ``tariff`` is the JSON text that was shown and is billed; ``link_hash`` the SHA-256 of the
    link's token in hex. ``opens_at``, ``closes_at``: epoch milliseconds between which the
    patient may join. ``booked_physician_id`` None: whoever of the organization is free.
    ``max_video_kbps``: the most that each side may send of video, 0 for what the server allows.
    ``prepaid_fen``: the most that the patient pays, with what is topped up; None: no limit.
    """

    id: str
    organization_id: str
    organization: str
    department: str
    channel: str
    patient_ref: str
    patient_name: str
    tariff: str
    tariff_digest: str
    terms_version: str
    link_hash: str
    opens_at: int
    closes_at: int
    complaint: str = ""
    returning: bool = False
    booked_physician_id: str | None = None
    booked_physician_name: str = ""
    booked_physician_title: str = ""
    max_video_kbps: int = 0
    prepaid_fen: int | None = None


@dataclass(frozen=True)
class Marks:
    """When what happened first (``offered_at``: last), and where; epoch milliseconds, UTC."""

    created_at: int
    node: str = ""
    epoch: int = 1
    language: str | None = None
    consent_at: int | None = None
    waiting_at: int | None = None
    offered_at: int | None = None
    answered_at: int | None = None
    ended_at: int | None = None
    summary: Summary | None = None


@dataclass(frozen=True)
class Case:
    """One consult as a whole."""

    order: NewConsult
    core: Consult
    marks: Marks

    @property
    def limit_fen(self) -> int | None:
        """All that is prepaid by now; None: there is no limit."""
        ordered_fen = self.order.prepaid_fen
        return None if ordered_fen is None else ordered_fen + self.core.topped_up_fen

    @property
    def moment(self) -> tuple[int, int]:
        """Which of its states it is in: the process that holds it, and its last event."""
        return self.marks.epoch, self.core.version


def mark(case: Case, after: Consult, event: Event, at_ms: int, node: str) -> Marks:
    """The marks once ``event`` has led to ``after`` at wall time ``at_ms``."""
    marks = case.marks
    if isinstance(event, ev.NodeRestarted):
        marks = replace(marks, node=node, epoch=marks.epoch + 1)
    if isinstance(event, ev.Joined) and marks.waiting_at is None:
        marks = replace(marks, waiting_at=at_ms, consent_at=at_ms, language=event.language)
    if isinstance(event, ev.Taken):
        marks = replace(marks, offered_at=at_ms)
    if after.answered_once and marks.answered_at is None:
        marks = replace(marks, answered_at=at_ms)
    if after.state in TERMINAL and marks.ended_at is None:
        marks = replace(marks, ended_at=at_ms)
    return marks


def freeze(consult: Consult, now_ms: int) -> str:
    """The consult as JSON; deadlines as milliseconds left, since monotonic clocks do not last."""
    data = asdict(consult)
    data["deadlines"] = [[kind, at - now_ms] for kind, at in consult.deadlines]
    return json.dumps(data, separators=(",", ":"))


def thaw(text: str, now_ms: int, elapsed_ms: int) -> Consult:
    """The consult that :func:`freeze` wrote ``elapsed_ms`` of wall time ago.

    A clock that was set back counts as no time, so that nothing is due before its time.
    """
    data: dict[str, Any] = json.loads(text)
    known = {field.name for field in fields(Consult)}
    data = {name: value for name, value in data.items() if name in known}
    gone_ms = min(max(elapsed_ms, 0), MAX_CLOCK_GAP_MS)
    data["deadlines"] = tuple((kind, now_ms + left - gone_ms) for kind, left in data["deadlines"])
    data["guests"] = tuple(Guest(**guest) for guest in data.get("guests", ()))
    if data["proposal"] is not None:
        data["proposal"] = OpenProposal(**data["proposal"])
    if data.get("recording") is not None:
        data["recording"] = OpenRecording(**data["recording"])
    return Consult(**data)


def from_row(row: Mapping[str, Any], now_ms: int, at_ms: int) -> Case:
    """The case of a row of the table ``consults``, at this moment of both clocks."""
    order = NewConsult(**{field.name: row[field.name] for field in fields(NewConsult)})
    marks = {field.name: row[field.name] for field in fields(Marks)}
    if marks["summary"] is not None:
        marks["summary"] = Summary.model_validate_json(marks["summary"])
    core = thaw(row["core"], now_ms, at_ms - row["updated_at"])
    return Case(order, core, Marks(**marks))


def to_row(case: Case, now_ms: int, at_ms: int) -> dict[str, Any]:
    """The columns that a transition writes."""
    core, marks = case.core, case.marks
    row = {field.name: getattr(marks, field.name) for field in fields(Marks)}
    row["summary"] = marks.summary.model_dump_json() if marks.summary else None
    return {
        **row,
        "state": core.state,
        "version": core.version,
        "core": freeze(core, now_ms),
        "updated_at": at_ms,
        "place": core.place,
        "physician_id": core.physician_id,
        "busy_physician_id": core.busy_physician_id,
        "end_cause": core.end_cause,
        "end_party": core.end_party,
        "outcome": core.outcome,
    }


def rfc3339(at_ms: int) -> str:
    """Epoch milliseconds as RFC 3339, UTC, with milliseconds and Z."""
    at = datetime.fromtimestamp(at_ms / 1000, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at_ms % 1000:03d}Z"
