"""ICE-lite: who may send to us, and where we may send (RFC 8445 §2.5, RFC 7675).

The server has public addresses only and never sends a check, so no address that a participant
names is ever contacted: what counts is where correctly signed checks come from.
"""

import base64
from dataclasses import dataclass
from typing import Final

from media.stun import (
    Address,
    BindingRequest,
    integrity_holds,
    parse_binding_request,
    role_conflict,
    success,
    unknown_attribute,
    username_ufrag,
)

__all__ = ["Address", "IceCredentials", "IceLite", "IceResult", "username_ufrag"]

CONSENT_MS: Final = 30_000
"""How long one check allows us to send to its source (RFC 7675 §5.1)."""
MAX_VALIDATED: Final = 8
RANDOM_BYTES: Final = 24


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """A username fragment and its password, both of ice-chars (RFC 8839 §5.4)."""

    ufrag: str
    pwd: str

    @classmethod
    def generate(cls, random: bytes) -> "IceCredentials":
        """Credentials from the first 24 of `random`: 48 bits of ufrag, 144 bits of password.

        RFC 8445 §5.3 wants 24 and 128. The ufrag has more since it also tells the calls on
        one port apart. `random` must come from a cryptographic source and be used once.

        Raises:
            ValueError: fewer than 24 bytes.
        """
        if len(random) < RANDOM_BYTES:
            raise ValueError(f"{RANDOM_BYTES} random bytes are needed, not {len(random)}")
        text = base64.b64encode(random[:RANDOM_BYTES]).decode("ascii")  # its alphabet is ice-char
        return cls(ufrag=text[:8], pwd=text[8:])


@dataclass(frozen=True, slots=True)
class IceResult:
    """What one datagram led to.

    `reply` goes to the source as it is. `validated` is the source when its check held, on every
    such check; packets from it may go to DTLS and SRTP. `selected` is set when the address to send
    to has changed. Packets from the addresses in `forget` are no longer for this endpoint.
    """

    reply: bytes | None = None
    validated: Address | None = None
    selected: Address | None = None
    forget: tuple[Address, ...] = ()


NOTHING: Final = IceResult()


@dataclass(frozen=True, slots=True)
class _Generation:
    """One pair of credentials: what a check must carry."""

    ufrag: str
    username: bytes
    key: bytes


class IceLite:
    """The ICE state of one endpoint: credentials, validated addresses, the selected one.

    An ICE restart makes before it breaks (RFC 8445 §2.4): the credentials before stay valid, and
    media goes on where it went, until a check with the new ones nominates a pair.
    """

    __slots__ = ("_checked_at_ms", "_current", "_previous", "selected")

    def __init__(self, local: IceCredentials, remote_ufrag: str) -> None:
        self._current = _generation(local, remote_ufrag)
        self._previous: _Generation | None = None
        self._checked_at_ms: dict[Address, int] = {}  # the longest unchecked comes first
        self.selected: Address | None = None

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """The username fragments that reach this endpoint, the current one first."""
        if self._previous is None:
            return (self._current.ufrag,)
        return (self._current.ufrag, self._previous.ufrag)

    @property
    def validated(self) -> tuple[Address, ...]:
        """The addresses with a valid check in the last 30 s, at most 8."""
        return tuple(self._checked_at_ms)

    def restart(self, local: IceCredentials, remote_ufrag: str) -> None:
        """Take new credentials; those that last carried the media stay valid beside them.

        Read `local_ufrags` again afterwards, and after each `handle`: it may drop the old ones.
        """
        if self._previous is None:
            self._previous = self._current
        self._current = _generation(local, remote_ufrag)

    def handle(self, data: bytes, source: Address, now_ms: int) -> IceResult:
        """Answer one datagram that looks like STUN (RFC 7983).

        What is no correctly signed Binding request gets no reply at all, so a stranger learns
        nothing and the port reflects nothing. Never raises for any `data`.

        Args:
            source: Where `data` came from; its host is an IP address.
            now_ms: Monotonic clock of the caller, milliseconds.
        """
        request = parse_binding_request(data)
        generation = self._generation_of(request, data)
        if request is None or generation is None:
            return NOTHING
        if request.unknown:
            return IceResult(reply=unknown_attribute(request, generation.key))
        if request.claims_controlled:
            return IceResult(reply=role_conflict(request, generation.key))
        self._checked_at_ms.pop(source, None)
        self._checked_at_ms[source] = now_ms
        selected = self._nominate(source, generation) if request.use_candidate else None
        return IceResult(
            reply=success(request, source, generation.key),
            validated=source,
            selected=selected,
            forget=self._evict(source),
        )

    def expire(self, now_ms: int) -> tuple[Address, ...]:
        """Drop and return the addresses without a valid check for 30 s (RFC 7675 §5.1).

        `selected` becomes None when it is among them: consent is lost and nothing may be sent.
        Only checks renew consent: media from an address is no wish to receive there.
        """
        expired = tuple(
            address
            for address, checked_at_ms in self._checked_at_ms.items()
            if now_ms - checked_at_ms >= CONSENT_MS
        )
        for address in expired:
            self._drop(address)
        return expired

    def _generation_of(self, request: BindingRequest | None, data: bytes) -> _Generation | None:
        """The credentials that `request` was made with, None if with none of ours."""
        if request is None:
            return None
        for generation in (self._current, self._previous):
            if generation is not None and request.username == generation.username:
                return generation if integrity_holds(data, request, generation.key) else None
        return None

    def _nominate(self, source: Address, generation: _Generation) -> Address | None:
        """Select `source`: the latest nomination wins. Returns it if that is a change.

        Chromium and Safari nominate towards a lite agent the pair they send on; Firefox nominates
        every pair at first and then goes on checking the chosen one only.
        """
        if generation is self._current:
            self._previous = None
        if source == self.selected:
            return None
        self.selected = source
        return source

    def _evict(self, newest: Address) -> tuple[Address, ...]:
        """Keep at most 8 addresses: the longest unchecked goes, never the selected one."""
        if len(self._checked_at_ms) <= MAX_VALIDATED:
            return ()
        kept = (self.selected, newest)
        oldest = next(address for address in self._checked_at_ms if address not in kept)
        self._drop(oldest)
        return (oldest,)

    def _drop(self, address: Address) -> None:
        del self._checked_at_ms[address]
        if address == self.selected:
            self.selected = None


def _generation(local: IceCredentials, remote_ufrag: str) -> _Generation:
    username = f"{local.ufrag}:{remote_ufrag}".encode("ascii")
    return _Generation(ufrag=local.ufrag, username=username, key=local.pwd.encode("ascii"))
