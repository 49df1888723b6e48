"""SDP: an offer in, an answer out (RFC 8829). The face of `sdp_offer` and `sdp_answer`."""

from media.errors import OfferRejected
from media.sdp_answer import Candidate, OutgoingTrack, answer, answered_direction
from media.sdp_offer import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    Codec,
    Direction,
    Offer,
    Section,
    parse_offer,
)

__all__ = [
    "ABS_SEND_TIME_URI",
    "AUDIO_LEVEL_URI",
    "MID_URI",
    "Candidate",
    "Codec",
    "Direction",
    "Offer",
    "OfferRejected",
    "OutgoingTrack",
    "Section",
    "answer",
    "answered_direction",
    "parse_offer",
]
