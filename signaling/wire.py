"""What all messages between page and server have in common: bases, names of states, identifiers."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_SDP_CHARS = 64 * 1024
MAX_MESSAGE_BYTES = 128 * 1024

Mode = Literal["voice", "video"]
Party = Literal["patient", "physician"]
GuestRole = Literal["specialist", "family", "interpreter", "nurse"]
State = Literal[
    "created",
    "waiting",
    "offered",
    "connecting",
    "active",
    "held",
    "interrupted",
    "ended",
    "cancelled",
    "abandoned",
    "declined",
    "expired",
    "no_show_patient",
    "no_show_physician",
    "failed",
]
EndCause = Literal[
    "patient_hangup",
    "physician_finish",
    "media_lost_patient",
    "media_lost_physician",
    "quota_exhausted",
    "max_duration",
    "admin",
    "node_lost",
    "setup_failed",
]
Pause = Literal[
    "connecting",
    "held",
    "patient_silent",
    "physician_silent",
    "both_silent",
    "hung_up",
    "quota_exhausted",
]

CommandId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
ConsultId = Annotated[str, Field(pattern=r"^c_[0-9a-z]{8,40}$")]
ConnectionId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{8,64}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Mid = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,16}$")]
GuestId = Annotated[str, Field(pattern=r"^guest-[0-9a-z]{8,40}$")]
Sdp = Annotated[str, Field(min_length=1, max_length=MAX_SDP_CHARS)]


class Incoming(BaseModel):
    """What a page sent: nothing undeclared, nothing coerced."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Outgoing(BaseModel):
    """What a page receives."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @cached_property
    def json_text(self) -> str:
        """As it goes out: written once, to however many pages."""
        return self.model_dump_json()
