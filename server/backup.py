"""`wenzhen ledger backup FILE`: a copy of the whole database that is proven before it counts.

SQLite's own online copy, taken while the server runs and writes: one state of the database, with
everything that was acknowledged before it began. PostgreSQL has pg_dump, which does the same.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from metering import audit
from metering.chain import Verification
from server.errors import BackupFailed
from server.settings import Settings
from server.storage import Storage


async def backup(settings: Settings, file: Path) -> int:
    """Copy the database to a new file, verify the ledgers in the copy, and print their heads.

    Raises:
        BackupFailed: PostgreSQL, a file that exists or cannot be written, or a copy that does not
            verify. Nothing is left behind then.
    """
    address = make_url(settings.sql_url)
    if address.get_backend_name() != "sqlite":
        raise BackupFailed("a PostgreSQL is backed up by pg_dump or its own base backups")
    source = Path(address.database or "")
    part = file.with_name(file.name + ".part")
    try:
        await asyncio.to_thread(_copy, source, part)
        found = await _verified(part)
        os.link(part, file)  # unlike a rename it never replaces a file
        _to_disk(file.parent)
    except FileExistsError:
        raise BackupFailed(f"{file} exists already") from None
    except (OSError, sqlite3.Error) as error:
        raise BackupFailed(f"{file} cannot be written: {error}") from error
    finally:
        for left in (part, *(part.with_name(part.name + end) for end in ("-wal", "-shm"))):
            left.unlink(missing_ok=True)
    for organization_id, one in found.items():
        print(f"saved: {one.head.seq} records, head {one.head.hash} ({organization_id})")
    print(f"saved to {file}")
    sys.stdout.flush()
    return 0


def _copy(source: Path, part: Path) -> None:
    if not source.is_file():
        raise BackupFailed(f"there is no database at {source}")
    descriptor = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)  # it holds names
    os.close(descriptor)
    with (
        closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=10)) as database,
        closing(sqlite3.connect(part)) as copy,
    ):
        database.backup(copy, pages=-1)
        copy.execute("PRAGMA journal_mode=DELETE")
    with part.open("rb") as written:
        os.fsync(written.fileno())


async def _verified(part: Path) -> dict[str, Verification]:
    storage = await Storage.open(f"sqlite:///{part}")
    try:
        found = await audit.verify_all(storage)
    finally:
        await storage.close()
    for organization_id, one in found.items():
        if one.broken is not None:
            raise BackupFailed(f"the ledger of {organization_id} is broken: {one.broken}")
    return found


def _to_disk(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
