"""Records of a range of time, found by the columns beside them: newest first, and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, FromClause, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from metering.sums import positions
from metering.tables import records, shares
from metering.terms import Mode

FOUND: Final = (
    "seq",
    "record_id",
    "consult_id",
    "revision",
    "kind",
    "settled_at",
    "ended_at",
    "physician_id",
    "department",
    "voice_s",
    "video_s",
    "currency",
    "charge_fen",
    "payable_fen",
    "insurer_fen",
    "patient_fen",
    "platform_fen",
    "physician_fen",
)
SUMMED: Final = FOUND[FOUND.index("charge_fen") :]
MAX_CHOICES: Final = 500


@dataclass(frozen=True, slots=True)
class Wanted:
    """Settled from `from_at` on and before `to_at` (UTC, as records have it).

    Of one who treated, of one department, with time of one mode; None where it does not matter.
    """

    organization_id: str
    from_at: str
    to_at: str
    physician_id: str | None = None
    department: str | None = None
    mode: Mode | None = None


class Search:
    """One search, within one read transaction. Make it with `begin`."""

    def __init__(self, conn: AsyncConnection, wanted: Wanted, first: int, last: int) -> None:
        self._conn, self._wanted, self._first, self._last = conn, wanted, first, last

    @classmethod
    async def begin(cls, conn: AsyncConnection, wanted: Wanted) -> Search:
        """Find the positions of the range."""
        span = await positions(conn, wanted.organization_id, wanted.from_at, wanted.to_at)
        return cls(conn, wanted, *span)

    async def page(self, before_seq: int | None, limit: int) -> list[dict[str, Any]]:
        """Give up to `limit` records below a position, descending. Each has the names `FOUND`."""
        last = self._last if before_seq is None else min(self._last, before_seq - 1)
        source, within, seq = self._matching(last)
        query = (
            select(*(records.c[name] for name in FOUND))
            .select_from(source)
            .where(within)
            .order_by(seq.desc())
            .limit(limit)
        )
        return [dict(row) for row in (await self._conn.execute(query)).mappings()]

    async def totals(self) -> list[dict[str, Any]]:
        """Sum up all that match, for each currency: `calls`, `records`, seconds and amounts."""
        source, within, _ = self._matching(self._last)
        names = ("voice_s", "video_s", *SUMMED)
        calls = func.count().filter(records.c.kind == "original").label("calls")
        sums = (func.sum(records.c[name]).label(name) for name in names)
        query = (
            select(records.c.currency, calls, func.count().label("records"), *sums)
            .select_from(source)
            .where(within)
            .group_by(records.c.currency)
            .order_by(records.c.currency)
        )
        rows = (await self._conn.execute(query)).mappings()
        return [{n: v if n == "currency" else int(v) for n, v in row.items()} for row in rows]

    async def choices(self) -> tuple[Sequence[str], Sequence[str]]:
        """Give physicians and departments of the range, whatever else is wanted; at most 500 pairs.

        A physician to whom a consult was handed over is not among them for that alone.
        """
        pair = (records.c.physician_id, records.c.department)
        query = select(*pair).where(self._in_range(self._last)).group_by(*pair).limit(MAX_CHOICES)
        rows = (await self._conn.execute(query)).all()
        return sorted({row[0] for row in rows}), sorted({row[1] for row in rows})

    def _in_range(self, last: int) -> ColumnElement[bool]:
        return and_(
            records.c.organization_id == self._wanted.organization_id,
            records.c.seq.between(self._first, last),
        )

    def _matching(self, last: int) -> tuple[FromClause, ColumnElement[bool], ColumnElement[int]]:
        """Give tables, condition and the position to sort by."""
        wanted, within = self._wanted, self._in_range(last)
        source: FromClause = records
        seq: ColumnElement[int] = records.c.seq
        if wanted.department is not None:
            within &= records.c.department == wanted.department
        if wanted.mode is not None:
            within &= records.c[f"{wanted.mode}_s"] != 0
        if wanted.physician_id is not None:
            # the primary key of shares finds a physician's records by position
            both = and_(
                shares.c.organization_id == records.c.organization_id,
                shares.c.seq == records.c.seq,
            )
            source, seq = shares.join(records, both), shares.c.seq
            within &= and_(
                shares.c.organization_id == wanted.organization_id,
                shares.c.physician_id == wanted.physician_id,
                shares.c.seq.between(self._first, last),
            )
        return source, within, seq
