"""The API's own description, made from the models that validate it (OpenAPI 3.1)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from server.api.operation import Operation
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
        bodies = [operation.body, *(model for _, model in operation.answers.values())]
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
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)}", operation.path)
    ]
    parameters += [
        {"name": name, "in": "query", "required": False, "schema": dict(schema)}
        for name, schema in operation.query.items()
    ]
    answers = dict(operation.answers)
    if operation.body:
        answers |= {s: (t, None) for s, t in _BODY_ANSWERS.items() if s not in answers}
    if operation.scope:
        answers |= {s: (t, None) for s, t in _KEY_ANSWERS.items() if s not in answers}
    described: dict[str, Any] = {
        "summary": operation.summary,
        "description": (operation.handler.__doc__ or "").strip(),
        "operationId": operation.handler.__name__,
        "parameters": parameters,
        "responses": {str(s): _answer(s, *answers[s]) for s in sorted(answers)},
    }
    if operation.body:
        schema = {"$ref": _REF.format(model=operation.body.__name__)}
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema}},
        }
    if operation.scope:
        described["security"] = [{"key": [operation.scope]}]
    return described


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


def _answer(status: int, means: str, model: type[BaseModel] | None) -> dict[str, Any]:
    if model is not None:
        schema = {"$ref": _REF.format(model=model.__name__)}
        return {"description": means, "content": {"application/json": {"schema": schema}}}
    if status >= 400:
        schema = {"$ref": _REF.format(model="ProblemDetails")}
        return {"description": means, "content": {"application/problem+json": {"schema": schema}}}
    return {"description": means}


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
