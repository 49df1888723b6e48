"""A ledger for each organization, with columns to find and to sum

The chain that was there becomes the ledger of its organization. One that holds the records of
several cannot be divided without another hash for each record; no key could read it. It is kept
whole as the ledger of nobody ("shared"), for `wenzhen ledger verify` and `export`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = {
    "ledger_records": "organization_id = NEW.organization_id AND seq = NEW.seq"
    " OR record_id = NEW.record_id OR consult_id = NEW.consult_id AND revision = NEW.revision",
    "ledger_shares": "organization_id = NEW.organization_id AND physician_id = NEW.physician_id"
    " AND seq = NEW.seq",
}
FUNCTION = """CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'records are append-only'; END $$"""
SPLIT = ("payable_fen", "insurer_fen", "patient_fen", "platform_fen", "physician_fen")
BATCH = 500


def upgrade() -> None:
    ledgers, records, shares = _create()
    _copy(ledgers, records, shares)
    for statement in _triggers():
        op.execute(statement)
    op.drop_table("records")
    op.drop_table("ledger_head")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION IF EXISTS records_append_only()")


def _create() -> tuple[sa.Table, sa.Table, sa.Table]:
    text, whole = sa.String, sa.BigInteger
    ledgers = op.create_table(
        "ledgers",
        sa.Column("organization_id", text(length=64), nullable=False),
        sa.Column("seq", whole(), nullable=False),
        sa.Column("hash", text(length=64), nullable=False),
        sa.Column("settled_at", text(length=24), nullable=False),
        sa.PrimaryKeyConstraint("organization_id"),
    )
    records = op.create_table(
        "ledger_records",
        sa.Column("organization_id", text(length=64), nullable=False),
        sa.Column("seq", whole(), autoincrement=False, nullable=False),
        sa.Column("record_id", text(length=64), nullable=False),
        sa.Column("consult_id", text(length=128), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("kind", text(length=16), nullable=False),
        sa.Column("settled_at", text(length=24), nullable=False),
        sa.Column("ended_at", text(length=24), nullable=False),
        sa.Column("physician_id", text(length=128), nullable=False),
        sa.Column("department", text(length=200), nullable=False),
        sa.Column("voice_s", sa.Integer(), nullable=False),
        sa.Column("video_s", sa.Integer(), nullable=False),
        sa.Column("currency", text(length=3), nullable=False),
        sa.Column("charge_fen", whole(), nullable=False),
        *(sa.Column(name, whole(), nullable=False) for name in SPLIT),
        sa.Column("hash", text(length=64), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.CheckConstraint("seq > 0", name="ledger_records_seq_positive"),
        sa.PrimaryKeyConstraint("organization_id", "seq"),
        sa.UniqueConstraint("record_id"),
    )
    by_time = ["organization_id", "settled_at", "seq"]
    op.create_index("ledger_records_by_time", "ledger_records", by_time)
    by_consult = ["consult_id", "revision"]
    op.create_index("ledger_records_by_consult", "ledger_records", by_consult, unique=True)
    shares = op.create_table(
        "ledger_shares",
        sa.Column("organization_id", text(length=64), nullable=False),
        sa.Column("physician_id", text(length=128), nullable=False),
        sa.Column("seq", whole(), autoincrement=False, nullable=False),
        sa.Column("settled_at", text(length=24), nullable=False),
        sa.Column("voice_ms", whole(), nullable=False),
        sa.Column("video_ms", whole(), nullable=False),
        sa.Column("platform_fen", whole(), nullable=False),
        sa.Column("physician_fen", whole(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "physician_id", "seq"),
    )
    op.create_index("ledger_shares_by_record", "ledger_shares", ["organization_id", "seq"])
    return ledgers, records, shares


def _copy(ledgers: sa.Table, records: sa.Table, shares: sa.Table) -> None:
    bind = op.get_bind()
    owners = {record["organization_id"] for record, _ in _bodies()}
    if not owners:
        return
    owner = owners.pop() if len(owners) == 1 else "shared"
    settled_at, record = "", dict[str, Any]()
    for record, body in _bodies():
        settled_at = max(settled_at, record["ended_at"])
        place = {"organization_id": owner, "seq": record["seq"], "settled_at": settled_at}
        bind.execute(records.insert().values(**place, **_columns(record), body=body))
        bind.execute(shares.insert().values(**place, **_share(record)))
    head = {"seq": record["seq"], "hash": record["hash"], "settled_at": settled_at}
    bind.execute(ledgers.insert().values(organization_id=owner, **head))


def _bodies() -> Iterator[tuple[dict[str, Any], str]]:
    bind, reached = op.get_bind(), 0
    query = "SELECT seq, body FROM records WHERE seq > :seq ORDER BY seq LIMIT :batch"
    while rows := bind.execute(sa.text(query), {"seq": reached, "batch": BATCH}).all():
        for _, body in rows:
            yield json.loads(body), body
        reached = rows[-1].seq


def _columns(record: dict[str, Any]) -> dict[str, Any]:
    same = (
        *("record_id", "consult_id", "revision", "kind", "ended_at", "physician_id"),
        *("currency", "charge_fen", "hash"),
    )
    return {
        **{name: record[name] for name in same},
        **{name: record["split"][name] for name in SPLIT},
        "department": "",
        "voice_s": record["mode_seconds"]["voice"],
        "video_s": record["mode_seconds"]["video"],
    }


def _share(record: dict[str, Any]) -> dict[str, Any]:
    times = dict.fromkeys(("voice_ms", "video_ms"), 0)
    for one in record["segments"]:
        times[f"{one['mode']}_ms"] += one["duration_ms"]
    split = record["split"]
    return {
        "physician_id": record["physician_id"],
        **times,
        "platform_fen": split["platform_fen"],
        "physician_fen": split["physician_fen"],
    }


def _triggers() -> Iterator[str]:
    if op.get_bind().dialect.name == "postgresql":
        yield FUNCTION
        for table in TABLES:
            yield f"""CREATE TRIGGER {table}_append_only
            BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"""
        return
    refuse = "BEGIN SELECT RAISE(ABORT, 'records are append-only'); END"
    for table, same in TABLES.items():
        exists = f"EXISTS (SELECT 1 FROM {table} WHERE {same})"  # noqa: S608  # our own names
        yield f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}"
        yield f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}"
        yield f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN {exists} {refuse}"


def downgrade() -> None:
    raise NotImplementedError("records are never taken out of their ledger: restore a backup")
