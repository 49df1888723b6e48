"""Statements: every second and every fen of the feed, once, in the month it was settled in."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering import ledger, sums
from metering.adjust import corrected
from metering.columns import shares_of
from metering.errors import MonthInvalid
from metering.events import (
    Closed,
    Engaged,
    FlowSeen,
    FlowStarted,
    ModeChanged,
    Opened,
    PhysicianChanged,
)
from metering.meter import Meter, open_meter, step
from metering.record import build_record, epoch_ms
from metering.search import FOUND, Search, Wanted
from metering.statement import (
    ORGANIZATION,
    PHYSICIANS,
    Group,
    Sheet,
    bounds,
    csv_text,
    midnight,
    statement,
)
from metering.tariff import make_tariff
from metering.terms import EndCause, Mode, Party, Side
from server.storage import Storage
from tests.metering.samples import FACTS, WALL_MS
from tests.metering.test_adjust import Wanted as NewTotal
from tests.metering.test_adjust import correction

SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY_MS = 86_400_000
COUNT = 90

# --- what the naive sums are ---------------------------------------------------------------------


def naive(sheet: Sheet, bodies: Sequence[Mapping[str, Any]], month: str) -> Counter[Any]:
    """Sum record by record, as somebody with the feed alone would."""
    from_at, to_at = bounds(month, SHANGHAI)
    found: Counter[Any] = Counter()
    for body in bodies:
        if not from_at <= body["settled_at"] < to_at:
            continue
        kind = "calls" if body["kind"] == "original" else "adjustments"
        if sheet is PHYSICIANS:
            parts = [((row["physician_id"],), row) for row in shares_of(body, "")]
        else:
            seconds = {f"{mode}_s": body["mode_seconds"][mode] for mode in Mode}
            flat = {**body["split"], **seconds, "charge_fen": body["charge_fen"]}
            parts = [((body["department"], body["channel"]), flat)]
        for subject, amounts in parts:
            key = (*subject, body["currency"], kind)
            found[(*key, "count")] += 1
            for name in sheet.sources:
                found[(*key, name)] += amounts[name]
    return found


def stated(sheet: Sheet, groups: Sequence[Group]) -> Counter[Any]:
    """The same of a statement."""
    found: Counter[Any] = Counter()
    for row in statement(sheet, groups).rows:
        key = (*(row[name] for name in sheet.subject), row["currency"])
        found[(*key, "calls", "count")] += row["calls"]
        found[(*key, "adjustments", "count")] += row["adjustments"]["count"]
        for name in sheet.sources:
            found[(*key, "calls", name)] += row[name]
            found[(*key, "adjustments", name)] += row["adjustments"][name]
            assert row["net"][name] == row[name] + row["adjustments"][name]
        if sheet is PHYSICIANS:
            for part in (row, row["adjustments"], row["net"]):
                assert part["fee_fen"] == part["platform_fen"] + part["physician_fen"]
    return found


# --- a ledger with everything in it --------------------------------------------------------------


def metered(rng: random.Random, at_ms: int, physicians: Sequence[str]) -> Meter:
    """A call of up to ten minutes, handed over now and then."""
    meter = open_meter(Opened(0, at_ms, physicians[0], rng.choice(list(Mode))))
    meter = step(meter, Engaged(0))
    for side in Side:
        meter = step(meter, FlowStarted(side, 0))
    now = 0
    for turn in range(rng.randrange(1, 4)):
        now += rng.randrange(1, 1_900)
        for side in Side:
            meter = step(meter, FlowSeen(side, now))
        if turn and len(physicians) > turn:
            meter = step(meter, PhysicianChanged(physicians[turn], now))
        elif turn:
            meter = step(meter, ModeChanged(rng.choice(list(Mode)), now))
    return step(meter, Closed(now, EndCause.PHYSICIAN_FINISH, Party.PHYSICIAN))


def made(rng: random.Random, number: int, organization_id: str) -> dict[str, Any]:
    """A record by any tariff, in any department."""
    at_ms = WALL_MS + number * DAY_MS
    physicians = rng.sample(["phy_1", "phy_2", "phy_3"], 3)
    tariff = make_tariff(
        {
            "voice_fen_per_min": rng.randrange(100_000),
            "video_fen_per_min": rng.randrange(200_000),
            "currency": rng.choice(["CNY", "USD"]),
            "channel": rng.choice(["public_hospital", "third_party"]),
            "insurer_base_fen": rng.randrange(2_000),
            "platform_share": rng.choice(["0", "0.2", "0.123456", "1"]),
            "fee_bearer": rng.choice(["physician", "patient"]),
        }
    )
    facts = replace(
        FACTS,
        consult_id=f"{organization_id}_{number}",
        organization_id=organization_id,
        physician_id=physicians[0],
        department=rng.choice(["全科", "儿科", "", '"channel":"public_hospital"']),
        created_at_ms=at_ms,
        ended_at_ms=at_ms + 20_000,
    )
    return build_record(facts, metered(rng, at_ms, physicians), tariff)


async def filled(db: Storage) -> list[Any]:
    """Give every body of org_1's ledger: originals and corrections over three months."""
    rng = random.Random(5)
    for number in range(COUNT):
        for organization_id in ("org_1", "org_2"):
            body = made(rng, number, organization_id)
            async with db.write() as conn:
                await ledger.append(conn, body, epoch_ms(body["ended_at"]))
        if rng.random() < 0.3:
            await correct(
                db, rng, rng.randrange(number + 1), WALL_MS + number * DAY_MS + DAY_MS // 2
            )
    async with db.read() as conn:
        head = await ledger.head(conn, "org_1")
    bodies = [orjson.loads(text) async for text in ledger.export(db, "org_1")]
    assert len(bodies) == head.seq > COUNT
    return bodies


