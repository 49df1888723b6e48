"""First tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FIRST_HEAD = f"INSERT INTO ledger_head (id, seq, hash) VALUES (1, 0, '{'0' * 64}')"  # noqa: S608
SQLITE = (
    FIRST_HEAD,
    """CREATE TRIGGER records_no_update BEFORE UPDATE ON records
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END""",
    """CREATE TRIGGER records_no_delete BEFORE DELETE ON records
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END""",
    # INSERT OR REPLACE deletes without firing the trigger above
    """CREATE TRIGGER records_no_replace BEFORE INSERT ON records
    WHEN EXISTS (SELECT 1 FROM records WHERE seq = NEW.seq OR record_id = NEW.record_id)
    BEGIN SELECT RAISE(ABORT, 'records are append-only'); END""",
)
POSTGRESQL = (
    FIRST_HEAD,
    """CREATE OR REPLACE FUNCTION records_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'records are append-only'; END $$""",
    """CREATE TRIGGER records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON records
    FOR EACH STATEMENT EXECUTE FUNCTION records_append_only()""",
)
AFTER_CREATE = {"sqlite": SQLITE, "postgresql": POSTGRESQL}
AFTER_DROP = {"sqlite": (), "postgresql": ("DROP FUNCTION IF EXISTS records_append_only()",)}


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=80), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("consult_id", sa.String(length=48), nullable=True),
        sa.Column("detail", sa.String(length=400), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.create_index("audit_by_consult", ["consult_id", "at"], unique=False)

    op.create_table(
        "organizations",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("tariff", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("key_hash"),
    )
    op.create_table(
        "physicians",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("username", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["organization_id"],
            ["organizations.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("username"),
    )
    op.create_table(
        "sessions",
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("physician_id", sa.String(length=40), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["physician_id"],
            ["physicians.id"],
        ),
        sa.PrimaryKeyConstraint("token_hash"),
    )
    op.create_table(
        "command_answers",
        sa.Column("scope", sa.String(length=64), nullable=False),
        sa.Column("command_id", sa.String(length=64), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "command_id"),
    )
    with op.batch_alter_table("command_answers", schema=None) as batch_op:
        batch_op.create_index("command_answers_by_age", ["at"], unique=False)

    op.create_table(
        "consults",
        sa.Column("id", sa.String(length=48), nullable=False),
        sa.Column("organization_id", sa.String(length=40), nullable=False),
        sa.Column("organization", sa.String(length=200), nullable=False),
        sa.Column("department", sa.String(length=200), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("booked_physician_id", sa.String(length=40), nullable=True),
        sa.Column("booked_physician_name", sa.String(length=100), nullable=False),
        sa.Column("booked_physician_title", sa.String(length=100), nullable=False),
        sa.Column("patient_ref", sa.String(length=200), nullable=False),
        sa.Column("patient_name", sa.String(length=200), nullable=False),
        sa.Column("complaint", sa.Text(), nullable=False),
        sa.Column("returning", sa.Boolean(), nullable=False, quote=True),
        sa.Column("tariff", sa.Text(), nullable=False),
        sa.Column("tariff_digest", sa.String(length=64), nullable=False),
        sa.Column("terms_version", sa.String(length=32), nullable=False),
        sa.Column("link_hash", sa.String(length=64), nullable=False),
        sa.Column("opens_at", sa.BigInteger(), nullable=False),
        sa.Column("closes_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=24), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("core", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=True),
        sa.Column("physician_id", sa.String(length=40), nullable=True),
        sa.Column("busy_physician_id", sa.String(length=40), nullable=True),
        sa.Column("language", sa.String(length=35), nullable=True),
        sa.Column("consent_at", sa.BigInteger(), nullable=True),
        sa.Column("waiting_at", sa.BigInteger(), nullable=True),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("answered_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_cause", sa.String(length=32), nullable=True),
        sa.Column("end_party", sa.String(length=16), nullable=True),
        sa.Column("outcome", sa.String(length=32), nullable=True),
        sa.Column("summary", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("consults", schema=None) as batch_op:
        batch_op.create_index("consults_by_link", ["link_hash"], unique=True)
        batch_op.create_index("consults_by_state", ["state", "closes_at"], unique=False)
        batch_op.create_index("consults_one_call", ["busy_physician_id"], unique=True)

    op.create_table(
        "consult_events",
        sa.Column("consult_id", sa.String(length=48), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.String(length=16), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["consult_id"],
            ["consults.id"],
        ),
        sa.PrimaryKeyConstraint("consult_id", "n"),
    )
    op.create_table(
        "ledger_head",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.CheckConstraint("id = 1", name="ledger_head_one_row"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "meters",
        sa.Column("consult_id", sa.String(length=128), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("checkpointed_at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("consult_id"),
    )
    op.create_table(
        "records",
        sa.Column(
            "seq",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("record_id", sa.String(length=64), nullable=False),
        sa.Column("consult_id", sa.String(length=128), nullable=False),
        sa.Column("ended_at", sa.String(length=24), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("seq > 0", name="records_seq_positive"),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("record_id"),
    )
    with op.batch_alter_table("records", schema=None) as batch_op:
        batch_op.create_index("records_consult_id", ["consult_id"], unique=False)
        batch_op.create_index("records_ended_at", ["ended_at"], unique=False)

    for statement in AFTER_CREATE[op.get_bind().dialect.name]:  # the ledger only ever grows
        op.execute(statement)


def downgrade() -> None:
    with op.batch_alter_table("records", schema=None) as batch_op:
        batch_op.drop_index("records_ended_at")
        batch_op.drop_index("records_consult_id")

    op.drop_table("records")
    op.drop_table("meters")
    op.drop_table("ledger_head")
    op.drop_table("consult_events")
    with op.batch_alter_table("consults", schema=None) as batch_op:
        batch_op.drop_index("consults_one_call")
        batch_op.drop_index("consults_by_state")
        batch_op.drop_index("consults_by_link")

    op.drop_table("consults")
    with op.batch_alter_table("command_answers", schema=None) as batch_op:
        batch_op.drop_index("command_answers_by_age")

    op.drop_table("command_answers")
    op.drop_table("sessions")
    op.drop_table("physicians")
    op.drop_table("api_keys")
    op.drop_table("organizations")
    with op.batch_alter_table("audit", schema=None) as batch_op:
        batch_op.drop_index("audit_by_consult")

    op.drop_table("audit")
    for statement in AFTER_DROP[op.get_bind().dialect.name]:
        op.execute(statement)
