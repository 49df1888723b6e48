"""What the server does about a line in trouble, as both pages show it."""

from __future__ import annotations

from typing import Literal

from signaling.wire import ConsultId, Outgoing, Party


class LineTrouble(Outgoing):
    """What is withheld from or refused to whom, at each change, and each second while anything is.

    ``weak``: their line is too weak for video. Nobody gets pictures until it is not; the agreed
    mode stays, and the time is billed as voice. ``capped``: they send far more than a call needs,
    so that the excess is dropped.
    """

    kind: Literal["line"] = "line"
    consult_id: ConsultId
    weak: tuple[Party, ...]
    capped: tuple[Party, ...]
