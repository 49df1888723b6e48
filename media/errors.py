"""What the media part refuses, as one tree.

    MediaError
    ├── PortUnavailable        the UDP or TCP port cannot be bound
    ├── OfferRejected          an SDP offer is refused; `reason` says why
    ├── ConnectionReplaced     an offer for a connection that a newer one has replaced
    ├── RoomClosed             the room is closed
    ├── ProbesBusy             too many connection tests at once
    ├── ScreenTaken            somebody else shares a screen already
    └── HandshakeFailed        DTLS did not complete
        └── FingerprintMismatch    the certificate is not the one that the offer named

`code` is for programs: listed in docs/protocol.md, it never changes.
"""

from typing import ClassVar


class MediaError(Exception):
    """Anything that the media part refuses."""

    code: ClassVar[str] = "media_error"


class PortUnavailable(MediaError):
    """The media port cannot be bound."""

    code = "media_port_unavailable"

    def __init__(self, host: str, port: int, cause: str) -> None:
        super().__init__(f"the media port {port} on {host} cannot be used: {cause}")
        self.host, self.port, self.cause = host, port, cause


class OfferRejected(MediaError):
    """An SDP offer is refused. `reason` is for programs, the message for people."""

    code = "offer_rejected"

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(f"offer rejected: {reason}" + (f" ({detail})" if detail else ""))
        self.reason, self.detail = reason, detail


class ConnectionReplaced(MediaError):
    """An offer came for a connection that a newer one of the same participant has replaced."""

    code = "connection_replaced"

    def __init__(self, connection_id: str) -> None:
        super().__init__(f"connection {connection_id} was replaced by a newer one")
        self.connection_id = connection_id


class RoomClosed(MediaError):
    """The room takes no more offers."""

    code = "room_closed"

    def __init__(self, room_id: str) -> None:
        super().__init__(f"room {room_id} is closed")
        self.room_id = room_id


class ScreenTaken(MediaError):
    """Somebody else in the room shares their screen: one at a time."""

    code = "screen_taken"

    def __init__(self, participant_id: str) -> None:
        super().__init__("somebody else is sharing their screen")
        self.participant_id = participant_id


class ProbesBusy(MediaError):
    """Too many connection tests at once; the page may try again."""

    code = "probes_busy"

    def __init__(self) -> None:
        super().__init__("too many connection tests at once")


class HandshakeFailed(MediaError):
    """The DTLS handshake did not complete."""

    code = "dtls_failed"


class FingerprintMismatch(HandshakeFailed):
    """The peer's certificate is not one that its offer named (RFC 8122 §5)."""

    code = "fingerprint_mismatch"
