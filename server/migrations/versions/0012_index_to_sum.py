"""An index from which ranges of records are summed"""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

COLUMNS = (
    *("organization_id", "seq", "kind", "currency"),
    *("voice_s", "video_s", "charge_fen", "payable_fen", "insurer_fen", "patient_fen"),
    *("platform_fen", "physician_fen"),
)


def upgrade() -> None:
    op.create_index("ledger_records_to_sum", "ledger_records", [*COLUMNS])


def downgrade() -> None:
    op.drop_index("ledger_records_to_sum", table_name="ledger_records")
