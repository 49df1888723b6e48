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

from metering.chain import Head, canonical, chained, link
from metering.sheet import BOM, HEADER
from metering.sheet import line as row

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


def test_a_period_is_exported_alone_and_as_csv(database_url: str) -> None:
    """The same rows and texts as the API has, also where the terminal knows no Chinese."""
    ledger(database_url, "simulate", "60")
    lines = ledger(database_url, "export").stdout.splitlines()
    at = json.loads(lines[30])["settled_at"]
    first = ledger(database_url, "export", "--to", at).stdout.splitlines()
    rest = ledger(database_url, "export", "--from", at).stdout.splitlines()
    assert first + rest == lines
    assert 0 < len(first) <= 30
    sheet = ledger(database_url, "export", "--format", "csv", "--from", at, "--bom")
    text = HEADER + "".join(row(body) for body in rest)
    assert sheet.stdout == BOM + text.replace("\r\n", "\n")  # read as text, lines end alike
    wrong = ledger(database_url, "export", "--from", "yesterday")
    assert (wrong.returncode, wrong.stdout) == (1, "")
    assert "from: " in wrong.stderr


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


def test_simulated_records_are_of_every_kind_and_can_be_recomputed(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'w.sqlite3'}"
    ledger(url, "simulate", "1000")
    records = [json.loads(line) for line in ledger(url, "export").stdout.splitlines()]
    assert len(records) == 1000
    assert {record["kind"] for record in records} == {"original", "adjustment", "void"}
    ends = {record["end_cause"] for record in records}
    assert ends >= {"physician_finish", "patient_hangup", "quota_exhausted", "setup_failed"}
    assert any(len(record["shares"]) == 2 for record in records), "nobody took over"
    assert ledger(url, "verify", "--charges").stdout.startswith("whole: 1000 records")


def test_an_exported_file_is_verified_without_a_database(tmp_path: Path) -> None:
    """An auditor needs the program and the file: chain and charges, also of a part."""
    url = f"sqlite:///{tmp_path / 'w.sqlite3'}"
    ledger(url, "simulate", "30")
    lines = ledger(url, "export").stdout.splitlines(keepends=True)
    for part, count in (("".join(lines), 30), ("".join(lines[10:20]), 20)):
        file = tmp_path / "records.ndjson"
        file.write_text(part, "utf-8")
        done = ledger("", "verify", "--charges", "--file", str(file))
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith(f"whole: {count} records, head ")
    file.write_text("".join([*lines[:5], *lines[6:]]), "utf-8")
    done = ledger("", "verify", "--file", str(file))
    assert done.returncode == 1
    assert "seq 6" in done.stderr
    file.write_text("nothing\n", "utf-8")
    assert ledger("", "verify", "--file", str(file)).returncode == 1
    assert "cannot be read" in ledger("", "verify", "--file", str(tmp_path / "none")).stderr


def test_a_charge_that_does_not_follow_is_found_though_the_chain_is_whole(tmp_path: Path) -> None:
    """Whoever can write records can also hash them: the arithmetic is checked apart."""
    url = f"sqlite:///{tmp_path / 'w.sqlite3'}"
    ledger(url, "simulate", "3")
    lines, head = [], Head()
    for line in ledger(url, "export").stdout.splitlines():
        record = json.loads(line)
        if record["seq"] == 2:
            record["charge_fen"] += 1
        forged = chained(head, record, record["settled_at"])
        del forged["hash"]
        forged["hash"] = link(head.hash, forged)
        head = Head(forged["seq"], forged["hash"], forged["settled_at"])
        lines.append(canonical(forged).decode() + "\n")
    file = tmp_path / "forged.ndjson"
    file.write_text("".join(lines), "utf-8")
    assert ledger("", "verify", "--file", str(file)).returncode == 0
    done = ledger("", "verify", "--charges", "--file", str(file))
    assert done.returncode == 1
    assert "seq 2" in done.stderr
    assert "charge_fen" in done.stderr


def test_a_backup_is_verified_and_replaces_nothing(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path / 'w.sqlite3'}", tmp_path / "saved.sqlite3"
    ledger(url, "simulate", "10")
    done = ledger(url, "backup", str(file))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("saved: 10 records, head ")
    assert file.stat().st_mode & 0o077 == 0, "it holds names"
    again = ledger(url, "backup", str(file))
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert ledger(f"sqlite:///{file}", "verify", "--charges").stdout.startswith("whole: 10 records")
    assert sorted(one.name for one in tmp_path.glob("saved*")) == ["saved.sqlite3"]


def test_a_backup_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    none = ledger(f"sqlite:///{tmp_path / 'none.sqlite3'}", "backup", str(tmp_path / "b"))
    assert "there is no database" in none.stderr
    server = ledger("postgresql://w@127.0.0.1:1/clinic", "backup", str(tmp_path / "b"))
    assert "pg_dump" in server.stderr
    assert not list(tmp_path.glob("b*"))
