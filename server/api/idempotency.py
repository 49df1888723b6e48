"""What is safe to send twice: the header ``Idempotency-Key`` of requests that move money."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from server.problems import Problem

_KEY = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)
_REPLAYED: Final = "Idempotency-Replayed"
REPLAYED: Final[Mapping[str, str]] = {_REPLAYED: "true where it is the first answer again"}
IDEMPOTENT: Final[Mapping[str, Mapping[str, Any]]] = {
    "Idempotency-Key": {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": "^[\\x21-\\x7e]+$",
        "examples": ["5f3c1d2e-84b0-4a51-9d0e-1c7a52b06f39"],
    }
}
"""The header's JSON Schema, for an operation's ``headers``; it is required."""


def idempotency_key(request: web.Request) -> str:
    """The one key of a request.

    Raises:
        Problem: 400 without one, with several, or with one of another form.
    """
    given = request.headers.getall("Idempotency-Key", [])
    if len(given) != 1 or not _KEY.fullmatch(given[0]):
        detail = "one header Idempotency-Key is needed: 1 to 255 visible ASCII characters"
        raise Problem(400, "idempotency_key_invalid", detail)
    return given[0]


def replayed(is_replayed: bool) -> dict[str, str]:
    """The headers that say whether an answer is the first one again."""
    return {_REPLAYED: "true"} if is_replayed else {}
