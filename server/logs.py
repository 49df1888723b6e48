"""Structured logs: one event a line, ids only. No names, no tokens, no SDP."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from aiohttp.http_exceptions import HttpProcessingError

_SECRET_KEYS = frozenset({"token", "password", "sdp", "name", "patient_name", "complaint", "key"})
_LONG = re.compile(r"[A-Za-z0-9_-]{40,}")
# PostgreSQL's DETAIL and HINT, SQLAlchemy's parameters, pydantic's inputs: each to the line's end
_QUOTED = re.compile(r"(\bDETAIL:|\bHINT:|\[parameters:|\binput_value=).*")
MAX_VALUE_CHARS = 2000


def configure(log_format: str) -> None:
    """Send structlog and the standard library's logging to stderr in this format."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False)
    if log_format == "text":
        # plain: the pretty one shows local variables, which hold names and tokens
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(is_ours)


def is_ours(record: logging.LogRecord) -> bool:
    """Whether a record is more than a stranger's bad HTTP, which is answered 400.

    aiohttp logs each with a traceback, as an error: whoever likes could fill the log with them.
    """
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what could tell who somebody is or open something, and cut what is too long."""
    for key, value in event.items():
        event[key] = _traceback(value) if key == "exception" else _clean(key, value)
    return event


def _clean(key: Any, value: Any) -> Any:
    if key in _SECRET_KEYS:
        return "[redacted]"
    if isinstance(value, str):
        return _LONG.sub("[redacted]", value)[:MAX_VALUE_CHARS]
    if isinstance(value, Mapping):
        return {_clean(None, inner): _clean(inner, held) for inner, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(None, held) for held in value]
    return value


def _traceback(text: Any) -> str:
    """Its end, without the rows that database and model errors quote."""
    return _LONG.sub("[redacted]", _QUOTED.sub(r"\1 [redacted]", str(text)))[-4 * MAX_VALUE_CHARS :]
