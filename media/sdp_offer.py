"""Read a browser's offer (RFC 8829 §5.8, RFC 8866, RFC 9143), bounded before it is read.

Only what the answer needs is looked at. Candidates are skipped unread: an ICE-lite agent sends no
checks (RFC 8445 §2.5). What does not hold is refused with a reason; nothing else is ever raised.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, cast

from media.sdp_lines import DIRECTIONS, Block, number, read_blocks, reject

Direction = Literal["sendrecv", "sendonly", "recvonly", "inactive"]

MAX_SSRCS: Final = 32
MAX_FINGERPRINTS: Final = 8

MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"

_EXTENSIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "audio": (MID_URI, ABS_SEND_TIME_URI, AUDIO_LEVEL_URI),
    "video": (MID_URI, ABS_SEND_TIME_URI),
}
_CODECS: Final[Mapping[str, tuple[str, int, str]]] = {
    "audio": ("opus", 48_000, "opus/48000/2"),
    "video": ("VP8", 90_000, "vp8/90000"),
}
_FEEDBACK: Final = ("nack", "nack pli", "ccm fir", "goog-remb")
_RTP_PROTOCOLS: Final = frozenset(  # RFC 8829 §5.1.2: each means the same
    f"{transport}RTP/{profile}"
    for transport in ("UDP/TLS/", "TCP/TLS/", "TCP/DTLS/", "")
    for profile in ("SAVPF", "SAVP", "AVPF", "AVP")
)
_HASH_BYTES: Final[Mapping[str, int]] = {"sha-256": 32, "sha-384": 48, "sha-512": 64}
_TOKEN: Final = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,64}")
_MID: Final = re.compile(r"[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]{1,16}")  # fits a one-byte extension
_PROTOCOL: Final = re.compile(r"[A-Za-z0-9/.+-]{1,64}")
_ICE_UFRAG: Final = re.compile(r"[A-Za-z0-9+/]{4,256}")  # RFC 8839 §5.4
_ICE_PWD: Final = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT: Final = re.compile(r"[0-9A-F]{2}(?::[0-9A-F]{2})*")


@dataclass(frozen=True, slots=True)
class Codec:
    """The one codec of a section, in the payload types of the peer that offered it.

    `feedback` holds those of nack, nack pli, ccm fir, goog-remb that the offer has (video only).
    `red_payload_type` is that of redundant audio made of this codec alone (RFC 2198).
    """

    payload_type: int
    name: str
    clock_rate: int
    rtx_payload_type: int | None = None
    feedback: tuple[str, ...] = ()
    red_payload_type: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """One m-section of an offer. `codec` None: it is refused, with port 0 in the answer.

    Attributes:
        mid: Empty only where the peer itself has disabled the section (Firefox names none then).
        kind: "audio", "video", "application" or what else the peer offered.
        direction: As offered, so from the peer's side.
        extensions: URI to id, in the peer's numbering (1 to 14); only those that are answered.
        extension_directions: URI to the direction offered for it, where that is not sendrecv.
        ssrcs: SSRCs of media, without those of retransmission or repair. May be empty.
        rtx_ssrcs: SSRC of media to that of its retransmission (RFC 4588). May be empty.
        protocol, format: Of the m-line, to be repeated in the answer.
    """

    mid: str
    kind: str
    direction: Direction
    codec: Codec | None
    extensions: Mapping[str, int] = field(default_factory=dict)
    ssrcs: tuple[int, ...] = ()
    rtx_ssrcs: Mapping[int, int] = field(default_factory=dict)
    extension_directions: Mapping[str, Direction] = field(default_factory=dict)
    protocol: str = "UDP/TLS/RTP/SAVPF"
    format: str = "0"


@dataclass(frozen=True, slots=True)
class Offer:
    """An acceptable offer: at least one section has a codec, and all such share one transport.

    Attributes:
        sections: In the order of the offer, refused ones too.
        fingerprints: (hash function, value), as in ("sha-256", "AB:CD:…"); never empty.
        setup: "actpass" or "active": the peer can be the DTLS client (RFC 8842).
        bundle: Mids of the BUNDLE group as offered, refused ones too.
    """

    sections: tuple[Section, ...]
    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[tuple[str, str], ...]
    setup: str
    bundle: tuple[str, ...]


def parse_offer(text: str) -> Offer:
    """Read an offer. Pure; at most a few milliseconds for any `text`.

    Raises:
        OfferRejected: with `reason` one of offer_too_large, malformed, no_bundle, no_rtcp_mux,
            no_media (no section has Opus or VP8), payload_type_conflict, extension_conflict,
            no_ice, ice_lite, no_fingerprint, unsupported_setup.
    """
    session, blocks = read_blocks(text)
    bundle = _bundle(session)
    sections = tuple(_section(block, session, bundle) for block in blocks)
    _check_identities(sections, bundle)
    by_mid = {s.mid: b for s, b in zip(sections, blocks, strict=True) if s.codec is not None}
    if not by_mid:
        reject("no_media", "no section offers Opus or VP8")
    _check_shared_transport(sections)
    # RFC 9143 §7.3.1: the first accepted section of the group carries the transport.
    transport = next(by_mid[mid] for mid in bundle if mid in by_mid)
    ice_ufrag, ice_pwd = _ice(transport, session)
    return Offer(
        sections=sections,
        ice_ufrag=ice_ufrag,
        ice_pwd=ice_pwd,
        fingerprints=_fingerprints(transport, session),
        setup=_setup(transport, session),
        bundle=bundle,
    )


def _bundle(session: Block) -> tuple[str, ...]:
    """The mids of the first BUNDLE group; sections outside it are refused."""
    groups = (value.split(" ") for value in session.all("group"))
    mids = next((tuple(mids) for semantics, *mids in groups if semantics == "BUNDLE"), ())
    if not mids:
        reject("no_bundle")
    if len(set(mids)) != len(mids):
        reject("malformed", "a mid twice in the BUNDLE group")
    return mids


def _section(block: Block, session: Block, bundle: Sequence[str]) -> Section:
    """Read one m-section; what is not to be accepted keeps only what the answer repeats."""
    kind, port, protocol, form = _media_line(block.media)
    mid = block.first("mid") or ""
    offered = port != 0 or block.has("bundle-only")
    if not _MID.fullmatch(mid) and (offered or mid):
        reject("malformed", "a section without a usable mid")
    codec = None
    if offered and kind in _CODECS and protocol in _RTP_PROTOCOLS and mid in bundle:
        codec = _codec(kind, block)
    if codec is None:
        return Section(mid, kind, "inactive", None, protocol=protocol, format=form)
    if not block.has("rtcp-mux"):
        reject("no_rtcp_mux")
    extensions, extension_directions = _extensions(kind, block)
    ssrcs, rtx_ssrcs = _ssrcs(block)
    return Section(
        mid=mid,
        kind=kind,
        direction=_direction(block, session),
        codec=codec,
        extensions=extensions,
        ssrcs=ssrcs,
        rtx_ssrcs=rtx_ssrcs,
        extension_directions=extension_directions,
        protocol=protocol,
        format=str(codec.payload_type),
    )


def _media_line(value: str) -> tuple[str, int, str, str]:
    """Kind, port, protocol and first format of an m-line (RFC 8866 §5.14)."""
    parts = value.split(" ", 4)
    if len(parts) < 4:
        reject("malformed", "an m-line with too few parts")
    kind, port, protocol, form = parts[:4]
    if not (_TOKEN.fullmatch(kind) and _PROTOCOL.fullmatch(protocol) and _TOKEN.fullmatch(form)):
        reject("malformed", "an m-line with strange characters")
    return kind, number(port.partition("/")[0], 65_535), protocol, form


def _codec(kind: str, block: Block) -> Codec | None:
    """The first Opus or VP8 in the peer's order of preference, with its retransmission format."""
    name, clock_rate, encoding = _CODECS[kind]
    formats = dict.fromkeys(block.media.split(" ")[3:])  # each once, in the peer's order
    encodings = {pt: value.lower() for pt, value in map(_split, block.all("rtpmap"))}
    chosen = next((pt for pt in formats if encodings.get(pt) == encoding), None)
    if chosen is None:
        return None
    parameters = dict(map(_split, block.all("fmtp")))
    if kind == "audio":
        redundant = (pt for pt in formats if encodings.get(pt) == "red/48000/2")
        red = next((pt for pt in redundant if _repeats(parameters.get(pt, ""), chosen)), None)
        return Codec(
            payload_type=_payload_type(chosen),
            name=name,
            clock_rate=clock_rate,
            red_payload_type=None if red is None else _payload_type(red),
        )
    rtx = (pt for pt in formats if encodings.get(pt) == "rtx/90000")
    rtx_format = next((pt for pt in rtx if _apt(parameters.get(pt, "")) == chosen), None)
    offered = {value for pt, value in map(_split, block.all("rtcp-fb")) if pt in (chosen, "*")}
    return Codec(
        payload_type=_payload_type(chosen),
        name=name,
        clock_rate=clock_rate,
        rtx_payload_type=None if rtx_format is None else _payload_type(rtx_format),
        feedback=tuple(value for value in _FEEDBACK if value in offered),
    )


