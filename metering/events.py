"""What happens to a meter. `*_ms` is the caller's monotonic clock in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass

from metering.tariff import Tariff
from metering.terms import EndCause, Mode, Party, Side


@dataclass(frozen=True, slots=True)
class Opened:
    """The first event: `wall_ms` is what the wall clock shows at `at_ms`."""

    at_ms: int
    wall_ms: int
    physician_id: str
    mode: Mode
    epoch: int = 1


@dataclass(frozen=True, slots=True)
class Engaged:
    """The consult is active: what flows from now on is billable."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Disengaged:
    """The consult is no longer active (interrupted, re-opened later); it may be engaged again."""

    at_ms: int
    cause: EndCause


@dataclass(frozen=True, slots=True)
class FlowStarted:
    """The first packet of a side, or the first after a gap."""

    side: Side
    at_ms: int


@dataclass(frozen=True, slots=True)
class FlowSeen:
    """The side's flow goes on, without a gap up to its packet at `last_ms`."""

    side: Side
    last_ms: int


@dataclass(frozen=True, slots=True)
class FlowStopped:
    """The side has been silent for `FLOW_GAP_MS`, since its packet at `last_ms`."""

    side: Side
    last_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """A party holds the call. Holding a held call changes nothing."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Resumed:
    """Nobody holds the call any longer."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class ModeChanged:
    """Another mode is carried from now on: as agreed, or voice for as long as video cannot be."""

    mode: Mode
    at_ms: int


@dataclass(frozen=True, slots=True)
class PhysicianChanged:
    """A colleague has taken the patient over: segments are per physician."""

    physician_id: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Granted:
    """All that is prepaid by now: what the patient pays by `tariff` is never above it.

    A limit only grows, so a lower one changes nothing. A meter without one has no limit.
    """

    limit_fen: int
    tariff: Tariff
    at_ms: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed and nothing else happened; moves the totals of hold and interruption."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The consult is over. Later reports of media are ignored."""

    at_ms: int
    cause: EndCause
    party: Party


Condition = Engaged | Disengaged | Held | Resumed | ModeChanged | PhysicianChanged | Granted
Event = Condition | FlowStarted | FlowSeen | FlowStopped | Tick | Closed
