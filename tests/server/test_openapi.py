"""The API's own description is valid, complete, and true."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from server.api import (
    adjustments,
    consults,
    exports,
    health,
    histories,
    openapi,
    quotes,
    records,
    session,
    tariffs,
    webhooks,
)
from server.listen import application
from tests.server import entries
from tests.server.clinic import Clinic

OPERATIONS = [
    *session.OPERATIONS, *consults.OPERATIONS, *records.OPERATIONS, *adjustments.OPERATIONS,
    *exports.OPERATIONS, *histories.OPERATIONS,
    *health.OPERATIONS,
    *quotes.OPERATIONS, *tariffs.OPERATIONS, *webhooks.OPERATIONS,
]  # fmt: skip


class Strict(BaseModel):
    """Part of OpenAPI 3.1 as this document uses it: anything else is a mistake of ours."""

    model_config = ConfigDict(extra="forbid")


class Media(Strict):
    schema_: dict[str, Any] = Field(alias="schema")


class Header(Strict):
    description: str = Field(min_length=1)
    schema_: dict[str, Any] = Field(alias="schema")


class Response(Strict):
    description: str = Field(min_length=1)
    content: dict[str, Media] = {}
    headers: dict[str, Header] = {}


class Parameter(Strict):
    name: str
    in_: str = Field(alias="in", pattern="^(path|query|header)$")
    required: bool
    schema_: dict[str, Any] = Field(alias="schema")


class RequestBody(Strict):
    required: bool
    content: dict[str, Media]


class Described(Strict):
    summary: str = Field(min_length=1)
    description: str = Field(min_length=1)
    operation_id: str = Field(alias="operationId", pattern="^[a-z_]+$")
    parameters: list[Parameter]
    responses: dict[str, Response]
    request_body: RequestBody | None = Field(None, alias="requestBody")
    security: list[dict[str, list[str]]] = []


class Info(Strict):
    title: str
    version: str


class Components(Strict):
    schemas: dict[str, dict[str, Any]]
    security_schemes: dict[str, dict[str, Any]] = Field(alias="securitySchemes")


class Document(Strict):
    openapi: str = Field(pattern=r"^3\.1\.\d+$")
    info: Info
    paths: dict[str, dict[str, Described]]
    components: Components


def refs(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            yield from refs(value)
    elif isinstance(node, list):
        for value in node:
            yield from refs(value)


@pytest.fixture
def document() -> dict[str, Any]:
    """As it goes over the wire."""
    found: dict[str, Any] = json.loads(json.dumps(openapi.describe(OPERATIONS, "1.2.3")))
    return found


def test_it_is_openapi_3_1(document: dict[str, Any]) -> None:
    read = Document.model_validate(document)
    for path, methods in read.paths.items():
        for method, described in methods.items():
            assert method in {"get", "post", "delete", "put", "patch"}
            named = {p.name for p in described.parameters if p.in_ == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}
            assert all(p.required for p in described.parameters if p.in_ == "path")
            assert all(100 <= int(status) < 600 for status in described.responses)


def test_what_is_no_openapi_would_be_noticed(document: dict[str, Any]) -> None:
    del document["paths"]["/api/v1/records"]["get"]["responses"]
    with pytest.raises(ValidationError):
        Document.model_validate(document)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(refs(document)) <= known


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [o["operationId"] for methods in document["paths"].values() for o in methods.values()]
    assert len(names) == len(set(names))


def test_every_refusal_has_the_form_of_a_problem(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for described in methods.values():
            for status, answer in described["responses"].items():
                if int(status) >= 400:
                    assert set(answer["content"]) == {"application/problem+json"}


def test_what_needs_a_key_says_so(document: dict[str, Any]) -> None:
    for path in ("/api/v1/records", "/api/v1/records/{record_id}", "/api/v1/consults"):
        for described in document["paths"][path].values():
            assert described["security"]
            assert {"401", "403", "429"} <= set(described["responses"])


async def test_every_route_is_described_and_the_other_way_round(clinic: Clinic) -> None:
    """But the pages and their files, which are for browsers."""
    answer = await clinic.ask("GET", "/api/v1/openapi.json")
    Document.model_validate(answer.json)
    described = {
        (method.upper(), path)
        for path, methods in answer.json["paths"].items()
        for method in methods
    }
    routes = {
        (route.method, route.resource.canonical)
        for route in application(clinic.services).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    pages = {("GET", path) for path in ("/", "/join", "/console", "/billing", "/static")}
    assert described == routes - pages


async def test_answers_are_as_described(clinic: Clinic) -> None:
    async with clinic.services.storage.write() as conn:
        await entries.append(conn, 1)
    page = await clinic.api("GET", "/api/v1/records")
    records.RecordPage.model_validate_json(page.text)
    made = await clinic.api("POST", "/api/v1/consults", json={"patient_name": "x"})
    consults.ConsultCreated.model_validate_json(made.text)
    status = await clinic.api("GET", f"/api/v1/consults/{made.json['consult_id']}")
    consults.ConsultStatus.model_validate_json(status.text)
    missing = await clinic.api("GET", "/api/v1/consults/c_none")
    openapi.ProblemDetails.model_validate_json(missing.text)


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_every_operation_says_what_it_does(operation: Any) -> None:
    assert operation.summary
    assert operation.handler.__doc__
