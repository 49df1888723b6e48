"""What every test of this project may use."""

from collections.abc import Iterator

import pytest
from argon2 import PasswordHasher

from server import accounts

pytest_plugins = ["tests.postgres"]


@pytest.fixture(scope="session", autouse=True)
def quick_passwords() -> Iterator[None]:
    """Hash passwords with less memory and time: each clinic of a test has two of them."""
    usual = accounts._HASHER
    accounts._HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    yield
    accounts._HASHER = usual
