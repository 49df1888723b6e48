"""`wenzhen staff …`: accounts of accountants and administrators, without a running server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable

from sqlalchemy import insert, select

from server import migrate, tables
from server.accounts import Accounts, new_id
from server.clock import wall_ms
from server.errors import OrganizationUnclear
from server.settings import Settings
from server.staff import NewMember, Staff, StaffMember, new_password
from server.storage import Storage

Command = Callable[[Storage, Staff, argparse.Namespace], Awaitable[None]]


async def run(settings: Settings, action: str, args: argparse.Namespace) -> int:
    """Run one of :data:`ACTIONS`. Returns the exit status."""
    storage = await Storage.open(settings.sql_url)
    try:
        await migrate.upgrade(storage)
        accounts = Accounts(storage, session_s=settings.session_s)
        staff = Staff(storage, accounts, session_s=settings.session_s)
        await ACTIONS[action](storage, staff, args)
    finally:
        await storage.close()
    return 0


async def _add(storage: Storage, staff: Staff, args: argparse.Namespace) -> None:
    organization_id = await _organization(storage, args.organization)
    password = _password(args)
    new = NewMember(organization_id, args.username, args.name, args.role)
    member = await staff.add(new, password)
    await _audit(storage, "staff_added", member, member.role)
    print(f"added {member.username} ({member.role}) to {organization_id}")
    _show(args, password)


async def _list(storage: Storage, staff: Staff, args: argparse.Namespace) -> None:
    for one in await staff.members(args.organization):
        print("\t".join((one.username, one.role, one.organization_id, one.name, one.id)))


async def _set_password(storage: Storage, staff: Staff, args: argparse.Namespace) -> None:
    password = _password(args)
    member = await staff.set_password(args.username, password)
    await _audit(storage, "staff_password_set", member)
    print(f"{member.username} has a new password and is signed out everywhere")
    _show(args, password)


async def _remove(storage: Storage, staff: Staff, args: argparse.Namespace) -> None:
    member = await staff.remove(args.username)
    await _audit(storage, "staff_removed", member)
    print(f"removed {member.username}")


ACTIONS: dict[str, Command] = {
    "add": _add,
    "list": _list,
    "password": _set_password,
    "remove": _remove,
}


def _password(args: argparse.Namespace) -> str:
    """The first line of standard input, or a new one."""
    if args.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return new_password()


def _show(args: argparse.Namespace, password: str) -> None:
    if not args.password_stdin:
        print(f"password, shown this once: {password}")


async def _organization(storage: Storage, wanted: str | None) -> str:
    async with storage.read() as conn:
        known = (await conn.execute(select(tables.organizations.c.id))).scalars().all()
    chosen: list[str] = [one for one in known if wanted in (None, one)]
    if len(chosen) != 1:
        raise OrganizationUnclear(known)
    return chosen[0]


async def _audit(storage: Storage, action: str, member: StaffMember, detail: str = "") -> None:
    row = {
        "id": new_id("audit"),
        "at": wall_ms(),
        "actor": "cli",
        "action": action,
        "consult_id": None,
        "detail": f"{member.id} {detail}".strip(),
    }
    async with storage.write() as conn:
        await conn.execute(insert(tables.audit).values(row))
