"""Errors of the people's side: consults, links and pages.

ConsultError
├── InvalidTransition    the consult is in a state that does not allow this
├── NotYourConsult       the caller is no party of the consult
├── UnknownConsult       no consult has this id
├── AlreadyTaken         another physician has this patient; names them
├── PhysicianBusy        the physician is in a call and cannot take another patient
├── NobodyWaits          there is no patient to take
├── NodeFull             the server carries as many calls as it can; the patient keeps the place
├── PriceChanged         the patient agreed to a price or terms that are not the consult's
├── ProposalGone         the proposed mode was answered or withdrawn
├── PrepaidTooLow        not one second of the wanted mode is covered by what is prepaid
├── NotPrepaid           a consult without a limit is topped up
├── PrepaidTooHigh       a limit would be above what a limit may be
├── RecordingOff         this server records nothing
├── TooManyGuests        a consult has as many guests as it may
├── OfferRefused         the media side cannot accept an SDP offer
├── LinkInvalid          a link is unknown, replayed, too early or expired: all alike
├── NotSignedIn          a console has no valid session
├── Stopping             the server is being stopped and takes nothing new
├── Overloaded           a consult has more unanswered commands than it may
└── StorageTrouble       the database did not take a write; nothing was changed

``code`` is for programs: it is listed in docs/protocol.md and never changes. The text is for
people and holds no name of a patient.
"""

from __future__ import annotations

from typing import ClassVar


class ConsultError(Exception):
    """Base of what this package raises."""

    code: ClassVar[str] = "consult_error"


class InvalidTransition(ConsultError):
    """This event is not allowed in the state the consult is in."""

    code = "invalid_transition"

    def __init__(self, consult_id: str, state: str, event: str) -> None:
        super().__init__(f"{event} is not possible while the consult is {state}")
        self.consult_id, self.state, self.event = consult_id, state, event


class NotYourConsult(ConsultError):
    """The caller is no party of this consult."""

    code = "not_your_consult"

    def __init__(self, consult_id: str) -> None:
        super().__init__("this consult is not yours")
        self.consult_id = consult_id


class UnknownConsult(ConsultError):
    """No consult has this id."""

    code = "unknown_consult"

    def __init__(self, consult_id: str) -> None:
        super().__init__("there is no such consult")
        self.consult_id = consult_id


class AlreadyTaken(ConsultError):
    """Another physician took this patient first."""

    code = "already_taken"

    def __init__(self, consult_id: str, physician_id: str, physician_name: str) -> None:
        super().__init__(f"{physician_name} has taken this patient")
        self.consult_id = consult_id
        self.physician_id, self.physician_name = physician_id, physician_name


class PhysicianBusy(ConsultError):
    """The physician is in a call: one call at a time."""

    code = "physician_busy"

    def __init__(self, physician_id: str, consult_id: str) -> None:
        super().__init__("finish the call you are in first")
        self.physician_id, self.consult_id = physician_id, consult_id


class NobodyWaits(ConsultError):
    """No patient waits whom this physician may take."""

    code = "nobody_waits"

    def __init__(self) -> None:
        super().__init__("nobody is waiting")


class NodeFull(ConsultError):
    """All lines are in use: no new call can begin, and the patient keeps the place."""

    code = "node_full"

    def __init__(self) -> None:
        super().__init__("all lines are in use, please try again in a moment")


class PriceChanged(ConsultError):
    """What the patient agreed to is not what this consult costs."""

    code = "price_changed"

    def __init__(self, consult_id: str) -> None:
        super().__init__("the price or the terms have changed: please read them again")
        self.consult_id = consult_id


class ProposalGone(ConsultError):
    """The proposal was answered, withdrawn or replaced by another."""

    code = "proposal_gone"

    def __init__(self, consult_id: str, proposal_id: str) -> None:
        super().__init__("this proposal is no longer open")
        self.consult_id, self.proposal_id = consult_id, proposal_id


class PrepaidTooLow(ConsultError):
    """Not one second of this mode is covered by what is prepaid."""

    code = "prepaid_too_low"

    def __init__(self, consult_id: str, mode: str) -> None:
        super().__init__(f"what is prepaid does not cover one second of {mode}")
        self.consult_id, self.mode = consult_id, mode


class NotPrepaid(ConsultError):
    """The consult has no prepaid limit, so nothing can be added to it."""

    code = "not_prepaid"

    def __init__(self, consult_id: str) -> None:
        super().__init__("this consult is not prepaid")
        self.consult_id = consult_id


class PrepaidTooHigh(ConsultError):
    """The prepaid limit would be above what a limit may be."""

    code = "prepaid_too_high"

    def __init__(self, consult_id: str, limit_fen: int) -> None:
        super().__init__(f"at most {limit_fen} fen can be prepaid in all")
        self.consult_id, self.limit_fen = consult_id, limit_fen


class RecordingOff(ConsultError):
    """This server records no calls."""

    code = "recording_off"

    def __init__(self) -> None:
        super().__init__("calls are not recorded here")


class TooManyGuests(ConsultError):
    """The consult has as many guests as it may: remove one first."""

    code = "too_many_guests"

    def __init__(self, consult_id: str, limit: int) -> None:
        super().__init__(f"at most {limit} guests can be invited")
        self.consult_id, self.limit = consult_id, limit


class OfferRefused(ConsultError):
    """The media side refused an SDP offer; the consult is as it was.

    ``reason`` is the media side's own code, sent to the page as the problem's code.
    """

    code = "offer_refused"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class LinkInvalid(ConsultError):
    """A link cannot be used; the caller is not told why."""

    code = "link_invalid"

    def __init__(self) -> None:
        super().__init__("this link is not valid")


class NotSignedIn(ConsultError):
    """The console's request carries no valid session."""

    code = "not_signed_in"

    def __init__(self) -> None:
        super().__init__("please sign in")


class Stopping(ConsultError):
    """The server is being stopped: no new calls."""

    code = "server_stopping"

    def __init__(self) -> None:
        super().__init__("the server is being restarted, please try again in a moment")


class Overloaded(ConsultError):
    """Too many commands of this consult wait for their turn."""

    code = "overloaded"

    def __init__(self, consult_id: str) -> None:
        super().__init__("too much at once, please try again in a moment")
        self.consult_id = consult_id


class StorageTrouble(ConsultError):
    """The database did not take the write; nothing was changed or acknowledged."""

    code = "storage_unavailable"

    def __init__(self) -> None:
        super().__init__("this cannot be saved at the moment, please try again")
