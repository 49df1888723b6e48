"""Offers of real browsers in, answers that a second parser and real peers accept out."""

import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import aiohttp.web
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, MediaStreamTrack, VideoStreamTrack
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st
from playwright.async_api import async_playwright

from media.sdp import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    Candidate,
    Codec,
    Direction,
    Offer,
    OfferRejected,
    OutgoingTrack,
    Section,
    answer,
    answered_direction,
    parse_offer,
)

OFFERS = {
    path.stem: path.read_bytes().decode()
    for path in sorted((Path(__file__).parent / "offers").glob("*.sdp"))
}
CHROME = OFFERS["chrome_audio_video"]
FINGERPRINT = ("sha-256", ":".join(["5A"] * 32))
CANDIDATES = (
    Candidate("udp", "192.0.2.200", 3_478, 2_130_706_431, "1"),
    Candidate("udp", "2001:db8::200", 3_478, 2_130_706_175, "2"),
    Candidate("tcp", "192.0.2.200", 3_478, 1_671_430_143, "3"),
)
LINE = re.compile(r"[a-z]=[\x20-\x7e]+")


def tracks_for(offer: Offer) -> list[OutgoingTrack]:
    return [
        OutgoingTrack(section.mid, 1_000 + i, 2_000 + i, "physician", f"track{i}", "cname")
        for i, section in enumerate(offer.sections)
        if section.codec is not None
    ]


def reply_to(offer: Offer, tracks: list[OutgoingTrack] | None = None, **changed: object) -> str:
    given_: dict[str, object] = {
        "session_id": 4_711,
        "session_version": 1,
        "ice_ufrag": "srvrUfra",
        "ice_pwd": "serverPasswordOf24Charac",
        "fingerprint": FINGERPRINT,
        "candidates": CANDIDATES,
        "tracks": tracks_for(offer) if tracks is None else tracks,
    }
    return answer(offer, **{**given_, **changed})  # type: ignore[arg-type]


def section_text(sdp: str, mid: str) -> str:
    """The lines of one m-section."""
    parts = re.split(r"(?m)^(?=m=)", sdp)
    return next(part for part in parts if f"a=mid:{mid}\r\n" in part)


def reason_of(text: str) -> str:
    with pytest.raises(OfferRejected) as refused:
        parse_offer(text)
    return refused.value.reason


# What each browser offers


@pytest.mark.parametrize(
    ("name", "audio", "video", "feedback"),
    [
        ("chrome_audio_video", 111, (96, 97), ("nack", "nack pli", "ccm fir", "goog-remb")),
        ("firefox_audio_video", 109, (120, 124), ("nack", "nack pli", "ccm fir", "goog-remb")),
        ("safari_audio_video", 111, (103, 104), ("nack", "nack pli", "ccm fir", "goog-remb")),
    ],
)
def test_opus_and_vp8_are_found_wherever_a_browser_numbers_them(
    name: str, audio: int, video: tuple[int, int], feedback: tuple[str, ...]
) -> None:
    offer = parse_offer(OFFERS[name])
    assert [section.codec for section in offer.sections] == [
        Codec(audio, "opus", 48_000),
        Codec(video[0], "VP8", 90_000, video[1], feedback),
    ]


def test_a_chrome_offer_is_read_whole() -> None:
    offer = parse_offer(CHROME)
    audio, video = offer.sections
    assert (offer.ice_ufrag, offer.ice_pwd) == ("XBr1", "oAFS35L0wZlxSf4cu6Cf4kde")
    assert offer.fingerprints[0][0] == "sha-256"
    assert offer.fingerprints[0][1].startswith("17:0F:3E:56")
    assert (offer.setup, offer.bundle) == ("actpass", ("0", "1"))
    assert (audio.mid, audio.kind, audio.direction) == ("0", "audio", "sendrecv")
    assert audio.extensions == {AUDIO_LEVEL_URI: 1, ABS_SEND_TIME_URI: 2, MID_URI: 4}
    assert video.extensions == {ABS_SEND_TIME_URI: 2, MID_URI: 4}
    assert audio.ssrcs == (2_032_926_578,)
    assert video.ssrcs == (2_536_292_951,)
    assert video.rtx_ssrcs == {2_536_292_951: 4_246_708_186}


