"""DTLS-SRTP against aiortc's own client, and the private names that media/dtls.py relies on."""

import asyncio
import inspect
import weakref
from importlib.metadata import version

import pylibsrtp
import pytest
from aiortc import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, rtcdtlstransport
from aiortc.rtcdtlstransport import RTCDtlsTransport
from pylibsrtp import _binding

from media.dtls import HANDSHAKE_DEADLINE_MS, DtlsTransport, PacketBuffer, SrtpContext
from media.errors import FingerprintMismatch, HandshakeFailed
from tests.media.packets import rtp

TIMEOUT_S = 10
HELLO = (
    bytes.fromhex("16feff0000000000000000003a0100002e000000000000002efefd")
    + bytes(32)
    + bytes.fromhex("0000000002c02b0100")
)


class Client:
    """aiortc's client, joined to a `DtlsTransport` by hand; time is `now_ms`."""

    role, state = "controlling", "completed"

    def __init__(self, expected: RTCCertificate | None = None) -> None:
        self.certificate = RTCCertificate.generateCertificate()
        fingerprints = (expected or self.certificate).getFingerprints()
        self.server = DtlsTransport([(f.algorithm, f.value) for f in fingerprints])
        self.now_ms = 0
        self.flights: list[bytes] = []
        self.error: HandshakeFailed | None = None
        self._incoming: asyncio.Queue[bytes] = asyncio.Queue()
        self.dtls = RTCDtlsTransport(self, [self.certificate])  # type: ignore[arg-type]
        self.dtls._set_role("client")

    async def _recv(self) -> bytes:
        return await self._incoming.get()

    async def _send(self, data: bytes) -> None:
        try:
            self.deliver(self.server.receive(data, self.now_ms))
        except HandshakeFailed as error:
            self.error = error
            raise ConnectionError from error

    def deliver(self, datagrams: list[bytes]) -> None:
        self.flights += datagrams
        for datagram in datagrams:
            self._incoming.put_nowait(datagram)

    async def connect(self) -> str:
        algorithm, value = self.server.fingerprint
        parameters = RTCDtlsParameters([RTCDtlsFingerprint(algorithm, value)])
        async with asyncio.timeout(TIMEOUT_S):
            await self.dtls.start(parameters)
        return self.dtls.state

    async def close(self) -> None:
        await self.dtls.stop()


async def test_the_handshake_prefers_the_cheaper_gcm() -> None:
    client = Client()
    assert await client.connect() == "connected"
    assert client.server.is_connected
    assert client.dtls._ssl.get_selected_srtp_profile() == b"SRTP_AEAD_AES_128_GCM"
    await client.close()


async def test_no_datagram_of_the_handshake_is_too_long_for_the_path() -> None:
    """1,200 bytes pass everywhere (RFC 8831 §5); a cut record would never be whole again."""
    client = Client()
    await client.connect()
    assert max(len(flight) for flight in client.flights) <= 1_200
    await client.close()


async def test_packets_are_encrypted_in_place_both_ways() -> None:
    client = Client()
    await client.connect()
    server, packet = client.server, rtp(7, b"payload")
    assert server.srtp_out is not None
    assert server.srtp_in is not None
    buffer = PacketBuffer()
    buffer.data[: len(packet)] = packet
    length = server.srtp_out.protect(buffer, len(packet))
    assert length == len(packet) + 16
    assert client.dtls._rx_srtp.unprotect(bytes(buffer.data[:length])) == packet
    protected = client.dtls._tx_srtp.protect(packet)
    buffer.data[: len(protected)] = protected
    assert server.srtp_in.unprotect(buffer, len(protected)) == len(packet)
    assert buffer.data[: len(packet)] == packet
    await client.close()


async def test_forged_replayed_and_short_packets_are_refused_without_raising() -> None:
    client = Client()
    await client.connect()
    srtp = client.server.srtp_in
    assert srtp is not None
    protected = client.dtls._tx_srtp.protect(rtp(7))
    buffer = PacketBuffer()

    def take(data: bytes) -> int:
        buffer.data[: len(data)] = data
        return srtp.unprotect(buffer, len(data))

    assert take(protected[:-1] + bytes((protected[-1] ^ 1,))) == 0
    assert take(protected) > 0
    assert take(protected) == 0
    assert {take(protected[:size]) for size in range(len(protected))} == {0}
    report = b"\x80\xc9\0\1\0\0\0\1"
    protected = client.dtls._tx_srtp.protect_rtcp(report)
    assert srtp.unprotect_rtcp(protected[:-1] + b"x") == b""
    assert srtp.unprotect_rtcp(protected) == report
    assert srtp.unprotect_rtcp(b"\x80\xc9") == b""
    await client.close()


