"""What operators and programmers read is what the code does."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import select

import media.errors
import metering.errors
import server.errors
import signaling.errors
from metering import audit
from server import problems, tables
from server.demo import ORGANIZATION
from server.settings import OPTIONS, Settings, parse
from server.storage import Storage
from tests.server import entries
from tests.server.clinic import Clinic

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
OPERATIONS = (DOCS / "operations.md").read_text(encoding="utf-8")
ERRORS = (DOCS / "errors.md").read_text(encoding="utf-8")


def section(text: str, title: str) -> str:
    """What stands below a heading, up to the next of its kind."""
    _, found, rest = text.partition(f"\n## {title}\n")
    assert found, title
    return rest.partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of all rows of the tables in a text, but the headings."""
    lines = [line.removesuffix(" |") for line in text.splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in line.removeprefix("| ").split(" | ")] for line in lines]
    return [row for row in cells if row[0].startswith(("`", "--"))]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def trees(*packages: str) -> Iterator[ast.Module]:
    for package in packages:
        for file in (ROOT / package).rglob("*.py"):
            yield ast.parse(file.read_text(encoding="utf-8"))


def codes(module: ModuleType) -> set[str]:
    """The codes of the errors that a package raises, without its base."""
    classes = [
        c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__
    ]
    return {c.code for c in classes if c.__bases__ != (Exception,) and "code" in vars(c)}


def strings(call: ast.Call) -> list[str]:
    return [a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]


# --- settings -----------------------------------------------------------------------------------


def test_every_setting_is_in_the_operator_s_table_as_it_is() -> None:
    listed = [
        (names(r[0])[0], names(r[1])[0], r[2], r[3]) for r in rows(section(OPERATIONS, "Settings"))
    ]
    assert listed == [(o.flag, o.variable, o.default, o.help) for o in OPTIONS]


def test_every_bound_of_the_design_is_the_one_in_the_code() -> None:
    """Somebody who plans memory reads the table, not the code."""
    text = section((DOCS / "design.md").read_text(encoding="utf-8"), "Bounds")
    found = re.findall(r"`((?:media|signaling|server)[.\w]*)\.([A-Z_]+)` (\d+)", text)
    assert len(found) > 20
    for module, name, value in found:
        assert getattr(importlib.import_module(module), name) == int(value), name


def test_every_default_of_the_table_can_be_written_out() -> None:
    """Who copies the default from the table gets the default."""
    argv = [f"{o.flag}={o.default}" for o in OPTIONS if o.default != "none"]
    assert parse(argv, {}) == Settings()


def test_every_command_line_of_the_document_is_understood(tmp_path: Path) -> None:
    lines = re.findall(r"wenzhen serve (--.*)$", OPERATIONS, re.MULTILINE)
    assert len(lines) >= 3
    for name in ("chain.pem", "key.pem"):
        (tmp_path / name).touch()
    for line in lines:
        argv = [str(tmp_path / part) if part.endswith(".pem") else part for part in line.split()]
        assert parse(argv, {}).base_url in {"", "https://clinic.example"}


# --- errors -------------------------------------------------------------------------------------


def test_every_problem_of_the_api_is_listed_with_its_status() -> None:
    raised: set[tuple[str, str]] = {(code, str(status)) for status, code in problems._PLAIN.items()}
    for tree in trees("server"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") != "Problem":
                continue
            status, code = node.args[:2]
            if isinstance(status, ast.Constant) and isinstance(code, ast.Constant):
                raised.add((str(code.value), str(status.value)))
    raised |= {("cursor_invalid", "422"), ("limit_invalid", "422"), ("http_error", "4xx")}
    listed = rows(section(ERRORS, "The HTTP API"))
    assert {(names(row[0])[0], row[1]) for row in listed} == raised
    assert len(listed) == len(raised)


def test_every_code_of_media_is_listed_and_every_reason() -> None:
    listed = {name for row in rows(section(ERRORS, "Media")) for name in names(row[0])}
    reasons = {
        strings(node)[0]
        for tree in trees("media")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in {"reject", "OfferRejected"}
        and strings(node)
    }
    assert listed == codes(media.errors) | reasons


def test_every_code_of_the_process_is_listed() -> None:
    listed = {names(row[0])[0] for row in rows(section(ERRORS, "The process"))}
    assert listed == codes(server.errors)


def test_the_other_codes_are_where_the_document_says() -> None:
    protocol = (DOCS / "protocol.md").read_text(encoding="utf-8")
    bills = (DOCS / "metering.md").read_text(encoding="utf-8")
    assert all(f"`{code}`" in protocol for code in codes(signaling.errors))
    assert all(f"`{code}`" in bills for code in codes(metering.errors))


# --- logs ---------------------------------------------------------------------------------------


def test_every_event_of_the_logs_is_listed_with_its_level() -> None:
    logged: set[tuple[str, str]] = {("link_refused", "warning"), ("not_your_consult", "warning")}
    for tree in trees("server", "signaling"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if getattr(node.func.value, "id", "") == "log" and strings(node):
                level = {"exception": "error"}.get(node.func.attr, node.func.attr)
                logged.add((strings(node)[0], level))
    listed = {(name, row[1]) for row in rows(section(OPERATIONS, "Logs")) for name in names(row[0])}
    assert listed == logged


# --- backup -------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["VACUUM INTO", ".backup"])
async def test_a_backup_of_a_running_server_is_whole(
    clinic: Clinic, tmp_path: Path, way: str
) -> None:
    """Both ways of the document, while the server holds its connections."""
    async with clinic.services.storage.write() as conn:
        await entries.append(conn, 1)
    saved = tmp_path / "backup.sqlite3"
    source = clinic.services.settings.data_dir / "wenzhen.sqlite3"
    with closing(sqlite3.connect(source, isolation_level=None)) as database:
        if way == ".backup":
            with closing(sqlite3.connect(saved)) as target:
                database.backup(target)
        else:
            database.execute(f"VACUUM INTO '{saved}'")
    restored = await Storage.open(f"sqlite:///{saved}")
    try:
        verification = await audit.verify_ledger(restored, ORGANIZATION)
        assert (verification.broken, verification.head.seq) == (None, 1)
        async with restored.read() as conn:
            assert (await conn.execute(select(tables.physicians))).first() is not None
    finally:
        await restored.close()
