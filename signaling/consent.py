"""What page and server say about a recording (:mod:`signaling.recording` decides)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from signaling.wire import CommandId, ConsultId, Incoming, Outgoing


class Record(Incoming):
    """The physician asks for the call to be recorded; it begins when the patient agrees."""

    kind: Literal["record"]
    id: CommandId
    consult_id: ConsultId


class PhysicianStopRecording(Incoming):
    """The physician ends the recording, or takes the question back."""

    kind: Literal["stop_recording"]
    id: CommandId
    consult_id: ConsultId


class PatientStopRecording(Incoming):
    """The patient ends the recording, at any time."""

    kind: Literal["stop_recording"]
    id: CommandId


class AnswerRecording(Incoming):
    """The patient agrees to be recorded, or does not. ``terms_version``: of the words they read."""

    kind: Literal["answer_recording"]
    id: CommandId
    recording_id: CommandId
    accept: bool
    terms_version: Annotated[str, Field(max_length=32)]


class Recording(Outgoing):
    """``proposed``: the patient is asked. ``on``: what is said and shown now is kept; both pages
    must say so. ``failed``: it ended because it could not be stored; the call goes on.
    """

    id: CommandId
    state: Literal["proposed", "on", "failed"]
    terms_version: str
