"""One message to one receiver, over a connection to an address that was looked at first.

The name is resolved here, the addresses are checked, and the connection is made to just those: what
a second look-up would say (DNS rebinding) does not matter. No redirect is followed, nothing of an
answer but its status is read, and all of it takes 10 s at most.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from server.clock import monotonic_ms
from server.webhooks.schedule import Outcome
from server.webhooks.targets import UrlRefused, allowed, check_url

TIMEOUT_S: Final = 10.0
RESOLVERS: Final = 16
MAX_ADDRESSES: Final = 8
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a name, for a port. Raises OSError when there are none."""


class Unresolved(Exception):
    """A name has no address now."""


_ERRORS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (UrlRefused, "address_refused"),
    (Unresolved, "unresolved"),
    (TimeoutError, "timeout"),  # before OSError, of which it is one
    (aiohttp.ClientSSLError, "tls"),
    (aiohttp.ClientError, "connection"),
    (OSError, "connection"),
    (ValueError, "connection"),  # what no URL may hold, as the client sees it
)


class _Pinned(AbstractResolver):
    """Answers with the addresses that were checked, whatever is asked."""

    def __init__(self, addresses: Sequence[str]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        """Nothing is held."""


class Sender:
    """Posts messages. ``lookup`` None: the system's resolver, in threads of its own."""

    def __init__(self, *, private: bool, lookup: Lookup | None = None) -> None:
        """``private``: see `server.webhooks.targets`."""
        self._private = private
        self._lookup = lookup or self._system
        # of its own: a name server that hangs must hold up no other work in threads
        self._threads = ThreadPoolExecutor(RESOLVERS, thread_name_prefix="webhook-dns")

    async def check(self, text: str) -> None:
        """Look at a URL before it is stored. A name that cannot be resolved now may be later.

        Raises:
            UrlRefused: no message would ever go there.
        """
        url = check_url(text, private=self._private)
        with contextlib.suppress(TimeoutError, Unresolved):
            async with asyncio.timeout(TIMEOUT_S):
                await self._addresses(url)

    async def post(self, text: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Send one message; whatever goes wrong is an outcome."""
        started_ms = monotonic_ms()
        status, error = await self._post(text, headers, body)
        return Outcome(status, error, monotonic_ms() - started_ms)

    def close(self) -> None:
        """Let go of the threads; what they still look up has no reader."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _post(
        self, text: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int | None, str | None]:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                url = check_url(text, private=self._private)  # the setting may have changed
                status = await _request(url, await self._addresses(url), headers, body)
        except tuple(kind for kind, _ in _ERRORS) as error:
            return None, next(name for kind, name in _ERRORS if isinstance(error, kind))
        if 300 <= status < 400:
            return status, "redirect"
        return status, None if 200 <= status < 300 else "status"

    async def _addresses(self, url: URL) -> Sequence[str]:
        """The addresses that a connection may be made to, one at least."""
        assert url.host is not None, "check_url asks for one"
        assert url.port is not None, "check_url asks for one"
        try:
            found = await self._lookup(url.host, url.port)
        except TimeoutError:
            raise
        except (OSError, UnicodeError) as error:  # UnicodeError: a label that is too long
            raise Unresolved(str(error)) from error
        usable = [one for one in found if allowed(one, private=self._private)]
        if not usable:
            raise UrlRefused("the name leads to a private address, or to one of no use")
        return usable[:MAX_ADDRESSES]

    async def _system(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _resolve, host, port)


def _resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _request(
    url: URL, addresses: Sequence[str], headers: Mapping[str, str], body: bytes
) -> int:
    connector = aiohttp.TCPConnector(
        resolver=_Pinned(addresses), use_dns_cache=False, force_close=True, limit=1
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),  # the caller has one for all of it
        auto_decompress=False,
        trust_env=False,
    ) as session:
        answer = await session.post(url, data=body, headers=headers, allow_redirects=False)
        answer.close()  # with the connection: nothing of the body is of interest
        return answer.status
