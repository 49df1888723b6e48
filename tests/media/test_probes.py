"""The connection test: a way is shown to be open, and nothing more can be had by it."""

import asyncio

import pytest

from media import MediaPort, OfferRejected
from media.errors import ProbesBusy
from media.probes import LIFE_MS, MAX_PER_NAME, MAX_PROBES
from tests.media.peers import TIMEOUT_S, Peer


def asked(port: MediaPort, name: str) -> Peer:
    """A page that has its answer."""
    peer = Peer(name)
    peer.answer = port.probe(name, peer.offer().replace("a=sendrecv", "a=recvonly"))
    return peer


async def gone(port: MediaPort) -> None:
    async with asyncio.timeout(TIMEOUT_S):
        while port._probes or port._validated or port._by_ufrag:  # noqa: ASYNC110  # no event
            await asyncio.sleep(0)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
async def test_a_probe_connects_as_a_call_does(port: MediaPort, tcp: bool) -> None:
    peer = asked(port, "c_1")
    await peer.open(port.port, tcp=tcp)
    await peer.bind()
    assert await peer.handshake() == "connected"
    await peer.send("audio")  # taken, and of no effect
    await peer.close()
    await gone(port)


async def test_a_probe_ends_by_itself(port: MediaPort) -> None:
    peer = asked(port, "c_1")
    await peer.open(port.port, tcp=True)
    await peer.bind()
    port._probes.tick(port.now_ms() + LIFE_MS - 100)
    assert len(port._probes) == 1
    port._probes.tick(port.now_ms() + LIFE_MS)
    await gone(port)
    async with asyncio.timeout(TIMEOUT_S):
        await peer.tcp.lost.wait()
    await peer.close()


async def test_one_caller_cannot_take_all_probes(port: MediaPort) -> None:
    for _ in range(MAX_PER_NAME):
        asked(port, "c_1")
    with pytest.raises(ProbesBusy):
        asked(port, "c_1")
    for number in range(MAX_PROBES - MAX_PER_NAME):
        asked(port, f"d_{number}")
    with pytest.raises(ProbesBusy):
        asked(port, "e_1")
    port._probes.close()
    assert port._ufrags == {}
    asked(port, "c_1")


async def test_an_offer_that_is_none_leaves_nothing(port: MediaPort) -> None:
    with pytest.raises(OfferRejected):
        port.probe("c_1", "v=0")
    assert len(port._probes) == 0
