"""docs/lifecycle.md, written from the table that decides: ``python -m signaling.lifecycle``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import get_args

from signaling.consult import DEFAULT_TIMERS, TRANSITIONS
from signaling.events import EVENTS, Command
from signaling.messages import State
from signaling.model import TERMINAL, TIMED_OUT

_HEAD = """# The lifecycle of a consult

Generated from `signaling/consult.py` by `python -m signaling.lifecycle > docs/lifecycle.md`; a test
compares the two. Only `active` bills. Hanging up is not finishing: the physician finishes.

A **command** that has no row in a state is refused with `invalid_transition`. A **fact** (from
media, a timer or a page's connection) that has none comes too late and changes nothing. `·` means
that the consult stays in its state: it notes what happened, or it is no news at all.
"""

_TIMERS = {
    "answer": ("offered and not answered", DEFAULT_TIMERS.answer_ms),
    "retry": (
        "connecting: those who do not send are asked to connect again",
        DEFAULT_TIMERS.connecting_ms // DEFAULT_TIMERS.connect_tries,
    ),
    "connect": ("connecting until media flows both ways", DEFAULT_TIMERS.connecting_ms),
    "free": ("interrupted, or a side silent in a hold", DEFAULT_TIMERS.interrupted_ms),
    "reopen": ("left open for the patient to come back", DEFAULT_TIMERS.reopen_ms),
    "hang_up": ("hung up, and not come back", DEFAULT_TIMERS.hung_up_ms),
    "offline": ("the waiting patient's page is gone: shown as offline", DEFAULT_TIMERS.offline_ms),
    "drop": ("the waiting patient's page is gone: place lost", DEFAULT_TIMERS.dropped_ms),
    "longest": ("the longest call", DEFAULT_TIMERS.longest_call_ms),
}


def markdown() -> str:
    """The whole document."""
    return "\n".join([_HEAD, *_diagram(), *_events(), *_timers()]) + "\n"


def _diagram() -> Iterator[str]:
    """States and the ways between them, as GitHub draws it."""
    yield from ("## States", "", "```mermaid", "stateDiagram-v2", "    [*] --> created")
    ways: dict[tuple[State, State], list[str]] = {}
    for (state, event), rule in TRANSITIONS.items():
        for to in rule.to:
            if to != state:
                ways.setdefault((state, to), []).append(event.kind)
    for (state, to), kinds in ways.items():
        yield f"    {state} --> {to}: {', '.join(kinds)}"
    for state in get_args(State):
        if state in TERMINAL and any(to == state for _, to in ways):
            yield f"    {state} --> [*]"
    yield from ("```", "")


def _events() -> Iterator[str]:
    states = [state for state in get_args(State) if any(state == key[0] for key in TRANSITIONS)]
    yield from ("## Events", "", f"| event | kind | {' | '.join(states)} |")
    yield "|---" * (len(states) + 2) + "|"
    for event in EVENTS:
        kind = "command" if issubclass(event, Command) else "fact"
        cells = []
        for state in states:
            rule = TRANSITIONS.get((state, event))
            named = () if rule is None else ("·" if to == state else to for to in rule.to)
            cells.append(" ".join(named))
        yield f"| `{event.kind}` | {kind} | {' | '.join(cells)} |"
    yield ""


def _timers() -> Iterator[str]:
    yield from ("## Timers", "", "| event | when | default |", "|---|---|---|")
    for kind, fact in TIMED_OUT.items():
        when, after_ms = _TIMERS[kind]
        yield f"| `{fact.kind}` | {when} | {after_ms // 1000} s |"


if __name__ == "__main__":
    sys.stdout.write(markdown())
