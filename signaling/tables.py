"""Tables of this package. Times (``_at``) are epoch milliseconds, UTC.

``consults.core`` is the frozen :class:`signaling.model.Consult`; the columns beside it that repeat
a part of it are there to be searched, and are written in the same statement.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

consults = Table(
    "consults",
    metadata,
    Column("id", String(48), primary_key=True),
    Column("organization_id", String(40), nullable=False),
    Column("organization", String(200), nullable=False),
    Column("department", String(200), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("booked_physician_id", String(40)),
    Column("booked_physician_name", String(100), nullable=False),
    Column("booked_physician_title", String(100), nullable=False),
    Column("patient_ref", String(200), nullable=False),
    Column("patient_name", String(200), nullable=False),
    Column("complaint", Text, nullable=False),
    # RETURNING is a word of SQL that SQLite does not take unquoted
    Column("returning", Boolean, nullable=False, quote=True),
    Column("tariff", Text, nullable=False),  # JSON, frozen when the consult is created
    Column("tariff_digest", String(64), nullable=False),
    Column("terms_version", String(32), nullable=False),
    Column("link_hash", String(64), nullable=False),
    Column("opens_at", BigInteger, nullable=False),
    Column("closes_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("max_video_kbps", Integer, nullable=False, server_default="0"),
    Column("prepaid_fen", BigInteger),
    # what the transitions write
    Column("state", String(24), nullable=False),
    Column("version", Integer, nullable=False),
    Column("core", Text, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("node", String(64), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("place", BigInteger),
    Column("physician_id", String(40)),
    Column("busy_physician_id", String(40)),
    Column("language", String(35)),
    Column("consent_at", BigInteger),
    Column("waiting_at", BigInteger),
    Column("offered_at", BigInteger),
    Column("answered_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_cause", String(32)),
    Column("end_party", String(16)),
    Column("outcome", String(32)),
    Column("summary", Text),  # JSON, messages.Summary, with the end
    Index("consults_by_link", "link_hash", unique=True),
    # one physician, one call: the database says so, whoever asks
    Index("consults_one_call", "busy_physician_id", unique=True),
    Index("consults_by_state", "state", "closes_at"),
)

consult_events = Table(
    "consult_events",
    metadata,
    Column("consult_id", ForeignKey("consults.id"), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("kind", String(32), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("by", String(16), nullable=False),
    Column("data", Text, nullable=False),  # JSON
)

invitations = Table(
    "invitations",
    metadata,
    Column("link_hash", String(64), primary_key=True),  # SHA-256 of a guest's token
    Column("consult_id", ForeignKey("consults.id"), nullable=False),
    Column("guest_id", String(48), nullable=False),
    Column("expires_at", BigInteger, nullable=False),  # when it was not used until then
)

command_answers = Table(
    "command_answers",
    metadata,
    Column("scope", String(64), primary_key=True),  # "patient:CONSULT" or "physician:ID"
    Column("command_id", String(64), primary_key=True),
    Column("answer", Text, nullable=False),  # JSON, messages.Answer
    Column("at", BigInteger, nullable=False),
    Index("command_answers_by_age", "at"),
)
