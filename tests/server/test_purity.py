"""The pure cores know no clock, no socket, no loop, no chance: time and bytes come in.

import-linter checks their own imports. Here their sources are read: imports inside functions, the
modules of ours that they lean on, clocks and files that need no import, and coroutines.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("server", "signaling", "media", "metering")
ALLOWED = {
    "__future__", "abc", "array", "base64", "bisect", "binascii", "collections", "contextlib",
    "dataclasses", "datetime", "decimal", "enum", "fractions", "functools", "hashlib", "heapq",
    "hmac", "ipaddress", "itertools", "json", "math", "operator", "re", "string", "struct",
    "types", "typing", "zlib",
}  # fmt: skip
"""What of the standard library a pure core may use: nothing here reads a clock or a file."""
SEEDED = {"random"}
"""`random.Random(seed)` alone, checked below."""
THIRD_PARTY = {"orjson", "pydantic", "rfc8785", "yarl"}
CALLS = {"open", "print", "input", "exec", "eval", "__import__"}
CLOCKS = {"now", "utcnow", "today"}


def cores() -> list[str]:
    """The modules that pyproject.toml names pure."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    (contract,) = [c for c in contracts if c["type"] == "forbidden"]
    modules: list[str] = contract["source_modules"]
    return modules


def path_of(module: str) -> Path:
    path = ROOT / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def tree_of(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> set[str]:
    """Every module imported anywhere, as its full name."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            below = {f"{base}.{alias.name}" for alias in node.names}
            modules = {name for name in below if ours(name) and path_of(name).exists()}
            found |= modules or {base}
    return found


def ours(module: str) -> bool:
    return module.split(".", maxsplit=1)[0] in PACKAGES


def leaned_on(module: str) -> set[str]:
    """Our modules that this one needs, itself among them."""
    seen, new = set[str](), {module}
    while new:
        name = new.pop()
        seen.add(name)
        new |= {other for other in imported(tree_of(name)) if ours(other)} - seen
    return seen


@pytest.mark.parametrize("module", cores())
def test_a_pure_core_exists_and_is_worth_the_name(module: str) -> None:
    assert ast.get_docstring(tree_of(module))


@pytest.mark.parametrize("module", cores())
def test_a_pure_core_leans_on_nothing_impure(module: str) -> None:
    """Not even through another module of ours."""
    allowed = ALLOWED | THIRD_PARTY | (SEEDED if module == "server.simulate" else set())
    for name in sorted(leaned_on(module)):
        foreign = {other.split(".")[0] for other in imported(tree_of(name)) if not ours(other)}
        assert foreign <= allowed, f"{name}: {sorted(foreign - allowed)}"


@pytest.mark.parametrize("module", cores())
def test_a_pure_core_reads_no_clock_and_no_file_and_awaits_nothing(module: str) -> None:
    for name in sorted(leaned_on(module)):
        for node in ast.walk(tree_of(name)):
            where = f"{name}:{getattr(node, 'lineno', 0)}"
            assert not isinstance(
                node, ast.AsyncFunctionDef | ast.Await | ast.AsyncFor | ast.AsyncWith
            ), where
            if isinstance(node, ast.Call):
                called = node.func
                if isinstance(called, ast.Name):
                    assert called.id not in CALLS, where
                if isinstance(called, ast.Attribute):
                    assert called.attr not in CLOCKS, where
                    from_random = isinstance(called.value, ast.Name) and called.value.id == "random"
                    assert not from_random or (called.attr == "Random" and node.args), where


def test_the_three_never_import_each_other_and_nobody_below_imports_the_server() -> None:
    """The house of docs/design.md, read from the sources."""
    for package in ("signaling", "media", "metering"):
        for file in (ROOT / package).rglob("*.py"):
            names = {name.split(".")[0] for name in imported(ast.parse(file.read_text("utf-8")))}
            assert not names & (set(PACKAGES) - {package}), file


def test_the_lists_above_name_modules_of_the_standard_library() -> None:
    assert sys.stdlib_module_names | {"__future__"} >= ALLOWED | SEEDED