def test_the_fingerprint_of_firefox_stands_at_session_level() -> None:
    offer = parse_offer(OFFERS["firefox_audio_video"])
    assert len(offer.fingerprints) == 1
    assert [section.extensions for section in offer.sections] == [
        {AUDIO_LEVEL_URI: 1, MID_URI: 3},
        {MID_URI: 3, ABS_SEND_TIME_URI: 4},
    ]


def test_a_section_that_is_bundle_only_is_accepted_although_its_port_is_0() -> None:
    assert parse_offer(OFFERS["firefox_audio_video"]).sections[1].codec is not None


def test_a_section_that_firefox_disabled_is_refused_without_a_mid() -> None:
    offer = parse_offer(OFFERS["firefox_disabled_section"])
    assert [section.mid for section in offer.sections] == ["", "1", "2", "3"]
    assert "m=audio 0 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\nm=" in reply_to(
        offer
    )


def test_without_rtx_ssrcs_retransmission_is_still_negotiated() -> None:
    video = parse_offer(OFFERS["firefox_no_rtx_ssrc"]).sections[1]
    assert (video.ssrcs, video.rtx_ssrcs) == ((3_141_592_653,), {})
    assert video.codec is not None
    assert video.codec.rtx_payload_type == 124


def test_an_offer_with_rids_names_no_ssrcs() -> None:
    assert parse_offer(OFFERS["chrome_simulcast"]).sections[1].ssrcs == ()


def test_where_the_first_section_is_refused_the_next_carries_the_transport() -> None:
    """RFC 9143 §7.3.1."""
    sdp = reply_to(parse_offer(OFFERS["chrome_h264_first"]))
    assert "a=group:BUNDLE 1 2\r\n" in sdp
    assert section_text(sdp, "0").startswith("m=video 0 ")
    assert "a=candidate" in section_text(sdp, "1")
    assert "a=candidate" not in section_text(sdp, "2")


def test_a_stopped_transceiver_stays_refused() -> None:
    sdp = reply_to(parse_offer(OFFERS["chrome_stopped"]))
    assert section_text(sdp, "0").startswith("m=audio 0 ")
    assert "a=group:BUNDLE 1 2 3\r\n" in sdp


def test_a_data_channel_is_refused_beside_media() -> None:
    for name, mid in (("chrome_data_channel", "2"), ("safari_12_data_channel", "data")):
        sdp = reply_to(parse_offer(OFFERS[name]))
        assert section_text(sdp, mid).startswith("m=application 0 ")
        assert mid not in sdp.partition("a=group:BUNDLE ")[2].partition("\r\n")[0].split()


# What is answered


@pytest.mark.parametrize("name", OFFERS)
def test_an_answer_says_to_a_second_parser_what_it_means(name: str) -> None:
    offer = parse_offer(OFFERS[name])
    text = reply_to(offer)
    assert all(LINE.fullmatch(line) for line in text.removesuffix("\r\n").split("\r\n"))
    read = SessionDescription.parse(text)
    assert len(read.media) == len(offer.sections)
    accepted = [s for s in offer.sections if s.codec is not None]
    assert read.group[0].items == [s.mid for s in accepted]
    for section, media in zip(offer.sections, read.media, strict=True):
        assert (media.kind, media.profile) == (section.kind, section.protocol)
        if section.codec is None:
            assert media.port == 0
            continue
        assert media.port == 3_478
        assert media.rtp.muxId == section.mid
        assert media.rtcp_mux
        assert media.direction == answered_direction(section.direction, True)
        assert {e.uri: e.id for e in media.rtp.headerExtensions} == section.extensions
        assert media.dtls is not None
        assert media.dtls.role == "server"
        assert [(f.algorithm, f.value) for f in media.dtls.fingerprints] == [FINGERPRINT]
        assert media.ice.iceLite
        assert media.ice.usernameFragment == "srvrUfra"
        assert bool(media.ice_candidates) == (section is accepted[0])


