"""Killed at any moment of a commit: what was acknowledged is there, and nothing twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from metering import ledger
from metering.audit import verify_all
from server.storage import Storage
from tests.faults.appender import POINTS

RECORDS = 4


def run(url: str, point: str, which: int) -> tuple[int, list[tuple[int, str]]]:
    """One life of the appender: how it ended, and what it acknowledged."""
    command = [sys.executable, "-m", "tests.faults.appender", url, str(RECORDS), point, str(which)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""
    rows = (line.split() for line in done.stdout.splitlines())
    return done.returncode, [(int(seq), record_id) for seq, record_id in rows]


async def stored(url: str) -> list[tuple[int, str]]:
    """The records of the ledger, which must be whole."""
    storage = await Storage.open(url)
    try:
        found = await verify_all(storage)
        assert not [one.broken for one in found.values() if one.broken]
        bodies = [json.loads(body) async for body in ledger.export(storage, "org_sim")]
    finally:
        await storage.close()
    return [(body["seq"], body["record_id"]) for body in bodies]


@pytest.mark.parametrize("point", POINTS)
async def test_whatever_was_acknowledged_is_there_and_nothing_twice(
    database_url: str, point: str
) -> None:
    acknowledged: set[tuple[int, str]] = set()
    for which in (2, 3):
        ended, told = run(database_url, point, which)
        assert ended == -signal.SIGKILL, f"it was not killed {point}"
        acknowledged |= set(told)
        assert acknowledged <= set(await stored(database_url))
    ended, told = run(database_url, "never", 0)
    assert ended == 0
    kept = await stored(database_url)
    assert told == kept, "a repeated settling gives the record that is there"
    assert acknowledged <= set(kept)
    assert [seq for seq, _ in kept] == list(range(1, RECORDS + 1))
    assert len({record_id for _, record_id in kept}) == RECORDS
