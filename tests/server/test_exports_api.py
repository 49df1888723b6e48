"""A month reconciled and downloaded over HTTP: whole or visibly broken, at the reader's pace."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import socket

import pytest
from sqlalchemy import text

from metering import ledger
from metering.chain import verify
from metering.sheet import BOM, COLUMNS
from server.api.exports import RecordSummary
from server.demo import ORGANIZATION
from tests.server import entries
from tests.server.clinic import Answer, Clinic

PATH = "/api/v1/records"
FROM, TO = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
"""The first 320 simulated records are of one evening, some of them of the next day in UTC."""


async def append(clinic: Clinic, count: int, first: int = 0) -> list[str]:
    """Append records; give their texts as the ledger has them."""
    async with clinic.services.storage.write() as conn:
        await entries.append(conn, count, first)
    return [body async for body in ledger.export(clinic.services.storage, ORGANIZATION)]


async def get(clinic: Clinic, path: str, **query: str) -> Answer:
    return await clinic.api("GET", PATH + path, params=query)


async def test_a_month_is_reconciled_with_what_was_pulled(either: Clinic) -> None:
    bodies = await append(either, 20)
    pulled = (await either.api("GET", PATH)).json["data"]
    half = pulled[10]["settled_at"]
    earlier = [one for one in pulled if one["settled_at"] < half]
    answer = await get(either, "/summary", **{"from": FROM, "to": half})
    assert answer.status == 200, answer.text
    sums = answer.json
    RecordSummary.model_validate_json(answer.text)
    assert (sums["from"], sums["to"]) == ("2026-01-01T00:00:00.000Z", half)
    assert sums["count"] == len(earlier) > 0
    assert sums["complete"] is True
    (amounts,) = sums["amounts"]
    assert amounts["charge_fen"] == sum(one["charge_fen"] for one in earlier)
    assert sums["last_hash"] == earlier[-1]["hash"]
    assert sums["head"] == {"seq": len(bodies), "hash": pulled[-1]["hash"]}


async def test_a_download_is_the_range_byte_for_byte(either: Clinic) -> None:
    bodies = await append(either, 30)
    answer = await get(either, ".ndjson")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="records-1-30.ndjson"'
    assert answer.text.splitlines() == bodies
    assert verify(answer.text.splitlines()).head.hash == answer.headers["Wenzhen-Last-Hash"]


async def test_a_csv_has_every_column_of_every_record(either: Clinic) -> None:
    bodies = await append(either, 30)
    answer = await get(either, ".csv")
    assert answer.headers["Content-Type"].startswith("text/csv; charset=utf-8")
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert len(rows) == len(bodies)
    assert list(rows[0]) == list(COLUMNS)
    sums = (await get(either, "/summary")).json
    assert sum(int(row["charge_fen"]) for row in rows) == sums["amounts"][0]["charge_fen"]
    assert sum(int(row["billable_s"]) for row in rows) == sums["billable_s"]
    marked = await get(either, ".csv", bom="true")
    assert marked.text == BOM + answer.text


async def test_a_period_is_downloaded_alone_and_summed_alone(either: Clinic) -> None:
    bodies = await append(either, 30)
    at = (await either.api("GET", PATH)).json["data"][12]["settled_at"]
    first = await get(either, ".ndjson", to=at)
    rest = await get(either, ".ndjson", **{"from": at})
    assert first.text.splitlines() + rest.text.splitlines() == bodies
    assert len(first.text.splitlines()) == (await get(either, "/summary", to=at)).json["count"]


async def test_a_download_that_is_known_is_not_sent_again(either: Clinic) -> None:
    await append(either, 3)
    seen = set()
    for path, query in ((".csv", {}), (".csv", {"bom": "true"}), (".ndjson", {})):
        answer = await get(either, path, **query)
        tag = answer.headers["ETag"]
        seen.add(tag)
        headers = {"If-None-Match": f'"x", {tag}'}
        again = await either.api("GET", PATH + path, params=query, headers=headers)
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    assert len(seen) == 3
    await append(either, 1, 3)
    headers = {"If-None-Match": ", ".join(seen)}
    assert (await either.api("GET", PATH + ".csv", headers=headers)).status == 200


async def test_an_empty_ledger_is_an_empty_download(clinic: Clinic) -> None:
    assert (await get(clinic, ".ndjson")).text == ""
    assert (await get(clinic, ".csv")).text == ",".join(COLUMNS) + "\r\n"
    assert (await get(clinic, "/summary")).json["count"] == 0


REFUSED: list[tuple[list[tuple[str, str]], str]] = [
    ([("from", "yesterday")], "range_invalid"),
    ([("from", "")], "range_invalid"),
    ([("to", "2026-01-31")], "range_invalid"),
    ([("to", "2026-01-31T08:00:00+08:00 ")], "range_invalid"),
    ([("from", "\x00")], "range_invalid"),
    ([("from", "９" * 500)], "range_invalid"),
    ([("from", TO), ("to", FROM)], "range_invalid"),
    ([("from", FROM), ("from", FROM)], "invalid_query"),
    ([("to", FROM), ("to", TO)], "invalid_query"),
]


@pytest.mark.parametrize(("query", "code"), REFUSED, ids=lambda one: str(one)[:40])
async def test_a_period_that_is_none_is_refused(
    clinic: Clinic, query: list[tuple[str, str]], code: str
) -> None:
    for path in ("/summary", ".csv", ".ndjson"):
        (await clinic.api("GET", PATH + path, params=query)).problem(422, code)


@pytest.mark.parametrize("bom", ["1", "", "yes"])
async def test_bom_is_true_or_false(clinic: Clinic, bom: str) -> None:
    (await get(clinic, ".csv", bom=bom)).problem(422, "invalid_query")
    assert (await get(clinic, ".csv", bom="false")).status == 200


async def test_downloads_need_the_scope(clinic: Clinic) -> None:
    key = await clinic.key("consults")
    for path in ("/summary", ".csv", ".ndjson"):
        (await clinic.api("GET", PATH + path, key)).problem(403, "scope_missing")


async def connected(clinic: Clinic, path: str) -> tuple[socket.socket, bytes]:
    """A client that has asked, has read the first bytes, and reads no further."""
    base = clinic.services.base_url.removeprefix("http://")
    host, port = base.rsplit(":", 1)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, (host, int(port)))
    lines = f"GET {PATH}{path} HTTP/1.1\r\nHost: {base}\r\n"
    lines += f"Authorization: Bearer {clinic.demo.api_key}\r\n\r\n"
    await loop.sock_sendall(client, lines.encode())
    return client, await loop.sock_recv(client, 15)


async def rest(client: socket.socket) -> bytes:
    """All that comes, to the end or to a reset."""
    loop, got = asyncio.get_running_loop(), b""
    with client:
        try:
            while data := await loop.sock_recv(client, 65_536):
                got += data
        except ConnectionResetError:
            pass
    return got


async def test_who_does_not_read_holds_little_and_is_given_up(clinic: Clinic) -> None:
    """Not the whole ledger waits in memory; and the part that was sent has no regular end."""
    bodies = await append(clinic, 4000)
    clinic.services.exports.stall_s = 0.3
    client, start = await connected(clinic, ".ndjson")
    assert start == b"HTTP/1.1 200 OK"
    await asyncio.sleep(1)  # nothing tells a client that the server has given up but reading
    got = await rest(client)
    assert len(got) < sum(len(body) for body in bodies)
    assert not got.endswith(b"0\r\n\r\n")


async def test_downloads_at_once_are_bounded_for_each_organization(clinic: Clinic) -> None:
    await append(clinic, 4000)
    clients = [(await connected(clinic, ".ndjson"))[0] for _ in range(4)]
    refused = await get(clinic, ".csv")
    refused.problem(429, "too_many_exports")
    assert refused.headers["Retry-After"] == "5"
    ends = await asyncio.gather(*(rest(client) for client in clients))
    assert all(end.endswith(b"0\r\n\r\n") for end in ends)
    assert (await get(clinic, ".csv", to=TO)).status == 200


async def test_a_download_that_fails_on_the_way_is_not_taken_for_whole(either: Clinic) -> None:
    """Without its last chunk it has no regular end (RFC 9112 §7.1)."""
    await append(either, 4000)
    client, _ = await connected(either, ".ndjson")
    async with either.services.storage.write() as conn:
        await conn.execute(text("ALTER TABLE ledger_records RENAME TO away"))
    assert not (await rest(client)).endswith(b"0\r\n\r\n")


async def test_a_large_download_comes_whole_while_records_are_appended(either: Clinic) -> None:
    """The range was fixed when it began: what comes later is not in it."""
    bodies = await append(either, 2500)
    url = f"{either.services.base_url}{PATH}.ndjson"
    headers = {"Authorization": f"Bearer {either.demo.api_key}"}
    digest = hashlib.sha256()
    async with either.http.get(url, headers=headers) as answer:
        await append(either, 1, 2500)
        async for chunk in answer.content.iter_chunked(65_536):
            digest.update(chunk)
    assert digest.digest() == hashlib.sha256("".join(f"{b}\n" for b in bodies).encode()).digest()
