"""DTLS-SRTP, passive side, on aiortc's ORTC layer (RFC 5763, RFC 5764, RFC 7714).

The only module that touches private names of aiortc and pylibsrtp; tests/media/test_dtls.py pins
them. aiortc gives certificates, OpenSSL contexts, identity check and key derivation. Its handshake
loop is not used: here datagrams go in and come out, so that nothing waits and no task runs per
participant, and a stranger's datagram cannot end the handshake.

SRTP works in place on a `PacketBuffer` and reports failure as a number: in the packet path nothing
is copied and nothing raises.
"""

import contextlib
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_PROFILES,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    State,
)
from OpenSSL import SSL
from pylibsrtp import Session, _binding

from media.errors import FingerprintMismatch, HandshakeFailed

MAX_DATAGRAM_BYTES: Final = 1_500
HANDSHAKE_DEADLINE_MS: Final = 15_000
FINGERPRINT_ALGORITHM: Final = "sha-256"

_BUFFER_BYTES: Final = 2_048  # a datagram, and room for the SRTP trailer
_MAX_TRAILER_BYTES: Final = 4 + 16 + 128  # SRTCP index, tag, MKI
_MTU_BYTES: Final = 1_200
_MAX_RESTARTS: Final = 4
_STALE_HELLO_MS: Final = 1_000
_HANDSHAKE, _ALERT = 22, 21
_CLIENT_HELLO: Final = 1
_RELEASE_BUFFERS: Final = 0x10  # SSL_MODE_RELEASE_BUFFERS, for which pyOpenSSL has no name

_lib: Final[Any] = _binding.lib
_ffi: Final[Any] = _binding.ffi
_srtp_protect: Final = _lib.srtp_protect
_srtp_unprotect: Final = _lib.srtp_unprotect
_length: Final = _ffi.new("int *")


class PacketBuffer:
    """One datagram, in memory that libsrtp reads and writes in place.

    Attributes:
        data, view: The same bytes. The size never changes: assign only slices of equal length.
        pointer: Their address, for `SrtpContext`.
        address: The same as a number, for the kernel.
    """

    __slots__ = ("address", "data", "pointer", "view")

    def __init__(self) -> None:
        self.data = bytearray(_BUFFER_BYTES)
        self.view = memoryview(self.data)
        self.pointer = _ffi.from_buffer(self.data)
        self.address = int(_ffi.cast("uintptr_t", self.pointer))


class SrtpContext:
    """The keys of one direction."""

    __slots__ = ("_session", "_srtp")

    def __init__(self, session: Session) -> None:
        self._session = session  # owns what `_srtp` points to
        self._srtp = session._srtp[0]

    def protect(self, packet: PacketBuffer, length: int) -> int:
        """Encrypt an RTP packet in place. Returns its new length, 0 if it cannot be sent."""
        _length[0] = length
        if _srtp_protect(self._srtp, packet.pointer, _length):
            return 0
        return _length[0]  # type: ignore[no-any-return]

    def unprotect(self, packet: PacketBuffer, length: int) -> int:
        """Check and decrypt an RTP packet in place. Returns its new length, 0 if it is refused."""
        _length[0] = length
        if _srtp_unprotect(self._srtp, packet.pointer, _length):
            return 0
        return _length[0]  # type: ignore[no-any-return]

    def protect_rtcp(self, data: bytes) -> bytes:
        """Encrypt a compound packet of at most `MAX_DATAGRAM_BYTES`; empty if it cannot be sent."""
        return self._rtcp(_lib.srtp_protect_rtcp, data, _MAX_TRAILER_BYTES)

    def unprotect_rtcp(self, data: bytes) -> bytes:
        """Check and decrypt a compound packet; empty if it is refused."""
        return self._rtcp(_lib.srtp_unprotect_rtcp, data, 0)

    def _rtcp(self, process: Any, data: bytes, trailer: int) -> bytes:
        buffer = bytearray(len(data) + trailer)
        buffer[: len(data)] = data
        _length[0] = len(data)
        if process(self._srtp, _ffi.from_buffer(buffer), _length):
            return b""
        return bytes(buffer[: _length[0]])


