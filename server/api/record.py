"""A record of the ledger, as the API describes it. docs/metering.md explains each field."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from metering.tariff import Tariff


class ModeSeconds(BaseModel):
    """Whole seconds of each mode, cut once for the whole consult."""

    voice: int
    video: int


class Split(BaseModel):
    """Who pays and who receives: insurer + patient = payable = platform + physician."""

    payable_fen: int
    insurer_fen: int
    patient_fen: int
    platform_fen: int
    physician_fen: int


class Segment(BaseModel):
    """A piece of delivered time in one mode with one physician."""

    mode: Literal["voice", "video"]
    physician_id: str
    started_at: str
    ended_at: str
    duration_ms: int
    end_cause: str
    last_packet_at: str
    rate_fen_per_min: int
    epoch: int
    estimated: bool


class RecordShare(BaseModel):
    """What one physician of the consult earned; all of them add up to the split."""

    physician_id: str
    voice_ms: int
    video_ms: int
    platform_fen: int
    physician_fen: int


class Limit(BaseModel):
    """All that was prepaid."""

    limit_fen: int


class Net(BaseModel):
    """What holds after a correction."""

    mode_seconds: ModeSeconds
    billable_s: int
    charge_fen: int
    split: Split


class Record(BaseModel):
    """A closed, immutable metered entry (CDR). docs/metering.md explains every field, and how
    to recompute ``charge_fen`` and ``hash`` from the others. In an adjustment and a void the
    seconds and amounts are what it changes, and ``corrects``, ``reason``, ``actor`` and ``net``
    are there too.
    """

    model_config = {"extra": "allow"}
    schema_version: int
    record_id: str
    consult_id: str
    seq: int
    revision: int
    kind: Literal["original", "adjustment", "void"]
    patient_ref: str
    physician_id: str
    organization_id: str
    department: str = ""
    channel: str
    created_at: str
    waiting_at: str | None
    offered_at: str | None
    answered_at: str | None
    first_media_at: str | None
    started_at: str
    ended_at: str
    settled_at: str | None = None
    wait_s: int
    held_s: int
    interrupted_s: int
    mode_seconds: ModeSeconds
    billable_s: int
    segments: list[Segment]
    end_cause: str
    end_party: str
    tariff: Tariff
    tariff_digest: str
    currency: str
    charge_fen: int
    waived: bool
    split: Split
    prepaid: Limit | None = None
    shares: list[RecordShare] = []
    quality: dict[str, Any] | None
    consent_version: str
    node: str
    epoch: int
    estimated: bool
    corrects: str | None = None
    reason: str | None = None
    actor: str | None = None
    net: Net | None = None
    prev_hash: str
    hash: str
