"""Who may do what. A copy of the database must open nothing."""

from __future__ import annotations

import string

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Table, select

from server import accounts as module
from server import migrate, tables
from server.accounts import Accounts, digest, new_id, new_token
from server.keys import Keys
from server.storage import Storage

PASSWORD = "correct horse battery"
DAY_MS = 86_400_000
URL_SAFE = frozenset(string.ascii_letters + string.digits + "-_")


@pytest.fixture(autouse=True)
def real_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here passwords are hashed as for real people."""
    monkeypatch.setattr(module, "_HASHER", PasswordHasher())


@pytest.fixture
async def accounts(storage: Storage) -> Accounts:
    """A clinic with one physician, `doctor`."""
    made = Accounts(storage, session_s=3600)
    async with storage.write() as conn:
        await conn.execute(
            tables.organizations.insert().values(
                id="org_1", name="o", department="d",
                created_at=0,
            )
        )  # fmt: skip
        await conn.execute(
            tables.physicians.insert().values(
                id="ph_1", organization_id="org_1", username="doctor", name="Lin", title="t",
                department="d", created_at=0, password_hash=await made.hash_password(PASSWORD),
            )
        )  # fmt: skip
    return made


async def everything(storage: Storage) -> str:
    """Every value of every row of every table."""
    async with storage.read() as conn:
        rows = [
            tuple(row)
            for metadata in migrate.METADATA
            for table in metadata.sorted_tables
            for row in await conn.execute(select(table))
        ]
    return repr(rows)


async def count(storage: Storage, table: Table) -> int:
    async with storage.read() as conn:
        return len((await conn.execute(select(table))).all())


async def test_passwords_are_argon2id_with_a_salt_of_their_own(accounts: Accounts) -> None:
    """RFC 9106; OWASP ASVS 5.0, 11.4.2."""
    first, second = [await accounts.hash_password(PASSWORD) for _ in range(2)]
    assert first.startswith("$argon2id$v=19$m=65536,")
    assert first != second


async def test_the_right_password_signs_in_and_no_other(accounts: Accounts) -> None:
    physician = await accounts.check("doctor", PASSWORD)
    assert physician is not None
    assert (physician.id, physician.organization_id) == ("ph_1", "org_1")
    for name, password in (
        ("doctor", PASSWORD + " "),
        ("doctor", ""),
        ("Doctor", PASSWORD),
        ("doctor ", PASSWORD),
        ("nobody", PASSWORD),
        ("nobody", "nobody has this password"),
    ):
        assert await accounts.check(name, password) is None
        assert await accounts.sign_in(name, password) is None


async def test_a_physician_without_a_password_cannot_sign_in(
    accounts: Accounts, storage: Storage
) -> None:
    async with storage.write() as conn:
        await conn.execute(tables.physicians.update().values(password_hash=""))
    assert await accounts.check("doctor", "") is None


async def test_an_unknown_name_goes_the_same_way_as_a_wrong_password(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the time of an answer does not tell which names exist: one argon2id check each."""
    checked: list[str] = []
    verify = module._verify

    def seen(stored: str, password: str) -> bool:
        checked.append(stored)
        return verify(stored, password)

    monkeypatch.setattr(module, "_verify", seen)
    await accounts.check("doctor", "wrong")
    await accounts.check("nobody", "wrong")
    known, unknown = checked
    assert known != unknown
    # the same algorithm, version and costs: all that argon2's time depends on
    assert known.split("$")[:4] == unknown.split("$")[:4]


async def test_a_session_lasts_its_time_and_not_longer(
    accounts: Accounts, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed_in = await accounts.sign_in("doctor", PASSWORD)
    assert signed_in is not None
    _, token = signed_in
    opened_at = module.wall_ms()
    monkeypatch.setattr(module, "wall_ms", lambda: opened_at + 3_599_000 - 60_000)
    assert await accounts.session(token) == signed_in[0]
    monkeypatch.setattr(module, "wall_ms", lambda: opened_at + 3_600_001)
    assert await accounts.session(token) is None
    assert await count(storage, tables.sessions) == 1
    await accounts.sign_in("doctor", PASSWORD)
    assert await count(storage, tables.sessions) == 1, "sessions that are over are removed"


async def test_signing_out_ends_this_session_alone(accounts: Accounts) -> None:
    sessions = [await accounts.sign_in("doctor", PASSWORD) for _ in range(2)]
    tokens = [signed_in[1] for signed_in in sessions if signed_in]
    await accounts.sign_out(tokens[0])
    await accounts.sign_out("never was one")
    assert await accounts.session(tokens[0]) is None
    assert await accounts.session(tokens[1]) is not None


async def test_no_secret_is_in_the_database(accounts: Accounts, storage: Storage) -> None:
    signed_in = await accounts.sign_in("doctor", PASSWORD)
    assert signed_in is not None
    async with storage.write() as conn:
        key = (await Keys(storage).create(conn, "org_1", "billing", {"records"})).key
    stored = await everything(storage)
    for secret in (signed_in[1], key, key.removeprefix("wz_"), PASSWORD):
        assert secret not in stored
    assert digest(key) in stored


@pytest.mark.parametrize("token", ["", "\udcff" * 20, "\ud800", "\x00" * 20, "x" * 10_000])
async def test_what_no_token_looks_like_opens_nothing(
    accounts: Accounts, storage: Storage, token: str
) -> None:
    """A header may hold any bytes: they are refused, and raise nothing."""
    assert await accounts.session(token) is None
    assert await Keys(storage).find(token) is None


def test_tokens_and_ids_do_not_repeat_and_are_safe_in_links() -> None:
    tokens = {new_token() for _ in range(1000)}
    ids = {new_id("c") for _ in range(1000)}
    assert len(tokens) == len(ids) == 1000
    assert all(len(token) == 43 for token in tokens)  # 256 bits, six a character
    assert all(set(token) <= URL_SAFE for token in tokens)
