"""What `wenzhen quote` and `POST /api/v1/quotes` answer.

A tariff and seconds in, the charge and its arithmetic out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from metering.errors import RatingError
from metering.rating import Charge, rate
from metering.tariff import Tariff, parse_tariff
from metering.terms import Mode

_SEGMENT: Final = re.compile(r"\s*(voice|video)\s*:\s*([0-9]{1,8})\s*", re.ASCII)


def parse_segments(text: str) -> dict[Mode, int]:
    """Read `voice:180,video:245`: whole seconds, summed per mode over the consult.

    Raises:
        RatingError: the text has another form.
    """
    seconds = dict.fromkeys(Mode, 0)
    for part in text.split(","):
        match = _SEGMENT.fullmatch(part)
        if match is None:
            raise RatingError(f"{part!r} is not MODE:SECONDS, as in voice:180,video:245")
        seconds[Mode(match[1])] += int(match[2])
    return seconds


def quote(
    tariff: Tariff, mode_seconds: Mapping[Mode, int], *, ended_by_fault: bool = False
) -> dict[str, Any]:
    """Give the charge, its split and its arithmetic, ready for JSON.

    Raises:
        RatingError: as `rate`.
    """
    charge: Charge = rate(tariff, mode_seconds, fault_ended=ended_by_fault)
    return {
        "charge_fen": charge.charge_fen,
        "currency": tariff.currency,
        "waived": charge.waived,
        **asdict(charge.split),
        "mode_seconds": {mode.value: mode_seconds[mode] for mode in Mode},
        "billable_s": sum(mode_seconds.values()),
        "lines": [line.as_dict() for line in charge.lines],
        "tariff": tariff.as_dict(),
        "tariff_digest": tariff.digest,
    }


def run_quote(
    tariff_text: str | bytes, segments_text: str, *, ended_by_fault: bool = False
) -> dict[str, Any]:
    """Quote from the two texts that the command line has.

    Raises:
        TariffError, RatingError: the message is one sentence for the person at the terminal.
    """
    tariff, mode_seconds = parse_tariff(tariff_text), parse_segments(segments_text)
    return quote(tariff, mode_seconds, ended_by_fault=ended_by_fault)
