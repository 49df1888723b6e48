"""Downloads of whole ranges of records, in bounded memory, at the pace of who reads them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import Final

from metering import ledger
from metering.ranges import Span
from metering.sheet import BOM, HEADER, line
from server.storage import Storage

AT_ONCE: Final = 4
"""Of one organization."""
STALL_S: Final = 60
"""A reader that takes nothing for so long is given up."""
CHUNK_BYTES: Final = 32_768
"""Written at once, before the event loop has its turn."""


class TooManyExports(Exception):
    """The organization has as many downloads under way as it may have."""


class Exports:
    """The downloads under way."""

    def __init__(self, stall_s: float = STALL_S) -> None:
        self.stall_s = stall_s
        self._under_way: Counter[str] = Counter()

    @contextmanager
    def one_more(self, organization_id: str) -> Iterator[None]:
        """Count a download while the context is open.

        Raises:
            TooManyExports: there are `AT_ONCE`.
        """
        if self._under_way[organization_id] >= AT_ONCE:
            raise TooManyExports(organization_id)
        self._under_way[organization_id] += 1
        try:
            yield
        finally:
            self._under_way[organization_id] -= 1
            self._under_way += Counter[str]()  # forgets who has none


async def ndjson(storage: Storage, organization_id: str, span: Span) -> AsyncGenerator[bytes]:
    """The records of a span as the ledger has them, one to a line."""
    async for chunk in _chunks(storage, organization_id, span, lambda body: body + "\n"):
        yield chunk


async def csv_rows(storage: Storage, organization_id: str, span: Span) -> AsyncGenerator[bytes]:
    """The records of a span as rows (:mod:`metering.sheet`)."""
    async for chunk in _chunks(storage, organization_id, span, line):
        yield chunk


async def csv(
    storage: Storage, organization_id: str, span: Span, *, bom: bool = False
) -> AsyncGenerator[bytes]:
    """A whole CSV file; ``bom``: a byte order mark comes first."""
    yield (BOM + HEADER if bom else HEADER).encode()
    async for chunk in csv_rows(storage, organization_id, span):
        yield chunk


async def _chunks(
    storage: Storage, organization_id: str, span: Span, write: Callable[[str], str]
) -> AsyncGenerator[bytes]:
    chunk, size = list[bytes](), 0
    bodies = ledger.export(storage, organization_id, span.before.seq, span.last.seq)
    async for body in bodies:
        chunk.append(write(body).encode())
        size += len(chunk[-1])
        if size >= CHUNK_BYTES:
            yield b"".join(chunk)
            chunk, size = [], 0
            await asyncio.sleep(0)  # calls go before downloads
    if chunk:
        yield b"".join(chunk)
