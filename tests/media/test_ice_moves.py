"""What moves media to another address, over every order of events: nothing but the rules."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from media.ice import CARRIES_MS, CONSENT_MS, SILENT_MS, Address, IceCredentials, IceLite
from tests.media.test_ice import LOCAL, REMOTE, RENEWED, check

ADDRESSES: list[Address] = [
    ("udp", "192.0.2.7", 40_000),
    ("udp", "198.51.100.9", 50_000),
    ("tcp", "192.0.2.7", 40_001),
    ("udp", "2001:db8::7", 40_002),
]
addresses = st.sampled_from(ADDRESSES)


class Moves(RuleBasedStateMachine):
    """Keeps, beside the ICE state, who was nominated and who was heard; never looks inside."""

    def __init__(self) -> None:
        super().__init__()
        self.ice = IceLite(LOCAL, REMOTE)
        self.current, self.remote = LOCAL, REMOTE
        self.now_ms = 0
        self.heard_ms: int | None = None  # of the selected address
        self.carried_ms: dict[Address, int] = {}
        self.nominated: Address | None = None

    @initialize(address=addresses)
    def connect(self, address: Address) -> None:
        self.check(address, nominate=True)
        assert self.ice.selected == address

    @property
    def silent(self) -> bool:
        return self.heard_ms is None or self.now_ms - self.heard_ms >= SILENT_MS

    def moved(self, before: Address | None) -> bool:
        """Whether media goes elsewhere now; then nothing was heard from there yet."""
        if self.ice.selected == before:
            return False
        self.heard_ms = None
        if self.ice.selected == self.nominated:
            self.nominated = None
        return True

    @rule(address=addresses, nominate=st.booleans())
    def check(self, address: Address, nominate: bool) -> None:
        """A signed check: moves only at once from nothing or from silence, else waits."""
        before, free = self.ice.selected, self.silent or self.ice.selected is None
        data = check(self.current, self.remote, nominate=nominate)
        result = self.ice.handle(data, address, self.now_ms, self.heard_ms)
        assert result.validated == address
        if nominate:
            self.nominated = None if address == before else address
        assert self.ice.selected == (address if nominate and free else before)
        self.moved(before)

    @rule(address=addresses, nominate=st.booleans())
    def forge(self, address: Address, nominate: bool) -> None:
        """A check without the password is as if it never came."""
        before = (self.ice.selected, self.ice.validated, self.ice.local_ufrags)
        forged = check(IceCredentials(self.current.ufrag, "x" * 24), self.remote, nominate=nominate)
        result = self.ice.handle(forged, address, self.now_ms, self.heard_ms)
        assert result.reply is result.validated is result.selected is None
        assert before == (self.ice.selected, self.ice.validated, self.ice.local_ufrags)

    @rule(address=addresses)
    def media(self, address: Address) -> None:
        """An authentic packet moves media if nominated, or if the selected address is lost."""
        before, was_valid = self.ice.selected, address in self.ice.validated
        wanted = address == self.nominated or self.silent or before is None
        if address == before:
            self.heard_ms = self.carried_ms[address] = self.now_ms
        moved = self.ice.heard(address, self.now_ms, self.heard_ms)
        assert moved == (address != before and was_valid and wanted)
        if was_valid:
            self.carried_ms[address] = self.now_ms
        if self.moved(before):
            self.heard_ms = self.now_ms

    @rule(address=addresses)
    def lose(self, address: Address) -> None:
        """The end of a connection leads to what is nominated or carries media, or to nowhere."""
        before = self.ice.selected
        self.ice.lose(address, self.now_ms)
        assert address not in self.ice.validated
        self.carried_ms.pop(address, None)
        self.after_loss(before, lost=before == address)

    @rule()
    def expire(self) -> None:
        before = self.ice.selected
        expired = self.ice.expire(self.now_ms)
        for address in expired:
            self.carried_ms.pop(address, None)
        self.after_loss(before, lost=before in expired)

    def after_loss(self, before: Address | None, lost: bool) -> None:
        if not lost:
            assert self.ice.selected == before
        elif self.ice.selected not in (None, self.nominated):
            assert self.now_ms - self.carried_ms[self.ice.selected] < CARRIES_MS
        if self.nominated not in self.ice.validated:
            self.nominated = None
        self.moved(before)

    @rule()
    def settle(self) -> None:
        """Time alone moves media to what is nominated, and only from silence."""
        before = self.ice.selected
        self.ice.settle(self.now_ms, self.heard_ms)
        if self.moved(before):
            assert self.nominated is None

    @rule(later_ms=st.integers(1, SILENT_MS) | st.integers(1, CONSENT_MS + 1))
    def wait(self, later_ms: int) -> None:
        self.now_ms += later_ms

    @precondition(lambda self: self.current is LOCAL)
    @rule()
    def restart(self) -> None:
        """New credentials move nothing."""
        before = self.ice.selected
        self.current, self.remote = RENEWED, "next"
        self.ice.restart(RENEWED, "next")
        assert self.ice.selected == before

    @invariant()
    def media_goes_to_validated_addresses_alone(self) -> None:
        assert self.ice.selected is None or self.ice.selected in self.ice.validated


TestMoves = Moves.TestCase
