"""Consults for booking systems: order one, look at one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from aiohttp import web
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from server import clinic
from server.api.operation import Operation, authorized, has_form_of_id, refusal
from server.clinic import LATE_MS, Order
from server.clock import Clock, wall_ms
from server.errors import NoPrices, PhysicianUnknown
from server.problems import Problem, json_response, read_model
from server.services import SERVICES
from signaling import store
from signaling.case import Case, rfc3339
from signaling.messages import Mode, Prepaid, State
from signaling.prepaid import MAX_PREPAID_FEN

Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@/-]{1,128}$")]
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


def _in_reach(at: datetime) -> datetime:
    if not datetime(1970, 1, 2, tzinfo=UTC) <= at < datetime(2200, 1, 1, tzinfo=UTC):
        raise ValueError("is too far away")
    return at


Time = Annotated[AwareDatetime, AfterValidator(_in_reach)]
PhysicianId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,40}$")]


class NewConsult(BaseModel):
    """What is ordered; nothing of it is required. ``patient_name`` is how the clinic addresses
    the patient, shown to both sides only. ``patient_ref`` is the booking system's pseudonym of
    them: it is in the record that is billed, so it must not be a name. ``starts_at``: a booked
    time; the link opens 10 minutes before and closes 15 minutes after it. Without, it opens at
    once. ``max_video_kbps``: the most that each side may send of video, where its line is dear.
    ``prepaid_fen``: the most that the patient pays; the call ends there unless it is topped up.
    """

    model_config = ConfigDict(extra="forbid")
    patient_name: Line = "患者 (Patient)"
    patient_ref: Reference | None = None
    complaint: Annotated[str, Field(max_length=500, pattern=r"^[^\x00]*$")] = ""
    department: Line | None = None
    physician_id: PhysicianId | None = None
    returning: Annotated[bool, Field(strict=True)] = False
    starts_at: Time | None = None
    max_video_kbps: Annotated[int, Field(strict=True, ge=50, le=20_000)] | None = None
    prepaid_fen: Annotated[int, Field(strict=True, ge=1, le=MAX_PREPAID_FEN)] | None = None


class ConsultCreated(BaseModel):
    """The consult, and the link to send to the patient: it is shown this once."""

    consult_id: str
    join_url: str
    state: State
    opens_at: datetime
    closes_at: datetime


class ConsultSummary(BaseModel):
    """What it came to, once it is settled."""

    voice_s: int
    video_s: int
    charge_fen: int
    currency: str
    record_id: str | None


class ConsultPrepaid(BaseModel):
    """All that is granted, what of it is used, and how long the rest lasts in the consult's mode
    (null: to the end of any consult).
    """

    limit_fen: int
    used_fen: int
    left_s: int | None


class ConsultStatus(BaseModel):
    """How a consult stands."""

    consult_id: str
    state: State
    mode: Mode
    patient_ref: str
    physician_id: str | None
    created_at: datetime
    waiting_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    end_cause: str | None
    end_party: Literal["patient", "physician"] | None
    prepaid: ConsultPrepaid | None
    summary: ConsultSummary | None


async def create_consult(request: web.Request) -> web.Response:
    """Order a consult; answers with the patient's link."""
    key = await authorized(request, "consults")
    body = await read_model(request, NewConsult)
    services = request.app[SERVICES]
    if services.site.desk.stopping:
        raise Problem(503, "draining", "this server is being restarted", Retry_After="5")
    starts_at = int(body.starts_at.timestamp() * 1000) if body.starts_at else None
    if starts_at is not None and starts_at + LATE_MS <= wall_ms():
        raise Problem(422, "starts_in_past", "starts_at: the link would be closed already")
    order = Order(
        patient_name=body.patient_name,
        patient_ref=body.patient_ref or "",
        complaint=body.complaint,
        department=body.department or "",
        physician_id=body.physician_id,
        returning=body.returning,
        starts_at=starts_at,
        max_video_kbps=body.max_video_kbps or 0,
        prepaid_fen=body.prepaid_fen,
    )
    try:
        async with services.storage.write() as conn:
            case, token = await clinic.create_consult(conn, key.organization_id, order, Clock())
    except PhysicianUnknown:
        raise Problem(422, "unknown_physician", "physician_id: no such physician") from None
    except NoPrices:
        raise Problem(422, "no_prices", "the organization has no prices for that time") from None
    return json_response(
        {
            "consult_id": case.core.id,
            "join_url": f"{services.base_url}/join#{token}",
            "state": case.core.state,
            "opens_at": rfc3339(case.order.opens_at),
            "closes_at": rfc3339(case.order.closes_at),
        },
        status=201,
    )


async def read_consult(request: web.Request) -> web.Response:
    """How the consult stands."""
    key = await authorized(request, "consults")
    services, consult_id = request.app[SERVICES], request.match_info["consult_id"]
    case = None
    if has_form_of_id(consult_id):
        async with services.storage.read() as conn:
            case = await store.load(conn, consult_id, Clock())
    if case is None or case.order.organization_id != key.organization_id:
        raise Problem(404, "unknown_consult", "there is no such consult")
    return json_response(_status(case, services.calls.prepaid(case)))


def _status(case: Case, prepaid: Prepaid | None) -> dict[str, object]:
    core, marks = case.core, case.marks
    times = {
        name: None if (at := getattr(marks, name)) is None else rfc3339(at)
        for name in ("created_at", "waiting_at", "answered_at", "ended_at")
    }
    summary = marks.summary
    return {
        "consult_id": core.id,
        "state": core.state,
        "mode": core.mode,
        "patient_ref": case.order.patient_ref,
        "physician_id": core.physician_id,
        **times,
        "end_cause": core.end_cause,
        "end_party": core.end_party,
        "prepaid": prepaid
        and {
            "limit_fen": prepaid.limit_fen,
            "used_fen": prepaid.used_fen,
            "left_s": prepaid.voice_left_s if core.mode == "voice" else prepaid.video_left_s,
        },
        "summary": summary
        and {
            "voice_s": summary.voice_s,
            "video_s": summary.video_s,
            "charge_fen": summary.charge_fen,
            "currency": summary.currency,
            "record_id": summary.record_id,
        },
    }


_PATH = "/api/v1/consults"
OPERATIONS = (
    Operation(
        "POST",
        _PATH,
        create_consult,
        "Order a consult",
        {
            201: ("ordered", ConsultCreated),
            422: refusal(
                "a field is wrong; the detail names it",
                *("starts_in_past", "unknown_physician", "no_prices"),
            ),
            503: refusal("the server is ending", "draining"),
        },
        scope="consults",
        body=NewConsult,
        example={
            "patient_name": "王女士",
            "patient_ref": "his:4711",
            "department": "全科",
            "complaint": "咳嗽三天",
        },
    ),
    Operation(
        "GET",
        _PATH + "/{consult_id}",
        read_consult,
        "How a consult stands",
        {
            200: ("the consult", ConsultStatus),
            404: refusal("there is no such consult", "unknown_consult"),
        },
        scope="consults",
    ),
)
