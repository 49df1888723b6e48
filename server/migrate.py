"""Bring the database to the newest schema (Alembic)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection

import metering.tables
import server.tables
import signaling.tables
from server.errors import SchemaUnknown
from server.storage import Storage

METADATA = (server.tables.metadata, signaling.tables.metadata, metering.tables.metadata)


def config_for(connection: Connection) -> Config:
    """Alembic's configuration, bound to this connection and its transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


async def upgrade(storage: Storage) -> None:
    """Run every migration that the database has not seen, in one transaction.

    Raises:
        SchemaUnknown: it has seen one that is not here.
    """

    def run(connection: Connection) -> None:
        command.upgrade(config_for(connection), "head")

    try:
        async with storage.write() as connection:
            await connection.run_sync(run)
    except CommandError as error:
        raise SchemaUnknown from error