async def correct(db: Storage, rng: random.Random, number: int, at_ms: int) -> None:
    """Correct a consult of org_1, unless it is void."""
    async with db.write() as conn:
        texts = await ledger.of_consult(conn, "org_1", f"org_1_{number}")
        so_far = [orjson.loads(text) for text in texts]
        what: NewTotal = rng.choice(
            [None, rng.randrange(50_000), {mode: rng.randrange(1, 500) for mode in Mode}]
        )
        if so_far[-1]["kind"] != "void":
            await ledger.append(conn, corrected(so_far, correction(so_far[-1], what)), at_ms)


# --- equal to the feed ---------------------------------------------------------------------------


async def test_statements_are_the_sums_of_the_feed(db: Storage) -> None:
    """Both kinds, each month and one without records, on both databases."""
    bodies = await filled(db)
    kinds = {body["kind"] for body in bodies}
    assert kinds == {"original", "adjustment", "void"}
    assert any(len(body["shares"]) > 1 for body in bodies)
    for sheet, sum_up in ((PHYSICIANS, sums.of_physicians), (ORGANIZATION, sums.of_organization)):
        seen = 0
        for month in ("2026-01", "2026-02", "2026-03", "2026-04", "2026-05"):
            async with db.read() as conn:
                groups = await sum_up(conn, "org_1", *bounds(month, SHANGHAI))
            expected = naive(sheet, bodies, month)
            assert +stated(sheet, groups) + -stated(sheet, groups) == +expected + -expected, month
            assert stated(sheet, groups) == expected or not groups
            seen += sum(group.count for group in groups)
        assert seen == sum(len(body["shares"]) if sheet is PHYSICIANS else 1 for body in bodies)


async def test_a_search_finds_what_a_look_at_every_record_finds(db: Storage) -> None:
    """In pages, newest first, with the sums of all that was found."""
    bodies = await filled(db)
    from_at, to_at = bodies[4]["settled_at"], bodies[-3]["settled_at"]
    ranged = [body for body in bodies if from_at <= body["settled_at"] < to_at]
    plain_one = Wanted("org_1", from_at, to_at)
    for wanted in (
        plain_one,
        replace(plain_one, physician_id="phy_2"),
        replace(plain_one, department="儿科"),
        replace(plain_one, department=""),
        replace(plain_one, mode=Mode.VIDEO),
        replace(plain_one, physician_id="phy_1", department="全科", mode=Mode.VOICE),
        replace(plain_one, physician_id="nobody"),
        replace(plain_one, to_at=from_at),
    ):
        expected = [body for body in ranged if _matches(body, wanted)][::-1]
        async with db.read() as conn:
            search = await Search.begin(conn, wanted)
            found: list[dict[str, Any]] = []
            while page := await search.page(found[-1]["seq"] if found else None, 7):
                assert set(page[0]) == set(FOUND)
                found += page
            totals = await search.totals()
            physicians, departments = await search.choices()
        assert [row["record_id"] for row in found] == [body["record_id"] for body in expected]
        for total in totals:
            mine = [body for body in expected if body["currency"] == total["currency"]]
            assert total["records"] == len(mine)
            assert total["calls"] == sum(body["kind"] == "original" for body in mine)
            assert total["charge_fen"] == sum(body["charge_fen"] for body in mine)
            assert total["patient_fen"] == sum(body["split"]["patient_fen"] for body in mine)
            assert total["voice_s"] == sum(body["mode_seconds"]["voice"] for body in mine)
        assert sum(total["records"] for total in totals) == len(expected)
        if wanted.to_at == to_at:
            assert physicians == sorted({body["physician_id"] for body in ranged})
            assert departments == sorted({body["department"] for body in ranged})


