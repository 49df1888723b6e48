"""A real media port on loopback."""

from collections.abc import AsyncIterator

import pytest

from media import MediaPort, MediaSettings, Room
from tests.media.peers import Listener, Peer


@pytest.fixture
async def port() -> AsyncIterator[MediaPort]:
    media_port = await MediaPort.open(MediaSettings())
    yield media_port
    await media_port.close()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def room(port: MediaPort, listener: Listener) -> Room:
    return port.room("consult-1", listener)


@pytest.fixture
async def pair(port: MediaPort, room: Room) -> AsyncIterator[tuple[Peer, Peer]]:
    """Two connected participants with different numbers; nothing is delivered yet."""
    patient, physician = Peer("patient"), Peer("physician", variant=3)
    for peer in (patient, physician):
        await peer.join(room, port.port)
    yield patient, physician
    for peer in (patient, physician):
        await peer.close()
