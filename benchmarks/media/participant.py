"""One side of a call as a browser would be it: ICE, DTLS-SRTP, RTP and reports.

Real STUN checks (controlling, nominating), a real DTLS handshake (client), packets encrypted by
libsrtp. Nothing of the servers' own code is used.
"""

from __future__ import annotations

import os
import re
import struct
import time
from random import Random

from aioice import stun
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import (
    SRTP_AEAD_AES_128_GCM,
    SRTP_AES128_CM_SHA1_80,
    SRTPProtectionProfile,
)
from OpenSSL import SSL
from pylibsrtp import Policy, Session, _binding

from benchmarks.media.clip import Clip
from benchmarks.media.schedule import AUDIO, VIDEO, frame_of
from benchmarks.media.wire import Arrival, Memory, Wire, address_of

AUDIO_TYPE, VIDEO_TYPE, RTX_TYPE = 111, 96, 97
AUDIO_BYTES, VIDEO_BYTES = 120, 1_000
MOST_BYTES = 1_500
MAGIC = b"wzbench!"
_LEVEL_ID, _TIME_ID, _MID_ID = 1, 2, 4
_PROFILES = (SRTP_AEAD_AES_128_GCM, SRTP_AES128_CM_SHA1_80)
_RETRY_S = 0.3
_NTP_EPOCH_S = 2_208_988_800

_lib, _ffi = _binding.lib, _binding.ffi
_length = _ffi.new("int *")
_HEADER = struct.Struct("!BBHII")
_STAMP = struct.Struct("!8sHBI")  # in the payload: magic, participant, kind, number