def _split(value: str) -> tuple[str, str]:
    """The payload type that an attribute is about, and what it says."""
    payload_type, _, rest = value.partition(" ")
    return payload_type, rest


def _apt(parameters: str) -> str | None:
    """The payload type that a retransmission format repeats (RFC 4588 §8.6)."""
    for parameter in parameters.split(";"):
        key, _, value = parameter.strip().partition("=")
        if key.lower() == "apt":
            return value
    return None


def _repeats(parameters: str, payload_type: str) -> bool:
    """Whether a redundant format carries this payload type and no other (RFC 2198 §5)."""
    return set(parameters.split("/")) == {payload_type}


def _payload_type(text: str) -> int:
    """A payload type that cannot be taken for RTCP: 64 to 95 can (RFC 5761 §4)."""
    payload_type = number(text, 127)
    if 64 <= payload_type <= 95:
        reject("payload_type_conflict", "payload types 64 to 95 are those of RTCP")
    return payload_type


def _direction(block: Block, session: Block) -> Direction:
    for part in (block, session):
        for direction in DIRECTIONS:
            if part.has(direction):
                return direction
    return "sendrecv"  # RFC 8866 §6.7


def _extensions(kind: str, block: Block) -> tuple[dict[str, int], dict[str, Direction]]:
    """Ids, and directions that are not sendrecv, of the header extensions that we answer.

    Ids from 15 on do not fit the one-byte form of RFC 8285 §4.2: such an extension is left out.
    """
    ids: dict[str, int] = {}
    directions: dict[str, Direction] = {}
    for value in block.all("extmap"):
        local, _, rest = value.partition(" ")
        uri = rest.partition(" ")[0]
        if uri not in _EXTENSIONS[kind] or uri in ids:
            continue
        digits, _, direction = local.partition("/")
        if (direction or "sendrecv") not in DIRECTIONS:
            reject("malformed", "an extmap with an unknown direction")
        identifier = number(digits, 4_351)
        if not 1 <= identifier <= 14:
            continue
        ids[uri] = identifier
        if direction and direction != "sendrecv":
            directions[uri] = cast(Direction, direction)
    return ids, directions


