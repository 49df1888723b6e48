"""Connections that show only that a way is open: the test before a call.

A probe answers STUN and DTLS as a call's connection does, from the same port, and carries nothing.
"""

from typing import Final

from media.endpoint import Endpoint, Names
from media.errors import ProbesBusy
from media.room import Switchboard
from media.sdp import parse_offer
from media.tracks import IncomingTrack

LIFE_MS: Final = 10_000
MAX_PROBES: Final = 128
MAX_PER_NAME: Final = 8
"""Of one caller at once: three ways, tested, and tested again."""


class Probes:
    """The probes of a port. Their owner (`media.endpoint.Owner`), and who ticks them."""

    def __init__(self, switchboard: Switchboard) -> None:
        self._switchboard = switchboard
        self._ends_ms: dict[Endpoint, int] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._ends_ms)

    def offer(self, name: str, sdp: str) -> str:
        """Answer an offer with a connection that ends after 10 s.

        Args:
            name: Who asks: each has 8 at most, all together 128.
        Raises:
            OfferRejected: the offer cannot be used.
            ProbesBusy: there are too many now.
        """
        own = sum(endpoint.names.participant_id == name for endpoint in self._ends_ms)
        if own >= MAX_PER_NAME or len(self) >= MAX_PROBES:
            raise ProbesBusy
        offer, now_ms = parse_offer(sdp), self._switchboard.now_ms()
        names = Names(name, f"probe-{now_ms}")
        endpoint = Endpoint(self, names, offer, self._switchboard.shared, now_ms)
        endpoint.negotiate(offer, {})
        answer = endpoint.answer(self._switchboard.candidates)
        self._ends_ms[endpoint] = now_ms + LIFE_MS
        self._switchboard.route(endpoint)
        return answer

    def tick(self, now_ms: int) -> None:
        """Each 100 ms: retransmissions, and the end of those that are over."""
        for endpoint, ends_ms in tuple(self._ends_ms.items()):
            if now_ms >= ends_ms:
                self._end(endpoint)
            else:
                self._switchboard.forget(endpoint, endpoint.tick(now_ms))

    def close(self) -> None:
        """End all."""
        for endpoint in tuple(self._ends_ms):
            self._end(endpoint)

    def _end(self, endpoint: Endpoint) -> None:
        if self._ends_ms.pop(endpoint, None) is not None:
            self._switchboard.unroute(endpoint, endpoint.close())

    # From the endpoints -------------------------------------------------------------------------

    def endpoint_connected(self, endpoint: Endpoint) -> None:
        """The page sees that by itself."""

    def endpoint_failed(self, endpoint: Endpoint, code: str) -> None:
        """Closed by the page, which has seen enough, or failed."""
        self._end(endpoint)

    def flow_began(self, participant_id: str, track: IncomingTrack) -> None:
        """Cannot be: a probe has no tracks."""
