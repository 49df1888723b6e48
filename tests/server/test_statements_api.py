"""Statements and searches over HTTP: for keys and for signed-in accountants."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from metering.record import epoch_ms
from server.api import statements
from server.api.search import Explained, FoundRecords
from server.api.statements import OrganizationStatement, PhysiciansStatement
from tests.server import entries
from tests.server.clinic import Clinic
from tests.server.test_staff import accountant

SEARCH = "/api/v1/records/search"
STATEMENTS = "/api/v1/statements"
JANUARY = "?from=2026-01-01&to=2026-02-01"


async def filled(clinic: Clinic, count: int = 30) -> list[dict[str, Any]]:
    async with clinic.services.storage.write() as conn:
        return [dict(one.record) for one in await entries.append(conn, count)]


async def corrected(clinic: Clinic, record: dict[str, Any], key: str = "k1") -> dict[str, Any]:
    body = {
        "corrects": record["record_id"],
        "kind": "adjustment",
        "charge_fen": 100,
        "reason": "ticket:1",
        "actor": "zhou",
    }
    headers = {"Idempotency-Key": key}
    answer = await clinic.api("POST", "/api/v1/adjustments", json=body, headers=headers)
    assert answer.status == 201, answer.text
    found: dict[str, Any] = answer.json
    return found


async def test_a_search_gives_pages_totals_and_choices(either: Clinic) -> None:
    records = await filled(either)
    cookies = await accountant(either)
    first = await either.ask("GET", f"{SEARCH}{JANUARY}&limit=20", cookies=cookies)
    FoundRecords.model_validate_json(first.text)
    assert first.json["from"] == "2025-12-31T16:00:00.000Z"
    rest = await either.api("GET", f"{SEARCH}{JANUARY}&limit=20&cursor={first.json['next_cursor']}")
    assert (rest.json["totals"], rest.json["next_cursor"]) == (None, None)
    found = [*first.json["data"], *rest.json["data"]]
    assert [one["record_id"] for one in found] == [one["record_id"] for one in records][::-1]
    (total,) = first.json["totals"]
    assert total["charge_fen"] == sum(one["charge_fen"] for one in records)
    assert {one["id"] for one in first.json["physicians"]} == {f"ph_sim_{n}" for n in range(8)}
    assert "儿科" in first.json["departments"]


async def test_without_a_time_it_is_this_month(clinic: Clinic) -> None:
    (record,) = await filled(clinic, 1)
    await corrected(clinic, record)  # settled now
    found = (await clinic.api("GET", SEARCH)).json
    assert [one["kind"] for one in found["data"]] == ["adjustment"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("from=", "range_invalid"),
        ("from=2026-02-30", "range_invalid"),
        ("to=1960-01-01", "range_invalid"),
        ("to=2026-01-01&to=2026-01-02", "invalid_query"),
        ("mode=voice&mode=voice", "invalid_query"),
        ("to=9999-12-31", "range_invalid"),
        ("to=2026-01-01T00:00:00", "range_invalid"),
        ("to=2026-01-01T00:00:00%2B25:00", "range_invalid"),
        ("to=%EF%BC%92026-01-01", "range_invalid"),
        ("mode=", "invalid_query"),
        ("mode=fax", "invalid_query"),
        ("physician_id=", "invalid_query"),
        ("physician_id=a%00", "invalid_query"),
        ("department=%00", "invalid_query"),
        ("department=" + "x" * 201, "invalid_query"),
        ("limit=0", "invalid_query"),
        ("limit=201", "invalid_query"),
        ("limit=-1", "invalid_query"),
        ("cursor=abc", "invalid_query"),
        ("cursor=0", "invalid_query"),
        ("cursor=" + "9" * 30, "invalid_query"),
    ],
)
async def test_what_cannot_be_searched_is_refused(either: Clinic, query: str, code: str) -> None:
    (await either.api("GET", f"{SEARCH}?{query}")).problem(422, code)


async def test_nobody_finds_another_organization_s_records(clinic: Clinic) -> None:
    async with clinic.services.storage.write() as conn:
        (one,) = await entries.append(conn, 1, organization_id="org_other")
    assert (await clinic.api("GET", SEARCH + JANUARY)).json["data"] == []
    path = f"/api/v1/records/{one.record['record_id']}/explained"
    (await clinic.api("GET", path)).problem(404, "unknown_record")


async def test_a_charge_is_explained_with_its_corrections(either: Clinic) -> None:
    records = await filled(either, 3)
    correction = await corrected(either, records[1])
    for record_id in (records[1]["record_id"], correction["record_id"]):
        found = await either.api("GET", f"/api/v1/records/{record_id}/explained")
        explained = Explained.model_validate_json(found.text)
        assert explained.agrees
        assert explained.charge_fen == records[1]["charge_fen"]
        assert found.json["records"] == [records[1], correction]
        assert [line.step for line in explained.lines][-1] == "patient"
        treated = {share["physician_id"] for share in records[1]["shares"]}
        assert {one.id for one in explained.physicians} == treated
    for unknown in ("rec_none", "%00", "x" * 200):
        answer = await either.api("GET", f"/api/v1/records/{unknown}/explained")
        answer.problem(404, "unknown_record")


async def test_statements_of_a_month(either: Clinic) -> None:
    records = await filled(either)
    cookies = await accountant(either)
    path = f"{STATEMENTS}/physicians?month=2026-01"
    answer = await either.ask("GET", path, cookies=cookies)
    PhysiciansStatement.model_validate_json(answer.text)
    assert (answer.json["complete"], answer.json["timezone"]) == (True, "Asia/Shanghai")
    (total,) = answer.json["totals"]
    assert total["physician_fen"] == sum(one["split"]["physician_fen"] for one in records)
    assert total["calls"] == sum(len(one["shares"]) for one in records)
    organization = await either.api("GET", f"{STATEMENTS}/organization?month=2026-01")
    OrganizationStatement.model_validate_json(organization.text)
    assert organization.json["totals"][0]["payable_fen"] == total["fee_fen"]
    assert {row["department"] for row in organization.json["data"]} <= {
        "全科", "儿科", "皮肤科", "心内科",
    }  # fmt: skip


async def test_a_month_is_complete_once_nothing_can_be_settled_in_it(
    either: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A transaction that began before midnight may be committed after it."""
    records = await filled(either)
    path = f"{STATEMENTS}/organization?month=2026-01"
    over_at_ms = epoch_ms("2026-01-31T16:00:00.000Z")
    for passed_ms, is_complete in ((-1, False), (1000, False), (3_600_000, True)):
        monkeypatch.setattr(statements, "wall_ms", lambda now=over_at_ms + passed_ms: now)
        assert (await either.api("GET", path)).json["complete"] is is_complete
    monkeypatch.setattr(statements, "wall_ms", lambda: over_at_ms + 1000)
    await corrected(either, records[0])  # in a later month
    assert (await either.api("GET", path)).json["complete"] is True


