"""A call between two complete aiortc peers: what one encodes the other decodes."""

import asyncio
import os

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack

from media import MediaPort, Room
from tests.media.peers import Listener

TIMEOUT_S = float(os.environ.get("WENZHEN_TEST_TIMEOUT_S", "10"))


class Party:
    """An aiortc peer that sends a tone of silence and a green picture."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.connection = RTCPeerConnection()
        self.tracks: dict[str, MediaStreamTrack] = {}
        self.connection.on("track", self._took)
        self.connection.addTrack(AudioStreamTrack())
        self.connection.addTrack(VideoStreamTrack())

    def _took(self, track: MediaStreamTrack) -> None:
        self.tracks[track.kind] = track

    async def join(self, room: Room) -> None:
        connection = self.connection
        await connection.setLocalDescription(await connection.createOffer())
        answer = await room.offer(self.name, self.name, "1", connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def see(self, frames: int) -> None:
        """Decode so many pictures and as many pieces of voice."""
        async with asyncio.timeout(TIMEOUT_S):
            for _ in range(frames):
                for track in self.tracks.values():
                    await track.recv()


async def test_two_aiortc_peers_see_and_hear_each_other(
    port: MediaPort, room: Room, listener: Listener
) -> None:
    parties = Party("patient"), Party("physician")
    try:
        room.deliver("video")
        for party in parties:
            await party.join(room)
        for party in parties:
            for kind in ("audio", "video"):
                await listener.wait("flow_started", party.name, kind)
        await asyncio.gather(*(party.see(10) for party in parties))
    finally:
        for party in parties:
            await party.connection.close()
    assert port.counters.handshakes == 2
    assert port.counters.dtls_failures == 0
