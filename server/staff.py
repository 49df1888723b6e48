"""Staff of a clinic beside its physicians: accountants and administrators, and their sessions.

Passwords and tokens are kept as those of physicians are (:mod:`server.accounts`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import RowMapping, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from server import tables
from server.accounts import SCOPES, Accounts, digest, new_id, new_token
from server.clock import wall_ms
from server.errors import StaffRefused, StaffUnknown
from server.storage import Storage

ROLES: Final[Mapping[str, frozenset[str]]] = {
    "accountant": frozenset({"records", "adjust"}),
    "admin": SCOPES,
}
"""What each role may do, as the scopes of an API key."""
PASSWORD_LENGTH: Final = range(12, 201)
_USERNAME: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,64}")
_NAME: Final = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


@dataclass(frozen=True, slots=True)
class StaffMember:
    """One person who is not removed."""

    id: str
    organization_id: str
    username: str
    name: str
    role: str

    @property
    def scopes(self) -> frozenset[str]:
        """What they may do; nothing with a role that this version does not know."""
        return ROLES.get(self.role, frozenset())

    @property
    def actor(self) -> str:
        """As the audit log names them."""
        return f"staff:{self.id}"


@dataclass(frozen=True, slots=True)
class NewMember:
    """Who is to be added."""

    organization_id: str
    username: str
    name: str
    role: str


def new_password() -> str:
    """100 random bits, in groups that one can read out and type."""
    alphabet = "abcdefghjkmnpqrstuvwxyz23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(5)) for _ in range(4))


class Staff:
    """Staff accounts in SQL."""

    def __init__(self, storage: Storage, accounts: Accounts, *, session_s: int) -> None:
        self._storage, self._accounts, self._session_s = storage, accounts, session_s

    async def check(self, username: str, password: str) -> StaffMember | None:
        """Whose name and password these are. An unknown name takes as long as a wrong password."""
        row = await self._row(tables.staff.c.username == username)
        right = await self._accounts.verify(row["password_hash"] if row else None, password)
        return _member(row) if row is not None and right else None

    async def sign_in(self, username: str, password: str) -> tuple[StaffMember, str] | None:
        """Check a password and open a session.

        Returns:
            The person and the session token for the cookie, or None.
        """
        member = await self.check(username, password)
        if member is None:
            return None
        token, now, sessions = new_token(), wall_ms(), tables.staff_sessions
        async with self._storage.write() as conn:
            await conn.execute(delete(sessions).where(sessions.c.expires_at < now))
            await conn.execute(
                insert(sessions).values(
                    token_hash=digest(token),
                    staff_id=member.id,
                    created_at=now,
                    expires_at=now + self._session_s * 1000,
                )
            )
        return member, token

    async def session(self, token: str) -> StaffMember | None:
        """The person of a session cookie, None when it is unknown or over."""
        p, s = tables.staff, tables.staff_sessions
        query = (
            select(p)
            .join(s, s.c.staff_id == p.c.id)
            .where(s.c.token_hash == digest(token), s.c.expires_at > wall_ms())
            .where(p.c.removed_at.is_(None))
        )
        async with self._storage.read() as conn:
            row = (await conn.execute(query)).mappings().first()
        return _member(row) if row else None

    async def sign_out(self, token: str) -> None:
        """End a session; unknown ones are ignored."""
        sessions = tables.staff_sessions
        async with self._storage.write() as conn:
            await conn.execute(delete(sessions).where(sessions.c.token_hash == digest(token)))

    async def add(self, new: NewMember, password: str) -> StaffMember:
        """Add a person.

        Raises:
            StaffRefused: the name is taken, was ever given, or has a form that it must not have;
                the role is unknown; the password is too short.
        """
        if not _USERNAME.fullmatch(new.username):
            raise StaffRefused("a user name has 1 to 64 characters, none of them a space")
        if not _NAME.fullmatch(new.name):
            raise StaffRefused("a name has 1 to 100 characters")
        if new.role not in ROLES:
            raise StaffRefused(f"a role is one of {', '.join(ROLES)}")
        hashed = await self._hashed(password)
        row = {
            "id": new_id("staff"),
            "organization_id": new.organization_id,
            "username": new.username,
            "name": new.name,
            "role": new.role,
        }
        more = {"password_hash": hashed, "created_at": wall_ms()}
        try:
            async with self._storage.write() as conn:
                await conn.execute(insert(tables.staff).values(row | more))
        except IntegrityError:
            raise StaffRefused(f"the user name {new.username} is taken, or was once") from None
        return StaffMember(**row)

    async def members(self, organization_id: str | None = None) -> Sequence[StaffMember]:
        """Who is not removed, of one organization or of all, by user name."""
        staff = tables.staff
        query = select(staff).where(staff.c.removed_at.is_(None)).order_by(staff.c.username)
        if organization_id is not None:
            query = query.where(staff.c.organization_id == organization_id)
        async with self._storage.read() as conn:
            return [_member(row) for row in (await conn.execute(query)).mappings()]

    async def set_password(self, username: str, password: str) -> StaffMember:
        """Give a person a new password; their sessions end.

        Raises:
            StaffUnknown: there is no such person.
            StaffRefused: the password is too short.
        """
        return await self._change(username, {"password_hash": await self._hashed(password)})

    async def remove(self, username: str) -> StaffMember:
        """Remove a person; their sessions end, and the name is never given again.

        Raises:
            StaffUnknown: there is no such person.
        """
        return await self._change(username, {"password_hash": "", "removed_at": wall_ms()})

    async def _change(self, username: str, values: Mapping[str, Any]) -> StaffMember:
        row = await self._row(tables.staff.c.username == username)
        if row is None:
            raise StaffUnknown(username)
        sessions = tables.staff_sessions
        async with self._storage.write() as conn:
            mine = tables.staff.c.id == row["id"]
            await conn.execute(update(tables.staff).where(mine).values(values))
            await conn.execute(delete(sessions).where(sessions.c.staff_id == row["id"]))
        return _member(row)

    async def _hashed(self, password: str) -> str:
        if len(password) not in PASSWORD_LENGTH:
            least, most = PASSWORD_LENGTH.start, PASSWORD_LENGTH.stop - 1
            raise StaffRefused(f"a password has {least} to {most} characters")
        return await self._accounts.hash_password(password)

    async def _row(self, which: Any) -> RowMapping | None:
        query = select(tables.staff).where(which, tables.staff.c.removed_at.is_(None))
        async with self._storage.read() as conn:
            return (await conn.execute(query)).mappings().first()


def _member(row: RowMapping) -> StaffMember:
    names = ("id", "organization_id", "username", "name", "role")
    return StaffMember(**{name: row[name] for name in names})
