"""Corrections: whatever was corrected, sums over the ledger are what holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import ledger
from metering.adjust import MAX_CHARGE_FEN, MAX_CORRECTIONS, Correction, Kind, corrected
from metering.audit import verify_ledger
from metering.chain import Head, chained, verify
from metering.columns import SPLIT, shares_of
from metering.errors import (
    AdjustmentError,
    AlreadyVoid,
    NothingChanges,
    RecordSuperseded,
    TooManyCorrections,
)
from metering.rating import MAX_SECONDS, rate
from metering.record import build_record, record_id, rfc3339
from metering.tariff import Tariff, make_tariff
from metering.terms import FAULTS, EndCause, Mode
from server.storage import Storage
from tests.metering.samples import FACTS, record
from tests.metering.scripts import Script, scripts
from tests.metering.strategies import tariffs
from tests.metering.test_meter import played

Record = Mapping[str, Any]
Wanted = int | dict[Mode, int] | None
"""A new charge, new seconds, or a void."""

seconds = st.integers(0, 200) | st.integers(0, MAX_SECONDS)
wanted: st.SearchStrategy[Wanted] = st.one_of(
    st.none(),
    st.integers(0, 20_000) | st.integers(0, MAX_CHARGE_FEN),
    st.fixed_dictionaries(dict.fromkeys(Mode, seconds)),
)


def correction(latest: Record, what: Wanted) -> Correction:
    plain = Correction(latest["record_id"], Kind.ADJUSTMENT, "ticket:4711", "clerk@org_1")
    if what is None:
        return replace(plain, kind=Kind.VOID)
    if isinstance(what, int):
        return replace(plain, charge_fen=what)
    return replace(plain, mode_seconds=what)


def follow(records: Sequence[Record], what: Wanted) -> list[Record]:
    """The records with the next one, as the ledger would chain it."""
    found = corrected(records, correction(records[-1], what))
    last = records[-1]
    head = Head(last["seq"], last["hash"], last["settled_at"])
    return [*records, chained(head, found, rfc3339(FACTS.ended_at_ms + 1000 * last["seq"]))]


def first(body: Record) -> list[Record]:
    return [chained(Head(), body, rfc3339(FACTS.ended_at_ms))]


def net_of(found: Record) -> Record:
    net: Record = found.get("net", found)
    return net


def check(records: Sequence[Record]) -> None:
    """What must hold after any corrections."""
    net = net_of(records[-1])
    assert sum(one["charge_fen"] for one in records) == net["charge_fen"]
    assert sum(one["billable_s"] for one in records) == net["billable_s"]
    for mode in Mode:
        assert sum(one["mode_seconds"][mode] for one in records) == net["mode_seconds"][mode]
    for name in SPLIT:
        assert sum(one["split"][name] for one in records) == net["split"][name]
    for split in (records[-1]["split"], net["split"]):
        assert split["insurer_fen"] + split["patient_fen"] == split["payable_fen"]
        assert split["platform_fen"] + split["physician_fen"] == split["payable_fen"]
    for name in ("platform_fen", "physician_fen"):
        shared = sum(share[name] for share in records[-1]["shares"])
        assert shared == records[-1]["split"][name]
    earned = {share["physician_id"]: 0 for share in records[0]["shares"]}
    for one in records:
        for share in one["shares"]:
            earned[share["physician_id"]] += share["physician_fen"]
    assert min(earned.values()) >= 0


@given(
    script=scripts(),
    tariff=tariffs(),
    cause=st.sampled_from([EndCause.PHYSICIAN_FINISH, *sorted(FAULTS)]),
    corrections=st.lists(wanted, max_size=8),
)
def test_any_corrections_add_up_to_what_holds(
    script: Script, tariff: Tariff, cause: EndCause, corrections: list[Wanted]
) -> None:
    records = first(build_record(replace(FACTS, end_cause=cause), played(script), tariff))
    for what in corrections:
        try:
            records = follow(records, what)
        except (NothingChanges, AlreadyVoid):
            continue
        check(records)
        net = records[-1]["net"]
        if what is None:
            assert not net["charge_fen"] | net["billable_s"]
        elif isinstance(what, int):
            assert net["charge_fen"] == what
        else:
            again = rate(tariff, what, fault_ended=cause in FAULTS)
            assert (net["charge_fen"], records[-1]["waived"]) == (again.charge_fen, again.waived)
    assert [one["revision"] for one in records] == list(range(len(records)))
    assert verify(records).broken is None


@given(script=scripts(), tariff=tariffs(), detour=st.lists(wanted.filter(bool), max_size=4))
def test_what_holds_depends_on_no_detour(
    script: Script, tariff: Tariff, detour: list[Wanted]
) -> None:
    """Ten corrections and the last of them alone leave the same, to the share of each physician."""
    begin = first(build_record(FACTS, played(script), tariff))
    last: Wanted = {Mode.VOICE: 100, Mode.VIDEO: 1}
    straight = follow(begin, last)
    records = begin
    for what in detour:
        try:
            records = follow(records, what)
        except NothingChanges:
            continue
    records = follow(records, last) if net_of(records[-1]) != net_of(straight[-1]) else records
    assert net_of(records[-1]) == net_of(straight[-1])
    assert _shares(records) == _shares(straight)


def _shares(records: Sequence[Record]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for one in records:
        for share in one["shares"]:
            mine = found.setdefault(share["physician_id"], {})
            for name, value in share.items():
                if name != "physician_id":
                    mine[name] = mine.get(name, 0) + value
    return found


def test_a_void_takes_everything_back_and_is_final() -> None:
    records = follow(follow(first(record()), 300), None)
    assert [one["kind"] for one in records] == ["original", "adjustment", "void"]
    assert _shares(records) == {
        "phy_1": {"voice_ms": 0, "video_ms": 0, "platform_fen": 0, "physician_fen": 0}
    }
    for what in (None, 100):
        with pytest.raises(AlreadyVoid, match=records[-1]["record_id"]):
            follow(records, what)


def test_a_correction_repeats_the_facts_and_holds_its_own() -> None:
    original = first(record())
    found = follow(original, {Mode.VOICE: 5, Mode.VIDEO: 4})[-1]
    assert found["record_id"] == record_id("con_1", 1)
    assert found["corrects"] == original[0]["record_id"]
    assert (found["reason"], found["actor"]) == ("ticket:4711", "clerk@org_1")
    assert found["mode_seconds"] == {"voice": 0, "video": -6}
    assert found["net"]["mode_seconds"] == {"voice": 5, "video": 4}
    assert found["charge_fen"] == 239 - 459  # 5 * 1097/60 + 4 * 2207/60 = 238.55
    assert found["shares"] == [
        {
            "physician_id": "phy_1",
            "voice_ms": 0,
            "video_ms": -6000,
            "platform_fen": 0,
            "physician_fen": -220,
        }
    ]
    assert (found["segments"], found["quality"]) == ([], None)
    for name in ("consult_id", "patient_ref", "tariff", "tariff_digest", "started_at", "end_cause"):
        assert found[name] == original[0][name]


def test_a_record_without_shares_of_its_own_can_be_corrected() -> None:
    """Schema version 1 had no shares, no department and no time of settling."""
    old = {
        name: value
        for name, value in first(record())[0].items()
        if name not in ("shares", "department", "settled_at")
    }
    found = corrected([old], correction(old, None))
    assert (found["schema_version"], found["department"]) == (2, "")
    before, after = shares_of(old, "")[0], found["shares"][0]
    assert after["physician_fen"] == -before["physician_fen"]
    assert (after["voice_ms"], after["video_ms"]) == (-5000, -10_000)


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"reason": "he asked for it"}, "reason"),
    ({"actor": ""}, "actor"),
    ({"actor": "x" * 129}, "actor"),
    ({"charge_fen": -1}, "charge_fen"),
    ({"charge_fen": MAX_CHARGE_FEN + 1}, "charge_fen"),
    ({"charge_fen": None}, "either"),
    ({"mode_seconds": {Mode.VOICE: 1}}, "either"),
    ({"charge_fen": None, "mode_seconds": {Mode.VOICE: -1}}, "mode_seconds"),
    ({"charge_fen": None, "mode_seconds": {Mode.VIDEO: MAX_SECONDS + 1}}, "mode_seconds"),
    ({"kind": Kind.VOID}, "either"),
]


@pytest.mark.parametrize(("change", "named"), REFUSED, ids=lambda one: str(one)[:40])
def test_a_correction_that_breaks_a_rule_is_refused(change: dict[str, Any], named: str) -> None:
    records = first(record())
    with pytest.raises(AdjustmentError, match=named):
        corrected(records, replace(correction(records[-1], 100), **change))


def test_only_the_latest_record_can_be_corrected() -> None:
    """Of two people who correct the same record at once, the second must look again."""
    records = follow(first(record()), 100)
    with pytest.raises(RecordSuperseded) as refused:
        corrected(records, correction(records[0], 200))
    assert refused.value.latest_id == records[1]["record_id"]


@pytest.mark.parametrize("what", [459, {Mode.VOICE: 5, Mode.VIDEO: 10}])
def test_a_correction_that_changes_nothing_is_refused(what: Wanted) -> None:
    with pytest.raises(NothingChanges):
        follow(first(record()), what)


def test_a_prepaid_consult_is_never_corrected_above_what_was_paid() -> None:
    paid = first({**record(), "prepaid": {"limit_fen": 500}})
    assert follow(paid, 500)[-1]["net"]["charge_fen"] == 500
    with pytest.raises(AdjustmentError, match="prepaid"):
        follow(paid, 501)


def test_corrections_are_bounded_but_a_void_is_always_possible() -> None:
    records = first(record())
    records = [records[0], {**records[0], "revision": MAX_CORRECTIONS, "kind": "adjustment"}]
    with pytest.raises(TooManyCorrections):
        follow(records, 100)
    assert corrected(records, correction(records[-1], None))["kind"] == "void"


async def test_a_ledger_with_corrections_verifies_and_sums_up(db: Storage) -> None:
    tariff = {"voice_fen_per_min": 1000, "video_fen_per_min": 2000, "platform_share": "0.2"}
    body = record() | {"tariff": make_tariff(tariff).as_dict()}
    async with db.write() as conn:
        records = [(await ledger.append(conn, body, FACTS.ended_at_ms)).record]
    for what in (4000, {Mode.VOICE: 7, Mode.VIDEO: 0}, None):
        async with db.write() as conn:
            found = corrected(records, correction(records[-1], what))
            appended = await ledger.append(conn, found, FACTS.ended_at_ms)
        records.append(appended.record)
    checked = await verify_ledger(db, "org_1")
    assert (checked.broken, checked.head.seq) == (None, 4)
    check(records)
    async with db.read() as conn:
        assert len(await ledger.of_consult(conn, "org_1", "con_1")) == 4
