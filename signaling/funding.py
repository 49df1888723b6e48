"""What a prepaid limit allows and what it ends: checks of commands, and its events' rules. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from signaling import events as ev
from signaling import messages as m
from signaling.case import Case
from signaling.errors import NotPrepaid, PrepaidTooHigh, PrepaidTooLow
from signaling.events import Effect
from signaling.messages import Mode
from signaling.model import Consult, Timers
from signaling.prepaid import MAX_PREPAID_FEN, Prepaid, TopUp
from signaling.rules import end

Moved = tuple[Consult, tuple[Effect, ...]]


def consider(
    case: Case, command: m.Incoming, standing: Callable[[Case], Prepaid | None]
) -> dict[str, str]:
    """Refuse what the prepaid limit does not cover; give what the command's answer says of it.

    ``standing`` is :meth:`signaling.ports.CallControl.prepaid`.

    Raises:
        PrepaidTooLow: not one second of the wanted mode is covered.
        NotPrepaid: a top-up of a consult that has no limit.
        PrepaidTooHigh: the top-up would lift the limit above what a limit may be.
    """
    if isinstance(command, TopUp):
        return _topped_up(case, command, standing)
    wanted = _wanted(case, command)
    now = None if wanted is None else standing(case)
    if now is not None and wanted is not None and _left_s(now, wanted) == 0:
        raise PrepaidTooLow(case.core.id, wanted)
    return {}


def _wanted(case: Case, command: m.Incoming) -> Mode | None:
    """The mode that a command would begin to use; None where it changes none."""
    core = case.core
    match command:
        case m.Join(mode=mode):
            return mode
        case m.PatientSetMode(mode=mode) | m.PhysicianSetMode(mode=mode):
            return mode if mode != core.mode else None
        case m.AnswerMode(accept=True):
            return core.proposal.mode if core.proposal else None
        case _:
            return None


def _left_s(now: Prepaid, mode: Mode) -> int | None:
    return now.voice_left_s if mode == "voice" else now.video_left_s


def _topped_up(
    case: Case, command: TopUp, standing: Callable[[Case], Prepaid | None]
) -> dict[str, str]:
    core, limit_fen = case.core, case.limit_fen
    if limit_fen is None:
        raise NotPrepaid(core.id)
    if limit_fen + command.fen > MAX_PREPAID_FEN:
        raise PrepaidTooHigh(core.id, MAX_PREPAID_FEN)
    core = replace(core, topped_up_fen=core.topped_up_fen + command.fen)
    then = standing(replace(case, core=core))
    assert then is not None, "it has a limit"
    left_s = _left_s(then, core.mode)
    return {
        "fen": str(command.fen),
        "limit_fen": str(then.limit_fen),
        "used_fen": str(then.used_fen),
        "left_s": "" if left_s is None else str(left_s),
    }


def top_up(c: Consult, e: ev.ToppedUp, _now_ms: int, _t: Timers) -> Moved:
    """More is prepaid: a running call goes on for longer, at once."""
    c = replace(c, topped_up_fen=c.topped_up_fen + e.fen)
    return c, (ev.Grant(c.topped_up_fen),)


def exhausted(c: Consult, e: ev.QuotaExhausted, _now_ms: int, _t: Timers) -> Moved | None:
    """All that was prepaid is used: the end, unless more was granted in the meantime."""
    if c.topped_up_fen != e.topped_up_fen:
        return None
    return end(c, "quota_exhausted", None)
