"""Offers of real browsers, and an answer to any of them, for the tests of SDP."""

import re
from pathlib import Path

from media.sdp import Candidate, Offer, OutgoingTrack, answer

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
