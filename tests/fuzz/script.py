"""A fuzzer's bytes as a script: steps of two small numbers and some bytes each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_STEPS = 64


@dataclass(frozen=True, slots=True)
class Step:
    """`what` and `how` are 0 to 255; `data` is at most 65,535 bytes."""

    what: int
    how: int
    data: bytes


def read(script: bytes) -> Iterator[Step]:
    """Up to `MAX_STEPS` steps; the last takes what is left, whatever its length says."""
    at = 0
    for _ in range(MAX_STEPS):
        if at + 4 > len(script):
            return
        size = script[at + 2] << 8 | script[at + 3]
        yield Step(script[at], script[at + 1], script[at + 4 : at + 4 + size])
        at += 4 + size


def write(steps: Iterable[Step]) -> bytes:
    """The script that `read` reads as these steps."""
    parts = (
        bytes((step.what, step.how)) + len(step.data).to_bytes(2, "big") + step.data
        for step in steps
    )
    return b"".join(parts)