def _ssrcs(block: Block) -> tuple[tuple[int, ...], dict[int, int]]:
    """SSRCs of media, and the retransmission SSRC of each that has one (RFC 5576 §4)."""
    if len(block.all("ssrc")) > 4 * MAX_SSRCS or len(block.all("ssrc-group")) > MAX_SSRCS:
        reject("offer_too_large", f"over {MAX_SSRCS} SSRCs in a section")
    declared = dict.fromkeys(_ssrc(value.partition(" ")[0]) for value in block.all("ssrc"))
    repairs: set[int] = set()
    rtx: dict[int, int] = {}
    for value in block.all("ssrc-group"):
        semantics, *members = value.split(" ")
        if semantics not in ("FID", "FEC-FR"):
            continue
        if len(members) != 2:
            reject("malformed", f"an {semantics} group that is no pair")
        media, repair = map(_ssrc, members)
        declared[media] = None
        repairs.add(repair)
        if semantics == "FID":
            rtx[media] = repair
    if len(declared.keys() | repairs) > MAX_SSRCS:
        reject("offer_too_large", f"over {MAX_SSRCS} SSRCs in a section")
    if repairs & rtx.keys() or len(set(rtx.values())) != len(rtx):
        reject("malformed", "an SSRC with two uses")
    return tuple(ssrc for ssrc in declared if ssrc not in repairs), rtx


