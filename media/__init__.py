"""Packets: one UDP and TCP port, ICE-lite, DTLS-SRTP, rooms and forwarding. Nothing is decoded.

`MediaPort.open` binds the port, `MediaPort.room` opens a room, `Room.offer` takes an SDP offer of
a participant and `Room.deliver` says what goes through. A `RoomListener` hears of flows.
"""

from media.counters import MediaCounters
from media.errors import (
    ConnectionReplaced,
    FingerprintMismatch,
    HandshakeFailed,
    MediaError,
    OfferRejected,
    PortUnavailable,
    RoomClosed,
    ScreenTaken,
)
from media.flow import FlowReading
from media.port import MediaPort
from media.room import Room, RoomListener
from media.seating import Seat
from media.sockets import MediaSettings

__all__ = [
    "ConnectionReplaced",
    "FingerprintMismatch",
    "FlowReading",
    "HandshakeFailed",
    "MediaCounters",
    "MediaError",
    "MediaPort",
    "MediaSettings",
    "OfferRejected",
    "PortUnavailable",
    "Room",
    "RoomClosed",
    "RoomListener",
    "ScreenTaken",
    "Seat",
]
