"""What seconds would cost, step by step, without a consult: `wenzhen quote` over HTTP."""

from __future__ import annotations

from typing import Annotated, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from metering.errors import RatingError
from metering.quote import parse_segments, quote
from metering.rating import MAX_SECONDS
from metering.tariff import Tariff
from metering.terms import Mode
from server.api.consults import PhysicianId, Time
from server.api.operation import Caller, Operation, authorized, refusal
from server.clock import wall_ms
from server.errors import NoPrices, PhysicianUnknown
from server.prices import prices_at, require_physician
from server.problems import Problem, json_response, read_exact
from server.services import SERVICES

SCOPES = ("consults", "tariffs")
Seconds = Annotated[int, Field(strict=True, ge=0, le=MAX_SECONDS)]


class QuotedSeconds(BaseModel):
    """Whole seconds of each mode."""

    model_config = ConfigDict(extra="forbid")
    voice: Seconds = 0
    video: Seconds = 0


class NewQuote(BaseModel):
    """Seconds, as ``mode_seconds`` or as the text ``segments`` (``voice:180,video:245``), and by
    which prices: ``tariff``, else those of a consult that is ordered now, with ``physician_id``
    and for ``starts_at`` if they are given. ``ended_by_fault``: a fault ended the consult.
    """

    model_config = ConfigDict(extra="forbid")
    tariff: Tariff | None = None
    physician_id: PhysicianId | None = None
    starts_at: Time | None = None
    mode_seconds: QuotedSeconds | None = None
    segments: Annotated[str, Field(min_length=1, max_length=4000)] | None = None
    ended_by_fault: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _say_one_thing(self) -> Self:
        if (self.mode_seconds is None) == (self.segments is None):
            raise ValueError("either mode_seconds or segments is needed")
        if self.tariff is not None and (self.physician_id or self.starts_at):
            raise ValueError("a tariff needs neither physician_id nor starts_at")
        return self


class QuoteLine(BaseModel):
    """A step of the arithmetic: ``text`` for people, the rest for programs. ``fen_60ths`` is an
    exact amount in sixtieths of a fen.
    """

    step: str
    text: str
    mode: Mode | None = None
    seconds: int | None = None
    fen_60ths: int | None = None
    fen: int | None = None


class Quote(BaseModel):
    """The charge, who pays and receives it, and how it comes about. ``fen`` is the minor unit of
    ``currency`` (ISO 4217).
    """

    charge_fen: int
    currency: str
    waived: bool
    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int
    mode_seconds: dict[Mode, int]
    billable_s: int
    lines: list[QuoteLine]
    tariff: Tariff
    tariff_digest: str


async def give_quote(request: web.Request) -> web.Response:
    """What these seconds cost, with each step; nothing is stored."""
    caller = await authorized(request, *SCOPES)
    body = await read_exact(request, NewQuote)
    tariff = body.tariff or await _prices(request, caller, body)
    try:
        if body.segments is not None:
            seconds = parse_segments(body.segments)
        else:
            assert body.mode_seconds is not None, "the model asks for one of the two"
            seconds = {mode: getattr(body.mode_seconds, mode) for mode in Mode}
        answer = quote(tariff, seconds, ended_by_fault=body.ended_by_fault)
    except RatingError:
        text = f"segments: MODE:SECONDS, as in voice:180,video:245, up to {MAX_SECONDS} s of a mode"
        raise Problem(422, "segments_invalid", text) from None
    return json_response(answer)


async def _prices(request: web.Request, caller: Caller, body: NewQuote) -> Tariff:
    at_ms = int(body.starts_at.timestamp() * 1000) if body.starts_at else wall_ms()
    try:
        async with request.app[SERVICES].storage.read() as conn:
            if body.physician_id is not None:
                await require_physician(conn, caller.organization_id, body.physician_id)
            return await prices_at(conn, caller.organization_id, body.physician_id, at_ms)
    except PhysicianUnknown:
        raise Problem(422, "unknown_physician", "physician_id: no such physician") from None
    except NoPrices:
        raise Problem(422, "no_prices", "the organization has no prices for that time") from None


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/quotes",
        give_quote,
        "Quote a price",
        {
            200: ("the charge and its arithmetic", Quote),
            422: refusal(
                "a field is wrong; the detail names it",
                *("segments_invalid", "unknown_physician", "no_prices"),
            ),
        },
        scope=SCOPES,
        body=NewQuote,
        example={
            "mode_seconds": {"voice": 180, "video": 245},
            "tariff": {"voice_fen_per_min": 1097, "video_fen_per_min": 2207},
        },
    ),
)
