"""Links of guests"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("link_hash", sa.String(length=64), nullable=False),
        sa.Column("consult_id", sa.String(length=48), nullable=False),
        sa.Column("guest_id", sa.String(length=48), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["consult_id"], ["consults.id"]),
        sa.PrimaryKeyConstraint("link_hash"),
    )


def downgrade() -> None:
    op.drop_table("invitations")
