"""Versioned prices of organizations and of physicians

What an organization had becomes the first version of its list, valid since the organization was
made; the column is dropped, so that there is one truth.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import rfc8785
import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

DEFAULTS = {
    "initial_s": 1,
    "increment_s": 1,
    "minimum_fen": 0,
    "free_s": 0,
    "cap_fen": None,
    "currency": "CNY",
    "insurer_base_fen": 0,
    "channel": "third_party",
    "platform_share": "0",
    "fee_bearer": "physician",
}
SAME = "id = NEW.id OR organization_id = NEW.organization_id AND number = NEW.number"


def upgrade() -> None:
    text, whole = sa.String, sa.BigInteger
    tariffs = op.create_table(
        "tariffs",
        sa.Column("id", text(length=64), nullable=False),
        sa.Column("organization_id", text(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("physician_id", text(length=128), nullable=True),
        sa.Column("valid_from", whole(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("digest", text(length=64), nullable=False),
        sa.Column("created_at", whole(), nullable=False),
        sa.Column("created_by", text(length=80), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("organization_id", "number"),
    )
    by_time = ["organization_id", "physician_id", "valid_from"]
    op.create_index("tariffs_by_time", "tariffs", by_time)
    query = sa.text("SELECT id, tariff, created_at FROM organizations ORDER BY id")
    for organization_id, tariff, created_at in op.get_bind().execute(query).all():
        op.get_bind().execute(tariffs.insert().values(_first(organization_id, tariff, created_at)))
    for statement in _triggers():
        op.execute(statement)
    op.drop_column("organizations", "tariff")


def _first(organization_id: str, tariff: str, created_at: int) -> dict[str, Any]:
    fields = DEFAULTS | json.loads(tariff, parse_float=Decimal)
    share = Decimal(str(fields["platform_share"])).normalize()
    canonical = rfc8785.dumps({**fields, "platform_share": format(share, "f")})
    name = hashlib.sha256(organization_id.encode()).hexdigest()[:20]
    return {
        "id": f"tar_{name}",
        "organization_id": organization_id,
        "number": 1,
        "physician_id": None,
        "valid_from": created_at,
        "body": canonical.decode(),
        "digest": hashlib.sha256(canonical).hexdigest(),
        "created_at": created_at,
        "created_by": "migration",
    }


def _triggers() -> Iterator[str]:
    if op.get_bind().dialect.name == "postgresql":
        yield """CREATE TRIGGER tariffs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON tariffs
        FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"""
        return
    refuse = "BEGIN SELECT RAISE(ABORT, 'records are append-only'); END"
    exists = f"EXISTS (SELECT 1 FROM tariffs WHERE {SAME})"  # noqa: S608  # our own names
    yield f"CREATE TRIGGER tariffs_no_update BEFORE UPDATE ON tariffs {refuse}"
    yield f"CREATE TRIGGER tariffs_no_delete BEFORE DELETE ON tariffs {refuse}"
    yield f"CREATE TRIGGER tariffs_no_replace BEFORE INSERT ON tariffs WHEN {exists} {refuse}"


def downgrade() -> None:
    raise NotImplementedError("prices are never taken out of their lists: restore a backup")