async def test_an_adjustment_is_in_the_month_it_was_made_in(clinic: Clinic) -> None:
    """A statement that was printed stays true."""
    (record,) = await filled(clinic, 1)
    path = f"{STATEMENTS}/organization?month="
    before = (await clinic.api("GET", path + "2026-01")).json
    correction = await corrected(clinic, record)
    assert (await clinic.api("GET", path + "2026-01")).json == before
    month = correction["settled_at"][:7]
    (row,) = (await clinic.api("GET", path + month)).json["data"]
    assert (row["calls"], row["charge_fen"], row["adjustments"]["count"]) == (0, 0, 1)
    assert row["net"]["charge_fen"] == 100 - record["charge_fen"]


@pytest.mark.parametrize("name", ["physicians", "organization"])
async def test_a_spreadsheet_is_given_by_path_and_by_accept(clinic: Clinic, name: str) -> None:
    await filled(clinic)
    by_path = await clinic.api("GET", f"{STATEMENTS}/{name}.csv?month=2026-01")
    by_accept = await clinic.api(
        "GET", f"{STATEMENTS}/{name}?month=2026-01", headers={"Accept": "text/csv"}
    )
    assert by_path.text == by_accept.text
    assert by_path.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert f'"{name}-2026-01.csv"' in by_path.headers["Content-Disposition"]
    lines = list(csv.DictReader(io.StringIO(by_path.text.removeprefix("\ufeff"), newline="")))
    stated = (await clinic.api("GET", f"{STATEMENTS}/{name}?month=2026-01")).json
    assert [line["calls"] for line in lines] == [str(row["calls"]) for row in stated["data"]]
    cells = [line["platform"] for line in lines]
    assert all(len(cell.partition(".")[2]) == 2 for cell in cells)


@pytest.mark.parametrize("query", ["", "?month=", "?month=2026-13", "?month=0000-01", "?month=x"])
async def test_what_is_no_month_is_refused(clinic: Clinic, query: str) -> None:
    for name in ("physicians", "physicians.csv", "organization", "organization.csv"):
        (await clinic.api("GET", f"{STATEMENTS}/{name}{query}")).problem(422, "month_invalid")


async def test_a_key_without_the_scope_gets_nothing(clinic: Clinic) -> None:
    key = await clinic.key("consults")
    for path in (SEARCH, f"{STATEMENTS}/physicians?month=2026-01", "/api/v1/records/r/explained"):
        (await clinic.api("GET", path, key)).problem(403, "scope_missing")
