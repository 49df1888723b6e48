"""Every error of this package. `code` is for programs and never changes.

MeteringError
├── MeterError       meter_impossible   an event that cannot happen in this state
├── TariffError      tariff_invalid     a price list that breaks a rule
├── RatingError      segments_invalid   seconds that cannot be rated
├── RecordError      record_invalid     facts that cannot become a record
├── ChainBroken      chain_broken       a ledger entry that does not follow its predecessor
├── StaleEpoch       epoch_stale        another node has taken the consult
└── FeedError        cursor_invalid, limit_invalid
"""

from __future__ import annotations


class MeteringError(Exception):
    """Base of all errors of this package."""

    code = "metering_error"


class MeterError(MeteringError):
    """An event that cannot happen in the meter's state. The meter still holds."""

    code = "meter_impossible"


class TariffError(MeteringError):
    """A price list that breaks a rule; the message names the field."""

    code = "tariff_invalid"


class RatingError(MeteringError):
    """Seconds that cannot be rated: negative, of no known mode, or out of bounds."""

    code = "segments_invalid"


class RecordError(MeteringError):
    """Facts that cannot become a record; the message names the field."""

    code = "record_invalid"


class ChainBroken(MeteringError):
    """A ledger entry that does not follow its predecessor.

    `seq` is the position where the entry was expected; `record_id` is what stands there.
    """

    code = "chain_broken"

    def __init__(self, seq: int, record_id: str, reason: str) -> None:
        super().__init__(f"the ledger breaks at seq {seq} ({record_id}): {reason}")
        self.seq, self.record_id, self.reason = seq, record_id, reason


class StaleEpoch(MeteringError):
    """Another node has taken the consult: what this node still knows must not be written."""

    code = "epoch_stale"

    def __init__(self, consult_id: str, mine: int, stored: int) -> None:
        super().__init__(f"epoch {mine} of consult {consult_id} is over: {stored} holds it")
        self.consult_id, self.mine, self.stored = consult_id, mine, stored


class FeedError(MeteringError):
    """A page request that cannot be served. `code` says which part of it is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