@pytest.mark.parametrize("name", OFFERS)
def test_an_answer_has_nothing_that_the_offer_has_not(name: str) -> None:
    """RFC 8829 §5.3.1: formats, feedback and extensions are a subset, in the peer's numbers."""
    offer = parse_offer(OFFERS[name])
    text = reply_to(offer)
    for section in offer.sections:
        if section.codec is None:
            continue
        offered = section_text(OFFERS[name], section.mid)
        for line in re.findall(r"a=(?:rtpmap|rtcp-fb|extmap):.+", section_text(text, section.mid)):
            assert line in offered
    assert "transport-cc" not in text
    assert "video-orientation" not in text
    assert "usedtx" not in text


def test_the_answer_to_chrome_reads_as_expected() -> None:
    offer = parse_offer(CHROME)
    video = OutgoingTrack("1", 77, 78, "stream", "camera", "clinic")
    assert section_text(reply_to(offer, [video]), "1").split("\r\n") == [
        "m=video 3478 UDP/TLS/RTP/SAVPF 96 97",
        "c=IN IP4 192.0.2.200",
        "a=mid:1",
        "a=ice-ufrag:srvrUfra",
        "a=ice-pwd:serverPasswordOf24Charac",
        f"a=fingerprint:sha-256 {FINGERPRINT[1]}",
        "a=setup:passive",
        "a=sendrecv",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        f"a=extmap:2 {ABS_SEND_TIME_URI}",
        f"a=extmap:4 {MID_URI}",
        "a=rtpmap:96 VP8/90000",
        "a=rtcp-fb:96 nack",
        "a=rtcp-fb:96 nack pli",
        "a=rtcp-fb:96 ccm fir",
        "a=rtcp-fb:96 goog-remb",
        "a=rtpmap:97 rtx/90000",
        "a=fmtp:97 apt=96",
        "a=msid:stream camera",
        "a=ssrc-group:FID 77 78",
        "a=ssrc:77 cname:clinic",
        "a=ssrc:78 cname:clinic",
        "",
    ]
    audio = section_text(reply_to(offer, [video]), "0")
    assert "a=recvonly\r\n" in audio
    assert "a=ssrc" not in audio
    assert "a=fmtp:111 minptime=10;useinbandfec=1\r\n" in audio


def test_candidates_of_both_transports_and_families_are_named_once() -> None:
    sdp = reply_to(parse_offer(CHROME))
    assert re.findall(r"a=candidate:.+|a=end-of-candidates", sdp) == [
        "a=candidate:1 1 udp 2130706431 192.0.2.200 3478 typ host\r",
        "a=candidate:2 1 udp 2130706175 2001:db8::200 3478 typ host\r",
        "a=candidate:3 1 tcp 1671430143 192.0.2.200 3478 typ host tcptype passive\r",
        "a=end-of-candidates",
    ]


@pytest.mark.parametrize(
    ("candidates", "media", "connection"),
    [
        (CANDIDATES[:1], "m=audio 3478 ", "c=IN IP4 192.0.2.200"),
        (CANDIDATES[1:2], "m=audio 3478 ", "c=IN IP6 2001:db8::200"),
        (CANDIDATES[2:], "m=audio 9 ", "c=IN IP4 0.0.0.0"),
        ((), "m=audio 9 ", "c=IN IP4 0.0.0.0"),
    ],
)
def test_the_default_candidate_is_the_first_if_that_is_udp(
    candidates: tuple[Candidate, ...], media: str, connection: str
) -> None:
    section = section_text(reply_to(parse_offer(CHROME), candidates=candidates), "0")
    assert section.startswith(media)
    assert connection in section


