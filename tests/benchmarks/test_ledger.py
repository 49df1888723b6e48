"""`make bench-ledger` runs, and its last line is what CONTRACT.md says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_last_line_has_the_figures() -> None:
    command = [sys.executable, "-m", "benchmarks.ledger", "--records", "600", "--seconds", "0.2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["append_per_s"].keys() == {"1", "8", "64"}
    assert found["page_ms"].keys() == {"first", "last"}
    assert found["pull_s"] > 0
    assert found["verify_s"] > 0
    assert found["records"] >= 600