class _NoIceTransport:
    """What RTCDtlsTransport wants to see; datagrams go through `DtlsTransport.receive` instead."""

    role = "controlled"
    state = "completed"


# aiortc prefers AES-256; 128 bits are as safe here (RFC 7714 §14) and cost less
_PROFILES: Final = sorted(SRTP_PROFILES, key=lambda p: p is not SRTP_AEAD_AES_128_GCM)


class _Identity:
    """The certificate that all connections of the process show, and the context that holds it."""

    __slots__ = ("certificate", "context", "fingerprint")

    def __init__(self) -> None:
        self.certificate = RTCCertificate.generateCertificate()
        self.context = self.certificate._create_ssl_context(srtp_profiles=_PROFILES)
        self.context.set_options(SSL.OP_NO_QUERY_MTU)
        self.context.set_mode(_RELEASE_BUFFERS)
        found = {f.algorithm: f.value for f in self.certificate.getFingerprints()}
        self.fingerprint = FINGERPRINT_ALGORITHM, found[FINGERPRINT_ALGORITHM]


@cache
def _identity() -> _Identity:
    """One for the life of the process.

    A server need not hide that two calls are with the same one, and a context for each connection
    was a third of its memory. Fingerprints, not dates, say whom a certificate belongs to (RFC 8827
    §6.5), so it does not grow old.
    """
    return _Identity()


