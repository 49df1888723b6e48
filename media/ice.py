"""ICE-lite: who may send to us, and where we may send (RFC 8445 §2.5, RFC 7675).

The server has public addresses only and never sends a check, so no address that a participant
names is ever contacted: what counts is where correctly signed checks come from.

A check alone does not move running media: whoever saw one on the way can send it again from an
address of their own. Media goes to a nominated address once authentic packets came from there, or
when the selected one has fallen silent.
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
SILENT_MS: Final = 500
"""Without an authentic packet for so long, the selected address keeps no other from its place."""

CARRIES_MS: Final = 2_000
"""How long one authentic packet makes an address fit to fall back to."""

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
    to has changed at once. Packets from the addresses in `forget` are no longer for this endpoint.
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
    media goes on where it went, until a pair that the new ones nominated is selected.

    `heard_ms` of the methods is when an authentic packet last came from the selected address, None
    for never: the caller knows, since packets do not pass here.

    Attributes:
        selected: Where to send. Look again after each call.
    """

    __slots__ = (
        "_carried_ms",
        "_checked_at_ms",
        "_current",
        "_nominated",
        "_previous",
        "selected",
    )

    def __init__(self, local: IceCredentials, remote_ufrag: str) -> None:
        self._current = _generation(local, remote_ufrag)
        self._previous: _Generation | None = None
        self._checked_at_ms: dict[Address, int] = {}  # the longest unchecked comes first
        self._carried_ms: dict[Address, int] = {}  # when authentic packets came, of the validated
        self._nominated: tuple[Address, _Generation] | None = None  # to be selected
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

    def handle(
        self, data: bytes, source: Address, now_ms: int, heard_ms: int | None = None
    ) -> IceResult:
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
        selected = None
        if request.use_candidate:
            selected = self._nominate(source, generation, _is_silent(now_ms, heard_ms))
        return IceResult(
            reply=success(request, source, generation.key),
            validated=source,
            selected=selected,
            forget=self._evict(source),
        )

    def heard(self, address: Address, now_ms: int, heard_ms: int | None = None) -> bool:
        """Count an authentic packet from an address; True if that becomes the selected one.

        It does when it is nominated, and also without that when the selected one is lost or silent.
        Packets from the selected address need not be told.
        """
        if address == self.selected or address not in self._checked_at_ms:
            return False
        self._carried_ms[address] = now_ms
        nominated = self._nominated
        if nominated is not None and nominated[0] == address:
            self._select(*nominated)
        elif self.selected is None or _is_silent(now_ms, heard_ms):
            self.selected = address
        return address == self.selected

    @property
    def is_undecided(self) -> bool:
        """Whether an address is nominated and waits to be selected: see `settle`."""
        return self._nominated is not None

    def settle(self, now_ms: int, heard_ms: int | None = None) -> None:
        """Select what is nominated, if the selected address fell silent. Call it now and then."""
        if self._nominated is not None and _is_silent(now_ms, heard_ms):
            self._select(*self._nominated)

    def lose(self, address: Address, now_ms: int) -> None:
        """Take back an address whose connection has ended, and fall back to another."""
        if address in self._checked_at_ms:
            self._drop(address, now_ms)

    def expire(self, now_ms: int) -> tuple[Address, ...]:
        """Drop and return the addresses without a valid check for 30 s (RFC 7675 §5.1).

        When `selected` is among them it falls back to an address that carries media; without one
        it becomes None: consent is lost and nothing may be sent.
        Only checks renew consent: media from an address is no wish to receive there.
        """
        expired = tuple(
            address
            for address, checked_at_ms in self._checked_at_ms.items()
            if now_ms - checked_at_ms >= CONSENT_MS
        )
        for address in expired:
            self._drop(address, now_ms)
        return expired

    def _generation_of(self, request: BindingRequest | None, data: bytes) -> _Generation | None:
        """The credentials that `request` was made with, None if with none of ours."""
        if request is None:
            return None
        for generation in (self._current, self._previous):
            if generation is not None and request.username == generation.username:
                return generation if integrity_holds(data, request, generation.key) else None
        return None

    def _nominate(
        self, source: Address, generation: _Generation, is_silent: bool
    ) -> Address | None:
        """Take the latest nomination. Returns `source` if media goes there from now on.

        Chromium and Safari nominate towards a lite agent the pair they send on; Firefox nominates
        every pair at first and then goes on checking the chosen one only.
        """
        before = self.selected
        if before in (None, source) or is_silent:
            self._select(source, generation)
        else:
            self._nominated = (source, generation)
        return self.selected if self.selected != before else None

    def _select(self, address: Address, generation: _Generation) -> None:
        self.selected, self._nominated = address, None
        if generation is self._current:
            self._previous = None

    def _evict(self, newest: Address) -> tuple[Address, ...]:
        """Keep at most 8 addresses: the longest unchecked goes, never one that is nominated."""
        if len(self._checked_at_ms) <= MAX_VALIDATED:
            return ()
        nominated = None if self._nominated is None else self._nominated[0]
        kept = (self.selected, nominated, newest)
        oldest = next(address for address in self._checked_at_ms if address not in kept)
        del self._checked_at_ms[oldest]
        self._carried_ms.pop(oldest, None)
        return (oldest,)

    def _drop(self, address: Address, now_ms: int) -> None:
        del self._checked_at_ms[address]
        self._carried_ms.pop(address, None)
        if self._nominated is not None and self._nominated[0] == address:
            self._nominated = None
        if address == self.selected:
            self.selected = None
            self._fall_back(now_ms)

    def _fall_back(self, now_ms: int) -> None:
        """Select what is nominated, else what carried media last, if that is not long ago."""
        if self._nominated is not None:
            self._select(*self._nominated)
            return
        last = max(self._carried_ms, key=lambda a: self._carried_ms[a], default=None)
        if last is not None and now_ms - self._carried_ms[last] < CARRIES_MS:
            self.selected = last


def _is_silent(now_ms: int, heard_ms: int | None) -> bool:
    return heard_ms is None or now_ms - heard_ms >= SILENT_MS


def _generation(local: IceCredentials, remote_ufrag: str) -> _Generation:
    username = f"{local.ufrag}:{remote_ufrag}".encode("ascii")
    return _Generation(ufrag=local.ufrag, username=username, key=local.pwd.encode("ascii"))
