"""Who hears and sees whom.

A room knows its participants, the flow of each, and the mode that is delivered. Whenever one of
these changes it sets anew, per track, to whom packets go: the packet path itself decides nothing.

Patient and physician get what the mode carries while they send it themselves. Guests, and what
guests send, and a shared screen are carried only while both of them send: what is not billed is
not delivered, to nobody.
"""

import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from media.dtls import PacketBuffer
from media.endpoint import Endpoint, Names
from media.errors import ConnectionReplaced, RoomClosed, ScreenTaken
from media.flow import Flow, FlowReading
from media.gauge import gauge
from media.hold import HoldMusic
from media.ice import Address
from media.inbound import Shared
from media.participant import Delivery, Participant
from media.quality import LineQuality
from media.sdp import Candidate, parse_offer
from media.seating import HOME, SCREEN, Seat, assign, needed
from media.tracks import IncomingTrack, Sender, Subscription, Tap

log = logging.getLogger(__name__)

KINDS: Final = ("audio", "video")
DELIVERED: Final[Mapping[str | None, frozenset[str]]] = {
    None: frozenset(),
    "voice": frozenset({"audio"}),
    "video": frozenset({"audio", "video"}),
}
_ROLES: Final = (*KINDS, "screen")
_BILLED: Final = frozenset({"patient", "physician"})
_MAX_RETIRED: Final = 32
MAX_ABSENT: Final = 32
"""Participants who left and whose flows (and probations) are remembered, the latest of them."""


class RoomListener(Protocol):
    """What happens in a room. Called on the loop, from the packet path: it must not block.

    Times are monotonic milliseconds; kinds are "audio" and "video", and "screen" for a shared one.
    """

    def flow_started(self, participant_id: str, kind: str, at_ms: int) -> None:
        """A flow turned on at `at_ms`: with its first packet, or at the end of its probation.

        What came before was not delivered (`media.flow`).
        """

    def flow_stopped(self, participant_id: str, kind: str, at_ms: int) -> None:
        """A flow ended; `at_ms` is its last packet, up to 2.1 s ago."""

    def connected(self, participant_id: str, connection_id: str, transport: str) -> None:
        """A connection is complete, over "udp" or "tcp"."""

    def failed(self, participant_id: str, connection_id: str, code: str) -> None:
        """A connection is of no use any more.

        `code`: "dtls_failed", "fingerprint_mismatch", "connect_timeout", or "closed_by_peer" before
        its first packet; who closes it later only goes silent.
        """

    def video_suspended(self, participant_id: str, suspended: bool) -> None:
        """Whether video is withheld from a participant, whose line is too weak for it."""

    def flooding(self, participant_id: str, capped: bool) -> None:
        """Whether a participant sends far too much, so that the excess is dropped."""


class Switchboard(Protocol):
    """What a room needs of the port."""

    shared: Shared
    candidates: tuple[Candidate, ...]

    def now_ms(self) -> int:
        """Monotonic milliseconds."""

    def route(self, endpoint: Endpoint) -> None:
        """Send STUN that names the endpoint's ufrags to it."""

    def unroute(self, endpoint: Endpoint, addresses: tuple[Address, ...]) -> None:
        """Forget the endpoint and its addresses."""

    def forget(self, endpoint: Endpoint, addresses: tuple[Address, ...]) -> None:
        """Nothing from these addresses is for the endpoint any more."""


class Recording(Protocol):
    """Who records a room (`media.recorder`)."""

    def tap(self, participant_id: str, track: IncomingTrack) -> Tap | None:
        """Where the delivered packets of a track go; None for who is not recorded."""