def _matches(body: Mapping[str, Any], wanted: Wanted) -> bool:
    if wanted.to_at == wanted.from_at:
        return False
    treated = {share["physician_id"] for share in body["shares"]}
    return (
        wanted.physician_id in (None, *treated)
        and wanted.department in (None, body["department"])
        and (wanted.mode is None or body["mode_seconds"][wanted.mode] != 0)
    )


# --- pure ----------------------------------------------------------------------------------------

groups = st.builds(
    Group,
    st.tuples(st.sampled_from(["a", "b", "=c"]), st.sampled_from(["x", "y"])),
    st.sampled_from(["CNY", "JPY", "KWD"]),
    st.booleans(),
    st.integers(0, 10**6),
    st.fixed_dictionaries({name: st.integers(-(10**12), 10**12) for name in ORGANIZATION.sources}),
)


@given(found=st.lists(groups))
def test_rows_and_totals_say_the_same(found: list[Group]) -> None:
    made = statement(ORGANIZATION, found)
    for name in ("calls", *ORGANIZATION.amounts):
        for total in made.totals:
            mine = [row for row in made.rows if row["currency"] == total["currency"]]
            assert sum(row[name] for row in mine) == total[name]
    whole = sum(group.sums["charge_fen"] for group in found)
    assert sum(total["net"]["charge_fen"] for total in made.totals) == whole
    assert sum(t["calls"] + t["adjustments"]["count"] for t in made.totals) == sum(
        group.count for group in found
    )


@given(found=st.lists(groups))
def test_the_spreadsheet_has_the_same_amounts(found: list[Group]) -> None:
    made = statement(ORGANIZATION, found)
    text = csv_text(made, "2026-03", {})
    assert text.startswith("\ufeff")
    lines = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert len(lines) == len(made.rows)
    for line, row in zip(lines, made.rows, strict=True):
        digits = {"CNY": 2, "JPY": 0, "KWD": 3}[row["currency"]]
        assert int(line["net_charge"].replace(".", "")) == row["net"]["charge_fen"]
        assert len(line["net_charge"].partition(".")[2]) == digits
        assert not line["department"].startswith("=")


@pytest.mark.parametrize(
    ("month", "zone", "expected"),
    [
        ("2026-03", "Asia/Shanghai", ("2026-02-28T16:00:00.000Z", "2026-03-31T16:00:00.000Z")),
        ("2026-12", "Asia/Shanghai", ("2026-11-30T16:00:00.000Z", "2026-12-31T16:00:00.000Z")),
        ("2026-03", "UTC", ("2026-03-01T00:00:00.000Z", "2026-04-01T00:00:00.000Z")),
        # summer time begins within the month
        ("2026-03", "Europe/Berlin", ("2026-02-28T23:00:00.000Z", "2026-03-31T22:00:00.000Z")),
    ],
)
def test_a_month_begins_at_the_clinic_s_midnight(
    month: str, zone: str, expected: tuple[str, str]
) -> None:
    assert bounds(month, ZoneInfo(zone)) == expected


@given(year=st.integers(1971, 9998), number=st.integers(1, 12))
def test_months_follow_each_other_without_a_gap(year: int, number: int) -> None:
    _, end = bounds(f"{year}-{number:02d}", SHANGHAI)
    later = (year, number + 1) if number < 12 else (year + 1, 1)
    assert end == midnight(*later, 1, SHANGHAI)


@pytest.mark.parametrize(
    "month",
    ["", "2026", "2026-3", "2026-00", "2026-13", "1970-01", "9999-01", "2026-03 ", "２026-03"],
)
def test_what_is_no_month_is_refused(month: str) -> None:
    with pytest.raises(MonthInvalid):
        bounds(month, SHANGHAI)
