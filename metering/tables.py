"""The tables of this package, and the triggers that make the ledger append-only.

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
    event,
)

from metering.chain import GENESIS

metadata: Final = MetaData()

records: Final = Table(
    "records",
    metadata,
    # SQLite: an INTEGER PRIMARY KEY is the row id itself, so a page is one range of the table
    Column(
        "seq",
        BigInteger().with_variant(Integer, "sqlite"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("record_id", String(64), nullable=False, unique=True),
    Column("consult_id", String(128), nullable=False),
    Column("ended_at", String(24), nullable=False),
    Column("hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
    CheckConstraint("seq > 0", name="records_seq_positive"),
    Index("records_consult_id", "consult_id"),
    Index("records_ended_at", "ended_at"),
)
"""The ledger. `body` is the canonical text of the whole record, its hash included: the feed serves
it as it is, and the other columns only find it. `ended_at` is RFC 3339 UTC with milliseconds, so it
sorts as text."""

ledger_head: Final = Table(
    "ledger_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("id = 1", name="ledger_head_one_row"),
)
"""One row: the last position and hash. On PostgreSQL its row lock puts appends in a line."""

meters: Final = Table(
    "meters",
    metadata,
    Column("consult_id", String(128), primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("state", Text, nullable=True),
    Column("checkpointed_at_ms", BigInteger, nullable=False),
)
"""The last checkpoint of each open consult; `state` is None between claim and first checkpoint."""

FIRST_HEAD: Final = f"INSERT INTO ledger_head (id, seq, hash) VALUES (1, 0, '{GENESIS}')"  # noqa: S608

_SQLITE: Final = (
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
_POSTGRESQL: Final = (
    FIRST_HEAD,
    """CREATE OR REPLACE FUNCTION records_append_only() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'records are append-only'; END $$""",
    """CREATE TRIGGER records_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON records
    FOR EACH STATEMENT EXECUTE FUNCTION records_append_only()""",
)
AFTER_CREATE: Final[Mapping[str, tuple[str, ...]]] = {
    "sqlite": _SQLITE,
    "postgresql": _POSTGRESQL,
}
AFTER_DROP: Final[Mapping[str, tuple[str, ...]]] = {
    "sqlite": (),
    "postgresql": ("DROP FUNCTION IF EXISTS records_append_only()",),
}

for _when, _statements in (("after_create", AFTER_CREATE), ("after_drop", AFTER_DROP)):
    for _dialect, _texts in _statements.items():
        for _text in _texts:
            _ddl = DDL(_text)  # type: ignore[no-untyped-call]  # SQLAlchemy left it untyped
            event.listen(metadata, _when, _ddl.execute_if(dialect=_dialect))