class Room:
    """The media of one consult. Create it with `MediaPort.room`."""

    def __init__(
        self,
        room_id: str,
        listener: RoomListener,
        switchboard: Switchboard,
        closed: Callable[[str], None],
        max_video_bps: int = 0,
    ) -> None:
        """`max_video_bps`: What each participant may send of video; 0 for no limit."""
        self.room_id = room_id
        self._listener = listener
        self._switchboard = switchboard
        self._closed_hook = closed
        self._participants: dict[str, Participant] = {}  # in the order of joining
        self._flows: dict[str, Mapping[str, Flow]] = {}  # also of who left and may return
        self._delivered: frozenset[str] = frozenset()
        self._is_withheld = False
        self._max_video_bps = max_video_bps
        self._screen: str | None = None  # who shares one
        self._recording: Recording | None = None
        self._scratch: PacketBuffer | None = None  # two kilobytes only where music is played
        self._is_closed = False

    async def offer(
        self,
        participant_id: str,
        side: str,
        connection_id: str,
        sdp: str,
        screen_mid: str | None = None,
    ) -> str:
        """Take an SDP offer and return the answer.

        A new `connection_id` replaces the participant's connection; the same one with new ICE
        credentials is an ICE restart, else a renegotiation: DTLS and SRTP go on. `screen_mid`
        names the video m-line that carries the participant's shared screen; None: it shares none.

        Raises:
            OfferRejected: what was before goes on.
            ScreenTaken: somebody else shares a screen; what was before goes on.
            ConnectionReplaced: a newer connection has taken the place of this one.
            RoomClosed: the room takes no more offers.
        """
        if self._is_closed:
            raise RoomClosed(self.room_id)
        if screen_mid is not None and self._screen not in (None, participant_id):
            raise ScreenTaken(self._screen or "")
        offer = parse_offer(sdp)
        participant = self._participants.get(participant_id) or self._newcomer(participant_id, side)
        if connection_id in participant.retired:
            raise ConnectionReplaced(connection_id)
        endpoint = participant.endpoint
        now_ms = self._switchboard.now_ms()
        if endpoint is None or endpoint.names.connection_id != connection_id:
            names = Names(participant_id, connection_id)
            endpoint = Endpoint(self, names, offer, self._switchboard.shared, now_ms)
            endpoint.inbound.estimates.max_bps = self._max_video_bps
        endpoint.negotiate(offer, participant.flows, screen_mid)
        answer = endpoint.answer(self._switchboard.candidates)
        if endpoint is not participant.endpoint:
            self._disconnect(participant, retire=True)
            participant.endpoint = endpoint
            self._participants[participant_id] = participant
            self._remember(participant)
        self._switchboard.route(endpoint)
        if screen_mid is not None:
            self._screen = participant_id
        elif self._screen == participant_id:
            self._screen = None
        self._connect_tracks()
        return answer

    def stop_screen(self) -> None:
        """Take the shared screen from everybody, until somebody offers one again."""
        self._screen = None
        self._connect_tracks()

    @property
    def participants(self) -> tuple[str, ...]:
        """Who is here, in the order of coming."""
        return tuple(self._participants)

    @property
    def screen(self) -> str | None:
        """Who shares a screen."""
        return self._screen

    def seats(self, participant_id: str) -> tuple[int, tuple[Seat, ...]]:
        """How many pairs of m-lines a participant needs, and who is where."""
        receiver = self._participants.get(participant_id)
        if receiver is None:
            return 1, ()
        lines = {} if receiver.endpoint is None else receiver.endpoint.subscriptions
        mids = {(line.kind, line.position): line.mid for line in lines.values()}
        found = [
            Seat(
                (self._screen or "") if who == SCREEN else who,
                None if who == SCREEN else mids.get(("audio", seat)),
                mids.get(("video", seat)),
                who == SCREEN,
            )
            for who, seat in receiver.seats.items()
        ]
        return needed(receiver.seats), tuple(found)

    def deliver(self, mode: str | None, *, video_withheld: bool = False) -> None:
        """Let "voice" or "video" through from now on, or None: nothing.

        `video_withheld`: With "voice", though video is agreed on, until all lines can carry it.
        """
        self._delivered = DELIVERED[mode]
        self._is_withheld = video_withheld
        self._connect_tracks()

    def record(self, recording: Recording | None) -> None:
        """Let it see all that is delivered from now on, on every connection to come; None: end."""
        self._recording = recording
        self._tap_tracks()

    def play(self, music: HoldMusic, now_ms: int) -> None:
        """Let all but the physician hear the packet of `music` that is due, while nothing is
        delivered. It is heard in place of the first of the others.
        """
        if self._delivered:
            return
        for participant in self._participants.values():
            endpoint = participant.endpoint
            if participant.side == "physician" or endpoint is None or not endpoint.is_connected:
                continue
            lines = (line for line in endpoint.subscriptions.values() if line.kind == "audio")
            line = min(lines, key=lambda line: line.position, default=None)
            if line is not None:
                self._scratch = self._scratch or PacketBuffer()
                line.play(music, self._scratch, now_ms)

    def flow(self, participant_id: str) -> FlowReading:
        """What flows from a participant; all off for one who is not here."""
        participant = self._participants.get(participant_id)
        if participant is None:
            return FlowReading(dict.fromkeys(KINDS, False), dict.fromkeys(KINDS))
        return FlowReading(
            {kind: participant.flows[kind].on for kind in KINDS},
            {kind: participant.flows[kind].last_ms for kind in KINDS},
        )

    def connects(self, participant_id: str) -> bool:
        """Whether a connection of this participant is here, or being set up."""
        participant = self._participants.get(participant_id)
        return participant is not None and participant.endpoint is not None

    def quality(self, now_ms: int) -> dict[str, LineQuality]:
        """What each participant's line is like since the last call; call it once a second."""
        endpoints = {p: p.endpoint for p in self._participants.values()}
        fed = [s for e in endpoints.values() if e is not None for s in e.subscriptions.values()]
        return {
            p.participant_id: gauge(p.line, endpoint, fed, p.sends(frozenset(KINDS)), now_ms)
            for p, endpoint in endpoints.items()
        }

    def tick(self, now_ms: int) -> None:
        """Each 100 ms: flows that have stopped, and what endpoints have to do by time."""
        changed = False
        for participant in tuple(self._participants.values()):
            for role, flow in participant.flows.items():
                at_ms = flow.expire(now_ms)
                if at_ms is not None:
                    changed = True
                    self._tell_stopped(participant, role, at_ms)
            endpoint = participant.endpoint
            if endpoint is not None:
                self._switchboard.forget(endpoint, endpoint.tick(now_ms))
                changed |= self._relieve(endpoint, now_ms)
        if changed:
            self._connect_tracks()
        for participant in tuple(self._participants.values()):
            self._tell_line(participant)

    def _relieve(self, endpoint: Endpoint, now_ms: int) -> bool:
        """Keep video from a line that is too weak for it, or let it come again."""
        if "video" in self._delivered or self._is_withheld:
            return endpoint.judge(now_ms)
        endpoint.relief.reset()
        return False

    def _tell_line(self, participant: Participant) -> None:
        who, endpoint = participant.participant_id, participant.endpoint
        suspended = endpoint is not None and endpoint.relief.suspended
        if suspended != participant.suspended:
            participant.suspended = suspended
            self._guarded(self._listener.video_suspended, who, suspended)
        capped = endpoint is not None and endpoint.is_capped
        if capped != participant.capped:
            participant.capped = capped
            self._switchboard.shared.counters.capped += capped
            self._guarded(self._listener.flooding, who, capped)

    async def leave(self, participant_id: str) -> None:
        """Disconnect a participant. Its flows stop with their last packet."""
        self.dismiss(participant_id)

    def dismiss(self, participant_id: str) -> None:
        """As `leave`: done when it returns, so that it cannot hit a connection that comes later."""
        participant = self._participants.pop(participant_id, None)
        if participant is None:
            return
        self._disconnect(participant, retire=False)
        self._tell_line(participant)
        if self._screen == participant_id:
            self._screen = None
        for role, flow in participant.flows.items():
            at_ms = flow.stop()
            if at_ms is not None:
                self._tell_stopped(participant, role, at_ms)
        self._connect_tracks()

    async def close(self) -> None:
        """Disconnect everybody and take no more offers."""
        self._is_closed = True
        for participant_id in tuple(self._participants):
            self.dismiss(participant_id)
        self._closed_hook(self.room_id)

    # From the endpoints -------------------------------------------------------------------------

    def endpoint_connected(self, endpoint: Endpoint) -> None:
        """Deliver to it, and tell the listener."""
        names = endpoint.names
        self._connect_tracks()
        self._guarded(
            self._listener.connected, names.participant_id, names.connection_id, endpoint.transport
        )

    def endpoint_failed(self, endpoint: Endpoint, code: str) -> None:
        """Drop the connection; the participant may come back with a new one."""
        names = endpoint.names
        participant = self._participants.get(names.participant_id)
        if participant is not None and participant.endpoint is endpoint:
            self._disconnect(participant, retire=False)
            self._connect_tracks()
            self._guarded(self._listener.failed, names.participant_id, names.connection_id, code)

    def flow_began(self, participant_id: str, track: IncomingTrack) -> None:
        """Who sends also gets."""
        self._connect_tracks()
        at_ms = track.flow.last_ms
        self._guarded(self._listener.flow_started, participant_id, track.role, at_ms)

    # --------------------------------------------------------------------------------------------

    def _remember(self, participant: Participant) -> None:
        """Keep a participant's flows for a later stay, and those of no end of others."""
        self._flows.pop(participant.participant_id, None)
        self._flows[participant.participant_id] = participant.flows
        absent = [who for who in self._flows if who not in self._participants]
        for who in absent[:-MAX_ABSENT]:
            del self._flows[who]

    def _newcomer(self, participant_id: str, side: str) -> Participant:
        flows = self._flows.get(participant_id) or {
            role: Flow(is_billed=side in _BILLED and role in KINDS) for role in _ROLES
        }
        return Participant(participant_id, side, flows)

    def _disconnect(self, participant: Participant, *, retire: bool) -> None:
        endpoint, participant.endpoint = participant.endpoint, None
        if endpoint is None:
            return
        if retire:
            participant.retired.append(endpoint.names.connection_id)
            del participant.retired[:-_MAX_RETIRED]
        self._switchboard.unroute(endpoint, endpoint.close())

    def _connect_tracks(self) -> None:
        """Set who gets which track now, by seats, mode, flows and connections."""
        people = self._participants
        outputs: dict[IncomingTrack, list[Subscription]] = {
            track: [] for sender in people.values() for track in sender.tracks()
        }
        sending = {p.side for p in people.values() if p.sends(self._delivered)}
        delivery = Delivery(self._delivered, sending >= _BILLED)
        watchers: dict[Sender, set[str]] = {}
        withheld: set[Sender] = set()
        for receiver in people.values():
            self._seat(receiver)
            if receiver.endpoint is None:
                continue
            reached = delivery.reaches(receiver) and receiver.endpoint.is_connected
            at = {seat: who for who, seat in receiver.seats.items()}
            for line in receiver.endpoint.subscriptions.values():
                sender, track = self._source(at.get(line.position), line.kind)
                active = reached and sender and track and delivery.takes(sender, track)
                if track and active and line.kind == "video":
                    if not receiver.endpoint.relief.leaves(line.position):
                        active = False
                        withheld.add(track.sender)
                    else:
                        watchers.setdefault(track.sender, set()).add(receiver.participant_id)
                line.feed(track, bool(active))
                if track is not None and line.active:
                    outputs[track].append(line)
        now_ms = self._switchboard.now_ms()
        self._tell_estimates(watchers, withheld, now_ms)
        for track, lines in outputs.items():
            track.outputs = tuple(lines)
            track.sender.request_keyframes(now_ms)
        if self._recording is not None:
            self._tap_tracks()

    def _tap_tracks(self) -> None:
        recording = self._recording
        for who, sender in self._participants.items():
            for track in sender.tracks():
                track.tap = None if recording is None else recording.tap(who, track)

    def _tell_estimates(
        self, watchers: Mapping[Sender, set[str]], withheld: set[Sender], now_ms: int
    ) -> None:
        """Tell every sender what those can take who get its video now."""
        inbounds = [p.endpoint.inbound for p in self._participants.values() if p.endpoint]
        for inbound in inbounds:
            inbound.share_estimate(now_ms)
        for inbound in inbounds:
            is_withheld = self._is_withheld or inbound in withheld
            inbound.estimates.serve(watchers.get(inbound, ()), is_withheld)
            inbound.tell_estimate(now_ms)

    def _seat(self, receiver: Participant) -> None:
        present = [who for who, p in self._participants.items() if p is not receiver]
        if self._screen not in (None, receiver.participant_id):
            present.append(SCREEN)
        receiver.seats = assign(receiver.seats, present, HOME.get(receiver.side))

    def _source(
        self, who: str | None, kind: str
    ) -> tuple[Participant | None, IncomingTrack | None]:
        """Who sends what belongs into a line of this kind at the seat of `who`, and what."""
        is_screen = who == SCREEN
        if is_screen and kind == "audio":
            return None, None
        sender = self._participants.get((self._screen if is_screen else who) or "")
        return sender, sender.track("screen" if is_screen else kind) if sender else None

    def _tell_stopped(self, participant: Participant, kind: str, at_ms: int) -> None:
        self._guarded(self._listener.flow_stopped, participant.participant_id, kind, at_ms)

    def _guarded(self, call: Callable[..., None], *arguments: object) -> None:
        """Call the listener; what it breaks must not end the packet path of other rooms."""
        try:
            call(*arguments)
        except Exception:
            log.exception("the listener of room %s failed", self.room_id)
