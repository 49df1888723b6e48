"""A participant for tests: real STUN (aioice), real DTLS-SRTP (aiortc), packets of our choice.

It speaks over a real UDP or TCP socket. What it receives is kept decrypted, in order.
"""

import asyncio
import os
import re
import struct
from collections.abc import Callable
from typing import Any

from aioice import stun
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters
from aiortc.rtcdtlstransport import RTCDtlsTransport

from media import Room

TIMEOUT_S = float(os.environ.get("WENZHEN_TEST_TIMEOUT_S", "10"))

MID_ID, ABS_SEND_TIME_ID, AUDIO_LEVEL_ID = 4, 2, 1
KEYFRAME = bytes.fromhex("9080800100009d012a") + bytes(40)  # descriptor with picture id, P = 0
DELTA_FRAME = bytes.fromhex("90808001010000") + bytes(40)


def red_payload(opus: int, frames: list[bytes]) -> bytes:
    """Redundant audio (RFC 2198): older frames first, the newest last; 20 ms each."""
    *older, newest = frames
    heads = b""
    for age, frame in zip(range(len(older), 0, -1), older, strict=True):
        heads += struct.pack("!I", (0x80 | opus) << 24 | age * 960 << 10 | len(frame))
    return heads + bytes((opus,)) + b"".join(older) + newest


