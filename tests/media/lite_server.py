"""An ICE-lite server for the tests of ICE: one real UDP socket on loopback."""

import asyncio
from collections.abc import Callable
from typing import cast

from media.ice import IceLite


class LiteServer(asyncio.DatagramProtocol):
    """One real UDP socket that an `IceLite` answers."""

    def __init__(self, ice: IceLite) -> None:
        self.ice = ice
        self.data: asyncio.Queue[bytes] = asyncio.Queue()
        self._handled = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data[0] > 3:
            self.data.put_nowait(data)
            return
        result = self.ice.handle(data, ("udp", addr[0], addr[1]), 0)
        self._handled.set()
        if result.reply is not None:
            self.transport.sendto(result.reply, addr)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, 10 s between checks at most, for checks that make `condition` hold."""
        while not condition():
            self._handled.clear()
            await asyncio.wait_for(self._handled.wait(), 10)
