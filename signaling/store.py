"""Consults and their events in SQL, compare-and-set.

All functions work inside the caller's transaction. What the database raises
(``sqlalchemy.exc.SQLAlchemyError``) passes through: the transaction is lost then.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from signaling import events as ev
from signaling import messages as m
from signaling.asks import CLINIC
from signaling.case import Case, Marks, NewConsult, from_row, rfc3339, to_row
from signaling.events import Event, details
from signaling.model import TERMINAL, Consult
from signaling.ports import Clock, Invited
from signaling.tables import command_answers, consult_events, consults, invitations

ANSWERS_KEPT_MS = 24 * 3600 * 1000


# built once: building a statement costs more than running it
_LOAD = select(consults).where(consults.c.id == bindparam("of"))
_EVENTS = (
    select(consult_events)
    .where(consult_events.c.consult_id == bindparam("of"), consult_events.c.n > bindparam("past"))
    .order_by(consult_events.c.n)
)
_MOVE = update(consults).where(
    consults.c.id == bindparam("was_id"),
    consults.c.state == bindparam("was_state"),
    consults.c.version == bindparam("was_version"),
    consults.c.epoch == bindparam("was_epoch"),
)
_NOTE = insert(consult_events)
_REMEMBER = insert(command_answers)
_ANSWER = select(command_answers.c.answer).where(
    command_answers.c.scope == bindparam("within"), command_answers.c.command_id == bindparam("to")
)


class Stale(Exception):
    """The row is not as this process believes: somebody else moved the consult on."""


async def create(conn: AsyncConnection, new: NewConsult, clock: Clock, node: str = "") -> Case:
    """Store a new consult, in state ``created``, with its event number 1."""
    at_ms, now_ms = clock.at_ms(), clock.now_ms()
    case = Case(new, Consult(new.id, version=1), Marks(created_at=at_ms, node=node))
    await conn.execute(insert(consults).values(**asdict(new), **to_row(case, now_ms, at_ms)))
    await conn.execute(
        insert(consult_events).values(
            consult_id=new.id, n=1, kind="created", at=at_ms, by="clinic", data="{}"
        )
    )
    return case


async def load(conn: AsyncConnection, consult_id: str, clock: Clock) -> Case | None:
    """The consult of this id, None when there is none."""
    row = (await conn.execute(_LOAD, {"of": consult_id})).mappings().first()
    return from_row(dict(row), clock.now_ms(), clock.at_ms()) if row else None


async def by_link_hash(conn: AsyncConnection, link_hash: str, clock: Clock) -> Case | None:
    """The consult whose link has this hash, whether or not it is open now."""
    query = select(consults).where(consults.c.link_hash == link_hash)
    row = (await conn.execute(query)).mappings().first()
    return from_row(dict(row), clock.now_ms(), clock.at_ms()) if row else None


async def by_invitation(
    conn: AsyncConnection, link_hash: str, clock: Clock
) -> tuple[Case, Invited] | None:
    """Whom the guest's link with this hash lets in now, and where.

    None: there is no such link, it was not used in time, or the guest was removed.
    """
    query = select(invitations).where(invitations.c.link_hash == link_hash)
    row = (await conn.execute(query)).mappings().first()
    case = await load(conn, row["consult_id"], clock) if row is not None else None
    guest = case.core.guest(row["guest_id"]) if row is not None and case is not None else None
    if row is None or case is None or guest is None:
        return None
    if not guest.opened and row["expires_at"] < clock.at_ms():
        return None
    return case, Invited(case.core.id, guest.id)


async def live(conn: AsyncConnection, clock: Clock) -> list[Case]:
    """All consults that are under way, oldest first: what a restarted process takes up."""
    over = (*TERMINAL, "created")
    query = select(consults).where(consults.c.state.not_in(over)).order_by(consults.c.created_at)
    rows = (await conn.execute(query)).mappings().all()
    return [from_row(dict(row), clock.now_ms(), clock.at_ms()) for row in rows]


async def last_place(conn: AsyncConnection) -> int:
    """The greatest place ever given, 0 without any."""
    return (await conn.execute(select(func.max(consults.c.place)))).scalar() or 0


async def events(conn: AsyncConnection, consult_id: str, after: int) -> tuple[m.Event, ...]:
    """The history of a consult after event number ``after``, in order."""
    rows = (await conn.execute(_EVENTS, {"of": consult_id, "past": after})).mappings().all()
    return tuple(
        m.Event(n=row["n"], kind=row["kind"], at=rfc3339(row["at"]), by=row["by"]) for row in rows
    )


async def save(
    conn: AsyncConnection, before: Case, after: Case, event: Event, clock: Clock
) -> m.Event:
    """Write one transition and its event, if the row is still as in ``before``.

    Raises:
        Stale: it is not; nothing was written.
        IntegrityError: the physician is in another call.
    """
    at_ms, core = clock.at_ms(), before.core
    was = {
        "was_id": core.id,
        "was_state": core.state,
        "was_version": core.version,
        "was_epoch": before.marks.epoch,
    }
    changed = await conn.execute(_MOVE, {**was, **to_row(after, clock.now_ms(), at_ms)})
    if changed.rowcount != 1:
        raise Stale(core.id)
    entry = m.Event(n=after.core.version, kind=event.kind, at=rfc3339(at_ms), by=event.by)
    await conn.execute(
        _NOTE,
        {
            "consult_id": core.id,
            "n": entry.n,
            "kind": entry.kind,
            "at": at_ms,
            "by": entry.by,
            "data": json.dumps(details(event), ensure_ascii=False),
        },
    )
    if isinstance(event, ev.Invited):
        link = {"link_hash": event.link_hash, "expires_at": event.expires_at}
        row = {"consult_id": core.id, "guest_id": event.guest_id, **link}
        await conn.execute(insert(invitations).values(row))
    return entry


async def answer(conn: AsyncConnection, scope: str, command_id: str) -> m.Answer | None:
    """The first answer to this command, None when it is new."""
    text = (await conn.execute(_ANSWER, {"within": scope, "to": command_id})).scalar()
    return m.Answer.model_validate_json(text) if text is not None else None


async def remember(conn: AsyncConnection, scope: str, given: m.Answer, clock: Clock) -> None:
    """Keep the answer to a command, for when it is repeated."""
    await conn.execute(
        _REMEMBER,
        {
            "scope": scope,
            "command_id": given.command_id,
            "answer": given.model_dump_json(),
            "at": clock.at_ms(),
        },
    )


async def forget_answers(conn: AsyncConnection, clock: Clock) -> None:
    """Drop answers that nobody can ask for any more; money is never taken twice."""
    oldest = clock.at_ms() - ANSWERS_KEPT_MS
    of_pages = command_answers.c.scope.not_like(f"{CLINIC}%")
    await conn.execute(delete(command_answers).where(command_answers.c.at < oldest, of_pages))


async def overdue(conn: AsyncConnection, clock: Clock, limit: int = 200) -> Sequence[str]:
    """Ids of consults that nobody joined while their link was open."""
    query = (
        select(consults.c.id)
        .where(consults.c.state == "created", consults.c.closes_at < clock.at_ms())
        .limit(limit)
    )
    return (await conn.execute(query)).scalars().all()
