"""Each fuzz target on its kept inputs and on mutations of them: the same in every run."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.fuzz.corpus import TARGETS, inputs, load

MUTATIONS = 300
INTERESTING = (0, 1, 0x7F, 0x80, 0xFF)


def mutate(dice: random.Random, data: bytes, other: bytes) -> bytes:
    """A few changes as fuzzers make them."""
    changed = bytearray(data)
    changes: list[Callable[[int], object]] = [
        lambda at: changed.__setitem__(at, dice.choice(INTERESTING)),
        lambda at: changed.__setitem__(at, changed[at] ^ 1 << dice.randrange(8)),
        lambda at: changed.__delitem__(slice(at, at + dice.randrange(1, 9))),
        lambda at: changed.__setitem__(slice(at, at), dice.randbytes(dice.randrange(1, 9))),
        lambda at: changed.__setitem__(slice(at, None), other[dice.randrange(len(other) + 1) :]),
    ]
    for _ in range(dice.randrange(1, 6)):
        if changed:
            dice.choice(changes)(dice.randrange(len(changed)))
    return bytes(changed)


@pytest.mark.parametrize("name", TARGETS)
def test_kept_inputs_raise_nothing(name: str) -> None:
    """What once was found stays mended."""
    target = load(name).target
    for data in inputs(name):
        target(data)


@pytest.mark.parametrize("name", TARGETS)
def test_mutated_inputs_raise_nothing(name: str) -> None:
    """A little of `make fuzz` in each run of the suite, without atheris."""
    target, known = load(name).target, inputs(name)
    dice = random.Random(name)
    for _ in range(MUTATIONS):
        target(mutate(dice, dice.choice(known), dice.choice(known)))
