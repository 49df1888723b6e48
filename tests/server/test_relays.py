"""Credentials for TURN: what coturn checks, and nothing that says whose they are."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import SettingsError
from server.relays import Relays, credentials
from server.settings import Settings, parse
from tests.server.clinic import opened

SECRET = "a secret of the clinic"
TURN = ("turn:relay.example:3478?transport=udp", "turns:relay.example:443?transport=tcp")


@given(secret=st.text(min_size=1), subject=st.text(), until_s=st.integers(0, 2**33))
def test_the_password_is_the_signature_of_the_name(secret: str, subject: str, until_s: int) -> None:
    """draft-uberti-behave-turn-rest-00, as coturn's README.turnserver has it."""
    username, password = credentials(secret, subject, until_s)
    assert username.partition(":")[0] == str(until_s)
    signed = hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()
    assert base64.b64decode(password, validate=True) == signed


def test_names_tell_consults_apart_and_name_none() -> None:
    """Relays belong to others, and they log names."""
    first, again = (credentials(SECRET, "patient:c_1", 10)[0] for _ in range(2))
    other = credentials(SECRET, "patient:c_2", 10)[0]
    assert first == again != other
    assert "c_1" not in first


def test_credentials_end_after_the_time_of_the_settings() -> None:
    settings = Settings(turn_urls=TURN, turn_secret=SECRET, turn_ttl_s=600)
    now: Callable[[], int] = lambda: 1_000_000_999  # noqa: E731
    relays = Relays(settings, now)
    servers = relays.of("physician:p_1")
    assert servers is not None
    (server,) = servers.servers
    assert server.urls == TURN
    assert (server.username or "").startswith("1000600:")
    assert relays.renew_s < servers.ttl_s == 600


def test_without_servers_there_is_nothing_to_say() -> None:
    assert Relays(Settings(), lambda: 0).of("patient:c_1") is None
    stun = Relays(Settings(stun_urls=("stun:relay.example",)), lambda: 0).of("patient:c_1")
    assert stun is not None
    assert [(s.username, s.credential) for s in stun.servers] == [(None, None)]


@pytest.mark.parametrize(
    "url",
    [
        "turn:relay.example",
        "turn:192.0.2.7:3478",
        "turn:[2001:db8::7]:3478?transport=tcp",
        "turns:relay.example:443?transport=tcp",
    ],
)
def test_urls_of_relays_are_read(url: str) -> None:
    settings = parse(["--turn-urls", f"{url}, {TURN[0]}", "--turn-secret", SECRET], {})
    assert settings.turn_urls == (url, TURN[0])


@pytest.mark.parametrize(
    "url", ["relay.example", "stun:relay.example", "turn://relay.example", "turn:a b", "turn:?x"]
)
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(SettingsError, match=r"^--turn-urls: "):
        parse(["--turn-urls", url, "--turn-secret", SECRET], {})


def test_relays_and_their_secret_belong_together() -> None:
    for argv in (["--turn-urls", TURN[0]], ["--turn-secret", SECRET]):
        with pytest.raises(SettingsError, match="--turn-secret") as caught:
            parse(argv, {})
        assert SECRET not in str(caught.value)


async def test_the_secret_is_in_no_log(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    more = {"turn_urls": TURN, "turn_secret": SECRET}
    async with opened(tmp_path, **more) as clinic:
        assert SECRET not in repr(clinic.services.settings)
        assert SECRET not in repr(clinic.services)
    out, err = capfd.readouterr()
    assert SECRET not in out + err
