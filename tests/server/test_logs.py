"""Logs hold ids. No names, no tokens, no SDP, however they come (HOSTILE.md)."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.accounts import new_token
from server.logs import MAX_VALUE_CHARS, redact
from server.storage import Storage

TOKENS = st.integers(0, 2**32).map(lambda _: new_token())
PLAIN = st.text(max_size=30)
KEYS = st.sampled_from(["event", "why", "consult_id", "route", "error", "fields"])
SECRETS = ("token", "password", "sdp", "name", "patient_name", "complaint", "key")


def holding(secret: str) -> st.SearchStrategy[Any]:
    """Values of a log entry with this text somewhere in them."""
    leaf = st.tuples(PLAIN, PLAIN).map(lambda around: f"{around[0]} {secret} {around[1]}")
    return st.recursive(
        leaf, lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(KEYS, inner)
    )


@given(st.data(), TOKENS, KEYS)
def test_no_token_gets_into_a_log(data: st.DataObject, token: str, key: str) -> None:
    value = data.draw(holding(token))
    assert token not in json.dumps(redact(None, "info", {key: value}))


@given(st.data(), st.sampled_from(SECRETS), KEYS)
def test_no_name_gets_into_a_log_by_its_key(data: st.DataObject, secret: str, key: str) -> None:
    value = data.draw(holding("李秀英"))
    logged = redact(None, "info", {secret: value, key: {secret: value}, "more": [{secret: value}]})
    assert "李秀英" not in json.dumps(logged, ensure_ascii=False)


@given(st.text(st.characters(codec="utf-8"), max_size=10_000))
def test_no_value_is_longer_than_a_line_of_a_log_may_be(value: str) -> None:
    logged = redact(None, "info", {"event": value, "exception": value})
    assert len(logged["event"]) <= MAX_VALUE_CHARS
    assert len(logged["exception"]) <= 4 * MAX_VALUE_CHARS


def test_ids_stay_readable() -> None:
    entry = {"event": "draining", "consult_id": "c_0123456789abcdefghij", "calls": 3, "ok": None}
    assert redact(None, "info", dict(entry)) == entry


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO audit (id, at, actor, action, detail) VALUES (:name, 1, 'a', 'b', NULL)",
        "SELECT no_such_column FROM audit WHERE id = :name",
    ],
)
async def test_what_a_failed_statement_would_have_written_is_not_in_its_error(
    storage: Storage, statement: str
) -> None:
    """A refused row of `consults` has the patient's name in it, and its error gets logged."""

    async def fail() -> None:
        async with storage.write() as conn:
            await conn.execute(text(statement), {"name": "李秀英"})

    with pytest.raises(DBAPIError) as caught:
        await fail()
    logged = redact(None, "error", {"event": "failed", "exception": str(caught.value)})
    assert "李秀英" not in logged["exception"]
    assert type(caught.value.orig).__name__.split(".")[-1] in str(caught.value)


PROGRAM = """
import logging, structlog
from server.logs import configure
configure("{form}")
log = structlog.get_logger()
log.info("started", token="{token}", patient_name="李秀英", consult_id="c_1")
logging.getLogger("aiohttp.server").error("bad request by %s", "{token}")
logging.getLogger("aiohttp.access").info("never shown")
def fail(patient_name):
    raise ValueError("{token} of", "someone")
try:
    fail("李秀英")
except ValueError:
    log.exception("failed")
    logging.getLogger("asyncio").exception("failed too")
"""


def printed(form: str, token: str) -> str:
    """What a process that logs in this form writes to stderr; nothing goes to stdout."""
    program = PROGRAM.replace("{token}", token).replace("{form}", form)
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == ""
    assert token not in done.stderr
    assert "李秀英" not in done.stderr
    return done.stderr


def test_every_line_is_one_json_object_whoever_logs() -> None:
    """Libraries log through the standard library: the same form, the same redaction."""
    token = new_token()
    lines = [json.loads(line) for line in printed("json", token).splitlines()]
    assert [line["event"] for line in lines] == [
        "started", "bad request by [redacted]", "failed", "failed too",
    ]  # fmt: skip
    assert [line["level"] for line in lines] == ["info", "error", "error", "error"]
    assert all(line["timestamp"].endswith("Z") for line in lines)
    assert lines[0]["consult_id"] == "c_1"
    assert all("ValueError" in line["exception"] for line in lines[2:])


def test_the_form_for_people_shows_no_more() -> None:
    """A traceback with local variables would: it is a plain one."""
    shown = printed("text", new_token())
    assert "ValueError" in shown
    assert "c_1" in shown
    assert "locals" not in shown
