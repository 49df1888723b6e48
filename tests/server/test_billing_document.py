"""Every example of docs/billing-api.md runs, in order, with the curl that its readers have."""

from __future__ import annotations

import asyncio
import json
import os
import re
from pathlib import Path

from metering.sheet import BOM
from tests.server import entries
from tests.server.clinic import Clinic

DOCUMENT = Path(__file__).parents[2] / "docs" / "billing-api.md"
AFTER_JANUARY = 40 * 320
"""The first index of a simulated record that was settled in February."""


async def test_every_example_does_what_the_document_says(either: Clinic, tmp_path: Path) -> None:
    async with either.services.storage.write() as conn:
        await entries.append(conn, 25)
        await entries.append(conn, 1, AFTER_JANUARY)
    blocks = re.findall(r"^```sh\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)
    assert len(blocks) >= 7
    environ = {**os.environ, "BASE": either.services.base_url, "KEY": either.demo.api_key}
    shell = await asyncio.create_subprocess_exec(
        *("sh", "-euxc", "\n".join(blocks)),
        cwd=tmp_path,
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await asyncio.wait_for(shell.communicate(), 60)
    assert shell.returncode == 0, said.decode()
    sums = json.loads((tmp_path / "summary.json").read_text(encoding="utf-8"))
    assert sums["count"] == 25
    assert len((tmp_path / "month.ndjson").read_text(encoding="utf-8").splitlines()) == 25
    assert (tmp_path / "month.csv").read_text(encoding="utf-8").startswith(BOM)
    adjustment = json.loads((tmp_path / "adjustment.json").read_text(encoding="utf-8"))
    assert adjustment["net"]["charge_fen"] == 100
