"""The tables of this package, and the triggers that make ledger and tariffs append-only.

`create_all` runs the triggers by itself; a migration executes `AFTER_CREATE[dialect]` after it has
created the tables, one statement at a time, and `AFTER_DROP[dialect]` after it has dropped them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

metadata: Final = MetaData()

ledgers: Final = Table(
    "ledgers",
    metadata,
    Column("organization_id", String(64), primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("settled_at", String(24), nullable=False),
)
"""The head of each organization's ledger. On PostgreSQL its row lock puts appends in a line."""

_SUMMED: Final = (
    *("voice_s", "video_s", "charge_fen", "payable_fen", "insurer_fen", "patient_fen"),
    *("platform_fen", "physician_fen"),
)
"""In an index, so that sums over a range read no text: a million texts are some gigabytes."""

records: Final = Table(
    "ledger_records",
    metadata,
    Column("organization_id", String(64), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("record_id", String(64), nullable=False, unique=True),
    Column("consult_id", String(128), nullable=False),
    Column("revision", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("settled_at", String(24), nullable=False),
    Column("ended_at", String(24), nullable=False),
    Column("physician_id", String(128), nullable=False),
    Column("department", String(200), nullable=False),
    Column("voice_s", Integer, nullable=False),
    Column("video_s", Integer, nullable=False),
    Column("currency", String(3), nullable=False),
    Column("charge_fen", BigInteger, nullable=False),
    Column("payable_fen", BigInteger, nullable=False),
    Column("insurer_fen", BigInteger, nullable=False),
    Column("patient_fen", BigInteger, nullable=False),
    Column("platform_fen", BigInteger, nullable=False),
    Column("physician_fen", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
    CheckConstraint("seq > 0", name="ledger_records_seq_positive"),
    Index("ledger_records_by_consult", "consult_id", "revision", unique=True),
    Index("ledger_records_by_time", "organization_id", "settled_at", "seq"),
    Index("ledger_records_to_sum", "organization_id", "seq", "kind", "currency", *_SUMMED),
)
"""The ledgers. `body` is the canonical text of the whole record, its hash included: the feed serves
it as it is. The other columns repeat parts of it (`metering.columns`), to find and to sum; `verify`
compares them. Times are RFC 3339 UTC with milliseconds, so they sort as text; `settled_at` never
falls within a ledger, so a time range is a range of positions. Amounts may be negative: those of an
adjustment are what it changes."""

shares: Final = Table(
    "ledger_shares",
    metadata,
    Column("organization_id", String(64), primary_key=True),
    Column("physician_id", String(128), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("settled_at", String(24), nullable=False),
    Column("voice_ms", BigInteger, nullable=False),
    Column("video_ms", BigInteger, nullable=False),
    Column("platform_fen", BigInteger, nullable=False),
    Column("physician_fen", BigInteger, nullable=False),
    Index("ledger_shares_by_record", "organization_id", "seq"),
)
"""Each physician's part of each record, as the record has it in `shares`."""

meters: Final = Table(
    "meters",
    metadata,
    Column("consult_id", String(128), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("state", Text, nullable=True),
    Column("checkpointed_at_ms", BigInteger, nullable=False),
)
"""The last checkpoint of each open consult; `state` is None between claim and first checkpoint."""

tariffs: Final = Table(
    "tariffs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("organization_id", String(64), nullable=False),
    Column("number", Integer, nullable=False),
    Column("physician_id", String(128), nullable=True),
    Column("valid_from", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(80), nullable=False),
    UniqueConstraint("organization_id", "number"),
    Index("tariffs_by_time", "organization_id", "physician_id", "valid_from"),
)
"""Every version of every price list (`metering.pricelist`); times are epoch milliseconds."""

_APPEND_ONLY: Final = ("ledger_records", "ledger_shares", "tariffs")
_SAME_ROW: Final = {
    "ledger_records": "organization_id = NEW.organization_id AND seq = NEW.seq"
    " OR record_id = NEW.record_id OR consult_id = NEW.consult_id AND revision = NEW.revision",
    "ledger_shares": "organization_id = NEW.organization_id AND physician_id = NEW.physician_id"
    " AND seq = NEW.seq",
    "tariffs": "id = NEW.id OR organization_id = NEW.organization_id AND number = NEW.number",
}


def _sqlite(table: str) -> tuple[str, ...]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'records are append-only'); END"
    # INSERT OR REPLACE deletes without firing a trigger
    same = f"SELECT 1 FROM {table} WHERE {_SAME_ROW[table]}"  # noqa: S608  # our own names
    return (
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} WHEN EXISTS ({same}) {refuse}",
    )


def _postgresql(table: str) -> str:
    return f"""CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION ledger_append_only()"""


_FUNCTION: Final = """CREATE OR REPLACE FUNCTION ledger_append_only() RETURNS trigger
    LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'records are append-only'; END $$"""
_SQLITE: Final = tuple(text for table in _APPEND_ONLY for text in _sqlite(table))
_POSTGRESQL: Final = (_FUNCTION, *(_postgresql(table) for table in _APPEND_ONLY))
AFTER_CREATE: Final[Mapping[str, tuple[str, ...]]] = {
    "sqlite": _SQLITE,
    "postgresql": _POSTGRESQL,
}
AFTER_DROP: Final[Mapping[str, tuple[str, ...]]] = {
    "sqlite": (),
    "postgresql": ("DROP FUNCTION IF EXISTS ledger_append_only()",),
}

for _when, _statements in (("after_create", AFTER_CREATE), ("after_drop", AFTER_DROP)):
    for _dialect, _texts in _statements.items():
        for _text in _texts:
            _ddl = DDL(_text)  # type: ignore[no-untyped-call]  # SQLAlchemy left it untyped
            event.listen(metadata, _when, _ddl.execute_if(dialect=_dialect))
