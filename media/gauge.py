"""Reads the counters of a participant's connection for `media.quality`. Pure.

Bytes and pictures are counted where packets are forwarded: what comes from a participant and is
delivered to nobody has no bitrate.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from media.inbound import Inbound
from media.quality import Counts, LineQuality, LineWatch
from media.tracks import IncomingTrack, Subscription


class Connection(Protocol):
    """What is read of an endpoint."""

    inbound: Inbound
    subscriptions: dict[str, Subscription]


def gauge(
    line: LineWatch,
    connection: Connection | None,
    fed: Sequence[Subscription],
    flows: bool,
    now_ms: int,
) -> LineQuality:
    """Judge a participant's line by what is counted now.

    Args:
        connection: None while the participant has none.
        fed: What all participants of the room get: some of it is fed by this one.
        flows: Media of any kind comes from the participant.
    """
    if connection is None:
        return line.take(Counts(now_ms), Counts(now_ms), None, flows)
    inbound = connection.inbound
    up = counts_up(inbound.tracks.values(), fed, now_ms)
    down = counts_down(connection.subscriptions.values(), now_ms)
    return line.take(up, down, inbound.round_trip_ms, flows)


def counts_up(tracks: Iterable[IncomingTrack], fed: Sequence[Subscription], now_ms: int) -> Counts:
    """What came from a participant: its tracks, and where they were sent on."""
    expected = lost = voice_expected = unrepaired = octets = frames = 0
    jitters: dict[str, int] = {}
    for track in tracks:
        outputs = [s.forwarder for s in fed if s.track is track]
        octets += max((forwarder.octets for forwarder in outputs), default=0)
        if track.kind == "video":
            frames += max((forwarder.frames for forwarder in outputs), default=0)
        if track.current is None:
            continue
        tracker = track.current.tracker
        expected += tracker.expected
        lost += tracker.missed
        jitters.setdefault(track.kind, tracker.jitter_ms)
        if track.kind == "audio":
            voice_expected += tracker.expected
            unrepaired += tracker.unrepaired
    jitter_ms = _of_voice(jitters)
    return Counts(now_ms, expected, lost, voice_expected, unrepaired, octets, frames, jitter_ms)


def counts_down(subscriptions: Iterable[Subscription], now_ms: int) -> Counts:
    """What was sent to a participant, and what it reported of that."""
    expected = lost = voice_expected = unrepaired = octets = frames = 0
    jitters: dict[str, int] = {}
    for subscription in subscriptions:
        octets += subscription.forwarder.octets
        if subscription.kind == "video":
            frames += subscription.forwarder.frames
        reception = subscription.reports.reception
        if reception is None:
            continue
        expected += reception.sent
        lost += reception.lost
        jitters.setdefault(subscription.kind, reception.jitter_ms)
        if subscription.kind == "audio":
            voice_expected += reception.sent
            unrepaired += reception.lost
    jitter_ms = _of_voice(jitters)
    return Counts(now_ms, expected, lost, voice_expected, unrepaired, octets, frames, jitter_ms)


def _of_voice(jitters: dict[str, int]) -> int | None:
    """Voice comes evenly; the packets of a picture share a time, which reads as jitter."""
    return jitters.get("audio", jitters.get("video"))
