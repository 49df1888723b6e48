"""A client that sends all that the API's description allows, and all that it does not.

schemathesis reads `/api/v1/openapi.json` and asks the live server: no 5xx, no undocumented status,
no answer of another form, nothing accepted that the description forbids, nothing without a key.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.e2e.server import COMMAND, Server

SCHEMATHESIS = Path(sys.executable).parent / "schemathesis"
RECORDS = 30
EXAMPLES = 20
# whether valid data is accepted depends on what there is: ids, cursors and keys are found by luck
CHECKS = ("--checks", "all", "--exclude-checks", "positive_data_acceptance")


async def run(*command: str, cwd: Path) -> tuple[int | None, str]:
    """A command's status and all that it says."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=cwd, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


async def test_no_request_is_answered_by_a_fault(tmp_path: Path) -> None:
    server = Server()
    try:
        simulate = [str(COMMAND), "ledger", "simulate", str(RECORDS)]
        status, said = await run(*simulate, "--data-dir", str(server.data_dir), cwd=tmp_path)
        assert status == 0, said
        await server.start()
        await server.order("王芳")
        status, said = await run(
            str(SCHEMATHESIS),
            "run",
            f"{server.base_url}/api/v1/openapi.json",
            *("--header", f"Authorization: Bearer {server.demo['api_key']}"),
            *CHECKS,
            *("--phases", "coverage,fuzzing,stateful", "--max-examples", str(EXAMPLES)),
            *("--seed", "1", "--suppress-health-check", "all"),
            *("--no-color", "--continue-on-failure"),
            cwd=tmp_path,
        )
        assert status == 0, said
        assert "generated" in said
        assert not server.crashes(), server.log()[-6000:]
        await server.stop()
    finally:
        await server.discard()
