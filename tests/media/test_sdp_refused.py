"""Offers that are broken, too large or hostile: refused with a reason, cheaply, and only so."""

import re
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from media.sdp import OfferRejected, parse_offer
from tests.media.sdp_samples import CHROME, LINE, OFFERS, reply_to


def reason_of(text: str) -> str:
    with pytest.raises(OfferRejected) as refused:
        parse_offer(text)
    return refused.value.reason


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


# Mutations


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