class Participant:
    """A side of a call: `2 n` and `2 n + 1` are the two of call n."""

    def __init__(
        self,
        index: int,
        certificate: RTCCertificate,
        port: int,
        random: Random,
        clip: Clip | None = None,
    ) -> None:
        self.index = index
        self.port = port
        self.ufrag, self.pwd = os.urandom(4).hex(), os.urandom(16).hex()
        self.fingerprint = next(
            f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256"
        )
        self.ssrcs = [random.randrange(1, 1 << 32) for _ in range(3)]
        self.sequences = [random.randrange(1 << 14) for _ in range(2)]
        self.timestamps = [random.randrange(1 << 31) for _ in range(2)]
        self.remote: tuple[str, int] = ("", 0)
        self.profile = ""
        self.bound = False
        self._remote_ice = ("", "")
        self._sent_s = 0.0
        context = certificate._create_ssl_context(srtp_profiles=list(_PROFILES))
        context.set_options(SSL.OP_NO_QUERY_MTU)
        self._dtls = SSL.Connection(context)
        self._dtls.set_ciphertext_mtu(1_200)
        self._dtls.set_connect_state()
        self._incoming: Session
        self._outgoing: Session
        self._clip = clip
        self.sources: list[int] = []
        self._heard: dict[int, tuple[int, int]] = {}
        self._templates = [self._template(AUDIO), self._template(VIDEO)]

    # Signaling ----------------------------------------------------------------------------------

    def description(self, setup: str) -> str:
        """The SDP of this side, with the little of Chromium's that servers read."""
        address = address_of(self.index)
        common = [
            f"c=IN IP4 {address}",
            "a=rtcp-mux",
            "a=rtcp-rsize",
            "a=sendrecv",
            f"a=ice-ufrag:{self.ufrag}",
            f"a=ice-pwd:{self.pwd}",
            f"a=fingerprint:sha-256 {self.fingerprint}",
            f"a=setup:{setup}",
            f"a=candidate:1 1 udp 2122260223 {address} {self.port} typ host",
            "a=end-of-candidates",
            f"a=extmap:{_MID_ID} urn:ietf:params:rtp-hdrext:sdes:mid",
            f"a=extmap:{_TIME_ID} http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        ]
        cname = f"cname:{self.ufrag}"
        audio, video, rtx = self.ssrcs
        lines = [
            "v=0",
            f"o=- {self.index + 1} 2 IN IP4 127.0.0.1",
            "s=-",
            "t=0 0",
            "a=group:BUNDLE 0 1",
            "a=msid-semantic: WMS s",
            f"m=audio {self.port} UDP/TLS/RTP/SAVPF {AUDIO_TYPE}",
            *common,
            f"a=extmap:{_LEVEL_ID} urn:ietf:params:rtp-hdrext:ssrc-audio-level",
            "a=mid:0",
            "a=msid:s a",
            f"a=rtpmap:{AUDIO_TYPE} opus/48000/2",
            f"a=fmtp:{AUDIO_TYPE} minptime=10;useinbandfec=1",
            f"a=ssrc:{audio} {cname}",
            f"m=video {self.port} UDP/TLS/RTP/SAVPF {VIDEO_TYPE} {RTX_TYPE}",
            *common,
            "a=mid:1",
            "a=msid:s v",
            f"a=rtpmap:{VIDEO_TYPE} VP8/90000",
            *(f"a=rtcp-fb:{VIDEO_TYPE} {f}" for f in ("goog-remb", "ccm fir", "nack", "nack pli")),
            f"a=rtpmap:{RTX_TYPE} rtx/90000",
            f"a=fmtp:{RTX_TYPE} apt={VIDEO_TYPE}",
            f"a=ssrc-group:FID {video} {rtx}",
            f"a=ssrc:{video} {cname}",
            f"a=ssrc:{rtx} {cname}",
        ]
        return "\r\n".join(lines) + "\r\n"

    def take(self, sdp: str) -> None:
        """Keep what the server said of itself.

        Raises:
            RuntimeError: its description lacks what a connection needs.
        """

        def find(pattern: str) -> tuple[str, ...]:
            found = re.search(pattern, sdp)
            if found is None:
                raise RuntimeError(f"the server's SDP has no {pattern}:\n{sdp}")
            return found.groups()

        self._remote_ice = (find(r"a=ice-ufrag:(\S+)")[0], find(r"a=ice-pwd:(\S+)")[0])
        address, port = find(r"a=candidate:\S+ 1 (?:udp|UDP) \d+ ([\d.]+) (\d+) typ host")
        self.remote = (address, int(port))
        self.sources = [int(s) for s in re.findall(r"a=ssrc:(\d+) cname", sdp)]

    # ICE and DTLS -------------------------------------------------------------------------------

    def check(self) -> bytes:
        """A signed, nominating check (RFC 8445 §7.1)."""
        request = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        request.attributes["USERNAME"] = f"{self._remote_ice[0]}:{self.ufrag}"
        request.attributes["PRIORITY"] = 1_853_817_087
        request.attributes["ICE-CONTROLLING"] = self.index + 1
        request.attributes["USE-CANDIDATE"] = None
        request.add_message_integrity(self._remote_ice[1].encode())
        request.add_fingerprint()
        return bytes(request)

    @property
    def connected(self) -> bool:
        """Whether media can be encrypted."""
        return bool(self.profile)

    def advance(self, wire: Wire, now_s: float) -> None:
        """Send what is due: the first check again, a flight again, a check for consent."""
        if now_s - self._sent_s < (4.0 if self.connected else _RETRY_S):
            return
        self._sent_s = now_s
        if self.connected or not self.bound:
            wire.send(self.index, self.check(), self.remote)
        else:
            timeout_s = self._dtls.DTLSv1_get_timeout()
            if timeout_s is not None and timeout_s <= 0:
                self._dtls.DTLSv1_handle_timeout()
                self._flush(wire)

    def arrived(self, wire: Wire, arrival: Arrival) -> None:
        """Take a datagram of the server that is no media."""
        data = arrival.data
        if data[0] < 4:
            if data[:2] == b"\0\1":
                wire.send(self.index, self.answer(data), arrival.source)
            elif data[:2] == b"\1\1" and not self.bound:
                self.bound = True
                self._shake(wire)
        elif 19 < data[0] < 64:
            self._dtls.bio_write(data)
            if not self.connected:
                self._shake(wire)

    def answer(self, data: bytes) -> bytes:
        """The answer to a check of a server that checks too."""
        request = stun.parse_message(data)
        response = stun.Message(
            stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=request.transaction_id
        )
        response.attributes["XOR-MAPPED-ADDRESS"] = self.remote
        response.add_message_integrity(self.pwd.encode())
        response.add_fingerprint()
        return bytes(response)

    def _shake(self, wire: Wire) -> None:
        try:
            self._dtls.do_handshake()
        except SSL.WantReadError:
            self._flush(wire)
            return
        self._flush(wire)
        chosen = self._dtls.get_selected_srtp_profile()
        profile = next(p for p in _PROFILES if p.openssl_profile == chosen)
        size = 2 * (profile.key_length + profile.salt_length)
        keys = self._dtls.export_keying_material(b"EXTRACTOR-dtls_srtp", size)
        self._outgoing = _session(profile, profile.get_key_and_salt(keys, 0), outgoing=True)
        self._incoming = _session(profile, profile.get_key_and_salt(keys, 1), outgoing=False)
        self.profile = chosen.decode()

    def _flush(self, wire: Wire) -> None:
        while True:
            try:
                wire.send(self.index, self._dtls.bio_read(1_500), self.remote)
            except SSL.WantReadError:
                return

    # Media --------------------------------------------------------------------------------------

    def _template(self, kind: int) -> bytes:
        """A packet whose header and stamp are yet to be written."""
        elements = bytes((_MID_ID << 4, 48 + kind, _TIME_ID << 4 | 2, 0, 0, 0))
        elements += bytes((_LEVEL_ID << 4, 30)) if kind == AUDIO else bytes(2)
        size = AUDIO_BYTES if kind == AUDIO else VIDEO_BYTES
        filling = Random(kind).randbytes(size)
        return bytes(12) + struct.pack("!HH", 0xBEDE, 2) + elements + filling

    def write(self, memory: Memory, at: int, kind: int, number: int, sent_ns: int) -> int:
        """Write an encrypted RTP packet; its length. In the order of `number`, for each kind.

        Args:
            sent_ns: When it will leave (Unix, ns), for abs-send-time.
        """
        data, template = memory.data, self._templates[kind]
        end = at + len(template)
        data[at:end] = template
        start = at + 24
        if kind == AUDIO:
            marker, ticks = 0, number * 960
        else:
            frame = frame_of(number)
            marker, ticks = (0x80 if frame.ends else 0), frame.index * 3_600
            first = 0x90 if frame.starts else 0x80
            data[start : start + 4] = struct.pack(
                "!BBH", first, 0x80, frame.index & 0x7FFF | 0x8000
            )
            if frame.starts:
                head = b"\x10\0\0\x9d\x01\x2a\x80\x02\xe0\x01" if frame.is_key else b"\x11\0\0"
                data[start + 4 : start + 4 + len(head)] = head
        payload_type = (AUDIO_TYPE, VIDEO_TYPE)[kind]
        _HEADER.pack_into(
            data,
            at,
            0x90,
            marker | payload_type,
            self.sequences[kind] + number & 0xFFFF,
            self.timestamps[kind] + ticks & 0xFFFFFFFF,
            self.ssrcs[kind],
        )
        data[at + 19 : at + 22] = ((sent_ns << 18) // 1_000_000_000 & 0xFFFFFF).to_bytes(3, "big")
        if self._clip is None:
            _STAMP.pack_into(data, end - _STAMP.size, MAGIC, self.index, kind, number)
        else:
            piece = self._clip.piece(kind, number)
            start += 0 if kind == AUDIO else 4
            end = start + len(piece)
            data[start:end] = piece
        return self._protect(memory, at, end - at)

    def _protect(self, memory: Memory, at: int, length: int) -> int:
        _length[0] = length
        pointer = _ffi.cast("void *", memory.address + at)
        if _lib.srtp_protect(self._outgoing._srtp[0], pointer, _length):
            raise RuntimeError("libsrtp cannot encrypt a packet")
        return _length[0]  # type: ignore[no-any-return]

    def report(self, number: int, sent_ns: int) -> bytes:
        """An encrypted compound: SR with blocks, SDES, REMB, as a browser sends each second."""
        ntp = (sent_ns // 1_000_000_000 + _NTP_EPOCH_S << 32) + (
            (sent_ns % 1_000_000_000 << 32) // 1_000_000_000
        )
        media = self.sources[:2]
        body = b""
        for kind, rate, a_second, size in (
            (AUDIO, 48_000, 50, AUDIO_BYTES),
            (VIDEO, 90_000, 100, VIDEO_BYTES),
        ):
            blocks = b""
            if kind < len(media):
                last_sr, at_ns = self._heard.get(media[kind], (0, sent_ns))
                waited = max(0, sent_ns - at_ns) * 65_536 // 1_000_000_000
                blocks = struct.pack(
                    "!IIIIII", media[kind], 0, a_second * number, 8, last_sr, waited
                )
            ticks = self.timestamps[kind] + number * rate & 0xFFFFFFFF
            body += struct.pack(
                "!BBHIQIII",
                0x80 | len(blocks) // 24,
                200,
                6 + len(blocks) // 4,
                self.ssrcs[kind],
                ntp & 0xFFFFFFFFFFFFFFFF,
                ticks,
                a_second * number,
                a_second * number * size,
            )
            body += blocks
        chunk = struct.pack("!IBB", self.ssrcs[0], 1, len(self.ufrag)) + self.ufrag.encode()
        chunk += bytes(4 - len(chunk) % 4)
        body += struct.pack("!BBH", 0x81, 202, len(chunk) // 4) + chunk
        remb = struct.pack("!II4sBBH", self.ssrcs[0], 0, b"REMB", len(media), 4 << 2 | 2, 10_000)
        remb += struct.pack(f"!{len(media)}I", *media)
        body += struct.pack("!BBH", 0x8F, 206, len(remb) // 4) + remb
        return self._outgoing.protect_rtcp(body)

    # What comes back ----------------------------------------------------------------------------

    def open(self, data: bytes) -> tuple[int, int, int, int]:
        """Decrypt a packet: its sequence number, and the participant, kind and number it is of.

        Raises:
            RuntimeError: it is not what a participant sent.
        """
        plain = self._incoming.unprotect(data)
        magic, participant, kind, number = _STAMP.unpack_from(plain, len(plain) - _STAMP.size)
        if magic != MAGIC:
            raise RuntimeError("a packet arrived that nobody sent")
        return int.from_bytes(plain[2:4], "big"), participant, kind, number

    def heard(self, report: bytes, now_ns: int) -> None:
        """Keep a sender report of the server, for the round trip (RFC 3550 §6.4.1)."""
        ssrc, middle = struct.unpack_from("!I2xI", report, 4)
        self._heard[ssrc] = middle, now_ns

    def open_report(self, data: bytes) -> bytes:
        """Decrypt a compound packet."""
        return self._incoming.unprotect_rtcp(data)


def _session(profile: SRTPProtectionProfile, key: bytes, *, outgoing: bool) -> Session:
    direction = Policy.SSRC_ANY_OUTBOUND if outgoing else Policy.SSRC_ANY_INBOUND
    policy = Policy(key=key, ssrc_type=direction, srtp_profile=profile.libsrtp_profile)
    policy.window_size = 8_192
    return Session(policy)


def connect(wire: Wire, participants: list[Participant], all_of_them: list[Participant]) -> None:
    """Complete ICE and DTLS of `participants`, and keep the consent of all others meanwhile.

    Raises:
        TimeoutError: not within 25 s.
    """
    deadline_s = time.monotonic() + 25
    while not all(p.connected for p in participants):
        now_s = time.monotonic()
        if now_s > deadline_s:
            missing = [p.index for p in participants if not p.connected]
            raise TimeoutError(f"participants {missing} could not connect")
        keep(wire, all_of_them)
        for arrival in wire.receive(0.02):
            if arrival.participant < len(all_of_them):
                all_of_them[arrival.participant].arrived(wire, arrival)


def keep(wire: Wire, participants: list[Participant]) -> None:
    """Send whatever checks are due."""
    now_s = time.monotonic()
    for participant in participants:
        if participant.remote[1]:
            participant.advance(wire, now_s)
