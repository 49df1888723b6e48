"""Records as events that usage-billing systems take: CloudEvents 1.0 in JSON. Pure.

A record is an event that happened once, so all of the event is taken from the record and the same
record always gives the same bytes. `source` and `id` together are its identity, for those who
remove duplicates.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

import orjson

ONE: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"


def event(body: str) -> str:
    """Give the event of a record, from its canonical text, which is its `data` byte for byte."""
    record = orjson.loads(body)
    attributes = {
        "specversion": "1.0",
        "id": record["record_id"],
        "source": f"urn:wenzhen:ledger:{record['organization_id']}",
        "type": f"org.wenzhen.record.{record['kind']}.v1",
        "subject": record["consult_id"],
        # schema version 1 did not say when it was settled
        "time": record.get("settled_at", record["ended_at"]),
        "datacontenttype": "application/json",
        "dataschema": f"urn:wenzhen:schema:record:{record['schema_version']}",
    }
    written = json.dumps(attributes, ensure_ascii=False, separators=(",", ":"))
    return f'{written[:-1]},"data":{body}}}'


def batch(events: Iterable[str]) -> str:
    """Give the JSON of a batch."""
    return f"[{','.join(events)}]"
