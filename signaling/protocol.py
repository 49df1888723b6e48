"""docs/protocol.md, written from the models: ``python -m signaling.protocol``."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from typing import get_args

from pydantic import BaseModel

from signaling import errors, guest_messages, wire
from signaling import messages as m

_HEAD = """# The protocol between pages and server

Generated from `signaling/messages.py` and `signaling/errors.py` by
`python -m signaling.protocol > docs/protocol.md`; a test compares them.

Pages speak socket.io (protocol 5) over WebSocket only, at `/socket.io/`: patients in the namespace
`/patient`, physicians in `/console`, guests in `/guest`. A page sends one kind of event, `command`,
and receives one, `message`; each has one JSON object as its payload. There are no acknowledgements
and no binary packets. A frame that is no message of this document closes its page with a goodbye
(`malformed`); so do more than 20 frames a second beyond a burst of 60 (`flooding`).

- The first message on a connection is the `hello`: the events after the number that the page named
  in its `auth`, and how things stand now. After it come all changes, in order.
- Each command carries an `id` that the page chose and gets exactly one `answer`. A command whose
  answer did not come is sent again with the same `id` after reconnecting: it gets its first answer,
  whatever happened since. `storage_unavailable`, `overloaded`, `server_stopping`, `node_full`,
  `not_your_consult` and `unknown_consult` are not kept: nothing was done, and the same command may
  succeed later.
- The newest page wins: another page (by its `page` name) for the same patient, guest or
  physician gets the goodbye `moved`.
- A refused connection has the code as `message`, and as `code` in its `data`. After three
  refusals the WebSocket is closed.

Units are in the names: `_ms` milliseconds, `_s` seconds, `_fen` minor units of the currency, `_at`
RFC 3339 UTC. docs/lifecycle.md says what the commands do.
"""

_SECTIONS: tuple[tuple[str, tuple[type[BaseModel], ...]], ...] = (
    ("Connecting", (m.PatientAuth, m.ConsoleAuth, m.GuestAuth)),
    ("Commands of the patient", get_args(get_args(m.PatientCommand)[0])),
    ("Commands of the physician", get_args(get_args(m.ConsoleCommand)[0])),
    ("Commands of a guest", get_args(get_args(m.GuestCommand)[0])),
    ("Messages to the patient", get_args(get_args(m.PatientMessage)[0])),
    (
        "More messages to the physician",
        tuple(
            model
            for model in get_args(get_args(m.ConsoleMessage)[0])
            if model not in get_args(get_args(m.PatientMessage)[0])
        ),
    ),
    (
        "Messages to a guest",
        tuple(
            model
            for model in get_args(get_args(m.GuestMessage)[0])
            if model not in get_args(get_args(m.PatientMessage)[0])
        ),
    ),
    (
        "What they contain",
        (
            m.GuestView,
            m.GuestCard,
            m.Seated,
            m.PatientView,
            m.PhysicianView,
            m.Event,
            m.QueueItem,
            m.Service,
            m.Price,
            m.Prepaid,
            m.PrepaidLeft,
            m.Proposal,
            m.Recording,
            m.IceServer,
            m.ChargeLine,
            m.Summary,
            m.Line,
            m.LineReading,
            m.Problem,
        ),
    ),
)


def markdown() -> str:
    """The whole document."""
    lines = [_HEAD]
    for title, models in _SECTIONS:
        lines += [f"## {title}", ""]
        for model in models:
            lines += _model(model)
    return "\n".join([*lines, *_words(), *_codes()]) + "\n"


def _model(model: type[BaseModel]) -> Iterator[str]:
    kind = _kind(model)
    name = f"`{kind}`" if kind else model.__name__
    yield from (f"### {name}", "", _prose(model), "", "| field | type |", "|---|---|")
    annotations: dict[str, str] = {}
    for base in reversed(model.__mro__):
        annotations |= inspect.get_annotations(base) if issubclass(base, BaseModel) else {}
    for field, info in model.model_fields.items():
        if kind and field == "kind":
            continue
        optional = "" if info.is_required() else ", may be left out"
        yield f"| `{field}` | {_type(annotations[field])}{optional} |"
    yield ""


def _kind(model: type[BaseModel]) -> str:
    """The one ``kind`` of a message, empty for what is a part of messages."""
    field = model.model_fields.get("kind")
    values = get_args(field.annotation) if field else ()
    return str(values[0]) if values else ""


def _prose(model: type[BaseModel]) -> str:
    text = inspect.cleandoc(model.__doc__ or "")
    return re.sub(r":class:`(\w+)`", r"`\1`", text).replace("``", "`")


def _type(annotation: str) -> str:
    text = re.sub(r"Annotated\[(\w+), Field\((.*)\)\]", r"\1 (\2)", str(annotation))
    return "`" + text.replace("|", "\\|") + "`"


def _words() -> Iterator[str]:
    """The names that the tables above use for types."""
    yield from ("## Types", "", "| name | values |", "|---|---|")
    for name in ("Mode", "Party", "State", "EndCause", "Pause", "GuestRole", "RoomRole"):
        values = ", ".join(f"`{value}`" for value in get_args(getattr(m, name)))
        yield f"| `{name}` | {values} |"
    for name in ("CommandId", "ConsultId", "ConnectionId", "Digest", "GuestId", "Mid"):
        pattern = get_args(getattr(wire, name))[1].metadata[0].pattern
        yield f"| `{name}` | text, `{pattern}` |"
    yield f"| `GuestName` | text, 1 to {guest_messages.MAX_GUEST_NAME_CHARS} characters |"
    yield f"| `Sdp` | text, 1 to {m.MAX_SDP_CHARS} characters |"
    yield ""


def _codes() -> Iterator[str]:
    yield from (
        "## Error codes",
        "",
        "Codes never change. An `offer` may also be refused with a code of media/errors.py.",
        "",
        "| code | meaning |",
        "|---|---|",
    )
    for _, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.ConsultError) and error is not errors.ConsultError:
            meaning = inspect.cleandoc(error.__doc__ or "").splitlines()[0]
            yield f"| `{error.code}` | {meaning} |"
    yield "| `internal_error` | A fault of the server's; nothing is known to have changed. |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