def _ssrc(text: str) -> int:
    return number(text, 0xFFFF_FFFF)


def _check_identities(sections: Sequence[Section], bundle: Sequence[str]) -> None:
    """Mids and SSRCs name one thing each; the BUNDLE group names sections that exist."""
    named = [section.mid for section in sections if section.mid]
    if len(set(named)) != len(named) or not set(named).issuperset(bundle):
        reject("malformed", "mids that are not unique, or a BUNDLE group of others")
    ssrcs = [s for section in sections for s in (*section.ssrcs, *section.rtx_ssrcs.values())]
    if len(set(ssrcs)) != len(ssrcs):
        reject("malformed", "an SSRC in two sections")


def _check_shared_transport(sections: Sequence[Section]) -> None:
    """On one transport a payload type or extension id means one thing (RFC 9143 §9.1, §10)."""
    formats: dict[int, str] = {}
    extensions: dict[int, str] = {}
    for section in sections:
        if section.codec is None:
            continue
        uses = {section.codec.payload_type: section.codec.name}
        if section.codec.rtx_payload_type is not None:
            uses[section.codec.rtx_payload_type] = "rtx"
        if section.codec.red_payload_type is not None:
            uses[section.codec.red_payload_type] = "red"
        for payload_type, name in uses.items():
            if formats.setdefault(payload_type, name) != name:
                reject("payload_type_conflict")
        for uri, identifier in section.extensions.items():
            if extensions.setdefault(identifier, uri) != uri:
                reject("extension_conflict")


def _ice(transport: Block, session: Block) -> tuple[str, str]:
    ufrag = transport.first("ice-ufrag") or session.first("ice-ufrag") or ""
    pwd = transport.first("ice-pwd") or session.first("ice-pwd") or ""
    if not (_ICE_UFRAG.fullmatch(ufrag) and _ICE_PWD.fullmatch(pwd)):
        reject("no_ice", "no usable ice-ufrag and ice-pwd")
    if session.has("ice-lite"):
        reject("ice_lite", "two lite agents would both wait for checks")
    return ufrag, pwd


def _fingerprints(transport: Block, session: Block) -> tuple[tuple[str, str], ...]:
    """Those with a hash function that is still trusted (RFC 8122 §5), at most 8."""
    found: list[tuple[str, str]] = []
    for value in transport.all("fingerprint") or session.all("fingerprint"):
        algorithm, _, digest = value.partition(" ")
        algorithm, digest = algorithm.lower(), digest.strip().upper()
        length = _HASH_BYTES.get(algorithm)
        if length is None:
            continue
        if len(digest) != 3 * length - 1 or not _FINGERPRINT.fullmatch(digest):
            reject("malformed", "a fingerprint of the wrong length")
        found.append((algorithm, digest))
    if not found:
        reject("no_fingerprint", "sha-256, sha-384 or sha-512 is needed")
    if len(found) > MAX_FINGERPRINTS:
        reject("offer_too_large", f"over {MAX_FINGERPRINTS} fingerprints")
    return tuple(found)


def _setup(transport: Block, session: Block) -> str:
    """The offered DTLS role; we answer passive, so the peer must be able to be active."""
    setup = transport.first("setup") or session.first("setup") or "active"  # RFC 4145 §4
    if setup not in ("actpass", "active"):
        reject("unsupported_setup", "the offerer must be able to be the DTLS client")
    return setup
