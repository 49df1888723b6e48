"""Where a message really goes: the name is resolved by us, and the connection is held to that."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from server.webhooks import sender, signing
from server.webhooks.sender import Sender
from tests.server.certificate import make_certificate
from tests.server.receiver import Receiver, receiving


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening


@asynccontextmanager
async def posting(
    *, private: bool = False, lookup: sender.Lookup | None = None
) -> AsyncIterator[Sender]:
    made = Sender(private=private, lookup=lookup)
    yield made
    made.close()


def leads_to(*addresses: str) -> sender.Lookup:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return lookup


async def post(made: Sender, url: str) -> tuple[int | None, str | None]:
    outcome = await made.post(url, signing.headers(["whsec_AAAA"], "msg_1", 1, b"{}"), b"{}")
    return outcome.status, outcome.error


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("10.0.0.1", "192.168.0.1"), ("::1",), ("::ffff:127.0.0.1",),
     ("169.254.169.254",), ("0.0.0.0",), ("224.0.0.1",)],
)  # fmt: skip
async def test_a_name_that_leads_to_a_private_address_is_refused(addresses: tuple[str]) -> None:
    """Whatever it led to when it was stored."""
    async with posting(lookup=leads_to(*addresses)) as made:
        with pytest.raises(sender.UrlRefused):
            await made.check("https://billing.example/hook")
        assert await post(made, "https://billing.example/hook") == (None, "address_refused")


@pytest.mark.parametrize("host", ["localhost", "2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
async def test_every_way_to_write_loopback_is_refused(host: str) -> None:
    """The system's resolver understands more than `ipaddress`; what it answers is looked at."""
    async with posting() as made:
        assert await post(made, f"https://{host}/") == (None, "address_refused")


async def test_a_name_is_resolved_once_and_the_connection_goes_there(receiver: Receiver) -> None:
    """What a second look-up would say does not matter (DNS rebinding)."""
    asked = []

    async def lookup(host: str, port: int) -> Sequence[str]:
        asked.append((host, port))
        return ["127.0.0.1"] if len(asked) == 1 else ["192.0.2.1"]

    port = receiver.url.rsplit(":", 1)[1]
    async with posting(private=True, lookup=lookup) as made:
        assert await post(made, f"http://billing.example:{port}") == (204, None)
    assert [host for host, _ in asked] == ["billing.example"]
    assert (await receiver.next()).headers["host"].startswith("billing.example:")


async def test_of_several_addresses_only_those_allowed_are_tried(receiver: Receiver) -> None:
    port = receiver.url.rsplit(":", 1)[1]
    lookup = leads_to("169.254.169.254", "0.0.0.0", "127.0.0.1")
    async with posting(private=True, lookup=lookup) as made:
        assert await post(made, f"http://billing.example:{port}") == (204, None)


async def test_a_setting_that_was_taken_back_holds_for_what_is_stored(receiver: Receiver) -> None:
    async with posting() as made:
        assert await post(made, receiver.url) == (None, "address_refused")
    assert receiver.messages.empty()


@pytest.mark.parametrize("trouble", [OSError("no such name"), UnicodeError("label too long")])
async def test_a_name_that_leads_nowhere_now_may_be_stored_and_is_tried_again(
    trouble: Exception,
) -> None:
    async def lookup(_host: str, _port: int) -> Sequence[str]:
        raise trouble

    async with posting(lookup=lookup) as made:
        await made.check("https://billing.example/hook")
        assert await post(made, "https://billing.example/hook") == (None, "unresolved")


async def test_a_name_server_that_hangs_costs_the_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_S", 0.05)

    async def lookup(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return ()

    async with posting(lookup=lookup) as made:
        assert await post(made, "https://billing.example/hook") == (None, "timeout")


async def test_an_unknown_certificate_is_refused(tmp_path: Path) -> None:
    """Also where private addresses are allowed: a receiver is who its certificate says."""
    certificate, key, _ = make_certificate(tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    async with receiving(context) as receiver, posting(private=True) as made:
        assert await post(made, receiver.url) == (None, "tls")
        assert receiver.messages.empty()


async def test_nobody_listening_is_told_as_such() -> None:
    async with receiving() as receiver:
        pass
    async with posting(private=True) as made:
        assert await post(made, receiver.url) == (None, "connection")


@pytest.mark.parametrize(
    "answer",
    [b"", b"garbage\r\n\r\n", b"HTTP/1.1 999999 x\r\n\r\n", b"HTTP/1.1 200 OK\r\n" + b"a" * 10**6],
    ids=["nothing", "garbage", "status", "header"],
)
async def test_what_is_no_http_is_told_as_such(answer: bytes) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server, AsyncExitStack() as stack:
        made = await stack.enter_async_context(posting(private=True))
        port = server.sockets[0].getsockname()[1]
        assert await post(made, f"http://127.0.0.1:{port}/") == (None, "connection")
