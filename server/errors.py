"""Errors of the process.

ServerError
├── SettingsError        a setting is missing or wrong; names it
├── StorageUnavailable   the database does not answer, or cannot be written
├── SchemaUnknown        the database was made by a newer version
├── DataFolderUnusable   the data folder cannot be written
├── FileUnreadable       a file that was named cannot be read
├── OrganizationUnclear  an organization is unknown, or was not named where there are several
├── ScopeUnknown         an API key was to get a scope that there is not
├── KeyUnknown           there is no such API key, or it works no more
├── StaffUnknown         nobody has this user name
├── StaffRefused         a staff account cannot be as it was asked for
├── PhysicianUnknown     an organization has no such physician
├── NoPrices             no prices are valid at the time of a consult
├── BackupFailed         a backup was not made; says why
├── MeterElsewhere       another process meters this consult
└── AddressInUse         another program listens where we want to
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class ServerError(Exception):
    """Base of what this package raises. The text is one clear sentence for people."""

    code: ClassVar[str] = "server_error"


class SettingsError(ServerError):
    """A setting cannot be used."""

    code = "settings"

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name


class StorageUnavailable(ServerError):
    """The database does not answer, or its file cannot be written."""

    code = "storage_unavailable"

    def __init__(self, address: str) -> None:
        super().__init__(f"the database at {address} cannot be opened or written")
        self.address = address


class SchemaUnknown(ServerError):
    """The database is of a version that this one does not know; nothing was changed."""

    code = "schema_unknown"

    def __init__(self) -> None:
        super().__init__("the database was made by a newer version: install that, or a backup")


class DataFolderUnusable(ServerError):
    """The data folder cannot be written."""

    code = "data_folder_unusable"

    def __init__(self, folder: str, why: str) -> None:
        super().__init__(
            f"the data folder {folder} cannot be written ({why}): choose another with --data-dir"
        )
        self.folder = folder


class FileUnreadable(ServerError):
    """A file that was named on the command line cannot be read."""

    code = "file_unreadable"

    def __init__(self, file: str, why: str) -> None:
        super().__init__(f"{file} cannot be read: {why}")
        self.file = file


class OrganizationUnclear(ServerError):
    """The organization that was named does not exist, or none was named where there are several."""

    code = "organization_unclear"

    def __init__(self, known: Sequence[str]) -> None:
        super().__init__(f"say --organization, one of: {', '.join(known[:20]) or '(none)'}")
        self.known = known


class ScopeUnknown(ServerError):
    """An API key was to get a scope that there is not, or none at all."""

    code = "scope_unknown"

    def __init__(self, unknown: Sequence[str], known: Sequence[str]) -> None:
        what = f"no such scope: {', '.join(unknown)[:200]}" if unknown else "no scope was named"
        super().__init__(f"{what}; there are: {', '.join(known)}")
        self.unknown = unknown


class KeyUnknown(ServerError):
    """There is no API key of this id, or it works no more."""

    code = "key_unknown"

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"no API key {key_id[:40]} that works and was not replaced: see `wenzhen keys list`"
        )
        self.key_id = key_id


class StaffUnknown(ServerError):
    """No staff account has this user name."""

    code = "staff_unknown"

    def __init__(self, username: str) -> None:
        super().__init__(f"nobody of the staff has the user name {username}")
        self.username = username


class StaffRefused(ServerError):
    """A staff account cannot be as it was asked for; the text says why."""

    code = "staff_refused"


class PhysicianUnknown(ServerError):
    """The organization has no physician of this id."""

    code = "physician_unknown"

    def __init__(self, physician_id: str) -> None:
        super().__init__(f"the organization has no physician {physician_id[:40]!r}")
        self.physician_id = physician_id


class NoPrices(ServerError):
    """No version of the organization's prices is valid at the time of a consult."""

    code = "no_prices"

    def __init__(self, organization_id: str) -> None:
        super().__init__(f"{organization_id} has no prices for this time: see `wenzhen tariffs`")
        self.organization_id = organization_id


class BackupFailed(ServerError):
    """No backup was made, and nothing is left of it."""

    code = "backup_failed"


class MeterElsewhere(ServerError):
    """Another process meters this consult: what it was worth is not known here."""

    code = "meter_elsewhere"

    def __init__(self, consult_id: str) -> None:
        super().__init__(f"another process meters {consult_id}")
        self.consult_id = consult_id


class AddressInUse(ServerError):
    """Another program listens on this address."""

    code = "address_in_use"

    def __init__(self, host: str, port: int, option: str) -> None:
        super().__init__(
            f"port {port} on {host} is taken by another program: choose another with {option}"
        )
        self.host, self.port = host, port
