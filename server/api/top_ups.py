"""Topping up a prepaid consult, before, between and during its calls."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from server.api.idempotency import IDEMPOTENT, REPLAYED, idempotency_key, replayed
from server.api.operation import Answer, Operation, authorized, has_form_of_id, refusal
from server.clock import Clock
from server.problems import Problem, json_response, read_model
from server.services import SERVICES
from signaling import messages as m
from signaling import store
from signaling.asks import CLINIC, Ask
from signaling.prepaid import MAX_PREPAID_FEN, TopUp

ANSWER_TIMEOUT_S: Final = 30


class NewTopUp(BaseModel):
    """How much more is prepaid, in the minor unit of the tariff's currency."""

    model_config = ConfigDict(extra="forbid")
    fen: Annotated[int, Field(strict=True, ge=1, le=MAX_PREPAID_FEN)]


class ToppedUp(BaseModel):
    """How the consult stood right after the top-up. ``limit_fen`` is all that is granted,
    ``left_s`` how long the rest lasts in the consult's mode, null to the end of any consult.
    """

    consult_id: str
    fen: int
    limit_fen: int
    used_fen: int
    left_s: int | None


async def top_up(request: web.Request) -> web.Response:
    """Prepay more. A running call goes on for longer at once; what is answered is stored. Sent
    again with the same ``Idempotency-Key`` and body, it answers as the first time.
    """
    key = await authorized(request, "consults")
    given = idempotency_key(request)
    body = await read_model(request, NewTopUp)
    services, consult_id = request.app[SERVICES], request.match_info["consult_id"]
    name = hashlib.sha256(given.encode()).hexdigest()
    case = first = None
    if has_form_of_id(consult_id):
        async with services.storage.read() as conn:
            case = await store.load(conn, consult_id, Clock())
            if case is not None and case.order.organization_id == key.organization_id:
                first = await store.answer(conn, f"{CLINIC}{consult_id}", name)
    if case is None or case.order.organization_id != key.organization_id:
        raise Problem(404, "unknown_consult", "there is no such consult")
    command = TopUp(kind="top_up", id=name, fen=body.fen)
    answer = first or await _answered(request, consult_id, command)
    if not answer.ok:
        raise _refused(answer)
    if answer.result["fen"] != str(body.fen):
        detail = "this Idempotency-Key was used for another amount"
        raise Problem(409, "idempotency_conflict", detail)
    numbers = {field: int(text) if text else None for field, text in answer.result.items()}
    response = json_response({"consult_id": consult_id, **numbers}, 201)
    response.headers.update(replayed(first is not None))
    return response


async def _answered(request: web.Request, consult_id: str, command: TopUp) -> m.Answer:
    """Ask the task that owns the consult: it stores before it answers."""
    future: asyncio.Future[m.Answer] = asyncio.get_running_loop().create_future()

    def reply(answer: m.Answer) -> None:
        if not future.done():
            future.set_result(answer)

    ask = Ask(command, None, reply, keep_refusal=False)
    request.app[SERVICES].site.desk.ask(consult_id, ask)
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            return await future
    except TimeoutError:
        raise _unavailable() from None


def _refused(answer: m.Answer) -> Problem:
    match answer.error and answer.error.code:
        case "unknown_consult":
            return Problem(404, "unknown_consult", "there is no such consult")
        case "not_prepaid":
            return Problem(409, "not_prepaid", "this consult has no prepaid limit")
        case "invalid_transition":
            return Problem(409, "consult_ended", "the consult has ended")
        case "prepaid_too_high":
            detail = f"fen: at most {MAX_PREPAID_FEN} can be prepaid in all"
            return Problem(422, "prepaid_too_high", detail)
    return _unavailable()


def _unavailable() -> Problem:
    detail = "this cannot be stored now: send it again, with the same Idempotency-Key"
    return Problem(503, "top_up_unavailable", detail, Retry_After="5")


OPERATIONS = (
    Operation(
        "POST",
        "/api/v1/consults/{consult_id}/top-ups",
        top_up,
        "Top up a prepaid consult",
        {
            201: Answer(
                "prepaid; the first answer again where the key was used for it before",
                {"application/json": ToppedUp},
                REPLAYED,
            ),
            400: refusal("not JSON, or no usable Idempotency-Key", "idempotency_key_invalid"),
            404: refusal("there is no such consult", "unknown_consult"),
            409: refusal(
                "the consult has ended or is not prepaid, or the key was used for something else",
                *("consult_ended", "not_prepaid", "idempotency_conflict"),
            ),
            422: refusal("fen is wrong, or more than can be prepaid", "prepaid_too_high"),
            503: refusal(
                "it could not be stored; the same key may be used again", "top_up_unavailable"
            ),
        },
        scope="consults",
        body=NewTopUp,
        example={"fen": 2000},
        headers=IDEMPOTENT,
        required=frozenset(IDEMPOTENT),
    ),
)
