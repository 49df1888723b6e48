"""What a page is shown of a consult: a case and the moment in, protocol models out. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from signaling import messages as m
from signaling.case import Case, Physician, rfc3339
from signaling.model import TERMINAL, Guest, deadline_ms, guest_may_join, pause
from signaling.recording import recording_view
from signaling.seats import Seats, Sitting


@dataclass(frozen=True)
class Moment:
    """What a view needs to know besides the case."""

    now_ms: int
    at_ms: int
    physician_online: bool
    summary: m.Summary | None
    may_record: bool = False
    prepaid: m.Prepaid | None = None


def price(case: Case) -> m.Price:
    """The frozen tariff, as the patient reads it; what it leaves out has the usual value."""
    tariff: dict[str, Any] = json.loads(case.order.tariff)
    public = tariff.get("channel") == "public_hospital"
    on_top = tariff.get("fee_bearer") == "patient"
    return m.Price(
        voice_fen_per_min=tariff["voice_fen_per_min"],
        video_fen_per_min=tariff["video_fen_per_min"],
        currency=tariff.get("currency", "CNY"),
        initial_s=tariff.get("initial_s", 1),
        increment_s=tariff.get("increment_s", 1),
        minimum_fen=tariff.get("minimum_fen", 0),
        free_s=tariff.get("free_s", 0),
        cap_fen=tariff.get("cap_fen"),
        fee_on_top=str(tariff.get("platform_share", "0")) if on_top else "0",
        insurer_base_fen=tariff.get("insurer_base_fen", 0) if public else 0,
        digest=case.order.tariff_digest,
    )


def patient_view(case: Case, moment: Moment) -> m.PatientView:
    """The consult as its patient sees it."""
    return m.PatientView(
        **_common(case, moment),
        guests=tuple(_card(guest) for guest in case.core.guests if guest.here),
        patient_name=case.order.patient_name,
        terms_version=case.order.terms_version,
        may_rejoin=case.core.state == "interrupted" and (case.core.hung_up or case.core.freed),
    )


def physician_view(case: Case, moment: Moment) -> m.PhysicianView:
    """The consult as its physician sees it."""
    since = case.marks.waiting_at or case.marks.created_at
    until = case.marks.offered_at or moment.at_ms
    return m.PhysicianView(
        **_common(case, moment),
        guests=tuple(_card(guest) for guest in case.core.guests),
        patient_name=case.order.patient_name,
        complaint=case.order.complaint,
        returning=case.order.returning,
        waited_ms=max(0, until - since),
        outcome=case.core.outcome,
        may_record=moment.may_record,
    )


def guest_view(case: Case, guest: Guest) -> m.GuestView:
    """The consult as one of its guests sees it."""
    core, order = case.core, case.order
    return m.GuestView(
        consult_id=core.id,
        n=core.version,
        state=core.state,
        mode=core.mode,
        pause=pause(core),
        open=guest_may_join(core),
        recorded=core.recording is not None and core.recording.state == "on",
        me=_card(guest),
        patient_name=order.patient_name,
        physician_name=core.physician_name,
        physician_title=core.physician_title,
        organization=order.organization,
    )


def _card(guest: Guest) -> m.GuestCard:
    return m.GuestCard(id=guest.id, role=guest.role, name=guest.name, here=guest.here)


def roster(case: Case, seats: Seats, viewer: str) -> m.Roster:
    """Whom a page gets where, with their names; who is not known by name is left out.

    Lines are asked for in advance, for all who are invited and before the viewer comes: when
    somebody joins, neither they nor anybody else has to offer a second time.
    """
    seated = (_seated(case, sitting) for sitting in seats.participants)
    others = 1 + len(case.core.guests)  # of the two billed sides and the guests all but the viewer
    others += seats.screen_by not in (None, viewer)
    return m.Roster(
        consult_id=case.core.id,
        participants=tuple(entry for entry in seated if entry is not None),
        seats=max(seats.needed, others),
        screen_by=seats.screen_by,
        screen_mid=seats.screen.video_mid if seats.screen else None,
    )


def _seated(case: Case, sitting: Sitting) -> m.Seated | None:
    who, core = sitting.participant_id, case.core
    guest = core.guest(who)
    known: tuple[m.RoomRole, str] | None = (guest.role, guest.name) if guest else None
    if who == "patient":
        known = "patient", case.order.patient_name
    elif who == "physician":
        known = "physician", core.physician_name
    return known and m.Seated(
        id=who,
        role=known[0],
        name=known[1],
        audio_mid=sitting.audio_mid,
        video_mid=sitting.video_mid,
    )


def queue_item(case: Case, physician: Physician) -> m.QueueItem:
    """A waiting patient as this physician's queue shows them."""
    order, marks = case.order, case.marks
    return m.QueueItem(
        consult_id=case.core.id,
        patient_name=order.patient_name,
        department=order.department,
        complaint=order.complaint,
        mode=case.core.mode,
        waiting_since=rfc3339(marks.waiting_at or marks.created_at),
        online=case.core.patient_online,
        returning=order.returning,
        mine=order.booked_physician_id == physician.id,
    )


def _common(case: Case, moment: Moment) -> dict[str, Any]:
    core, order = case.core, case.order
    proposal, rates = core.proposal, price(case)
    answer_by = deadline_ms(core, "answer")
    apart = core.state in TERMINAL or core.hung_up or core.freed
    return {
        "consult_id": core.id,
        "n": core.version,
        "state": core.state,
        "mode": core.mode,
        "pause": pause(core),
        "patient_online": core.patient_here,
        "physician_online": moment.physician_online,
        "proposal": proposal
        and m.Proposal(id=proposal.id, mode=proposal.mode, fen_per_min=rates.video_fen_per_min),
        "recording": recording_view(core),
        "service": m.Service(
            physician_name=core.physician_name or order.booked_physician_name,
            physician_title=core.physician_title or order.booked_physician_title,
            organization=order.organization,
            department=order.department,
        ),
        "price": rates,
        "prepaid": moment.prepaid,
        "created_at": rfc3339(case.marks.created_at),
        "answer_by_ms": None if answer_by is None else max(0, answer_by - moment.now_ms),
        "summary": (case.marks.summary or moment.summary) if apart else None,
    }
