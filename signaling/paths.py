"""Messages about the way media takes: relays that a page may use, and the test before a call."""

from __future__ import annotations

from typing import Literal

from signaling.wire import CommandId, Incoming, Outgoing, Sdp


class Probe(Incoming):
    """An SDP offer of a throw-away connection, to see whether a way to the media port is open.

    The result is ``{"sdp": …}``; the connection carries nothing and ends after 10 s. It is no
    matter of the consult: the answer is not kept, and a repeated command gets a new one.
    ``probes_busy``: too many at once.
    """

    kind: Literal["probe"]
    id: CommandId
    sdp: Sdp


class IceServer(Outgoing):
    """A STUN or TURN server (W3C ``RTCIceServer``); the last two are null for STUN."""

    urls: tuple[str, ...]
    username: str | None
    credential: str | None


class IceServers(Outgoing):
    """The servers to use from now on. Comes after the hello, where the clinic has any.

    Credentials end after ``ttl_s``; new ones come before.
    """

    kind: Literal["ice_servers"] = "ice_servers"
    servers: tuple[IceServer, ...]
    ttl_s: int
