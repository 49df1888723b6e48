"""The API's own description, made from the models that validate it (OpenAPI 3.1)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.api.operation import Answer, Operation
from server.problems import json_response

_REF = "#/components/schemas/{model}"


class ProblemDetails(BaseModel):
    """RFC 9457. ``code`` is for programs and never changes."""

    type: str
    title: str
    status: int
    detail: str
    code: str


def describe(operations: Sequence[Operation], version: str) -> dict[str, Any]:
    """The OpenAPI document of these operations."""
    models: list[type[BaseModel]] = [ProblemDetails]
    for operation in operations:
        answers = [operation.answer(status) for status in operation.answers]
        bodies = [operation.body, *(model for one in answers for model in one.content.values())]
        models += [model for model in bodies if model and model not in models]
    _, schemas = models_json_schema([(m, "validation") for m in models], ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Wenzhen", "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    answers = {status: operation.answer(status) for status in operation.answers}
    if operation.body:
        answers = {s: Answer(text) for s, text in _BODY_ANSWERS.items()} | answers
    if operation.scopes:
        answers = {s: Answer(text) for s, text in _KEY_ANSWERS.items()} | answers
    described: dict[str, Any] = {
        "summary": operation.summary,
        "description": (operation.handler.__doc__ or "").strip(),
        "operationId": operation.handler.__name__,
        "parameters": _parameters(operation),
        "responses": {str(s): _answer(s, answers[s]) for s in sorted(answers)},
    }
    if operation.body:
        content = {"application/json": _schema(operation.body)}
        asked = any(field.is_required() for field in operation.body.model_fields.values())
        described["requestBody"] = {"required": asked, "content": content}
    if operation.scopes:
        described["security"] = [{"key": [scope]} for scope in operation.scopes]
    return described


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    path = {name: {"type": "string"} for name in re.findall(r"{(\w+)}", operation.path)}
    places = (("path", path), ("query", operation.query), ("header", operation.headers))
    return [
        {
            "name": name,
            "in": place,
            "required": place == "path" or name in operation.required,
            "schema": dict(schema),
        }
        for place, named in places
        for name, schema in named.items()
    ]


_BODY_ANSWERS = {
    400: "not JSON",
    408: "the body came too slowly",
    413: "the body is too large",
    415: "not declared as JSON",
    422: "a field is wrong; the detail names it",
}
_KEY_ANSWERS = {
    401: "no valid API key",
    403: "the key lacks the scope",
    429: "too many requests; see Retry-After",
}


def _answer(status: int, answer: Answer) -> dict[str, Any]:
    content: Mapping[str, type[BaseModel] | None] = answer.content
    if not content and status >= 400:
        content = {"application/problem+json": ProblemDetails}
    described: dict[str, Any] = {"description": answer.means}
    if content:
        described["content"] = {media: _schema(model) for media, model in content.items()}
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
        """This document."""
        return json_response(document)

    row = Operation(
        "GET", "/api/v1/openapi.json", openapi, "This description", {200: ("OpenAPI 3.1", None)}
    )
    document = describe([*operations, row], version)
    return row
