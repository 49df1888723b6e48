"""Write the answer of an ICE-lite, DTLS-passive, bundled forwarder (RFC 8829 §5.3, RFC 9143)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from media.sdp_offer import Codec, Direction, Offer, Section

_REVERSED: Final[Mapping[Direction, Direction]] = {
    "sendrecv": "sendrecv",
    "sendonly": "recvonly",
    "recvonly": "sendonly",
    "inactive": "inactive",
}


@dataclass(frozen=True, slots=True)
class OutgoingTrack:
    """What the server sends in one section. Tracks with one `stream_id` are played in sync."""

    mid: str
    ssrc: int
    rtx_ssrc: int | None
    stream_id: str
    track_id: str
    cname: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host candidate of the server, component 1; TCP ones are passive (RFC 6544 §4.5)."""

    protocol: Literal["udp", "tcp"]
    address: str
    port: int
    priority: int
    foundation: str


def answered_direction(offered: Direction, sends: bool) -> Direction:
    """The server's direction for one offered by the peer (RFC 8829 §5.3.1).

    Args:
        sends: Whether the server has a track for the section.
    """
    if sends:
        return _REVERSED[offered]
    return "recvonly" if offered in ("sendrecv", "sendonly") else "inactive"


def answer(  # noqa: PLR0913  # by keyword, as one flat set of lines of the answer
    offer: Offer,
    *,
    session_id: int,
    session_version: int,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: tuple[str, str],
    candidates: Sequence[Candidate],
    tracks: Sequence[OutgoingTrack],
) -> str:
    """The answer to `offer`, CRLF line ends.

    Args:
        session_id: One number for the life of a connection (RFC 8866 §5.2).
        session_version: Grows by one with each answer of a connection.
        fingerprint: (hash function, value) of the server's certificate.
        candidates: All there are, the default one first; none come later.
        tracks: At most one a section. One whose section is refused, or whose peer does not want
            to receive there, is left out.
    """
    track_of = {track.mid: track for track in tracks}
    accepted = {section.mid for section in offer.sections if section.codec is not None}
    bundle = [mid for mid in offer.bundle if mid in accepted]
    lines = [
        "v=0",
        f"o=- {session_id} {session_version} IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(bundle)}",
    ]
    transport = [
        f"a=ice-ufrag:{ice_ufrag}",
        f"a=ice-pwd:{ice_pwd}",
        f"a=fingerprint:{fingerprint[0]} {fingerprint[1]}",
        "a=setup:passive",
    ]
    default = candidates[0] if candidates and candidates[0].protocol == "udp" else None
    for section in offer.sections:
        if section.codec is None:
            lines += _refused(section)
            continue
        lines += _media(section, section.codec, default)
        lines += transport
        if section.mid == bundle[0]:  # RFC 9143 §7.3.1: candidates stand with the first only
            lines += [*map(_candidate, candidates), "a=end-of-candidates"]
        lines += _rtp(section, section.codec, track_of.get(section.mid))
    return "\r\n".join(lines) + "\r\n"


def _refused(section: Section) -> list[str]:
    """Port 0, outside the BUNDLE group (RFC 3264 §6, RFC 9143 §7.3.3)."""
    lines = [
        f"m={section.kind} 0 {section.protocol} {section.format}",
        "c=IN IP4 0.0.0.0",
        "a=inactive",
    ]
    return [*lines, f"a=mid:{section.mid}"] if section.mid else lines


def _media(section: Section, codec: Codec, default: Candidate | None) -> Iterator[str]:
    """The m-line with the default candidate, or port 9 where that is not UDP (RFC 8839 §4.3.1)."""
    port = 9 if default is None else default.port
    # what stands first is what browsers send (RFC 8829 §5.3.1): redundancy before bare Opus
    formats = (codec.red_payload_type, codec.payload_type, codec.rtx_payload_type)
    listed = " ".join(str(number) for number in formats if number is not None)
    yield f"m={section.kind} {port} {section.protocol} {listed}"
    address = "0.0.0.0" if default is None else default.address  # noqa: S104  # RFC 8829 §5.2.1
    yield f"c=IN {'IP6' if ':' in address else 'IP4'} {address}"
    yield f"a=mid:{section.mid}"


def _candidate(candidate: Candidate) -> str:
    line = (
        f"a=candidate:{candidate.foundation} 1 {candidate.protocol} {candidate.priority} "
        f"{candidate.address} {candidate.port} typ host"
    )
    return f"{line} tcptype passive" if candidate.protocol == "tcp" else line


def _rtp(section: Section, codec: Codec, track: OutgoingTrack | None) -> Iterator[str]:
    direction = answered_direction(section.direction, track is not None)
    yield f"a={direction}"
    yield "a=rtcp-mux"
    yield "a=rtcp-rsize"
    for uri, identifier in section.extensions.items():
        offered = section.extension_directions.get(uri)
        suffix = f"/{_REVERSED[offered]}" if offered else ""  # RFC 8285 §7
        yield f"a=extmap:{identifier}{suffix} {uri}"
    yield from _codec(codec)
    if track is not None and direction in ("sendrecv", "sendonly"):
        yield from _track(track, codec)


def _codec(codec: Codec) -> Iterator[str]:
    payload_type, rtx = codec.payload_type, codec.rtx_payload_type
    if codec.name == "opus":
        yield f"a=rtpmap:{payload_type} opus/{codec.clock_rate}/2"
        yield f"a=fmtp:{payload_type} minptime=10;useinbandfec=1"  # RFC 7587 §6.1
        if codec.red_payload_type is not None:
            yield f"a=rtpmap:{codec.red_payload_type} red/{codec.clock_rate}/2"
            yield f"a=fmtp:{codec.red_payload_type} {payload_type}/{payload_type}"
        return
    yield f"a=rtpmap:{payload_type} {codec.name}/{codec.clock_rate}"
    for feedback in codec.feedback:
        yield f"a=rtcp-fb:{payload_type} {feedback}"
    if rtx is not None:
        yield f"a=rtpmap:{rtx} rtx/{codec.clock_rate}"
        yield f"a=fmtp:{rtx} apt={payload_type}"


def _track(track: OutgoingTrack, codec: Codec) -> Iterator[str]:
    """The track and its SSRCs (RFC 8830, RFC 5576)."""
    yield f"a=msid:{track.stream_id} {track.track_id}"
    ssrcs = [track.ssrc]
    if track.rtx_ssrc is not None and codec.rtx_payload_type is not None:
        ssrcs.append(track.rtx_ssrc)
        yield f"a=ssrc-group:FID {track.ssrc} {track.rtx_ssrc}"
    for ssrc in ssrcs:
        yield f"a=ssrc:{ssrc} cname:{track.cname}"
