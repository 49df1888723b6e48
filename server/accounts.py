"""Who may do what: physicians and their sessions, and the secrets that open something.

Passwords are stored as argon2id (RFC 9106); session tokens, links and keys carry 256 random bits
and are stored as SHA-256 only, so that a copy of the database opens nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import RowMapping, delete, insert, select

from server import tables
from server.clock import wall_ms
from server.storage import Storage
from signaling.case import Physician

SCOPES = frozenset({"records", "consults", "adjust", "recordings", "tariffs", "webhooks"})
_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash("nobody has this password")


def new_id(prefix: str) -> str:
    """``prefix`` and 100 random bits in lower-case letters and digits."""
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyz"
    return prefix + "_" + "".join(secrets.choice(alphabet) for _ in range(20))


def new_token() -> str:
    """A secret of 256 random bits, fit for a URL fragment and a header."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What is stored of a secret that :func:`new_token` made."""
    # a header may hold bytes that are no UTF-8: they open nothing, and raise nothing
    return hashlib.sha256(token.encode(errors="surrogatepass")).hexdigest()


class Accounts:
    """Accounts in SQL."""

    def __init__(self, storage: Storage, *, session_s: int) -> None:
        self._storage, self._session_s = storage, session_s
        # argon2 takes 64 MiB and 50 ms of a core each time: no more at once than cores
        self._hashing = asyncio.Semaphore(os.cpu_count() or 1)

    async def hash_password(self, password: str) -> str:
        """Hash with argon2id, off the event loop."""
        async with self._hashing:
            return await asyncio.to_thread(_HASHER.hash, password)

    async def check(self, username: str, password: str) -> Physician | None:
        """Whose name and password these are. An unknown name takes as long as a wrong password."""
        async with self._storage.read() as connection:
            query = select(tables.physicians).where(tables.physicians.c.username == username)
            row = (await connection.execute(query)).mappings().first()
        right = await self.verify(row["password_hash"] if row else None, password)
        return _physician(row) if row is not None and right else None

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether a password is the one of this hash; None takes as long, and is nobody's."""
        async with self._hashing:
            return await asyncio.to_thread(_verify, stored or _NOBODY, password) and bool(stored)

    async def sign_in(self, username: str, password: str) -> tuple[Physician, str] | None:
        """Check a password and open a session.

        Returns:
            The physician and the session token for the cookie, or None.
        """
        physician = await self.check(username, password)
        if physician is None:
            return None
        token, now = new_token(), wall_ms()
        async with self._storage.write() as connection:
            await connection.execute(
                delete(tables.sessions).where(tables.sessions.c.expires_at < now)
            )
            await connection.execute(
                insert(tables.sessions).values(
                    token_hash=digest(token),
                    physician_id=physician.id,
                    created_at=now,
                    expires_at=now + self._session_s * 1000,
                )
            )
        return physician, token

    async def session(self, token: str) -> Physician | None:
        """The physician of a session cookie, None when it is unknown or over."""
        p, s = tables.physicians, tables.sessions
        query = (
            select(p)
            .join(s, s.c.physician_id == p.c.id)
            .where(s.c.token_hash == digest(token), s.c.expires_at > wall_ms())
        )
        async with self._storage.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _physician(row) if row else None

    async def sign_out(self, token: str) -> None:
        """End a session; unknown ones are ignored."""
        async with self._storage.write() as connection:
            await connection.execute(
                delete(tables.sessions).where(tables.sessions.c.token_hash == digest(token))
            )

    async def physician(self, physician_id: str) -> Physician | None:
        """By id."""
        query = select(tables.physicians).where(tables.physicians.c.id == physician_id)
        async with self._storage.read() as connection:
            row = (await connection.execute(query)).mappings().first()
        return _physician(row) if row else None


def _verify(stored: str, password: str) -> bool:
    try:
        return _HASHER.verify(stored, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _physician(row: RowMapping) -> Physician:
    return Physician(row["id"], row["name"], row["title"], row["organization_id"])
