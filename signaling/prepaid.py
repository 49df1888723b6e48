"""Messages about what a consult's patient has paid before: granted, used, left (RFC 8506)."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from signaling.wire import CommandId, Incoming, Outgoing

MAX_PREPAID_FEN: Final = 100_000_000


class Prepaid(Outgoing):
    """What is prepaid, and how long it lasts in each mode from now on (None: to the end).

    Shown when a page comes and at every event; in a call every `meter` has what is left now.
    """

    limit_fen: int
    used_fen: int
    voice_left_s: int | None
    video_left_s: int | None


class PrepaidLeft(Outgoing):
    """What is prepaid, and how long it lasts in the mode that is carried (None: to the end).

    While the meter runs, ``left_ms`` grows less as its total grows. The call ends at 0.
    """

    limit_fen: int
    used_fen: int
    left_ms: int | None


class TopUp(Incoming):
    """The clinic adds to what is prepaid. No page sends this: it comes through the HTTP API."""

    kind: Literal["top_up"]
    id: CommandId
    fen: Annotated[int, Field(ge=1, le=MAX_PREPAID_FEN)]
