"""What the media port counts: for /metrics, and for logs that stay bounded under attack."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class MediaCounters:
    """Totals since the port was opened.

    Attributes:
        received: Datagrams and TCP frames read.
        received_bytes: Their sizes.
        forwarded: RTP packets sent on to a receiver, retransmissions not counted.
        retransmitted: RTP packets sent again for a NACK.
        stun: Binding requests answered.
        path_changes: Connections that moved to another address of their participant.
        handshakes: DTLS handshakes completed.
        dtls_failures: DTLS handshakes that failed, wrong fingerprints included.
        tcp_refused: TCP connections over a limit, or closed for not being ICE.
        capped: How often a participant sent far too much, and the excess was dropped.
        behind_until_ms: Until then the port has more to read than it can: what seems lost may
            still be there, or was lost by us, and asking for it again would make it worse.
        dropped: What was not used, by reason.
    """

    received: int = 0
    received_bytes: int = 0
    forwarded: int = 0
    retransmitted: int = 0
    stun: int = 0
    path_changes: int = 0
    handshakes: int = 0
    dtls_failures: int = 0
    tcp_refused: int = 0
    capped: int = 0
    behind_until_ms: int = 0
    dropped: dict[str, int] = field(default_factory=dict)

    def drop(self, reason: str) -> None:
        """Count one datagram that was not used. `reason` comes from our code, never from a peer."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1
