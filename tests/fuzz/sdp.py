"""SDP offers, read and answered; a second one renegotiates the first's connection."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from media.counters import MediaCounters
from media.datagrams import Spares
from media.endpoint import Endpoint, Names
from media.errors import OfferRejected
from media.flow import Flow
from media.inbound import Shared
from media.sdp import Offer, parse_offer
from media.tracks import IncomingTrack
from tests.media.sdp_samples import CANDIDATES, LINE, OFFERS, reply_to

BETWEEN = b"\0\0"


class Nobody:
    """Owns an endpoint that never connects."""

    def endpoint_connected(self, endpoint: Endpoint) -> None:
        """It cannot."""

    def endpoint_failed(self, endpoint: Endpoint, code: str) -> None:
        """It does not."""

    def flow_began(self, participant_id: str, track: IncomingTrack) -> None:
        """Nothing flows."""


def target(data: bytes) -> None:
    """Whatever comes: refused by `OfferRejected`, or answered line by line as RFC 8866 wants."""
    first, _, second = data.partition(BETWEEN)
    offer = _read(first)
    if offer is None:
        return
    _check(offer, reply_to(offer))
    if not second:
        return
    flows = {"audio": Flow(), "video": Flow()}
    shared = Shared(MediaCounters(), Spares(lambda: None))
    endpoint = Endpoint(Nobody(), Names("p", "c"), offer, shared, 0)
    for next_offer in (offer, _read(second), offer):
        if next_offer is None:
            continue
        try:
            endpoint.negotiate(next_offer, flows)
        except OfferRejected:
            continue
        _check(next_offer, endpoint.answer(CANDIDATES))
    endpoint.close()


def _read(data: bytes) -> Offer | None:
    try:
        return parse_offer(data.decode("utf-8", "replace"))
    except OfferRejected:
        return None


def _check(offer: Offer, text: str) -> None:
    assert text.endswith("\r\n")
    lines = text.split("\r\n")[:-1]
    for line in lines:
        assert LINE.fullmatch(line), line
    assert sum(line.startswith("m=") for line in lines) == len(offer.sections)
    mids = re.findall(r"(?m)^a=mid:(\S+)\r$", text)
    assert mids == [section.mid for section in offer.sections if section.mid]


def seeds() -> Iterator[bytes]:
    """What browsers offer, alone and one after the other."""
    texts = [text.encode() for text in OFFERS.values()]
    yield from texts
    for one, other in pairwise(texts):
        yield one + BETWEEN + other
    chrome = OFFERS["chrome_audio_video"].encode()
    yield chrome + BETWEEN + chrome.replace(b"a=ice-ufrag:", b"a=ice-ufrag:New0")
