"""The words that meter, rating and record share."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """What the parties agreed to use, not whether a camera is covered."""

    VOICE = "voice"
    VIDEO = "video"


class Side(StrEnum):
    """A side of the call: media must arrive from both for a second to be billable."""

    PATIENT = "patient"
    PHYSICIAN = "physician"


class Party(StrEnum):
    """Who ended a consult."""

    PATIENT = "patient"
    PHYSICIAN = "physician"
    SYSTEM = "system"
    ADMIN = "admin"


class EndCause(StrEnum):
    """Why a segment ended. Those in `CONSULT_END_CAUSES` also end a consult."""

    HOLD = "hold"
    MODE_CHANGE = "mode_change"
    TRANSFER = "transfer"
    PATIENT_HANGUP = "patient_hangup"
    PHYSICIAN_FINISH = "physician_finish"
    MEDIA_LOST_PATIENT = "media_lost_patient"
    MEDIA_LOST_PHYSICIAN = "media_lost_physician"
    QUOTA_EXHAUSTED = "quota_exhausted"
    MAX_DURATION = "max_duration"
    ADMIN = "admin"
    NODE_LOST = "node_lost"
    SETUP_FAILED = "setup_failed"


CONSULT_END_CAUSES: Final = frozenset(EndCause) - {
    EndCause.HOLD,
    EndCause.MODE_CHANGE,
    EndCause.TRANSFER,
}
FAULTS: Final = frozenset(
    {
        EndCause.MEDIA_LOST_PATIENT,
        EndCause.MEDIA_LOST_PHYSICIAN,
        EndCause.NODE_LOST,
        EndCause.SETUP_FAILED,
    }
)
"""A consult under 15 s that one of these ended costs nothing."""
