"""Alembic's environment: always the connection that :mod:`server.migrate` hands over."""

from __future__ import annotations

from alembic import context

from server.migrate import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=list(METADATA),
    compare_type=True,
    render_as_batch=True,
)
context.run_migrations()
