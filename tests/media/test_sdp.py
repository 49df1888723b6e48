"""Offers of real browsers in, answers that a second parser understands out."""

import re

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from media.sdp import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    Candidate,
    Codec,
    Direction,
    OutgoingTrack,
    Section,
    answered_direction,
    parse_offer,
)
from tests.media.sdp_samples import (
    CANDIDATES,
    CHROME,
    FINGERPRINT,
    LINE,
    OFFERS,
    reply_to,
    section_text,
)

# What each browser offers


@pytest.mark.parametrize(
    ("name", "audio", "video"),
    [
        ("chrome_audio_video", (111, 63), (96, 97)),
        ("firefox_audio_video", (109, None), (120, 124)),
        ("safari_audio_video", (111, 63), (103, 104)),
    ],
)
def test_opus_and_vp8_are_found_wherever_a_browser_numbers_them(
    name: str, audio: tuple[int, int | None], video: tuple[int, int]
) -> None:
    offer = parse_offer(OFFERS[name])
    feedback = ("nack", "nack pli", "ccm fir", "goog-remb")
    assert [section.codec for section in offer.sections] == [
        Codec(audio[0], "opus", 48_000, red_payload_type=audio[1]),
        Codec(video[0], "VP8", 90_000, video[1], feedback),
    ]


def test_redundant_audio_comes_first_where_it_is_offered() -> None:
    """A browser sends the first format of the answer, so bare Opus would win from second place."""
    text = section_text(reply_to(parse_offer(CHROME)), "0")
    assert " UDP/TLS/RTP/SAVPF 63 111\r\n" in text
    assert "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n" in text
    assert "useinbandfec=1" in text
    assert "red" not in reply_to(parse_offer(OFFERS["firefox_audio_video"]))


@pytest.mark.parametrize("blocks", ["", "111", "111/110", "110/110", "x", "/"])
def test_redundancy_of_another_format_is_not_taken(blocks: str) -> None:
    """Blocks of a format that is not Opus could not be passed on."""
    offer = parse_offer(CHROME.replace("a=fmtp:63 111/111", f"a=fmtp:63 {blocks}"))
    codec = offer.sections[0].codec
    assert codec is not None
    assert codec.red_payload_type == (63 if blocks == "111" else None)


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


# Whatever numbers a browser uses


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
