"""The command ``wenzhen``."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from metering.errors import MeteringError
from metering.quote import run_quote
from server.errors import ServerError
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
    quote.add_argument("--json", action="store_true", help="print JSON")
    quote.set_defaults(run=_quote)

    ledger = commands.add_parser("ledger", help="check or print the ledger")
    actions = ledger.add_subparsers(required=True, metavar="ACTION")
    for name, run, means in (
        ("verify", _ledger_verify, "recompute the hash chain; names the first broken record"),
        ("export", _ledger_export, "print every record, one JSON text a line (NDJSON)"),
        ("simulate", _ledger_simulate, "append N plausible records through the real code"),
    ):
        action = actions.add_parser(name, help=means)
        add_options(action)
        if name != "verify":
            action.add_argument("--organization", metavar="ID", help="which one's ledger")
        if name == "simulate":
            action.add_argument("count", metavar="N", type=_count)
        action.set_defaults(run=run)
    return parser


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ValueError("a count is 0 or more")
    return count


def _serve(args: argparse.Namespace) -> int:
    from server.process import serve  # noqa: PLC0415  # `wenzhen quote` needs no media stack

    return serve(Settings.from_args(args, os.environ))


def _quote(args: argparse.Namespace) -> int:
    try:
        tariff = args.tariff.read_bytes()
    except OSError as error:
        print(f"wenzhen: {args.tariff} cannot be read: {error.strerror}", file=sys.stderr)
        return 1
    quoted = run_quote(tariff, args.segments)
    if args.json:
        print(json.dumps(quoted, ensure_ascii=False))
        return 0
    for line in quoted["lines"]:
        print(line if isinstance(line, str) else line["text"])
    return 0


def _ledger_verify(args: argparse.Namespace) -> int:
    from server import ledger_commands as ledger  # noqa: PLC0415

    return asyncio.run(ledger.verify(Settings.from_args(args, os.environ)))


def _ledger_export(args: argparse.Namespace) -> int:
    from server import ledger_commands as ledger  # noqa: PLC0415

    return asyncio.run(ledger.export(Settings.from_args(args, os.environ), args.organization))


def _ledger_simulate(args: argparse.Namespace) -> int:
    from server import ledger_commands as ledger  # noqa: PLC0415

    settings = Settings.from_args(args, os.environ)
    return asyncio.run(ledger.simulate(settings, args.count, args.organization))
