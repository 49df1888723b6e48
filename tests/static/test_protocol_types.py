"""The pages' types say what the models say: no field that only one side knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel

from signaling import messages

TYPES = Path(__file__).resolve().parents[2] / "static" / "js" / "protocol.d.ts"
BASES = {"Incoming", "Outgoing"}


def models() -> dict[str, type[BaseModel]]:
    return {
        name: value
        for name, value in vars(messages).items()
        if isinstance(value, type) and issubclass(value, BaseModel) and name not in BASES
    }


def without_comments(text: str) -> str:
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)


def interfaces() -> dict[str, dict[str, str]]:
    """Name → field → TypeScript type, inherited fields included."""
    text = without_comments(TYPES.read_text(encoding="utf-8"))
    found: dict[str, dict[str, str]] = {}
    pattern = r"export interface (\w+)(?: extends (\w+))? \{(.*?)\n\}"
    for name, base, body in re.findall(pattern, text, re.DOTALL):
        own = dict(re.findall(r"^\s+(\w+): (.+);$", body, re.MULTILINE))
        found[name] = {**(found[base] if base else {}), **own}
    return found


def unions() -> dict[str, set[str]]:
    """Name → members of `export type Name = A | B`, quotes removed."""
    text = without_comments(TYPES.read_text(encoding="utf-8"))
    pattern = r"export type (\w+) =\s*(.*?);"
    return {
        name: {part.strip().strip('"') for part in body.split("|") if part.strip()}
        for name, body in re.findall(pattern, text, re.DOTALL)
    }


def members(annotation: Any) -> set[str]:
    """Class names of an annotated union of models, or the values of a Literal."""
    if get_origin(annotation) is Literal:
        return set(get_args(annotation))
    union = get_args(annotation)[0]
    return {member.__name__ for member in get_args(union)}


def test_every_model_has_an_interface_and_no_interface_is_left_over() -> None:
    """A message that only one side knows would be dropped or refused at run time."""
    assert set(interfaces()) == set(models())


@pytest.mark.parametrize("name", sorted(models()))
def test_the_fields_of_an_interface_are_those_of_its_model(name: str) -> None:
    """Incoming models forbid undeclared fields, so a misspelt one is a refused command."""
    assert set(interfaces()[name]) == set(models()[name].model_fields)


@pytest.mark.parametrize("name", sorted(models()))
def test_kinds_and_nulls_are_the_same_on_both_sides(name: str) -> None:
    """`kind` chooses the branch; a missing `null` would crash the page."""
    for field, info in models()[name].model_fields.items():
        typescript = interfaces()[name][field]
        if field in {"kind", "party"} and get_origin(info.annotation) is Literal:
            assert {typescript.strip('"')} == set(get_args(info.annotation))
        nullable = type(None) in get_args(info.annotation)
        assert ("null" in typescript) == nullable, field


@pytest.mark.parametrize(
    "name",
    [
        "Mode",
        "Party",
        "State",
        "EndCause",
        "Pause",
        "LineReason",
        "PatientCommand",
        "ConsoleCommand",
        "GuestCommand",
        "GuestMessage",
        "GuestRole",
        "RoomRole",
        "PatientMessage",
        "ConsoleMessage",
    ],
)
def test_unions_have_the_same_members(name: str) -> None:
    """Exhaustive switches in the pages are only as good as these."""
    assert unions()[name] == members(getattr(messages, name))


def test_outcomes_and_goodbyes_have_the_same_members() -> None:
    """These have no name of their own in the models."""
    outcome = messages.Finish.model_fields["outcome"].annotation
    literal = next(part for part in get_args(outcome) if get_origin(part) is Literal)
    assert unions()["Outcome"] == set(get_args(literal))
    code = messages.Goodbye.model_fields["code"].annotation
    assert unions()["GoodbyeCode"] == set(get_args(code))