@pytest.mark.parametrize(
    ("offered", "sends", "answered"),
    [
        ("sendrecv", True, "sendrecv"),
        ("sendrecv", False, "recvonly"),
        ("sendonly", True, "recvonly"),
        ("sendonly", False, "recvonly"),
        ("recvonly", True, "sendonly"),
        ("recvonly", False, "inactive"),
        ("inactive", True, "inactive"),
        ("inactive", False, "inactive"),
    ],
)
def test_directions_are_answered(offered: Direction, sends: bool, answered: Direction) -> None:
    offer = parse_offer(CHROME.replace("a=sendrecv", f"a={offered}", 1))
    assert offer.sections[0].direction == offered
    assert answered_direction(offered, sends) == answered
    section = section_text(reply_to(offer, None if sends else []), "0")
    assert f"a={answered}\r\n" in section
    assert ("a=msid:" in section) == (answered in ("sendrecv", "sendonly"))


def test_without_a_direction_sendrecv_is_meant_unless_the_session_says_otherwise() -> None:
    bare = CHROME.replace("a=sendrecv\r\n", "")
    assert parse_offer(bare).sections[0].direction == "sendrecv"
    session = bare.replace("t=0 0\r\n", "t=0 0\r\na=recvonly\r\n")
    assert parse_offer(session).sections[0].direction == "recvonly"


def test_the_direction_of_an_extension_is_answered_reversed() -> None:
    offer = parse_offer(CHROME.replace("a=extmap:1 ", "a=extmap:1/recvonly "))
    assert offer.sections[0].extension_directions == {AUDIO_LEVEL_URI: "recvonly"}
    assert f"a=extmap:1/sendonly {AUDIO_LEVEL_URI}\r\n" in reply_to(offer)


def test_an_extension_id_beyond_one_byte_is_left_out() -> None:
    offer = parse_offer(CHROME.replace("a=extmap:1 ", "a=extmap:15 "))
    assert AUDIO_LEVEL_URI not in offer.sections[0].extensions


def test_without_rtx_in_the_offer_none_is_sent() -> None:
    offer = parse_offer(CHROME.replace("a=fmtp:97 apt=96\r\n", ""))
    assert offer.sections[1].codec is not None
    assert offer.sections[1].codec.rtx_payload_type is None
    section = section_text(reply_to(offer), "1")
    assert "FID" not in section
    assert section.count("a=ssrc:") == 1


def test_only_feedback_that_is_offered_is_answered() -> None:
    offer = parse_offer(CHROME.replace("a=rtcp-fb:96 goog-remb\r\n", ""))
    assert "goog-remb" not in reply_to(offer)
    everywhere = CHROME.replace("a=rtcp-fb:96 goog-remb\r\n", "a=rtcp-fb:* goog-remb\r\n")
    assert "a=rtcp-fb:96 goog-remb\r\n" in reply_to(parse_offer(everywhere))


