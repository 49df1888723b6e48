"""Every error of this package. `code` is for programs and never changes.

MeteringError
├── MeterError       meter_impossible   an event that cannot happen in this state
├── TariffError      tariff_invalid     a price list that breaks a rule
├── ValidFromPast    valid_from_past    prices that would be valid from before now
├── RatingError      segments_invalid   seconds that cannot be rated
├── RecordError      record_invalid     facts that cannot become a record
├── AdjustmentError  adjustment_invalid  a correction that breaks a rule
│   ├── NothingChanges      nothing_changes       it would leave everything as it is
│   ├── RecordSuperseded    record_superseded     it corrects a record that is not the latest
│   ├── AlreadyVoid         already_void          the consult is void, which is final
│   └── TooManyCorrections  too_many_corrections  the consult can only be voided now
├── ChainBroken      chain_broken       a ledger entry that does not follow its predecessor
├── StaleEpoch       epoch_stale        another node has taken the consult
├── MonthInvalid     month_invalid      no month that a statement could be of
├── RangeError       range_invalid      times that give no range
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


class ValidFromPast(MeteringError):
    """Prices that would be valid from before now."""

    code = "valid_from_past"

    def __init__(self) -> None:
        super().__init__("valid_from: prices cannot be valid from before now")


class RatingError(MeteringError):
    """Seconds that cannot be rated: negative, of no known mode, or out of bounds."""

    code = "segments_invalid"


class RecordError(MeteringError):
    """Facts that cannot become a record; the message names the field."""

    code = "record_invalid"


class AdjustmentError(MeteringError):
    """A correction that breaks a rule; the message names the field."""

    code = "adjustment_invalid"


class NothingChanges(AdjustmentError):
    """A correction that would leave seconds and amounts as they are."""

    code = "nothing_changes"

    def __init__(self, latest_id: str) -> None:
        super().__init__(f"seconds and amounts are already so after {latest_id}")
        self.latest_id = latest_id


class RecordSuperseded(AdjustmentError):
    """A correction of a record that another one has corrected since."""

    code = "record_superseded"

    def __init__(self, latest_id: str) -> None:
        super().__init__(f"the latest record of this consult is {latest_id}: correct that one")
        self.latest_id = latest_id


class AlreadyVoid(AdjustmentError):
    """A correction of a consult that is void."""

    code = "already_void"

    def __init__(self, latest_id: str) -> None:
        super().__init__(f"{latest_id} made this consult void, which is final")
        self.latest_id = latest_id


class TooManyCorrections(AdjustmentError):
    """A consult has as many corrections as it may have; it can still be voided."""

    code = "too_many_corrections"

    def __init__(self, limit: int) -> None:
        super().__init__(f"a consult has at most {limit} corrections: void it")
        self.limit = limit


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


class RangeError(MeteringError):
    """Times that give no range; the message names the parameter."""

    code = "range_invalid"


class FeedError(MeteringError):
    """A page request that cannot be served. `code` says which part of it is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class MonthInvalid(MeteringError):
    """A month that is none, or of a time that records cannot be of."""

    code = "month_invalid"

    def __init__(self) -> None:
        super().__init__("month: as in 2026-03")
