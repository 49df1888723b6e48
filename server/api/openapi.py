"""The API's own description, made from the models that validate it (OpenAPI 3.1)."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from server.api.about import FIELDS, INTRODUCTION, TAGS
from server.api.operation import Answer, Operation, refusal

_REF = "#/components/schemas/{model}"


class ProblemDetails(BaseModel):
    """RFC 9457. ``code`` is for programs and never changes."""

    type: str
    title: str
    status: int
    detail: str
    code: str


class _Schemas(GenerateJsonSchema):
    """Without titles that only repeat the names of fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def describe(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The OpenAPI document of these operations."""
    models: list[type[BaseModel]] = [ProblemDetails]
    for operation in operations:
        answers = [operation.answer(status) for status in operation.answers]
        bodies = [operation.body, *(model for one in answers for model in one.content.values())]
        models += [model for model in bodies if model and model not in models]
    _, schemas = models_json_schema(
        [(m, "validation") for m in models], ref_template=_REF, schema_generator=_Schemas
    )
    for schema in (definitions := schemas.get("$defs", {})).values():
        _explain(schema)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    used = {operation.tag for operation in operations}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Wenzhen", "version": version, "description": _markdown(INTRODUCTION)},
        "servers": [{"url": "/", "description": "this server"}],
        "tags": [{"name": n, "description": text} for n, text in TAGS.items() if n in used],
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": {"key": _KEY}},
    }


_KEY: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key of `wenzhen keys create`. The roles of an operation are the scopes "
    "of which the key must carry one.",
}


def _explain(schema: dict[str, Any]) -> None:
    """Say of each field of a model what it means."""
    if "description" in schema:
        schema["description"] = _markdown(schema["description"])
    for name, field in schema.get("properties", {}).items():
        if name in FIELDS:
            field.setdefault("description", FIELDS[name])


def _markdown(text: str) -> str:
    """A docstring in CommonMark, its paragraphs in one line each."""
    paragraphs = inspect.cleandoc(text).replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _operation(operation: Operation) -> dict[str, Any]:
    answers = _answers(operation)
    described: dict[str, Any] = {
        "summary": operation.summary,
        "description": _markdown(operation.handler.__doc__ or ""),
        "operationId": operation.handler.__name__,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": {str(s): _answer(s, answers[s]) for s in sorted(answers)},
    }
    if operation.body:
        content: dict[str, Any] = _schema(operation.body)
        if operation.example is not None:
            content["example"] = dict(operation.example)
        asked = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": asked, "content": {"application/json": content}}
    if operation.scopes:
        described["security"] = [{"key": [scope]} for scope in operation.scopes]
    return described


def _answers(operation: Operation) -> dict[int, Answer]:
    """All answers of an operation: its own, and those of everything with a body or a key."""
    common: dict[int, Answer] = {}
    common |= _BODY_ANSWERS if operation.body else {}
    common |= _KEY_ANSWERS if operation.scopes else {}
    answers = {status: operation.answer(status) for status in operation.answers}
    for status, usual in common.items():
        own = answers.get(status, usual)
        codes = tuple(dict.fromkeys((*usual.codes, *own.codes)))
        answers[status] = replace(own, codes=codes)
    return answers


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    path = {name: {"type": "string"} for name in re.findall(r"{(\w+)}", operation.path)}
    places = (("path", path), ("query", operation.query), ("header", operation.headers))
    return [
        {
            "name": name,
            "in": place,
            "required": place == "path" or name in operation.required,
            **({"description": FIELDS[name]} if name in FIELDS else {}),
            "schema": dict(schema),
        }
        for place, named in places
        for name, schema in named.items()
    ]


_BODY_ANSWERS: Final[Mapping[int, Answer]] = {
    400: refusal("not JSON", "malformed_json"),
    408: refusal("the body came too slowly", "body_too_slow"),
    413: refusal("the body is too large", "body_too_large"),
    415: refusal("not declared as JSON", "not_json"),
    422: refusal("a field is wrong; the detail names it", "invalid_body"),
}
_KEY_ANSWERS: Final[Mapping[int, Answer]] = {
    401: refusal("no valid API key", "key_missing", "key_invalid"),
    403: refusal("the key lacks the scope", "scope_missing", "cross_site"),
    429: refusal("too many requests; see Retry-After", "too_many"),
    503: refusal("the database does not answer; see Retry-After", "database_unavailable"),
}


def _answer(status: int, answer: Answer) -> dict[str, Any]:
    described: dict[str, Any] = {"description": answer.means}
    content: dict[str, Any] = {media: _schema(model) for media, model in answer.content.items()}
    if not content and status >= 400:
        problem = _schema(ProblemDetails)
        if answer.codes:
            problem["schema"]["properties"] = {"code": {"enum": list(answer.codes)}}
        content = {"application/problem+json": problem}
    if content:
        described["content"] = content
    if answer.headers:
        described["headers"] = {
            name: {"description": means, "schema": {"type": "string"}}
            for name, means in answer.headers.items()
        }
    return described


def _schema(model: type[BaseModel] | None) -> dict[str, Any]:
    if model is None:
        return {"schema": {"type": "string"}}
    return {"schema": {"$ref": _REF.format(model=model.__name__)}}


def serve(operations: Sequence[Operation], version: str) -> Operation:
    """The operation that answers with the document, itself included."""

    async def openapi(_request: web.Request) -> web.Response:
        """This document. `/api/docs` shows it to people."""
        return web.Response(
            text=text, content_type="application/json", headers={"Cache-Control": "no-store"}
        )

    row = Operation(
        "GET",
        "/api/v1/openapi.json",
        openapi,
        "This description",
        {200: ("OpenAPI 3.1", None)},
        resource="process",
    )
    text = json.dumps(describe([*operations, row], version), ensure_ascii=False)
    return row