def test_sections_outside_the_bundle_group_are_refused() -> None:
    offer = parse_offer(CHROME.replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 1"))
    assert [section.codec is None for section in offer.sections] == [True, False]


# What is refused


def _drop(line: str) -> Callable[[str], str]:
    return lambda sdp: re.sub(rf"(?m)^{line}.*\r\n", "", sdp)


def _swap(old: str, new: str) -> Callable[[str], str]:
    return lambda sdp: sdp.replace(old, new)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda sdp: "", "malformed"),
        (lambda sdp: sdp[5:], "malformed"),
        (lambda sdp: sdp + "\r\n", "malformed"),
        (lambda sdp: sdp + "\ud800", "malformed"),
        (_swap("s=-", "nonsense"), "malformed"),
        (_drop("a=mid:0"), "malformed"),
        (_swap("a=mid:1", "a=mid:0"), "malformed"),
        (_swap("a=mid:1", "a=mid:1 2"), "malformed"),
        (_swap("a=mid:1", "a=mid:" + "m" * 17), "malformed"),
        (_swap("BUNDLE 0 1", "BUNDLE 0 1 2"), "malformed"),
        (_swap("BUNDLE 0 1", "BUNDLE 0 0"), "malformed"),
        (_swap("m=audio 56033", "m=audio 65536"), "malformed"),
        (_swap("m=audio 56033", "m=audio ٣"), "malformed"),
        (_swap("m=audio 56033 UDP/TLS/RTP/SAVPF", "m=audio 56033\tUDP"), "malformed"),
        (_swap("a=ssrc:2032926578", "a=ssrc:4294967296"), "malformed"),
        (_swap("a=ssrc:2032926578", "a=ssrc:2536292951"), "malformed"),
        (_swap("FID 2536292951 4246708186", "FID 2536292951"), "malformed"),
        (_swap("FID 2536292951 4246708186", "FID 2536292951 2536292951"), "malformed"),
        (_swap("a=extmap:1 ", "a=extmap:x "), "malformed"),
        (_swap("a=extmap:1 ", "a=extmap:1/both "), "malformed"),
        (_swap("sha-256 17:0F", "sha-256 17"), "malformed"),
        (_drop("a=group:BUNDLE"), "no_bundle"),
        (_swap("BUNDLE 0 1", "LS 0 1"), "no_bundle"),
        (_drop("a=rtcp-mux"), "no_rtcp_mux"),
        (_swap("opus", "speex"), "no_media_but_video"),
        (lambda sdp: sdp.replace("opus", "speex").replace("VP8", "VP7"), "no_media"),
        (_swap("/TLS/RTP/SAVPF", "/DTLS/SCTP"), "no_media"),
        (_swap("m=audio 56033", "m=audio 0"), "no_media_but_video"),
        (_drop("a=ice-ufrag"), "no_ice"),
        (_swap("a=ice-pwd:oAFS", "a=ice-pwd:o?FS"), "no_ice"),
        (_swap("a=ice-ufrag:XBr1", "a=ice-ufrag:XBr"), "no_ice"),
        (_swap("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"), "ice_lite"),
        (_drop("a=fingerprint"), "no_fingerprint"),
        (_swap("fingerprint:sha-256", "fingerprint:sha-1"), "no_fingerprint"),
        (_swap("a=setup:actpass", "a=setup:passive"), "unsupported_setup"),
        (_swap("a=setup:actpass", "a=setup:holdconn"), "unsupported_setup"),
        (
            lambda sdp: sdp.replace(" 96 97", " 111 97").replace(":96 VP8", ":111 VP8"),
            "payload_type_conflict",
        ),
        (
            lambda sdp: sdp.replace("SAVPF 96", "SAVPF 72").replace(":96 VP8", ":72 VP8"),
            "payload_type_conflict",
        ),
        (_swap("a=extmap:1 ", "a=extmap:2 "), "extension_conflict"),
        (lambda sdp: sdp + "a=x:" + "y" * 4_093 + "\r\n", "offer_too_large"),
        (lambda sdp: sdp + "a=x:y\r\n" * 2_000, "offer_too_large"),
        (lambda sdp: sdp + "a=x:" + "ä" * 1_000 + "\r\n" + "a=x\r\n" * 9, "accepted"),
        (lambda sdp: sdp + ("a=x:" + "ä" * 4_000 + "\r\n") * 8, "offer_too_large"),
        (
            lambda sdp: sdp + "".join(f"a=ssrc:{i} cname:x\r\n" for i in range(33)),
            "offer_too_large",
        ),
    ],
)
def test_an_unusable_offer_is_refused_with_its_reason(
    change: Callable[[str], str], reason: str
) -> None:
    changed = change(CHROME)
    if reason == "accepted":
        assert parse_offer(changed) == parse_offer(CHROME)
    elif reason == "no_media_but_video":
        assert [s.codec is None for s in parse_offer(changed).sections] == [True, False]
    else:
        assert reason_of(changed) == reason


def test_a_refusal_repeats_nothing_of_the_offer() -> None:
    """Its text may be logged; an offer holds addresses and passwords."""
    with pytest.raises(OfferRejected) as refused:
        parse_offer(CHROME.replace("a=extmap:1 ", "a=extmap:secret "))
    assert "secret" not in str(refused.value)
    assert refused.value.code == "offer_rejected"


