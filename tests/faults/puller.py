"""A billing system that may be killed at any moment: it pulls, keeps what it got, then its cursor.

`python -m tests.faults.puller BASE_URL KEY FOLDER`. Each record is a line of `records`, on the disk
before the cursor behind it replaces the former one. So a puller that was killed comes back with a
cursor that may be older than its last record, and never newer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from tests.e2e.fetch import fetch

LIMIT = 50


def main(base_url: str, key: str, folder: Path) -> None:
    cursor_file = folder / "cursor"
    cursor = cursor_file.read_text() if cursor_file.exists() else ""
    records = folder / "records"
    if records.exists():  # a line that was cut by the kill is pulled again
        whole = records.read_text().rpartition("\n")
        records.write_text(whole[0] + whole[1])
    with records.open("a") as kept:
        while True:
            query = f"limit={LIMIT}" + (f"&cursor={cursor}" if cursor else "")
            status, text = fetch("GET", f"{base_url}/api/v1/records?{query}", key, None)
            assert status == 200, text
            page = json.loads(text)
            for record in page["data"]:
                print(record["seq"], record["record_id"], record["hash"], file=kept)
            kept.flush()
            os.fsync(kept.fileno())
            if page["next_cursor"] != cursor:
                cursor = page["next_cursor"]
                new = cursor_file.with_suffix(".new")
                new.write_text(cursor)
                new.replace(cursor_file)
            if not page["has_more"]:
                time.sleep(0.02)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
