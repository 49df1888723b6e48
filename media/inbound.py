"""What arrives from one participant: packets to their receivers, feedback to where it belongs.

The hot path of the server is `receive_rtp`: it copies nothing but what the history keeps.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from media import red, rtcp
from media.counters import MediaCounters
from media.datagrams import Spares
from media.dtls import PacketBuffer, SrtpContext
from media.estimates import Estimates, ReceiverEstimate
from media.flow import Flow
from media.relief import LineState
from media.rtp import (
    extension_value,
    header_bytes,
    payload_bytes,
    read_header,
    starts_vp8_keyframe,
    unwrap_rtx,
)
from media.sdp import MID_URI, Offer, Section
from media.timeline import report_of
from media.tracks import IncomingTrack, Source, Subscription

REPORT_INTERVAL_MS: Final = 1_000
NACK_SPACING_MS: Final = 20
MAX_SOURCES: Final = 32
"""SSRCs that one connection may use; more are dropped."""

MAX_LOOKUPS: Final = 1_024
"""Sequence numbers of NACKs taken from a participant between two ticks (100 ms)."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all connections of a port have in common."""

    counters: MediaCounters
    spares: Spares


def _ignore(_: object) -> None:
    """What a closed connection has to say."""


class Inbound:
    """The receiving side of one endpoint.

    Attributes:
        srtp: Its keys; None until DTLS is complete, and again when the connection is over.
        tracks: What the participant sends, by mid.
        estimates: What its receivers can take of its video.
        subscriptions: What it gets, by the SSRC that it knows: its feedback names that.
        is_calm: Nothing but its estimate speaks of a queue on the way to the participant.
        round_trip_ms: To the participant and back, as its reports tell (RFC 3550 §6.4.1), smoothed.
    """

    __slots__ = (
        "_cname",
        "_counters",
        "_estimate",
        "_flow_began",
        "_has_reported",
        "_lookups",
        "_nacked_ms",
        "_participant_id",
        "_reported_ms",
        "_scratch",
        "_send_rtcp",
        "_sources",
        "_spares",
        "_ssrc",
        "estimates",
        "is_calm",
        "round_trip_ms",
        "srtp",
        "subscriptions",
        "tracks",
    )

    def __init__(
        self,
        participant_id: str,
        shared: Shared,
        send_rtcp: Callable[[bytes], None],
        flow_began: Callable[[IncomingTrack], None],
    ) -> None:
        """`flow_began` is called with the packet that starts a flow, before that is forwarded."""
        self.srtp: SrtpContext | None = None
        self.tracks: dict[str, IncomingTrack] = {}
        self.subscriptions: dict[int, Subscription] = {}
        self.round_trip_ms: int | None = None
        self.is_calm = True
        self._participant_id = participant_id
        self._counters = shared.counters
        self._spares = shared.spares
        self._send_rtcp = send_rtcp
        self._flow_began = flow_began
        self._scratch = PacketBuffer()
        self._sources: dict[int, Source] = {}
        self._ssrc = secrets.randbelow(0xFFFFFFFF) + 1
        self._cname = secrets.token_hex(8)
        self._estimate = ReceiverEstimate()
        self.estimates = Estimates()
        self._lookups = MAX_LOOKUPS
        self._has_reported = False
        self._reported_ms = 0
        self._nacked_ms = 0

    @property
    def has_heard(self) -> bool:
        """Whether anything authentic has come: the participant has its keys."""
        return self._has_reported or any(x.tracker.received for x in self._sources.values())

    def configure(self, offer: Offer, flows: Mapping[str, Flow], screen_mid: str | None) -> None:
        """Take the tracks that an offer names; those that it still names go on.

        `flows` by role: "audio", "video", "screen". `screen_mid` is the video m-line that carries
        a shared screen, None without one.
        """
        tracks: dict[str, IncomingTrack] = {}
        for section in offer.sections:
            codec = section.codec
            is_screen = section.mid == screen_mid and section.kind == "video"
            role = "screen" if is_screen else section.kind
            if codec is None or role not in flows:
                continue
            if section.direction in ("sendrecv", "sendonly"):
                track = self.tracks.get(section.mid)
                if track is None or not track.fits(section) or track.role != role:
                    track = IncomingTrack(section, codec, role, flows[role], self)
                tracks[section.mid] = track
        for track in self.tracks.values():
            if track not in tracks.values():
                track.close()
        self.tracks = tracks
        self._sources = {s: x for s, x in self._sources.items() if x.track in tracks.values()}
        for section in offer.sections:
            if section.mid in tracks:
                self._name_sources(section, tracks[section.mid])

    def _name_sources(self, section: Section, track: IncomingTrack) -> None:
        repairs = set(section.rtx_ssrcs.values())
        for ssrc in (*section.ssrcs, *repairs):
            if ssrc not in self._sources and len(self._sources) < MAX_SOURCES:
                self._sources[ssrc] = Source(ssrc, track, is_rtx=ssrc in repairs)

    def receive_rtp(  # noqa: C901, PLR0912  # each packet comes here: a call costs ten branches
        self, packet: PacketBuffer, length: int, now_ms: int
    ) -> None:
        """Take an SRTP packet from a validated address; `packet` is overwritten.

        It must stay as it then is until the batch is sent.
        """
        srtp = self.srtp
        if srtp is None:
            self._counters.drop("not_connected")
            return
        length = srtp.unprotect(packet, length)
        if not length:
            self._counters.drop("srtp")
            return
        data = packet.data
        fields = read_header(data, 2)
        sequence, timestamp, ssrc = fields
        source = self._sources.get(ssrc) or self._learn(data, length, ssrc)
        if source is None:
            self._counters.drop("unknown_source")
            return
        if data[0] & 0x1F == 0x10 and not data[14]:  # an extension and no CSRC, as browsers send
            header = 16 + (data[15] << 2)
            header = header if header <= length else 0
        else:
            header = header_bytes(data, length)
        track = source.track
        if data[1] & 0x7F != track.payload_type or not header:
            self._receive_other(packet, length, header, source, now_ms)
            return
        tracker = source.tracker
        if not tracker.accept(sequence, timestamp, now_ms):
            self._counters.drop("late")
            return
        if (length > header and not data[0] & 0x20) or payload_bytes(data, length, header):
            flow = track.flow
            if flow.on:
                flow.last_ms = now_ms
            else:
                self._start_flow(track, now_ms)
        if track.current is not source or tracker.missing:
            self._attend(source, data, header, length, now_ms)
        outputs = track.outputs
        if track.tap is not None and outputs:
            track.tap(data, length, header, fields, now_ms)
        if len(outputs) == 1:
            output = outputs[0]
            if output.forwarder.forward(data, length, header, fields, now_ms):
                output.receiver.send_rtp(packet, length)
                self._counters.forwarded += 1
        elif outputs:
            self._forward(outputs, packet, length, header, fields, now_ms)

    def _start_flow(self, track: IncomingTrack, now_ms: int) -> None:
        if track.flow.arrived(now_ms):
            self._flow_began(track)

    def _attend(
        self, source: Source, data: bytearray, header: int, length: int, now_ms: int
    ) -> None:
        """Do what few packets need: take up another SSRC, ask for what is missing."""
        if source.track.current is not source:
            source.track.switch(source)
            self.request_keyframes(now_ms)
        if source.track.kind == "video" and starts_vp8_keyframe(data, header, length):
            source.tracker.keyframe_began(data[2] << 8 | data[3])
        if now_ms - self._nacked_ms >= NACK_SPACING_MS:
            self._request_missing(now_ms)

    def _forward(
        self,
        outputs: tuple[Subscription, ...],
        packet: PacketBuffer,
        length: int,
        header: int,
        fields: tuple[int, int, int],
        now_ms: int,
    ) -> None:
        for output in outputs[1:]:  # all but the first work on a copy, as packets change in place
            copy = self._spares.copy(packet, length)
            if output.forwarder.forward(copy.data, length, header, fields, now_ms):
                output.receiver.send_rtp(copy, length)
                self._spares.use()
                self._counters.forwarded += 1
        output = outputs[0]
        if output.forwarder.forward(packet.data, length, header, fields, now_ms):
            output.receiver.send_rtp(packet, length)
            self._counters.forwarded += 1

    def _receive_other(
        self, packet: PacketBuffer, length: int, header: int, source: Source, now_ms: int
    ) -> None:
        """Take a packet that is not of the track's payload type."""
        track = source.track
        payload_type = packet.data[1] & 0x7F
        if header and payload_type == track.codec.red_payload_type:
            self._receive_red(packet, length, header, source, now_ms)
        elif not header or payload_type != track.codec.rtx_payload_type:
            self._counters.drop("payload_type")
        elif track.current is not None and track.current is not source:
            self._receive_rtx(packet, length, header, track.current, now_ms)

    def _receive_red(
        self, packet: PacketBuffer, length: int, header: int, source: Source, now_ms: int
    ) -> None:
        """Pass redundant audio to who knows the format, and its newest frame to others."""
        data, track = packet.data, source.track
        start = red.primary_start(data, length, header, track.codec.payload_type)
        if not start:
            self._counters.drop("red")
            return
        fields = read_header(data, 2)
        if not source.tracker.accept(fields[0], fields[1], now_ms):
            self._counters.drop("late")
            return
        self._start_flow(track, now_ms)
        if track.current is not source or source.tracker.missing:
            self._attend(source, data, header, length, now_ms)
        if track.tap is not None and track.outputs:
            track.tap(data, length, start, fields, now_ms)
        for output in track.outputs:
            copy = self._spares.copy(packet, length)
            if output.forwarder.forward(copy.data, length, header, fields, now_ms):
                size = output.fit_red(copy.data, length, header, start)
                output.receiver.send_rtp(copy, size)
                self._spares.use()
                self._counters.forwarded += 1

    def _receive_rtx(
        self, packet: PacketBuffer, length: int, header: int, media: Source, now_ms: int
    ) -> None:
        """Use a retransmission where it repairs a gap; else it is a probe, passed on as such."""
        data, track = packet.data, media.track
        original = data[header] << 8 | data[header + 1] if length >= header + 2 else 0
        if payload_bytes(data, length, header) > 2 and media.tracker.is_missing(original):
            length = unwrap_rtx(data, length, header, track.codec.payload_type, media.ssrc)
            fields = read_header(data, 2)
            media.tracker.accept(fields[0], fields[1], now_ms)
            if starts_vp8_keyframe(data, header, length):
                media.tracker.keyframe_began(original)
            if track.tap is not None and track.outputs:
                track.tap(data, length, header, fields, now_ms)
            # what came after it was not sent to who waits for a keyframe: it needs another one
            outputs = tuple(o for o in track.outputs if not o.forwarder.waiting)
            if outputs:
                self._forward(outputs, packet, length, header, fields, now_ms)
            return
        fields = read_header(data, 2)
        for output in track.outputs:
            copy = self._spares.copy(packet, length)
            if output.forwarder.forward_probe(copy.data, length, header, fields):
                output.receiver.send_rtp_now(copy, length)

    def _learn(self, data: bytearray, length: int, ssrc: int) -> Source | None:
        """Find the track of an SSRC that the offer did not name (RFC 8843 §9.2): mid, else type."""
        if len(self._sources) >= MAX_SOURCES:
            return None
        payload_type = data[1] & 0x7F
        for track in self.tracks.values():
            mid = extension_value(data, length, track.extensions.get(MID_URI, 0))
            if mid is not None and mid.decode("ascii", "replace") != track.mid:
                continue
            codec = track.codec
            if payload_type in (
                codec.payload_type,
                codec.red_payload_type,
                codec.rtx_payload_type,
            ):
                is_rtx = payload_type == codec.rtx_payload_type
                source = self._sources[ssrc] = Source(ssrc, track, is_rtx)
                return source
        return None

    def receive_rtcp(self, data: bytes, now_ms: int) -> None:
        """Take an SRTCP packet from a validated address."""
        if self.srtp is None:
            self._counters.drop("not_connected")
            return
        plain = self.srtp.unprotect_rtcp(data)
        if not plain:
            self._counters.drop("srtcp")
            return
        self._has_reported = True
        for packet in rtcp.parse(plain, min(self._lookups, rtcp.MAX_NACKED)):
            if isinstance(packet, rtcp.Remb):
                self._estimate.put(packet.bitrate_bps, now_ms)
                self.share_estimate(now_ms, tell=True)
                continue
            if isinstance(packet, rtcp.SenderReport):
                self._receive_report(packet, now_ms)
                continue
            if isinstance(packet, rtcp.Nack):
                self._lookups -= len(packet.sequences)
            subscription = self.subscriptions.get(packet.ssrc)
            if subscription is not None and subscription.active:
                self._receive_feedback(packet, subscription, now_ms)

    def _receive_feedback(
        self,
        packet: rtcp.Nack | rtcp.ReportBlock | rtcp.KeyframeRequest,
        subscription: Subscription,
        now_ms: int,
    ) -> None:
        """Take what the participant says of a stream that it gets."""
        track = subscription.track
        if isinstance(packet, rtcp.Nack):
            self._counters.retransmitted += subscription.resend(
                packet.sequences,
                self._scratch,
                now_ms,
                self.round_trip_ms or 0,
                is_calm=self.is_calm,
            )
        elif isinstance(packet, rtcp.ReportBlock):
            source = track.current if track is not None else None
            tracker = source.tracker if source is not None else None
            sent = subscription.forwarder.packets
            round_trip_ms = subscription.reports.take(packet, sent, tracker, now_ms)
            if round_trip_ms is not None:
                before = self.round_trip_ms
                smooth_ms = round_trip_ms if before is None else (3 * before + round_trip_ms) // 4
                self.round_trip_ms = smooth_ms
        elif track is not None:
            subscription.asked_for_keyframe(now_ms, self.round_trip_ms or 0)
            track.sender.request_keyframes(now_ms)

    def _receive_report(self, report: rtcp.SenderReport, now_ms: int) -> None:
        source = self._sources.get(report.ssrc)
        if source is None:
            return
        source.tracker.sender_reported(report.ntp, now_ms)
        source.reported = report_of(report.ntp, report.rtp_timestamp)
        if source.track.current is source:
            for output in source.track.outputs:
                output.pass_report(report, now_ms)

    def share_estimate(self, now_ms: int, *, tell: bool = False) -> None:
        """Share what this participant can receive among those who send it video.

        `tell`: They pass it on at once; without, when they are told of their receivers next.
        """
        if not self._estimate.is_fresh(now_ms):
            return
        active = [s for s in self.subscriptions.values() if s.active]
        senders = {s.track.sender for s in active if s.track is not None and s.kind == "video"}
        for sender in senders:
            bitrate_bps = self._estimate.share_bps(len(senders), is_calm=self.is_calm)
            sender.estimates.put(self._participant_id, bitrate_bps, now_ms)
            if tell:
                sender.tell_estimate(now_ms)

    def restart_estimate(self, now_ms: int) -> None:
        """Video begins again after it was withheld (`media.relief`)."""
        self._estimate.restart(now_ms)

    def line_state(self, now_ms: int) -> LineState:
        """What is known of the way to the participant."""
        estimate = self._estimate
        voices = [s.reports.reception for s in self.subscriptions.values() if s.kind == "audio"]
        return LineState(
            estimate_bps=estimate.total_bps if estimate.is_fresh(now_ms) else None,
            round_trip_ms=self.round_trip_ms,
            voice_sent=sum(voice.sent for voice in voices if voice is not None),
            voice_lost=sum(voice.lost for voice in voices if voice is not None),
        )

    def close(self) -> None:
        """Take nothing more, and let go of all that refers back to this or to the endpoint."""
        self.srtp = None
        for track in self.tracks.values():
            track.close()
        self.tracks = {}
        self.subscriptions = {}
        self._sources = {}
        self._send_rtcp = self._flow_began = _ignore

    # What receivers ask of this participant -----------------------------------------------------

    def tell_estimate(self, now_ms: int) -> None:
        """Tell the participant what its receivers can take, if that has changed."""
        bitrate_bps = self.estimates.due_bps(now_ms)
        if bitrate_bps is not None:
            self._send_rtcp(rtcp.receiver_report(self._ssrc, ()) + self._remb(bitrate_bps, now_ms))

    def _remb(self, bitrate_bps: int | None, now_ms: int) -> bytes:
        """A REMB for all that the participant sends; empty for None."""
        if bitrate_bps is None:
            return b""
        self.estimates.told(bitrate_bps, now_ms)
        ssrcs = [t.current.ssrc for t in self.tracks.values() if t.current is not None]
        return rtcp.remb(self._ssrc, bitrate_bps, ssrcs)

    def request_keyframes(self, now_ms: int) -> None:
        """Ask for the keyframes that are wanted and may be asked for now."""
        for track in self.tracks.values():
            source = track.current
            if source is not None and track.keyframes.due(now_ms):
                self._send_rtcp(
                    rtcp.receiver_report(self._ssrc, ())
                    + rtcp.picture_loss(self._ssrc, source.ssrc)
                )

    def _request_missing(self, now_ms: int) -> None:
        """Ask for what is missing, and for a keyframe where that cannot be repaired any more."""
        self._nacked_ms = now_ms
        if now_ms < self._counters.behind_until_ms:
            return
        for track in self.tracks.values():
            source = track.current
            if source is None or not source.tracker.missing:
                continue
            due = source.tracker.due_nacks(now_ms, self.round_trip_ms)
            if due and track.nacks:
                self._send_rtcp(
                    rtcp.receiver_report(self._ssrc, ()) + rtcp.nack(self._ssrc, source.ssrc, due)
                )
            elif (due or source.tracker.broken) and track.outputs and track.kind == "video":
                track.keyframes.want_repair(now_ms, self.round_trip_ms)
                self.request_keyframes(now_ms)

    def tick(self, now_ms: int) -> None:
        """Each 100 ms: what is missing, wanted keyframes, and each second the report."""
        if self.srtp is None:
            return
        self._lookups = MAX_LOOKUPS
        self._request_missing(now_ms)
        self.request_keyframes(now_ms)
        self.tell_estimate(now_ms)
        if now_ms - self._reported_ms >= REPORT_INTERVAL_MS:
            self._report(now_ms)

    def _report(self, now_ms: int) -> None:
        sources = (t.current for t in self.tracks.values())
        reports = (s.tracker.report(now_ms) for s in sources if s is not None)
        blocks = [block for block in reports if block is not None]
        if not blocks:
            return
        self._reported_ms = now_ms
        self._send_rtcp(
            rtcp.receiver_report(self._ssrc, blocks)
            + rtcp.source_description(self._ssrc, self._cname)
            + self._remb(self.estimates.bitrate_bps(now_ms), now_ms)
        )