def _hostile() -> dict[str, str]:
    room = 64 * 1_024 - len(CHROME)
    fids = [f"a=ssrc-group:FID {i} {i + 9_999}\r\n" for i in range(1_500)]
    rtx = "97 " * 1_300
    return {
        "10,000 candidates": CHROME + "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n" * 10_000,
        "1,800 candidates": CHROME + "a=candidate:1 1 udp 1 h 9 typ host\r\n" * 1_600,
        "1 MB in a line": CHROME + "a=x:" + "y" * 1_000_000,
        "1 MB in lines": CHROME + "a=x\r\n" * 200_000,
        "1 MB of line ends": CHROME + "\n" * 1_000_000,
        "500 sections": CHROME + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:x\r\n" * 500,
        "no line end": "v=0" + "m=" * 30_000,
        "SSRC groups": CHROME + "".join(fids),
        "SSRC lines": CHROME + "a=ssrc:5 cname:x\r\n" * 1_500,
        "long parameters, often asked for": CHROME.replace("SAVPF 96 97", f"SAVPF 96 {rtx}")
        .replace("a=fmtp:97 apt=96", "a=fmtp:97 " + "x=y;" * 1_000),
        "extensions": CHROME + "a=extmap:3 urn:x\r\n" * 1_500,
        "feedback": CHROME + "a=rtcp-fb:* nack\r\n" * 1_500,
        "fingerprints": CHROME + f"a=fingerprint:sha-512 {'AB:' * 63}AB\r\n" * (room // 220),
        "a bundle group of 2,000": CHROME.replace("BUNDLE 0", "BUNDLE 0" + " 7" * 2_000),
    }  # fmt: skip


@pytest.mark.parametrize("name", _hostile())
def test_a_hostile_offer_costs_less_than_5_ms_of_the_loop(name: str) -> None:
    text = _hostile()[name]
    best_s = 1.0
    for _ in range(7):  # the best of several: the machine may be busy with something else
        begin_s = time.perf_counter()
        with suppress(OfferRejected):
            parse_offer(text)
        best_s = min(best_s, time.perf_counter() - begin_s)
    assert best_s < 5e-3


@pytest.mark.parametrize(
    "name", ["10,000 candidates", "1 MB in a line", "1 MB in lines", "500 sections"]
)
def test_an_offer_too_large_is_refused_by_its_size(name: str) -> None:
    assert reason_of(_hostile()[name]) == "offer_too_large"


# Properties


_noise = st.text(
    st.characters(codec="utf-8") | st.sampled_from("\r\n\0 :=/,;0123456789"), max_size=12
)
_edits = st.lists(
    st.tuples(
        st.sampled_from(("drop", "double", "swap", "cut", "insert", "replace")),
        st.floats(0, 1, exclude_max=True),
        st.floats(0, 1, exclude_max=True),
        _noise,
    ),
    max_size=8,
)


def mutated(text: str, edits: list[tuple[str, float, float, str]]) -> str:
    """`text` with lines dropped, doubled, swapped, cut off, or written into."""
    lines = text.split("\r\n")
    for kind, where, within, noise in edits:
        i, j = int(where * len(lines)), int(within * len(lines))
        column = int(within * (len(lines[i]) + 1))
        if kind == "drop" and len(lines) > 1:
            del lines[i]
        elif kind == "double":
            lines.insert(j, lines[i])
        elif kind == "swap":
            lines[i], lines[j] = lines[j], lines[i]
        elif kind == "cut":
            lines[i] = lines[i][:column]
        elif kind == "insert":
            lines[i] = lines[i][:column] + noise + lines[i][column:]
        elif kind == "replace":
            lines[i] = lines[i][:column] + noise + lines[i][column + len(noise) :]
    return "\r\n".join(lines)


@given(name=st.sampled_from(sorted(OFFERS)), edits=_edits)
def test_a_mutated_offer_is_answered_well_or_rejected(
    name: str, edits: list[tuple[str, float, float, str]]
) -> None:
    """Nothing but `OfferRejected` escapes, and no byte of the peer forges a line of ours."""
    try:
        offer = parse_offer(mutated(OFFERS[name], edits))
    except OfferRejected:
        return
    text = reply_to(offer)
    assert all(LINE.fullmatch(line) for line in text.removesuffix("\r\n").split("\r\n"))
    assert text.count("\r\nm=") == len(offer.sections)
    read = SessionDescription.parse(text)
    assert [media.port != 0 for media in read.media] == [
        section.codec is not None for section in offer.sections
    ]


@given(text=st.text() | st.text(st.sampled_from("vamso=0:\r\n ")))
def test_no_text_raises_anything_else(text: str) -> None:
    for candidate in (text, "v=0\r\n" + text, CHROME + text):
        with suppress(OfferRejected):
            parse_offer(candidate)


_payload_types = st.permutations([*range(35, 64), *range(96, 128)])
_extension_ids = st.permutations(range(1, 15))
_directions = st.sampled_from(("sendrecv", "sendonly", "recvonly", "inactive"))
_ssrcs = st.lists(st.integers(1, 2**32 - 1), min_size=3, max_size=3, unique=True)


def offer_text(
    payload_types: list[int], ids: list[int], directions: list[Direction], ssrcs: list[int]
) -> str:
    """An offer as some browser may number it."""
    opus, vp8, rtx, other = payload_types[:4]
    mid, time_, level = ids[:3]
    return "\r\n".join(
        [
            "v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=group:BUNDLE a v",
            "a=ice-ufrag:peer", "a=ice-pwd:" + "p" * 22, "a=setup:active",
            "a=fingerprint:SHA-256 " + ":".join(["ab"] * 32),
            f"m=audio 9 UDP/TLS/RTP/SAVPF {other} {opus}", "a=mid:a", "a=rtcp-mux",
            f"a={directions[0]}", f"a=rtpmap:{opus} OPUS/48000/2", f"a=rtpmap:{other} PCMU/8000",
            f"a=extmap:{level} {AUDIO_LEVEL_URI}", f"a=extmap:{mid} {MID_URI}",
            f"a=ssrc:{ssrcs[0]} cname:c",
            f"m=video 9 UDP/TLS/RTP/SAVPF {rtx} {vp8}", "a=mid:v", "a=rtcp-mux",
            f"a={directions[1]}", f"a=rtpmap:{vp8} vp8/90000", f"a=rtpmap:{rtx} rtx/90000",
            f"a=fmtp:{rtx} rtx-time=500; apt={vp8}", f"a=rtcp-fb:{vp8} nack",
            f"a=extmap:{time_} {ABS_SEND_TIME_URI}", f"a=extmap:{mid} {MID_URI}",
            f"a=ssrc-group:FID {ssrcs[1]} {ssrcs[2]}", "",
        ]
    )  # fmt: skip


@given(_payload_types, _extension_ids, st.lists(_directions, min_size=2, max_size=2), _ssrcs)
def test_any_numbering_is_kept_from_offer_to_answer(
    payload_types: list[int], ids: list[int], directions: list[Direction], ssrcs: list[int]
) -> None:
    opus, vp8, rtx = payload_types[:3]
    mid, time_, level = ids[:3]
    offer = parse_offer(offer_text(payload_types, ids, directions, ssrcs))
    assert offer.sections == (
        Section(
            mid="a",
            kind="audio",
            direction=directions[0],
            codec=Codec(opus, "opus", 48_000),
            extensions={AUDIO_LEVEL_URI: level, MID_URI: mid},
            ssrcs=(ssrcs[0],),
            format=str(opus),
        ),
        Section(
            mid="v",
            kind="video",
            direction=directions[1],
            codec=Codec(vp8, "VP8", 90_000, rtx, ("nack",)),
            extensions={ABS_SEND_TIME_URI: time_, MID_URI: mid},
            ssrcs=(ssrcs[1],),
            rtx_ssrcs={ssrcs[1]: ssrcs[2]},
            format=str(vp8),
        ),
    )
    assert offer.fingerprints == (("sha-256", ":".join(["AB"] * 32)),)
    audio, video = SessionDescription.parse(reply_to(offer)).media
    assert [codec.payloadType for codec in audio.rtp.codecs] == [opus]
    assert [codec.payloadType for codec in video.rtp.codecs] == [vp8, rtx]
    assert video.rtp.codecs[1].parameters == {"apt": vp8}
    sends = answered_direction(directions[1], True) in ("sendrecv", "sendonly")
    assert [ssrc.ssrc for ssrc in video.ssrc] == ([1_001, 2_001] if sends else [])


# Real peers


@pytest.mark.parametrize("kinds", [("audio",), ("audio", "video"), ("video", "audio")])
async def test_aiortc_accepts_the_answer_to_its_offer(kinds: tuple[str, ...]) -> None:
    make: dict[str, Callable[[], MediaStreamTrack]] = {
        "audio": AudioStreamTrack,
        "video": VideoStreamTrack,
    }
    peer = RTCPeerConnection()
    try:
        for kind in kinds:
            peer.addTrack(make[kind]())
        await peer.setLocalDescription(await peer.createOffer())
        offer = parse_offer(peer.localDescription.sdp)
        assert [s.kind for s in offer.sections] == list(kinds)
        text = reply_to(offer, candidates=())
        await peer.setRemoteDescription(RTCSessionDescription(text, "answer"))
        assert peer.signalingState == "stable"
        assert [t.currentDirection for t in peer.getTransceivers()] == ["sendrecv"] * len(kinds)
    finally:
        await peer.close()


CAMERA = "const s = await navigator.mediaDevices.getUserMedia({audio: true, video: true});"
SEND_BOTH = f"{CAMERA} for (const t of s.getTracks()) pc.addTrack(t, s);"
IN_CHROMIUM = {
    "audio and video": (SEND_BOTH, ["sendrecv", "sendrecv"]),
    "audio only": (f"{CAMERA} pc.addTrack(s.getAudioTracks()[0], s);", ["sendrecv"]),
    "recvonly": (
        "for (const k of ['audio', 'video']) pc.addTransceiver(k, {direction: 'recvonly'});",
        ["recvonly", "recvonly"],
    ),
    "data channel": (f"{SEND_BOTH} pc.createDataChannel('x');", ["sendrecv", "sendrecv"]),
    "three parties and a screen": (
        f"{SEND_BOTH} for (const k of ['audio', 'video', 'video'])"
        " pc.addTransceiver(k, {direction: 'recvonly'});"
        " pc.getTransceivers()[1].direction = 'sendonly';",
        ["sendrecv", "sendonly", "recvonly", "recvonly", "recvonly"],
    ),
}
FRESH = (
    "globalThis.pc?.close(); globalThis.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});"
)
NEGOTIATE = "async () => { await pc.setLocalDescription(); return pc.localDescription.sdp; }"
ACCEPT = """async (sdp) => {
  await pc.setRemoteDescription({type: 'answer', sdp});
  return pc.getTransceivers().map((t) => t.currentDirection);
}"""


@pytest.mark.e2e
async def test_chromium_accepts_the_answer_to_each_offer_and_to_a_restart() -> None:
    app = aiohttp.web.Application()
    app.router.add_get("/", _page)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "localhost", 0).start()
    url = f"http://localhost:{runner.addresses[0][1]}/"
    try:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=[
                    "--no-sandbox",
                    "--use-fake-device-for-media-stream",
                    "--use-fake-ui-for-media-stream",
                    "--disable-background-networking",
                ],
            )
            page = await browser.new_page()
            await page.goto(url)
            for name, (prepare, directions) in IN_CHROMIUM.items():
                await page.evaluate(f"async () => {{ {FRESH} {prepare} }}")
                first = parse_offer(await page.evaluate(NEGOTIATE))
                assert await page.evaluate(ACCEPT, reply_to(first)) == directions, name
                await page.evaluate("pc.restartIce()")
                second = parse_offer(await page.evaluate(NEGOTIATE))
                assert second.ice_ufrag != first.ice_ufrag
                renewed = reply_to(
                    second, ice_ufrag="srvrNext", ice_pwd="n" * 24, session_version=2
                )
                assert await page.evaluate(ACCEPT, renewed) == directions, name
            await browser.close()
    finally:
        await runner.cleanup()


async def _page(request: aiohttp.web.Request) -> aiohttp.web.Response:
    return aiohttp.web.Response(text="<!doctype html><title>x</title>", content_type="text/html")
