"""Webhooks"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    text, whole = sa.String, sa.BigInteger
    op.create_table(
        "webhooks",
        sa.Column("id", text(length=40), nullable=False),
        sa.Column("organization_id", text(length=40), nullable=False),
        sa.Column("url", text(length=1000), nullable=False),
        sa.Column("created_at", whole(), nullable=False),
        sa.Column("delivered_through_seq", whole(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("failing_since", whole(), nullable=True),
        sa.Column("next_attempt_at", whole(), nullable=True),
        sa.Column("disabled_at", whole(), nullable=True),
        sa.Column("disabled_reason", text(length=16), nullable=True),
        sa.Column("last_attempt_at", whole(), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", text(length=16), nullable=True),
        sa.Column("last_delivered_at", whole(), nullable=True),
        sa.ForeignKeyConstraint(["organization_id"], ["organizations.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    by_organization = ["organization_id", "created_at"]
    op.create_index("webhooks_by_organization", "webhooks", by_organization)
    op.create_table(
        "webhook_secrets",
        sa.Column("id", text(length=40), nullable=False),
        sa.Column("webhook_id", text(length=40), nullable=False),
        sa.Column("secret", text(length=100), nullable=False),
        sa.Column("created_at", whole(), nullable=False),
        sa.Column("expires_at", whole(), nullable=True),
        sa.ForeignKeyConstraint(["webhook_id"], ["webhooks.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("webhook_secrets_by_webhook", "webhook_secrets", ["webhook_id"])


def downgrade() -> None:
    op.drop_table("webhook_secrets")
    op.drop_table("webhooks")