async def test_another_certificate_is_refused() -> None:
    client = Client(expected=RTCCertificate.generateCertificate())
    assert await client.connect() == "failed"
    assert isinstance(client.error, FingerprintMismatch)
    assert client.server.srtp_in is None
    assert client.server.is_closed


async def test_a_forged_alert_does_not_end_the_handshake() -> None:
    client = Client()
    client.server.receive(b"\x15\xfe\xfd" + bytes(8) + b"\0\2\2\x28", 0)
    assert await client.connect() == "connected"
    await client.close()


async def test_a_forged_hello_gives_way_to_the_true_one_after_a_second() -> None:
    client = Client()
    client.server.receive(HELLO, 0)
    client.now_ms = 1_500
    assert await client.connect() == "connected"
    await client.close()


async def test_a_forged_hello_does_not_break_a_handshake_under_way() -> None:
    client = Client()
    original = client._send
    sent = 0

    async def interleaved(data: bytes) -> None:
        nonlocal sent
        sent += 1
        await original(data)
        if sent == 1:
            assert client.server.receive(HELLO, client.now_ms) == []

    client._send = interleaved  # type: ignore[method-assign]
    assert await client.connect() == "connected"
    await client.close()


def test_a_handshake_that_stands_still_fails() -> None:
    client = Client()
    client.server.receive(HELLO, 0)
    assert client.server.tick(HANDSHAKE_DEADLINE_MS) is not None
    with pytest.raises(HandshakeFailed):
        client.server.tick(HANDSHAKE_DEADLINE_MS + 1)
    assert client.server.receive(HELLO, 0) == []


async def test_a_goodbye_is_heard_and_said() -> None:
    client = Client()
    await client.connect()
    assert len(client.server.close()) == 1
    assert client.server.close() == []
    other = Client()
    await other.connect()
    await other.close()
    assert other.server.is_closed
    await client.close()


async def test_a_forgotten_handshake_leaves_srtp_and_the_goodbye() -> None:
    client, packet = Client(), rtp(7, b"payload")
    client.server.forget()
    assert not client.server.is_forgotten
    await client.connect()
    client.server.forget()
    assert client.server.is_forgotten
    assert client.server.is_connected
    assert client.server.srtp_out is not None
    buffer = PacketBuffer()
    buffer.data[: len(packet)] = packet
    length = client.server.srtp_out.protect(buffer, len(packet))
    assert client.dtls._rx_srtp.unprotect(bytes(buffer.data[:length])) == packet
    assert client.server.receive(HELLO, client.now_ms) == []
    assert client.server.tick(HANDSHAKE_DEADLINE_MS + 1) == []
    client.server.forget()
    client.deliver(client.server.close())
    assert client.server.is_closed
    async with asyncio.timeout(TIMEOUT_S):
        while client.dtls.state != "closed":  # noqa: ASYNC110  # aiortc tells nobody
            await asyncio.sleep(0.001)
    await client.close()


async def test_openssl_s_part_is_freed_at_once() -> None:
    """Not by the collector, which does not run in the packet path."""
    client = Client()
    await client.connect()
    association = weakref.ref(client.server._connection)
    client.server.forget()
    assert association() is None
    await client.close()


def test_the_private_names_in_use_are_there() -> None:
    """A new aiortc or pylibsrtp that changes them fails here, not in a call."""
    assert version("aiortc").startswith("1.16.")
    for name in ("_set_role", "_set_state", "_validate_peer_identity", "_setup_srtp"):
        assert not inspect.iscoroutinefunction(getattr(RTCDtlsTransport, name))
    certificate = RTCCertificate.generateCertificate()
    profiles = rtcdtlstransport.SRTP_PROFILES
    assert rtcdtlstransport.SRTP_AEAD_AES_128_GCM in profiles
    assert certificate._create_ssl_context(srtp_profiles=profiles) is not None
    server = DtlsTransport([("sha-256", "00")])
    assert {"_ssl", "_state", "_srtp_profiles", "_rx_srtp", "_tx_srtp"} <= vars(server).keys()
    assert _binding.lib.srtp_err_status_ok == 0
    for name in ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"):
        assert hasattr(_binding.lib, name)
    session = pylibsrtp.Session(
        pylibsrtp.Policy(key=bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    )
    buffer = PacketBuffer()
    buffer.data[:32] = rtp(1)
    assert SrtpContext(session).protect(buffer, 32) == 42