class Listener:
    """Keeps what a room reports; `wait` for an event of a name."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self._changed = asyncio.Event()

    def _add(self, *event: Any) -> None:
        self.events.append(event)
        self._changed.set()

    def flow_started(self, participant_id: str, kind: str, at_ms: int) -> None:
        self._add("flow_started", participant_id, kind, at_ms)

    def flow_stopped(self, participant_id: str, kind: str, at_ms: int) -> None:
        self._add("flow_stopped", participant_id, kind, at_ms)

    def connected(self, participant_id: str, connection_id: str, transport: str) -> None:
        self._add("connected", participant_id, connection_id, transport)

    def failed(self, participant_id: str, connection_id: str, code: str) -> None:
        self._add("failed", participant_id, connection_id, code)

    def video_suspended(self, participant_id: str, suspended: bool) -> None:
        self._add("video_suspended", participant_id, suspended)

    def flooding(self, participant_id: str, capped: bool) -> None:
        self._add("flooding", participant_id, capped)

    async def wait(self, *start: Any) -> tuple[Any, ...]:
        """The first event that begins with `start`."""
        async with asyncio.timeout(TIMEOUT_S):
            while True:
                for event in self.events:
                    if event[: len(start)] == start:
                        return event
                self._changed.clear()
                await self._changed.wait()


class _Link:
    """The socket, in the shape that RTCDtlsTransport expects of an ICE transport."""

    role = "controlling"
    state = "completed"

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.answers: asyncio.Queue[stun.Message] = asyncio.Queue()
        self.write: Callable[[bytes], None] = lambda data: None

    def arrived(self, data: bytes) -> None:
        if data[0] < 4:
            self.answers.put_nowait(stun.parse_message(data))
        else:
            self.incoming.put_nowait(data)

    async def _recv(self) -> bytes:
        return await self.incoming.get()

    async def _send(self, data: bytes) -> None:
        self.write(data)


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, link: _Link) -> None:
        self.link = link

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.link.arrived(data)


class _Tcp(asyncio.Protocol):
    def __init__(self, link: _Link) -> None:
        self.link, self.buffer = link, b""
        self.lost = asyncio.Event()
        self.stream: asyncio.Transport

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 2:
            length = int.from_bytes(self.buffer[:2], "big")
            if len(self.buffer) < 2 + length:
                return
            frame, self.buffer = self.buffer[2 : 2 + length], self.buffer[2 + length :]
            self.link.arrived(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()


class _Dtls(RTCDtlsTransport):
    """Keeps packets instead of decoding them."""

    def keep(self, peer: "Peer") -> None:
        self.peer = peer

    async def _handle_rtp_data(self, data: bytes, arrival_time_ms: int) -> None:
        self.peer.took(self.peer.rtp, data)

    async def _handle_rtcp_data(self, data: bytes) -> None:
        self.peer.took(self.peer.rtcp, data)


class Peer:
    """One participant's connection. Numbers differ per `variant`, as browsers' do."""

    def __init__(self, name: str, variant: int = 0) -> None:
        self.name, self.connection_id = name, f"{name}-1"
        self.audio_type, self.video_type, self.rtx_type = 111 - variant, 96 + variant, 97 + variant
        self.shift = variant  # of extension ids
        self.audio_ssrc, self.video_ssrc, self.rtx_ssrc = (
            1000 * (variant + 1) + i for i in (1, 2, 3)
        )
        self.names_ssrcs = True
        self.side = name
        self.pairs = 1  # of m-lines: the first sendrecv, the others recvonly
        self.screen_mid: str | None = None
        self.feedback: tuple[str, ...] = ("goog-remb", "ccm fir", "nack", "nack pli")
        self.red_type: int | None = None  # set it before `offer` to have redundant audio
        self.rtp: list[bytes] = []
        self.rtcp: list[bytes] = []
        self.answer = ""
        self.ufrag, self.pwd = os.urandom(4).hex(), os.urandom(16).hex()
        self.certificate = RTCCertificate.generateCertificate()
        self.fingerprint = self.certificate.getFingerprints()[0].value
        self._link = _Link()
        self._changed = asyncio.Event()
        self._transport: asyncio.BaseTransport | None = None
        self.dtls: _Dtls | None = None
        self._sequence = {"audio": 100 + variant, "video": 65_500, "rtx": 5, "screen": 9}

    # Signaling ----------------------------------------------------------------------------------

    def offer(self) -> str:
        """An offer of two sendrecv m-lines, of more to receive, and of one for a screen."""
        mids = [str(number) for number in range(2 * self.pairs)]
        bundle = " ".join([*mids, *([self.screen_mid] if self.screen_mid else [])])
        lines = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {bundle}"]
        for audio, video in zip(mids[::2], mids[1::2], strict=True):
            direction = "sendrecv" if audio == "0" else "recvonly"
            lines += self._audio(audio, direction)
            lines += self._video(video, direction)
            if self.names_ssrcs and video == "1":
                lines.append(f"a=ssrc-group:FID {self.video_ssrc} {self.rtx_ssrc}")
                lines += [f"a=ssrc:{s} cname:{self.name}" for s in (self.video_ssrc, self.rtx_ssrc)]
        if self.screen_mid:
            lines += [
                *self._video(self.screen_mid, "sendonly"),
                f"a=ssrc:{self.screen_ssrc} cname:s",
            ]
        return "\r\n".join(lines) + "\r\n"

    @property
    def screen_ssrc(self) -> int:
        return self.video_ssrc + 7

    def _audio(self, mid: str, direction: str) -> list[str]:
        types = [(self.audio_type, "opus/48000/2")]
        if self.red_type is None:
            return self._section("audio", mid, types, direction)
        types.append((self.red_type, "red/48000/2"))
        return [
            *self._section("audio", mid, types, direction),
            f"a=fmtp:{self.red_type} {self.audio_type}/{self.audio_type}",
        ]

    def _video(self, mid: str, direction: str) -> list[str]:
        types = [(self.video_type, "VP8/90000"), (self.rtx_type, "rtx/90000")]
        return [
            *self._section("video", mid, types, direction),
            f"a=fmtp:{self.rtx_type} apt={self.video_type}",
            *(f"a=rtcp-fb:{self.video_type} {f}" for f in self.feedback),
        ]

    def _section(
        self, kind: str, mid: str, types: list[tuple[int, str]], direction: str
    ) -> list[str]:
        numbers = " ".join(str(number) for number, _ in types)
        lines = [
            f"m={kind} 9 UDP/TLS/RTP/SAVPF {numbers}",
            "c=IN IP4 0.0.0.0",
            f"a=mid:{mid}",
            f"a={direction}",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            "a=setup:actpass",
            f"a=extmap:{MID_ID + self.shift} urn:ietf:params:rtp-hdrext:sdes:mid",
            f"a=extmap:{ABS_SEND_TIME_ID + self.shift}"
            " http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        ]
        return lines + [f"a=rtpmap:{number} {name}" for number, name in types]

    async def signal(self, room: Room) -> None:
        """Send the offer and keep the answer."""
        self.answer = await room.offer(
            self.name, self.side, self.connection_id, self.offer(), self.screen_mid
        )

    def answered(self, pattern: str) -> str:
        """The first group of `pattern` in the answer."""
        found = re.search(pattern, self.answer)
        assert found is not None, pattern
        return found.group(1).strip()

    def answered_ssrc(self, kind: str) -> int:
        """The SSRC that the server sends `kind` with."""
        section = self.answer.split("m=")[1 if kind == "audio" else 2]
        found = re.search(r"a=ssrc:(\d+)", section)
        assert found is not None
        return int(found.group(1))

    # Transport ----------------------------------------------------------------------------------

    async def open(self, port: int, *, tcp: bool = False, host: str = "127.0.0.1") -> None:
        """Open a socket towards the server, and send over it from now on."""
        loop, link = asyncio.get_running_loop(), self._link
        if tcp:
            stream, self.tcp = await loop.create_connection(lambda: _Tcp(link), host, port)
            self.tcp.stream = stream
            self._transport = stream
            link.write = lambda data: stream.write(len(data).to_bytes(2, "big") + data)
        else:
            udp, _ = await loop.create_datagram_endpoint(
                lambda: _Udp(link), remote_addr=(host, port)
            )
            self._transport = udp
            link.write = udp.sendto

    def stay(self) -> asyncio.BaseTransport:
        """Keep the present socket beside the next one that is opened; the caller closes it."""
        transport, self._transport = self._transport, None
        assert transport is not None
        return transport

    def write_now(self) -> Callable[[bytes], None]:
        """What sends over the present socket, for `write_over`."""
        return self._link.write

    def write_over(self, write: Callable[[bytes], None]) -> None:
        """Send over another socket from now on."""
        self._link.write = write

    def write(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._link.write(data)

    def check(self, password: str | None = None, *, nominate: bool = True) -> bytes:
        """A STUN check."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self.answered('ice-ufrag:(.*)')}:{self.ufrag}"
        request.attributes["PRIORITY"] = 1
        request.attributes["ICE-CONTROLLING"] = 1
        if nominate:
            request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity((password or self.answered("ice-pwd:(.*)")).encode())
        request.add_fingerprint()
        return bytes(request)

    async def bind(self) -> stun.Message:
        """Pass a check; returns the server's answer."""
        self.write(self.check())
        return await self.next_answer()

    async def next_answer(self) -> stun.Message:
        """The server's next STUN message."""
        async with asyncio.timeout(TIMEOUT_S):
            return await self._link.answers.get()

    async def handshake(self) -> str:
        """Complete DTLS; returns its state."""
        self.dtls = _Dtls(self._link, [self.certificate])  # type: ignore[arg-type]
        self.dtls.keep(self)
        self.dtls._set_role("client")
        value = self.answered("fingerprint:sha-256 (.*)")
        async with asyncio.timeout(TIMEOUT_S):
            await self.dtls.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", value)]))
        return self.dtls.state

    async def join(
        self, room: Room, port: int, *, tcp: bool = False, host: str = "127.0.0.1"
    ) -> None:
        """Signal, connect and complete DTLS."""
        await self.signal(room)
        await self.open(port, tcp=tcp, host=host)
        await self.bind()
        assert await self.handshake() == "connected"

    async def restart(self, room: Room) -> None:
        """An ICE restart: new credentials, the same connection."""
        self.ufrag, self.pwd = os.urandom(4).hex(), os.urandom(16).hex()
        await self.signal(room)
        await self.bind()

    async def close(self) -> None:
        """Say goodbye and close the socket."""
        if self.dtls is not None:
            await self.dtls.stop()
        self.abandon()

    def abandon(self) -> None:
        """Vanish without a word."""
        if self._transport is not None:
            self._transport.close()

    # Media --------------------------------------------------------------------------------------

    async def send(
        self, kind: str, payload: bytes = bytes(60), *, timestamp: int = 0, marker: bool = False
    ) -> int:
        """Send a packet with mid and abs-send-time; returns its sequence number."""
        payload_type, ssrc, mid = {
            "audio": (self.audio_type, self.audio_ssrc, b"0"),
            "red": (self.red_type, self.audio_ssrc, b"0"),
            "video": (self.video_type, self.video_ssrc, b"1"),
            "rtx": (self.rtx_type, self.rtx_ssrc, b"1"),
            "screen": (self.video_type, self.screen_ssrc, (self.screen_mid or "").encode()[:1]),
        }[kind]
        numbered = "audio" if kind == "red" else kind
        sequence = self._sequence[numbered]
        self._sequence[numbered] = sequence + 1 & 0xFFFF
        elements = bytes(((MID_ID + self.shift) << 4,)) + mid
        elements += bytes(((ABS_SEND_TIME_ID + self.shift) << 4 | 2, 1, 2, 3)) + bytes(2)
        second = marker << 7 | payload_type
        header = struct.pack("!BBHII", 0x90, second, sequence, timestamp, ssrc)
        assert self.dtls is not None
        await self.dtls._send_rtp(header + struct.pack("!HH", 0xBEDE, 2) + elements + payload)
        return sequence

    def skip(self, kind: str) -> int:
        """Lose a packet before it is sent; returns its sequence number."""
        sequence = self._sequence[kind]
        self._sequence[kind] = sequence + 1 & 0xFFFF
        return sequence

    async def send_rtcp(self, data: bytes) -> None:
        """Send a compound packet."""
        assert self.dtls is not None
        await self.dtls._send_rtp(data)

    def took(self, where: list[bytes], data: bytes) -> None:
        where.append(data)
        self._changed.set()

    async def until(self, condition: Callable[[], Any]) -> Any:
        """Wait until packets make `condition` true."""
        async with asyncio.timeout(TIMEOUT_S):
            while not (found := condition()):
                self._changed.clear()
                await self._changed.wait()
            return found


def sequence(packet: bytes) -> int:
    return int.from_bytes(packet[2:4], "big")


def ssrc(packet: bytes) -> int:
    return int.from_bytes(packet[8:12], "big")


async def hear_each_other(pair: tuple[Peer, Peer], listener: Listener) -> None:
    """Both send voice and both flows are on; nothing of it is delivered with a mode of None."""
    for peer in pair:
        await peer.send("audio")
        await listener.wait("flow_started", peer.name, "audio")
