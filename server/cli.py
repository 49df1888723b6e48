"""The command ``wenzhen``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from metering.errors import MeteringError
from metering.quote import run_quote
from server.errors import FileUnreadable, ServerError
from server.settings import Settings, add_options


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0 done, 1 refused, 2 wrong arguments."""
    args = _parser().parse_args(argv)
    try:
        status: int = args.run(args)
        sys.stdout.flush()
    except (ServerError, MeteringError) as error:
        print(f"wenzhen: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # `wenzhen ledger export | head`
        # what is still buffered has no reader: the interpreter would fail to write it at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("wenzhen", description="Teleconsultation server.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the server")
    add_options(serve)
    serve.set_defaults(run=_serve)

    quote = commands.add_parser("quote", help="what these seconds cost by this tariff")
    quote.add_argument("--tariff", required=True, metavar="FILE", type=Path, help="JSON")
    quote.add_argument("--segments", required=True, help="as in voice:180,video:245 (seconds)")
    quote.add_argument("--ended-by-fault", action="store_true", help="a fault ended the consult")
    quote.add_argument("--json", action="store_true", help="print JSON")
    quote.set_defaults(run=_quote)
    _add_tariffs(commands)

    ledger = commands.add_parser("ledger", help="check or print the ledger")
    actions = ledger.add_subparsers(required=True, metavar="ACTION")
    for name, run, means in (
        ("verify", _ledger_verify, "recompute the hash chain; names the first broken record"),
        ("backup", _ledger_backup, "copy the database (SQLite) while it is used, and verify it"),
        ("export", _ledger_export, "print records: NDJSON, or CSV for spreadsheets"),
        ("simulate", _ledger_simulate, "append N plausible records through the real code"),
    ):
        action = actions.add_parser(name, help=means)
        add_options(action)
        if name == "verify":
            action.add_argument("--charges", action="store_true", help="recompute every charge too")
            action.add_argument("--file", type=Path, help="exported records (NDJSON), - for stdin")
        elif name == "backup":
            action.add_argument("to", metavar="FILE", type=Path)
        else:
            action.add_argument("--organization", metavar="ID", help="which one's ledger")
        if name == "simulate":
            action.add_argument("count", metavar="N", type=_count)
        if name == "export":
            _add_export(action)
        action.set_defaults(run=run)
    _add_keys(commands)
    _add_staff(commands.add_parser("staff", help="accounts of accountants and administrators"))
    return parser


def _add_export(action: argparse.ArgumentParser) -> None:
    action.add_argument("--format", choices=("ndjson", "csv"), default="ndjson")
    action.add_argument("--bom", action="store_true", help="CSV: a byte order mark comes first")
    for name, means in (("from", "settled from this time on"), ("to", "settled before this time")):
        action.add_argument(f"--{name}", dest=f"{name}_text", metavar="TIME", help=means)


def _add_keys(commands: Any) -> None:
    keys = commands.add_parser("keys", help="make, list, replace and revoke API keys")
    actions = keys.add_subparsers(required=True, metavar="ACTION")

    create = actions.add_parser("create", help="make a key and print it, this once")
    create.add_argument("--organization", required=True, metavar="ID", help="whose data it opens")
    create.add_argument("--name", required=True, type=_name, help="which program gets it")
    create.add_argument("--scopes", required=True, help="what it may do, as in records,consults")
    create.add_argument("--expires", metavar="TIME", type=_duration, help="as in 90d or 12h")
    create.set_defaults(run=_keys_create)

    listing = actions.add_parser("list", help="print every key, one JSON text a line")
    listing.add_argument("--organization", metavar="ID", help="of this one only")
    listing.set_defaults(run=_keys_list)

    revoke = actions.add_parser("revoke", help="end a key at once")
    revoke.add_argument("key_id", metavar="KEY_ID")
    revoke.set_defaults(run=_keys_revoke)

    rotate = actions.add_parser("rotate", help="make a key that takes the place of another")
    rotate.add_argument("key_id", metavar="KEY_ID")
    rotate.add_argument(
        "--overlap", metavar="HOURS", type=_hours, default="24", help="the former one works on for"
    )
    rotate.set_defaults(run=_keys_rotate)

    audit = commands.add_parser("audit", help="print what was done, one JSON text a line")
    audit.add_argument(
        "--since", metavar="TIME", type=_since, default="1970-01-01", help="a time, or as in 24h"
    )
    audit.add_argument("--actor", help="as in key:key_x, or all of a kind, as in physician")
    audit.set_defaults(run=_audit)
    for parser in (create, listing, revoke, rotate, audit):
        add_options(parser)


def _name(text: str) -> str:
    if not 1 <= len(text) <= 100 or not text.isprintable():
        raise ValueError("a name has 1 to 100 characters")
    return text


def _duration(text: str) -> int:
    """Milliseconds of ``90d``, ``12h`` or ``30m``."""
    unit = {"d": 86_400_000, "h": 3_600_000, "m": 60_000}.get(text[-1:], 0)
    number = text[:-1]
    if not unit or not (number.isascii() and number.isdigit()) or len(number) > 5:
        raise ValueError("a time is as in 90d, 12h or 30m")
    return int(number) * unit


def _hours(text: str) -> int:
    hours = int(text)
    if not 0 <= hours <= 720:
        raise ValueError("hours: 0 to 720")
    return hours * 3_600_000


def _since(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time; of ``24h`` the negative, before now; 0: all."""
    if text[-1:] in ("d", "h", "m"):
        return -_duration(text)
    at = datetime.fromisoformat(text)
    at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
    return max(0, int(at.timestamp() * 1000))


def _add_staff(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    for name, means in (
        ("add", "add an accountant or an administrator"),
        ("list", "print user name, role, organization, name and id of each"),
        ("password", "give somebody a new password; their sessions end"),
        ("remove", "remove somebody; their sessions end, the name is never given again"),
    ):
        action = actions.add_parser(name, help=means)
        add_options(action)
        action.set_defaults(run=_staff, action=name)
        if name != "list":
            action.add_argument("username", metavar="USERNAME")
        if name in ("add", "password"):
            how = "read the password from standard input; else one is made and shown this once"
            action.add_argument("--password-stdin", action="store_true", help=how)
        if name == "add":
            action.add_argument("--name", required=True, help="as the page addresses them")
            action.add_argument("--role", choices=("accountant", "admin"), default="accountant")
        if name in ("add", "list"):
            action.add_argument("--organization", metavar="ID", help="whose staff")


def _add_tariffs(commands: Any) -> None:
    tariffs = commands.add_parser("tariffs", help="list and set a clinic's prices")
    actions = tariffs.add_subparsers(required=True, metavar="ACTION")
    listing = actions.add_parser("list", help="print every version, one JSON text a line")
    listing.set_defaults(run=_tariffs_list)
    change = actions.add_parser("set", help="add a version; consults that are ordered keep theirs")
    change.add_argument("--file", required=True, metavar="FILE", type=Path, help="the tariff, JSON")
    change.add_argument(
        "--valid-from", metavar="TIME", type=_time, help="as in 2027-01-01T00:00:00+08:00, else now"
    )
    change.set_defaults(run=_tariffs_set)
    for action in (listing, change):
        action.add_argument("--organization", required=True, metavar="ID", help="whose prices")
        action.add_argument("--physician", metavar="ID", help="of this physician alone")
        add_options(action)


def _time(text: str) -> int:
    """Epoch milliseconds of an RFC 3339 time with its offset."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None or not 1970 < at.year < 2200:
        raise ValueError("a time with its offset from UTC, up to 2199")
    return int(at.timestamp() * 1000)


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError("a count is 0 or more")
    return count


def _serve(args: argparse.Namespace) -> int:
    from server.process import serve  # noqa: PLC0415  # `wenzhen quote` needs no media stack

    return serve(Settings.from_args(args, os.environ))


def _quote(args: argparse.Namespace) -> int:
    quoted = run_quote(_read(args.tariff), args.segments, ended_by_fault=args.ended_by_fault)
    if args.json:
        print(json.dumps(quoted, ensure_ascii=False))
        return 0
    for line in quoted["lines"]:
        print(line if isinstance(line, str) else line["text"])
    return 0


def _staff(args: argparse.Namespace) -> int:
    from server import staff_commands  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    return asyncio.run(staff_commands.run(settings, args.action, args))


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FileUnreadable(str(file), error.strerror or str(error)) from error


def _tariffs_list(args: argparse.Namespace) -> int:
    from server import tariff_commands as tariffs  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    return asyncio.run(tariffs.print_list(settings, args.organization, args.physician))


def _tariffs_set(args: argparse.Namespace) -> int:
    from server import tariff_commands as tariffs  # noqa: PLC0415

    settings, tariff = Settings.from_args(args, os.environ), _read(args.file)
    new = tariffs.set_version(settings, args.organization, args.physician, tariff, args.valid_from)
    return asyncio.run(new)


def _ledger_verify(args: argparse.Namespace) -> int:
    from server import ledger_commands as ledger  # noqa: PLC0415

    if args.file is not None:
        return ledger.verify_file(args.file, charges=args.charges)
    settings = Settings.from_args(args, os.environ)
    return asyncio.run(ledger.verify(settings, charges=args.charges))


def _ledger_backup(args: argparse.Namespace) -> int:
    from server.backup import backup  # noqa: PLC0415

    return asyncio.run(backup(Settings.from_args(args, os.environ), args.to))


def _ledger_export(args: argparse.Namespace) -> int:
    from metering.ranges import period  # noqa: PLC0415
    from server import ledger_commands as ledger  # noqa: PLC0415

    wanted = ledger.Export(
        organization_id=args.organization,
        period=period(args.from_text, args.to_text),
        csv=args.format == "csv",
        bom=args.bom,
    )
    return asyncio.run(ledger.export(Settings.from_args(args, os.environ), wanted))


def _ledger_simulate(args: argparse.Namespace) -> int:
    from server import ledger_commands as ledger  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    return asyncio.run(ledger.simulate(settings, args.count, args.organization))


def _keys_create(args: argparse.Namespace) -> int:
    from server import keys_commands as keys  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    scopes = [scope.strip() for scope in args.scopes.split(",") if scope.strip()]
    made = keys.create(settings, args.organization, args.name, scopes, args.expires)
    return asyncio.run(made)


def _keys_list(args: argparse.Namespace) -> int:
    from server import keys_commands as keys  # noqa: PLC0415

    return asyncio.run(keys.list_keys(Settings.from_args(args, os.environ), args.organization))


def _keys_revoke(args: argparse.Namespace) -> int:
    from server import keys_commands as keys  # noqa: PLC0415

    return asyncio.run(keys.revoke(Settings.from_args(args, os.environ), args.key_id))


def _keys_rotate(args: argparse.Namespace) -> int:
    from server import keys_commands as keys  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    return asyncio.run(keys.rotate(settings, args.key_id, args.overlap))


def _audit(args: argparse.Namespace) -> int:
    from server import keys_commands as keys  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    return asyncio.run(keys.print_audit(settings, args.since, args.actor))
