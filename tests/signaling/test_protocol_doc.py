"""The document of the protocol says what the models do."""

from __future__ import annotations

import inspect
from pathlib import Path

from pydantic import BaseModel

from signaling import errors, messages
from signaling.protocol import markdown

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"


def test_the_document_is_the_models() -> None:
    assert DOCUMENT.read_text() == markdown(), "python -m signaling.protocol > docs/protocol.md"


def test_no_message_and_no_code_is_left_out() -> None:
    text = markdown()
    for name, model in inspect.getmembers(messages, inspect.isclass):
        if not issubclass(model, BaseModel) or model.__module__.split(".")[0] != "signaling":
            continue
        if name in ("BaseModel", "Incoming", "Outgoing", "ConsultView"):
            continue
        kind = model.model_fields.get("kind")
        shown = (
            kind.annotation.__args__[0] if kind and hasattr(kind.annotation, "__args__") else name
        )
        assert f"### `{shown}`" in text or f"### {name}" in text
        assert all(f"| `{field}` |" in text for field in model.model_fields if field != "kind")
    for _, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.ConsultError) and error is not errors.ConsultError:
            assert f"| `{error.code}` |" in text
