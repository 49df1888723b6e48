"""The document says what the table does."""

from __future__ import annotations

from pathlib import Path

from signaling.lifecycle import markdown
from signaling.model import TIMED_OUT

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md"


def test_the_document_is_the_table() -> None:
    assert DOCUMENT.read_text() == markdown(), "python -m signaling.lifecycle > docs/lifecycle.md"


def test_every_timer_is_in_it() -> None:
    text = markdown()
    assert all(f"`{fact.kind}`" in text for fact in TIMED_OUT.values())
