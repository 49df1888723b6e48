"""`wenzhen ledger`: whoever has the database can check it, without a running server."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "wenzhen"


def ledger(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one action on this database; the data folder is below a file, so none is made."""
    environ = {**os.environ, "WENZHEN_DATABASE_URL": url, "WENZHEN_DATA_DIR": "/dev/null/none"}
    command = [COMMAND, "ledger", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=100, env=environ
    )


def test_simulated_records_are_whole_and_exported_in_order(database_url: str) -> None:
    assert ledger(database_url, "simulate", "130").returncode == 0
    more = ledger(database_url, "simulate", "20")
    assert more.stdout == "appended 20 records after position 130\n"
    exported = ledger(database_url, "export")
    records = [json.loads(line) for line in exported.stdout.splitlines()]
    assert [record["seq"] for record in records] == list(range(1, 151))
    assert len({record["record_id"] for record in records}) == 150
    verified = ledger(database_url, "verify")
    assert verified.returncode == 0, verified.stderr
    assert verified.stdout == f"whole: 150 records, head {records[-1]['hash']} (org_demo)\n"


def test_an_empty_ledger_is_whole(tmp_path: Path) -> None:
    verified = ledger(f"sqlite:///{tmp_path / 'w.sqlite3'}", "verify")
    assert verified.returncode == 0
    assert verified.stdout.startswith("whole: 0 records")


TAMPERING = {
    "a charge": "UPDATE ledger_records SET body ="
    " replace(body, '\"charge_fen\":', '\"charge_fen\":1') WHERE seq = 3",
    "a byte of a hash": 'UPDATE ledger_records SET body = replace(body, \'"prev_hash":"\', '
    '\'"prev_hash":"f\') WHERE seq = 3',
    "a record gone": "DELETE FROM ledger_records WHERE seq = 3",
    "two records swapped": "UPDATE ledger_records SET body ="
    " (SELECT body FROM ledger_records AS other WHERE other.seq = 4) WHERE seq = 3",
}


@pytest.mark.parametrize("statement", TAMPERING.values(), ids=list(TAMPERING))
def test_who_removes_the_triggers_is_found_by_the_chain(tmp_path: Path, statement: str) -> None:
    """The first broken record is named; the triggers stop only whoever does not know of them."""
    file = tmp_path / "w.sqlite3"
    ledger(f"sqlite:///{file}", "simulate", "5")
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            database.execute(statement)
        for trigger in ("update", "delete", "replace"):
            database.execute(f"DROP TRIGGER ledger_records_no_{trigger}")
        database.execute(statement)
    verified = ledger(f"sqlite:///{file}", "verify")
    assert verified.returncode == 1
    assert verified.stdout == ""
    (line,) = verified.stderr.splitlines()
    assert line.startswith("broken: ")
    assert "3" in line


def test_a_tail_that_was_cut_off_is_missed(tmp_path: Path) -> None:
    file = tmp_path / "w.sqlite3"
    ledger(f"sqlite:///{file}", "simulate", "5")
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("DROP TRIGGER ledger_records_no_delete")
        database.execute("DELETE FROM ledger_records WHERE seq = 5")
    verified = ledger(f"sqlite:///{file}", "verify")
    assert verified.returncode == 1
    assert "missing" in verified.stderr


def test_a_reader_who_has_seen_enough_is_no_error(tmp_path: Path) -> None:
    """`wenzhen ledger export | head -1`."""
    url = f"sqlite:///{tmp_path / 'w.sqlite3'}"
    ledger(url, "simulate", "200")
    environ = {**os.environ, "WENZHEN_DATABASE_URL": url}
    with subprocess.Popen(
        [COMMAND, "ledger", "export"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["seq"] == 1
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(30) == 0


def test_a_database_that_does_not_answer_is_named() -> None:
    done = ledger("postgresql://w:hunter2@127.0.0.1:1/clinic", "verify")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "127.0.0.1:1/clinic" in line
    assert "hunter2" not in line


@pytest.mark.parametrize("count", ["-1", "many"])
def test_a_count_that_is_none_is_refused(tmp_path: Path, count: str) -> None:
    done = ledger(f"sqlite:///{tmp_path / 'w.sqlite3'}", "simulate", count)
    assert done.returncode == 2
