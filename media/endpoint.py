"""One participant's transport: ICE, DTLS-SRTP, and what goes in and out through it.

Nothing here waits or owns a task: datagrams come from the port, time from its tick.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final, Protocol

from media.dtls import DtlsTransport, PacketBuffer, SrtpContext
from media.errors import HandshakeFailed, OfferRejected
from media.flow import Flow
from media.ice import Address, IceCredentials, IceLite, IceResult
from media.inbound import Inbound, Shared
from media.limits import SAMPLE_ONE_IN, FloodGate, Take
from media.relief import Relief
from media.sdp import Candidate, Offer, answer
from media.tracks import IncomingTrack, Subscription

EXPIRE_INTERVAL_MS: Final = 1_000
"""How often consent, which lasts 30 s, is looked at."""

CONNECT_DEADLINE_MS: Final = 30_000
"""From the offer until DTLS is complete."""

JUDGE_INTERVAL_MS: Final = 1_000


_CHANCE: Final = Random()  # noqa: S311  # which moments are counted need not be secret


class Path(Protocol):
    """One validated address of the peer, over UDP or TCP.

    Attributes:
        endpoint: Set while this is the selected address of an endpoint: its packets go straight to
            `receive_rtp` and `receive_rtcp`, those of others to `receive_elsewhere`.
    """

    transport: str
    endpoint: "Endpoint | None"

    def send(self, data: bytes | memoryview) -> None:
        """Send one datagram; drop it if it cannot be sent at once."""

    def queue(self, packet: PacketBuffer, length: int) -> None:
        """Send the first `length` bytes of a packet at the end of the batch it came in.

        Until then `packet` must stay as it is.
        """


class Owner(Protocol):
    """What the room learns from its endpoints."""

    def endpoint_connected(self, endpoint: "Endpoint") -> None:
        """DTLS is complete and an address selected. Called once."""

    def endpoint_failed(self, endpoint: "Endpoint", code: str) -> None:
        """The connection is of no use any more. Called once; nothing follows."""

    def flow_began(self, participant_id: str, track: IncomingTrack) -> None:
        """The packet that starts a flow came."""


@dataclass(frozen=True, slots=True)
class Names:
    """Whose connection it is."""

    participant_id: str
    connection_id: str


class Endpoint:
    """One connection of a participant, from its first offer until it is closed or replaced.

    Attributes:
        transport: "udp" or "tcp" once an address is selected, before that empty.
        subscriptions: What the participant gets, by mid.
        relief: Whether its line is too weak for video.
        receive_rtp: Takes an SRTP packet from the selected address (`Inbound.receive_rtp`). Others
            may take its place with each tick (`media.limits`): look it up for each packet.
        receive_rtcp: Takes an SRTCP packet from the selected address.
    """

    __slots__ = (
        "_cname",
        "_counters",
        "_created_ms",
        "_dtls",
        "_elsewhere_ms",
        "_expired_ms",
        "_gate",
        "_heard_ms",
        "_ice",
        "_is_over",
        "_is_told",
        "_judged_ms",
        "_local",
        "_offer",
        "_owner",
        "_path",
        "_paths",
        "_queue",
        "_session_id",
        "_session_version",
        "_srtp",
        "_transmit",
        "inbound",
        "names",
        "receive_rtcp",
        "receive_rtp",
        "relief",
        "subscriptions",
        "transport",
    )

    def __init__(
        self, owner: Owner, names: Names, offer: Offer, shared: Shared, now_ms: int
    ) -> None:
        self.names = names
        self.transport = ""
        self.subscriptions: dict[str, Subscription] = {}
        self.inbound = Inbound(
            names.participant_id,
            shared,
            self.send_rtcp,
            lambda track: owner.flow_began(names.participant_id, track),
        )
        self._gate = FloodGate(
            self.inbound.receive_rtp, self.inbound.receive_rtcp, shared.counters, now_ms
        )
        self.receive_rtp: Take[PacketBuffer] = self.inbound.receive_rtp
        self.receive_rtcp = self._gate.receive_rtcp
        self.relief = Relief()
        self._judged_ms = now_ms
        self._owner = owner
        self._counters = shared.counters
        self._offer = offer
        self._local = _new_credentials()
        self._ice = IceLite(self._local, offer.ice_ufrag)
        self._dtls = DtlsTransport(offer.fingerprints)
        self._srtp: SrtpContext | None = None  # to send
        self._paths: dict[Address, Path] = {}
        self._path: Path | None = None  # the selected one
        self._transmit: Callable[[bytes | memoryview], None] | None = None
        self._queue: Callable[[PacketBuffer, int], None] | None = None
        self._elsewhere_ms = now_ms  # the last authentic packet over another path than that
        self._heard_ms: int | None = None  # the last one over that, as far as `_last_heard` looked
        self._session_id = secrets.randbits(62)
        self._session_version = 0
        self._cname = secrets.token_hex(8)
        self._created_ms = self._expired_ms = now_ms
        self._is_told = False
        self._is_over = False

    # Negotiation --------------------------------------------------------------------------------

    @property
    def is_connected(self) -> bool:
        """Whether media can go: DTLS is complete and the connection not over."""
        return self._srtp is not None and not self._is_over

    @property
    def is_capped(self) -> bool:
        """Whether the participant sends too much, so that the excess is dropped."""
        return self._gate.capped

    @property
    def is_over(self) -> bool:
        """Whether it neither sends nor takes anything any more."""
        return self._is_over

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """By these the port finds the endpoint. Read again after `negotiate` and `receive_stun`."""
        return self._ice.local_ufrags

    def negotiate(
        self, offer: Offer, flows: Mapping[str, Flow], screen_mid: str | None = None
    ) -> None:
        """Take an offer: the first, a renegotiation, or an ICE restart (RFC 8839 §4.4.1.1.1).

        Args:
            flows: The participant's flows by role, which packets of the offered tracks keep going.
            screen_mid: The m-line that carries the participant's shared screen.
        Raises:
            OfferRejected: it names another certificate; that needs a new connection.
        """
        if set(offer.fingerprints) != set(self._offer.fingerprints):
            raise OfferRejected("fingerprint_changed")
        if (offer.ice_ufrag, offer.ice_pwd) != (self._offer.ice_ufrag, self._offer.ice_pwd):
            self._local = _new_credentials()
            self._ice.restart(self._local, offer.ice_ufrag)
        self._offer = offer
        self._session_version += 1
        self.inbound.configure(offer, flows, screen_mid)
        self._subscribe(offer)

    def _subscribe(self, offer: Offer) -> None:
        subscriptions: dict[str, Subscription] = {}
        for kind in ("audio", "video"):
            sections = [
                s
                for s in offer.sections
                if s.kind == kind and s.codec and s.direction in ("sendrecv", "recvonly")
            ]
            for position, section in enumerate(sections):
                known = self.subscriptions.get(section.mid)
                if known is None or not known.fits(section):
                    known = Subscription(self, section, self._cname, position)
                subscriptions[section.mid] = known
        self.subscriptions = subscriptions
        self.inbound.subscriptions = {s.stream.ssrc: s for s in subscriptions.values()}

    def answer(self, candidates: Sequence[Candidate]) -> str:
        """The answer to the offer that was negotiated last."""
        return answer(
            self._offer,
            session_id=self._session_id,
            session_version=self._session_version,
            ice_ufrag=self._local.ufrag,
            ice_pwd=self._local.pwd,
            fingerprint=self._dtls.fingerprint,
            candidates=candidates,
            tracks=[s.described() for s in self.subscriptions.values()],
        )

    # Transport ----------------------------------------------------------------------------------

    def receive_stun(self, data: bytes, path: Path, source: Address, now_ms: int) -> IceResult:
        """Take a STUN datagram that came over `path` from `source`.

        The caller routes `result.validated` here and forgets `result.forget`.
        """
        result = self._ice.handle(data, source, now_ms, self._last_heard())
        if result.reply is not None:
            self._counters.stun += 1
            path.send(result.reply)
        if result.validated is not None:
            self._paths[source] = path
        for address in result.forget:
            self._paths.pop(address, None)
        self._follow()
        return result

    def receive_elsewhere(
        self, packet: PacketBuffer, length: int, source: Address, now_ms: int
    ) -> None:
        """Take SRTP or SRTCP from a validated address that is not the selected one.

        An authentic packet may make it that (`IceLite.heard`).
        """
        heard_ms, refused = self._last_heard(), self._refused()
        if 191 < packet.data[1] < 224:
            self.receive_rtcp(bytes(packet.view[:length]), now_ms)
        else:
            self.receive_rtp(packet, length, now_ms)
        if self._refused() != refused:
            return
        self._elsewhere_ms = now_ms
        if self._ice.heard(source, now_ms, heard_ms):
            self._follow()
            self._heard_ms = now_ms

    def _refused(self) -> int:
        """How many packets were not authentic so far, whoever's."""
        dropped = self._counters.dropped
        return sum(dropped.get(reason, 0) for reason in ("srtp", "srtcp", "not_connected", "flood"))

    def _last_heard(self) -> int | None:
        """When media last came from the selected address, None for never.

        Its packets leave no trace but the time of the last of each flow, so that they cost nothing
        more; what came over other paths is known and told apart.
        """
        lasts = (track.flow.last_ms for track in self.inbound.tracks.values())
        last_ms = max((at for at in lasts if at is not None), default=0)
        if last_ms > self._elsewhere_ms:
            self._heard_ms = last_ms
        return self._heard_ms

    def _follow(self) -> None:
        """Send over the path that ICE has selected by now."""
        selected = self._ice.selected
        path = None if selected is None else self._paths[selected]
        if path is self._path:
            return
        if self._path is not None:
            self._path.endpoint = None
            self._counters.path_changes += path is not None
        self._path, self._heard_ms = path, None
        self._transmit = None if path is None else path.send
        self._queue = None if path is None else path.queue
        if path is not None:
            path.endpoint = self
            self.transport = path.transport
            self._tell_connected()

    def lose_path(self, address: Address, now_ms: int) -> None:
        """The address is of no use any more: its connection has ended."""
        if not self._is_over:
            self._ice.lose(address, now_ms)
            self._paths.pop(address, None)
            self._follow()

    def receive_dtls(self, data: bytes, path: Path, now_ms: int) -> None:
        """Take a DTLS datagram that came over `path` from a validated address."""
        if self._is_over:
            return
        if self._dtls.is_forgotten:
            self._counters.drop("dtls_over")
            return
        try:
            outgoing = self._dtls.receive(data, now_ms)
        except HandshakeFailed as failure:
            self._fail(failure)
            return
        transmit = self._transmit or path.send
        for datagram in outgoing:
            transmit(datagram)
        if self._srtp is None and self._dtls.is_connected:
            self._counters.handshakes += 1
            self._srtp = self._dtls.srtp_out
            self.inbound.srtp = self._dtls.srtp_in
            self._tell_connected()
        elif self._dtls.is_closed:
            self._end("closed_by_peer")

    def _tell_connected(self) -> None:
        if not self._is_told and self._srtp is not None and self._transmit is not None:
            self._is_told = True
            self._owner.endpoint_connected(self)

    def _fail(self, failure: HandshakeFailed) -> None:
        self._counters.dtls_failures += 1
        self._end(failure.code)

    def _end(self, code: str) -> None:
        if not self._is_over:
            self._is_over = True
            self.inbound.srtp = None
            self._owner.endpoint_failed(self, code)

    def send_rtp(self, packet: PacketBuffer, length: int) -> None:
        """Encrypt in place the first `length` bytes, and send them at the end of the batch.

        Until then `packet` must stay as it is.
        """
        queue = self._queue
        if queue is not None and self._srtp is not None:
            length = self._srtp.protect(packet, length)
            if length:
                queue(packet, length)

    def send_rtp_now(self, packet: PacketBuffer, length: int) -> None:
        """As `send_rtp`, but at once: `packet` may be used again."""
        transmit = self._transmit
        if transmit is not None and self._srtp is not None:
            length = self._srtp.protect(packet, length)
            if length:
                transmit(packet.view[:length])

    def send_rtcp(self, data: bytes) -> None:
        """Encrypt and send a compound packet."""
        transmit = self._transmit
        if transmit is not None and self._srtp is not None:
            data = self._srtp.protect_rtcp(data)
            if data:
                transmit(data)

    def tick(self, now_ms: int) -> tuple[Address, ...]:
        """Each 100 ms: retransmissions, reports, consent. Returns addresses to forget."""
        if self._is_over:
            return ()
        if not self.is_connected and not self._await_handshake(now_ms):
            return ()
        if not self._dtls.is_forgotten and self.inbound.has_heard:
            self._dtls.forget()
        self.receive_rtp = self._gate.tick(now_ms, _CHANCE.random() * SAMPLE_ONE_IN < 1)
        self.inbound.tick(now_ms)
        for subscription in self.subscriptions.values():
            subscription.tick(now_ms, self.inbound.round_trip_ms)
        expired: tuple[Address, ...] = ()
        if now_ms - self._expired_ms >= EXPIRE_INTERVAL_MS:
            self._expired_ms = now_ms
            expired = self._ice.expire(now_ms)
            for address in expired:
                self._paths.pop(address, None)
            self._follow()
        if self._ice.is_undecided:
            self._ice.settle(now_ms, self._last_heard())
            self._follow()
        return expired

    def _await_handshake(self, now_ms: int) -> bool:
        """Retransmit what DTLS lost; False when the connection is over."""
        try:
            outgoing = self._dtls.tick(now_ms)
        except HandshakeFailed as failure:
            self._fail(failure)
            return False
        for datagram in outgoing:
            if self._transmit is not None:
                self._transmit(datagram)
        if now_ms - self._created_ms > CONNECT_DEADLINE_MS:
            self._end("connect_timeout")
            return False
        return True

    def judge(self, now_ms: int) -> bool:
        """Once a second: how much video the line carries. Returns whether that has changed."""
        if now_ms - self._judged_ms < JUDGE_INTERVAL_MS:
            return False
        self._judged_ms = now_ms
        delivered = sum(s.active and s.kind == "video" for s in self.subscriptions.values())
        was_suspended = self.relief.suspended
        changed = self.relief.judge(self.inbound.line_state(now_ms), delivered, now_ms)
        self.inbound.is_calm = self.relief.is_calm
        if was_suspended and changed:
            self.inbound.restart_estimate(now_ms)
        return changed

    def close(self) -> tuple[Address, ...]:
        """Tell the peer, and neither send nor take anything more. Returns addresses to forget.

        No reference cycle is left, so the histories (megabytes) are freed at once: a full garbage
        collection would stop the packets of all calls.
        """
        self._is_over = True
        for datagram in self._dtls.close():
            if self._transmit is not None:
                self._transmit(datagram)
        if self._path is not None:
            self._path.endpoint = None
        self._path = self._transmit = self._queue = None
        self.inbound.close()
        self.subscriptions = {}
        addresses = tuple(self._paths)
        self._paths.clear()
        return addresses


def _new_credentials() -> IceCredentials:
    return IceCredentials.generate(secrets.token_bytes(24))
