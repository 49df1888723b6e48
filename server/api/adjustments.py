"""Correcting bills: an adjustment or a void is a further record."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, model_validator

from metering.adjust import MAX_CHARGE_FEN, Correction, Kind
from metering.errors import (
    AdjustmentError,
    AlreadyVoid,
    NothingChanges,
    RecordSuperseded,
    TooManyCorrections,
)
from metering.rating import MAX_SECONDS
from metering.terms import Mode
from server.adjusting import Asker, IdempotencyConflict, UnknownRecord, adjust
from server.api.idempotency import IDEMPOTENT, REPLAYED, idempotency_key, replayed
from server.api.operation import Answer, Operation, authorized, refusal
from server.api.record import Record
from server.api.records import record_response
from server.problems import Problem, read_model
from server.services import SERVICES

SCOPE: Final = "adjust"

Reference = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:@/-]{1,128}$")]
Seconds = Annotated[int, Field(strict=True, ge=0, le=MAX_SECONDS)]


class NewSeconds(BaseModel):
    """The consult's whole seconds of each mode, as they should have been."""

    model_config = ConfigDict(extra="forbid")
    voice: Seconds
    video: Seconds


def _only(kind: str, name: str | None = None) -> dict[str, Any]:
    """The JSON Schema of a body of this kind that has this total and no other."""
    others = {"charge_fen", "mode_seconds"} - {name}
    properties = {"kind": {"const": kind}} | {other: {"type": "null"} for other in others}
    if name is None:
        return {"properties": properties}
    return {"properties": properties | {name: {"not": {"type": "null"}}}, "required": [name]}


class NewAdjustment(BaseModel):
    """What is to be corrected. ``corrects`` is the id of the consult's latest record. An
    adjustment has one of two new totals: ``charge_fen``, split by the consult's frozen tariff, or
    ``mode_seconds``, rated by it. A void has neither: all is brought to zero, for good. ``reason``
    and ``actor`` are references (a ticket's number, a clerk's id): a record holds no sentence.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "oneOf": [
                _only("adjustment", "charge_fen"),
                _only("adjustment", "mode_seconds"),
                _only("void"),
            ]
        },
    )
    corrects: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{1,64}$")]
    kind: Literal["adjustment", "void"]
    charge_fen: Annotated[int, Field(strict=True, ge=0, le=MAX_CHARGE_FEN)] | None = None
    mode_seconds: NewSeconds | None = None
    reason: Reference
    actor: Reference

    @model_validator(mode="after")
    def _one_total(self) -> Self:
        given = (self.charge_fen is not None) + (self.mode_seconds is not None)
        if given != (self.kind == "adjustment"):
            raise ValueError(
                "an adjustment has either charge_fen or mode_seconds, a void has neither"
            )
        return self

    def correction(self) -> Correction:
        """The same for :mod:`metering.adjust`."""
        seconds = self.mode_seconds
        return Correction(
            corrects=self.corrects,
            kind=Kind(self.kind),
            reason=self.reason,
            actor=self.actor,
            charge_fen=self.charge_fen,
            mode_seconds=None if seconds is None else {m: getattr(seconds, m) for m in Mode},
        )


async def create_adjustment(request: web.Request) -> web.Response:
    """Correct a consult's latest record by a further one. Sent again with the same
    ``Idempotency-Key`` and body, it answers as the first time and changes nothing.
    """
    key = await authorized(request, SCOPE)
    asker = Asker(key.organization_id, key.actor, idempotency_key(request))
    wanted = (await read_model(request, NewAdjustment)).correction()
    services = request.app[SERVICES]
    try:
        adjusted = await adjust(services.storage, asker, wanted)
    except UnknownRecord:
        raise Problem(404, "unknown_record", "corrects: there is no such record") from None
    except IdempotencyConflict:
        detail = "this Idempotency-Key was used for another correction"
        raise Problem(409, "idempotency_conflict", detail) from None
    except AdjustmentError as error:
        raise _problem(error) from None
    services.webhooks.hint()
    return record_response(adjusted.body, 201, replayed(adjusted.replayed))


def _problem(error: AdjustmentError) -> Problem:
    match error:
        case RecordSuperseded():
            return Problem(409, "record_superseded", f"corrects: {error}")
        case AlreadyVoid():
            return Problem(409, "already_void", str(error))
        case TooManyCorrections():
            return Problem(409, "too_many_corrections", str(error))
        case NothingChanges():
            return Problem(422, "nothing_changes", str(error))
    return Problem(422, "adjustment_invalid", str(error))


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/adjustments",
        create_adjustment,
        "Correct a bill",
        {
            201: Answer(
                "the new record; the first one again where the key was used for it before",
                {"application/json": Record},
                REPLAYED,
            ),
            400: refusal("not JSON, or no usable Idempotency-Key", "idempotency_key_invalid"),
            404: refusal("there is no such record", "unknown_record"),
            409: refusal(
                "the key was used for something else, or the consult has been corrected since, "
                "is void, or has too many corrections",
                *("idempotency_conflict", "record_superseded", "already_void"),
                "too_many_corrections",
            ),
            422: refusal(
                "a field is wrong, or nothing would change; the detail says which",
                *("nothing_changes", "adjustment_invalid"),
            ),
        },
        scope=SCOPE,
        body=NewAdjustment,
        example={
            "corrects": "rec_6d1f0c3a9be24c5d8f7a0b1c2d3e4f50",
            "kind": "adjustment",
            "charge_fen": 5000,
            "reason": "ticket/4711",
            "actor": "clerk.17",
        },
        headers=IDEMPOTENT,
        required=frozenset(IDEMPOTENT),
    ),
)
