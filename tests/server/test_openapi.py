"""The API's own description is valid, complete, and true."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import server.api
from server.api import consults, openapi, records
from server.api.operation import Operation
from server.listen import application
from tests.server import entries
from tests.server.clinic import Clinic

OPERATIONS: list[Operation] = [
    operation
    for module in iter_modules(server.api.__path__)
    for operation in getattr(import_module(f"server.api.{module.name}"), "OPERATIONS", ())
]
ERRORS = Path(__file__).resolve().parents[2] / "docs" / "errors.md"
# answered before or behind every handler, so that no operation lists them
EVERYWHERE = {"bad_request", "not_found", "method_not_allowed", "expectation_failed"}
EVERYWHERE |= {"internal_error"}


class Strict(BaseModel):
    """Part of OpenAPI 3.1 as this document uses it: anything else is a mistake of ours."""

    model_config = ConfigDict(extra="forbid")


class Media(Strict):
    schema_: dict[str, Any] = Field(alias="schema")
    example: dict[str, Any] | None = None


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
    description: str = ""
    schema_: dict[str, Any] = Field(alias="schema")


class RequestBody(Strict):
    required: bool
    content: dict[str, Media]


class Described(Strict):
    summary: str = Field(min_length=1)
    description: str = Field(min_length=1)
    operation_id: str = Field(alias="operationId", pattern="^[a-z_]+$")
    tags: list[str] = Field(min_length=1, max_length=1)
    parameters: list[Parameter]
    responses: dict[str, Response]
    request_body: RequestBody | None = Field(None, alias="requestBody")
    security: list[dict[str, list[str]]] = []


class Info(Strict):
    title: str
    version: str
    description: str = Field(min_length=1)


class Server(Strict):
    url: str
    description: str


class Tag(Strict):
    name: str
    description: str = Field(min_length=1)


class Components(Strict):
    schemas: dict[str, dict[str, Any]]
    security_schemes: dict[str, dict[str, Any]] = Field(alias="securitySchemes")


class Document(Strict):
    openapi: str = Field(pattern=r"^3\.1\.\d+$")
    info: Info
    servers: list[Server] = Field(min_length=1)
    tags: list[Tag]
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


def test_every_operation_is_filed_under_a_resource_that_is_explained(
    document: dict[str, Any],
) -> None:
    known = [tag["name"] for tag in document["tags"]]
    used = {o["tags"][0] for methods in document["paths"].values() for o in methods.values()}
    assert len(known) == len(set(known))
    assert set(known) == used


def test_every_field_says_what_it_means(document: dict[str, Any]) -> None:
    """Fields have one name for one thing, so server/api/about.py explains each name once."""
    for name, schema in document["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"


def test_every_parameter_says_what_it_means(document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for described in methods.values():
            for one in described["parameters"]:
                told = one.get("description") or one["schema"].get("description")
                assert told, f"{described['operationId']}: {one['name']}"


def test_models_have_names_of_their_own(document: dict[str, Any]) -> None:
    """Two models of one name get the names of their modules, which clients would have to use."""
    for name in document["components"]["schemas"]:
        assert re.fullmatch(r"[A-Za-z]+", name), name


def patterns(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("pattern"), str):
            yield node["pattern"]
        for value in node.values():
            yield from patterns(value)
    elif isinstance(node, list):
        for value in node:
            yield from patterns(value)


def test_patterns_mean_the_same_in_other_languages(document: dict[str, Any]) -> None:
    """JSON Schema has those of ECMA-262, which has no anchors but these."""
    for pattern in patterns(document):
        assert not re.search(r"\\[AzZ]|\(\?[^:=!]", pattern), pattern
        assert pattern.startswith("^"), pattern
        assert pattern.endswith("$"), pattern


def listed() -> set[tuple[str, str]]:
    """The codes of docs/errors.md and of docs/metering.md with their statuses."""
    return set(re.findall(r"^\| `(\w+)` \| (\S+) \|", ERRORS.read_text("utf-8"), re.MULTILINE))


def named(document: dict[str, Any]) -> set[tuple[str, str]]:
    """The codes of the problems of all operations, with their statuses."""
    return {
        (code, status)
        for methods in document["paths"].values()
        for described in methods.values()
        for status, answer in described["responses"].items()
        if int(status) >= 400
        for code in answer["content"]["application/problem+json"]["schema"]["properties"]["code"][
            "enum"
        ]
    }


def test_every_refusal_names_its_codes_as_the_document_of_errors_does(
    document: dict[str, Any],
) -> None:
    assert named(document) - {("http_error", "416")} <= listed()


def test_every_problem_that_is_raised_is_an_answer_of_some_operation(
    document: dict[str, Any],
) -> None:
    known = {code for code, _ in named(document)} | EVERYWHERE
    for file in Path(server.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                code = node.args[1]
                if isinstance(code, ast.Constant):
                    assert code.value in known, f"{file.name}: {code.value}"


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
    pages = {"/", "/join", "/console", "/billing", "/api/docs", "/static"}
    assert described == {(method, path) for method, path in routes if path not in pages}


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


@pytest.mark.parametrize(
    "operation", [o for o in OPERATIONS if o.body], ids=lambda o: f"{o.method} {o.path}"
)
def test_every_body_has_an_example_that_is_valid(operation: Operation) -> None:
    assert operation.body is not None
    assert operation.example is not None
    operation.body.model_validate_json(json.dumps(operation.example))


async def test_examples_are_accepted(clinic: Clinic) -> None:
    """Who copies an example gets what it promises; ids are of this ledger."""
    async with clinic.services.storage.write() as conn:
        await entries.append(conn, 1)
    feed = await clinic.api("GET", "/api/v1/records")
    order = {"prepaid_fen": 1000}
    prepaid = await clinic.api("POST", "/api/v1/consults", json=order)
    for operation in OPERATIONS:
        if operation.example is None or operation.tag in ("session", "staff", "webhooks"):
            continue
        body = dict(operation.example)
        if "corrects" in body:
            body["corrects"] = feed.json["data"][0]["record_id"]
        path = operation.path.replace("{consult_id}", prepaid.json["consult_id"])
        headers = {name: str(schema["examples"][0]) for name, schema in operation.headers.items()}
        key = await clinic.key(*operation.scopes)
        answer = await clinic.api("POST", path, key, json=body, headers=headers)
        assert answer.status in (200, 201), answer.text


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.method} {o.path}")
def test_every_operation_says_what_it_does(operation: Any) -> None:
    assert operation.summary
    assert operation.handler.__doc__
