"""Tables of this package. Times are epoch milliseconds, UTC."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

metadata = MetaData()

organizations = Table(
    "organizations",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("department", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

physicians = Table(
    "physicians",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("username", String(64), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),  # argon2id, RFC 9106
    Column("name", String(100), nullable=False),
    Column("title", String(100), nullable=False),
    Column("department", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("physician_id", ForeignKey("physicians.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

staff = Table(
    "staff",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("username", String(64), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),  # argon2id, RFC 9106
    Column("name", String(100), nullable=False),
    Column("role", String(16), nullable=False),  # server.staff.ROLES
    Column("created_at", BigInteger, nullable=False),
    Column("removed_at", BigInteger),
)
"""Who is removed stays in it: the audit log names people by id, and a name is never given again."""

staff_sessions = Table(
    "staff_sessions",
    metadata,
    Column("token_hash", String(64), primary_key=True),  # SHA-256 of the cookie
    Column("staff_id", ForeignKey("staff.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("name", String(100), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),  # SHA-256 of the key
    Column("scopes", String(200), nullable=False),  # separated by spaces
    Column("created_at", BigInteger, nullable=False),
    Column("revoked_at", BigInteger),
    Column("expires_at", BigInteger),
    Column("last_used_at", BigInteger),
    Column("replaced_by", String(40)),
)

audit = Table(
    "audit",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(80), nullable=False),
    Column("action", String(64), nullable=False),
    Column("consult_id", String(48)),
    Column("detail", String(400), nullable=False),
    Index("audit_by_consult", "consult_id", "at"),
    Index("audit_by_time", "at", "id"),
)

idempotency_keys = Table(  # of adjustments: kept as long as the record
    "idempotency_keys",
    metadata,
    Column("organization_id", ForeignKey("organizations.id"), primary_key=True),
    Column("idempotency_key", String(255), primary_key=True),
    Column("digest", String(64), nullable=False),  # SHA-256 of what was asked for
    Column("record_id", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("consult_id", String(48), nullable=False),
    Column("recording_id", String(64), nullable=False),  # as the two sides agreed to it
    Column("part", Integer, nullable=False),
    Column("state", String(16), nullable=False),  # recording, finished, recovered, lost, deleted
    Column("file", String(120), nullable=False),
    Column("node", String(64), nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),
    Column("size_bytes", BigInteger),
    Column("sha256", String(64)),
    Column("proposed_n", Integer, nullable=False),  # events of the consult: the consents
    Column("agreed_n", Integer, nullable=False),
    Column("delete_after", BigInteger),
    UniqueConstraint("consult_id", "recording_id", "part"),
    Index("recordings_by_end", "state", "delete_after"),
)

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("organization_id", ForeignKey("organizations.id"), nullable=False),
    Column("url", String(1000), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("delivered_through_seq", BigInteger, nullable=False),
    Column("attempt", Integer, nullable=False),  # failures in a row
    Column("failing_since", BigInteger),
    Column("next_attempt_at", BigInteger),
    Column("disabled_at", BigInteger),
    Column("disabled_reason", String(16)),  # gone, failing
    Column("last_attempt_at", BigInteger),
    Column("last_status", Integer),
    Column("last_error", String(16)),
    Column("last_delivered_at", BigInteger),
    Index("webhooks_by_organization", "organization_id", "created_at"),
)

webhook_secrets = Table(
    "webhook_secrets",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("webhook_id", ForeignKey("webhooks.id"), nullable=False),
    Column("secret", String(100), nullable=False),  # as it is: whoever signs must have it
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),  # of a former one
    Index("webhook_secrets_by_webhook", "webhook_id"),
)
