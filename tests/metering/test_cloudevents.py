"""Usage-billing systems take a record as a CloudEvent; its SDK is the judge."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from cloudevents.core.formats.json import JSONFormat

from metering.adjust import Correction, Kind, corrected
from metering.chain import Head, canonical, chained
from metering.cloudevents import batch, event
from tests.metering.samples import record

BODY = chained(Head(), record(), "2026-02-02T02:40:18.012Z")
TEXT = canonical(BODY).decode()


def parsed(text: str) -> Any:
    return JSONFormat().read(None, text)


def test_the_sdk_reads_an_event() -> None:
    found = parsed(event(TEXT))
    assert found.get_specversion() == "1.0"
    assert found.get_id() == BODY["record_id"]
    assert found.get_source() == "urn:wenzhen:ledger:org_1"
    assert found.get_type() == "org.wenzhen.record.original.v1"
    assert found.get_subject() == "con_1"
    assert found.get_time() == datetime(2026, 2, 2, 2, 40, 18, 12_000, tzinfo=UTC)
    assert found.get_datacontenttype() == "application/json"
    assert found.get_dataschema() == "urn:wenzhen:schema:record:2"
    assert found.get_data() == BODY


def test_the_record_is_in_it_byte_for_byte() -> None:
    """So the chain can be recomputed from events too."""
    assert TEXT in event(TEXT)
    assert json.loads(batch([event(TEXT)] * 2))[1]["data"] == BODY
    assert batch([]) == "[]"


def test_the_type_tells_a_correction_from_an_original() -> None:
    for kind, fen in ((Kind.ADJUSTMENT, 100), (Kind.VOID, None)):
        wanted = Correction(BODY["record_id"], kind, "r", "a", charge_fen=fen)
        after = chained(Head(1, BODY["hash"]), corrected([BODY], wanted), BODY["settled_at"])
        found = parsed(event(canonical(after).decode()))
        assert found.get_type() == f"org.wenzhen.record.{kind}.v1"


def test_a_record_of_schema_version_1_is_an_event_too() -> None:
    old = {k: v for k, v in BODY.items() if k != "settled_at"} | {"schema_version": 1}
    found = parsed(event(canonical(old).decode()))
    assert found.get_time() == datetime(2026, 2, 2, 2, 40, 18, 12_000, tzinfo=UTC)
    assert found.get_dataschema() == "urn:wenzhen:schema:record:1"
