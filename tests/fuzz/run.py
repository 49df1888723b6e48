"""Fuzz one target with atheris: ``python -m tests.fuzz.run NAME SECONDS``; see ``make fuzz``.

What it finds that reaches new code joins the kept corpus, minimised. An exception that escapes, or
an input that takes more than 50 ms of a core, ends the run with status 1; the input is then saved
under ``test-results/fuzz``.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.corpus import inputs, keep, load

ROOT = Path(__file__).resolve().parents[2]
CRASHES = ROOT / "test-results" / "fuzz"
MOST_S = 0.050
MOST_INPUT_BYTES = 8_192
LIMITS = (f"-max_len={MOST_INPUT_BYTES}", "-timeout=10", "-rss_limit_mb=1024")


def fuzz(name: str, seconds: int) -> int:
    """Run the target for so long. Returns the exit status."""
    with tempfile.TemporaryDirectory(prefix=f"wenzhen-fuzz-{name}-") as folder:
        found, merged = Path(folder, "found"), Path(folder, "merged")
        for directory in (found, merged):
            directory.mkdir()
        for number, data in enumerate(inputs(name)):
            (found / f"{number}").write_bytes(data)
        CRASHES.mkdir(parents=True, exist_ok=True)
        save = f"-artifact_prefix={CRASHES}/{name}-"
        program = _program(name, Path(folder))
        status, said = _libfuzzer(program, f"-max_total_time={seconds}", save, str(found))
        if status:
            print(said)
        runs = re.findall(r"Done (\d+) runs", said)
        print(f"{name}: {runs[-1] if runs else '?'} runs in {seconds} s, status {status}")
        merge_status, said = _libfuzzer(program, "-merge=1", save, str(merged), str(found))
        if merge_status:
            print(said)
            return 1
        kept = keep(name, [path.read_bytes() for path in merged.iterdir()])
        print(f"{name}: {kept} inputs kept")
        return 1 if status else 0


def _program(name: str, folder: Path) -> Path:
    """An executable file that fuzzes the target: libFuzzer starts itself again to merge."""
    path = folder / "fuzz"
    line = f'cd {ROOT} && exec {sys.executable} -m tests.fuzz.run --here "$0" {name} "$@"'
    path.write_text(f"#!/bin/sh\n{line}\n", "utf-8")
    path.chmod(0o700)
    return path


def _libfuzzer(program: Path, *options: str) -> tuple[int, str]:
    """Run it in a process of its own, which it ends itself."""
    argv = [str(program), *LIMITS, *options]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")[-6_000:]


def _fuzz_here(program: str, name: str, options: list[str]) -> None:
    import atheris  # not on every machine, and wanted in this process alone

    with atheris.instrument_imports(include=["media"]):
        target = load(name).target

    def timed(data: bytes) -> None:
        # A busy machine makes one run slow; only what is slow each time is slow.
        for _ in range(3):
            start_s = time.thread_time()
            target(data)
            if time.thread_time() - start_s <= MOST_S:
                return
        raise AssertionError(f"{len(data)} bytes take more than {MOST_S} s")

    atheris.Setup([program, *options], timed)
    atheris.Fuzz()


def main() -> int:
    """Fuzz, or be the process that does."""
    if sys.argv[1] == "--here":
        _fuzz_here(sys.argv[2], sys.argv[3], sys.argv[4:])
        return 0
    return fuzz(sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    sys.exit(main())