class DtlsTransport(RTCDtlsTransport):
    """The passive side of one DTLS association, driven by datagrams and time.

    Give each datagram of the peer to `receive` and call `tick` every 100 ms; send what they return.
    `srtp_in` and `srtp_out` are None until `is_connected`.
    """

    def __init__(self, fingerprints: Sequence[tuple[str, str]]) -> None:
        """`fingerprints` are the (algorithm, value) pairs of the offer, at least one."""
        identity = _identity()
        super().__init__(_NoIceTransport(), [identity.certificate])  # type: ignore[arg-type]
        self._set_role("server")
        self._srtp_profiles = _PROFILES
        self._expected = RTCDtlsParameters(
            fingerprints=[RTCDtlsFingerprint(algorithm, value) for algorithm, value in fingerprints]
        )
        self._hello_random = b""
        self._hello_ms = 0
        self._restarts = 0
        self._started_ms: int | None = None
        self._goodbye: list[bytes] | None = None  # written before OpenSSL's part was freed
        self.srtp_in: SrtpContext | None = None
        self.srtp_out: SrtpContext | None = None
        self._set_state(State.CONNECTING)
        self._renew()

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Of our certificate, for the answer: (algorithm, value)."""
        return _identity().fingerprint

    @property
    def is_connected(self) -> bool:
        """Whether the handshake is complete and the peer is the one that the offer named."""
        return self._state is State.CONNECTED

    @property
    def is_forgotten(self) -> bool:
        """Whether `forget` has freed OpenSSL's part: nothing is read any more."""
        return self._goodbye is not None

    @property
    def is_closed(self) -> bool:
        """Whether the peer closed the association, or it failed."""
        return self._state in (State.CLOSED, State.FAILED)

    def receive(self, datagram: bytes, now_ms: int) -> list[bytes]:
        """Take one DTLS datagram of the peer.

        Returns:
            Datagrams to send to the peer.
        Raises:
            HandshakeFailed: it cannot complete any more.
            FingerprintMismatch: the peer is not the one that the offer named.
        """
        if self.is_closed or self.is_forgotten or not self._belongs(datagram, now_ms):
            return []
        if self._started_ms is None:
            self._started_ms = now_ms
        self._connection.bio_write(datagram)
        if self.is_connected:
            self._read_records()
        else:
            self._advance()
        return self._outgoing()

    def tick(self, now_ms: int) -> list[bytes]:
        """Retransmit what was lost (RFC 6347 §4.2.4). Returns datagrams to send.

        Raises:
            HandshakeFailed: it has not completed within `HANDSHAKE_DEADLINE_MS`.
        """
        if self._started_ms is None or self._state is not State.CONNECTING:
            return []
        if now_ms - self._started_ms > HANDSHAKE_DEADLINE_MS:
            self._set_state(State.FAILED)
            raise HandshakeFailed("the handshake did not complete in time")
        timeout_s = self._connection.DTLSv1_get_timeout()
        if timeout_s is None or timeout_s > 0:
            return []
        try:
            self._connection.DTLSv1_handle_timeout()
        except SSL.Error:
            return []
        return self._outgoing()

    def close(self) -> list[bytes]:
        """End the association. Returns datagrams to send."""
        if self.is_closed:
            return []
        if self._goodbye is not None:
            outgoing = self._goodbye
        else:
            outgoing = self._write_goodbye() if self.is_connected else []
        self._set_state(State.CLOSED)
        return outgoing

    def forget(self) -> None:
        """Free OpenSSL's part of a complete handshake, some 75 KB. SRTP and `close` work on.

        Call it once the peer has sent authentic SRTP or SRTCP: then it has our last flight, the
        only one that it might ask for again (RFC 6347 §4.2.4). Its goodbye is not heard after that.
        """
        if self.is_connected and not self.is_forgotten:
            self._goodbye = self._write_goodbye()
            del self._connection, self._ssl

    def _write_goodbye(self) -> list[bytes]:
        """What tells the peer that the association is over; nothing else may be written after."""
        with contextlib.suppress(SSL.Error):
            self._connection.shutdown()
        return self._outgoing()

    def _renew(self) -> None:
        self._connection = self._ssl = SSL.Connection(_identity().context)
        self._connection.set_ciphertext_mtu(_MTU_BYTES)
        self._connection.set_accept_state()

    def _belongs(self, datagram: bytes, now_ms: int) -> bool:
        """Whether OpenSSL should see a datagram, which may come from a stranger until connected.

        A plaintext alert proves nothing, so it ends nothing. Another ClientHello replaces a
        handshake that has stood still for a second: the first one may have been forged.
        """
        if self.is_connected or len(datagram) < 14 or datagram[3:5] != b"\0\0":
            return True
        if datagram[0] == _ALERT:
            return False
        random = _hello_random(datagram)
        if random:
            if not self._hello_random:
                self._hello_random, self._hello_ms = random, now_ms
            elif random != self._hello_random:
                if now_ms - self._hello_ms < _STALE_HELLO_MS:
                    return False
                self._hello_random, self._hello_ms = random, now_ms
                self._restart()
        return True

    def _restart(self) -> None:
        """Begin the handshake anew, a bounded number of times."""
        self._restarts += 1
        if self._restarts > _MAX_RESTARTS:
            self._set_state(State.FAILED)
            raise HandshakeFailed("the handshake was broken too often")
        self._renew()

    def _advance(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error:
            self._hello_random = b""
            self._restart()
            return
        self._validate_peer_identity(self._expected)
        if self.is_closed:
            raise FingerprintMismatch("the peer's certificate is not the one of its offer")
        self._setup_srtp()
        if self.is_closed:
            raise HandshakeFailed("no common SRTP profile")
        self.srtp_in = SrtpContext(self._rx_srtp)
        self.srtp_out = SrtpContext(self._tx_srtp)
        self._set_state(State.CONNECTED)

    def _read_records(self) -> None:
        """Let OpenSSL see records after the handshake: a lost last flight, a close_notify."""
        try:
            while self._connection.recv(MAX_DATAGRAM_BYTES):
                pass  # application data: no data channel was negotiated
        except SSL.ZeroReturnError:
            self._set_state(State.CLOSED)
        except SSL.Error:
            pass

    def _outgoing(self) -> list[bytes]:
        datagrams: list[bytes] = []
        while True:
            try:
                datagrams.append(self._connection.bio_read(MAX_DATAGRAM_BYTES))
            except SSL.Error:
                return datagrams


def _hello_random(datagram: bytes) -> bytes:
    """The random of a ClientHello (RFC 6347 §4.2.2); empty for all else, as its later fragments."""
    is_hello = datagram[0] == _HANDSHAKE and datagram[13] == _CLIENT_HELLO
    if not is_hello or len(datagram) < 59 or datagram[19:22] != b"\0\0\0":
        return b""
    return datagram[27:59]


def warm_up() -> None:
    """Make an association that nobody uses: the first in a process takes 50 ms, later ones 3."""
    DtlsTransport([(FINGERPRINT_ALGORITHM, "00")])
