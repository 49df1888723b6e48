"""CPU per packet and latency over calls, as one SVG. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from benchmarks.media.report import Row

WIDTH, HEIGHT = 820, 360
COLORS: Final = {"wenzhen": "#0b7285", "janus": "#c2410c"}
_LEFT, _TOP, _PLOT_WIDTH, _PLOT_HEIGHT = 60, 50, 320, 240
_GAP = 410


def draw(rows: Mapping[int, Mapping[str, Row]]) -> str:
    """Two panels side by side; calls are spaced evenly."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#222">',
        "<title>Server CPU per forwarded packet and added latency over calls</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
    ]
    parts += _panel(0, "CPU per forwarded packet (µs)", rows, lambda row: row.cpu_us, log=False)
    parts += _panel(_GAP, "p99 added latency (ms)", rows, lambda row: row.p99_ms, log=True)
    for place, (server, color) in enumerate(COLORS.items()):
        x = _LEFT + place * 110
        parts.append(f'<rect x="{x}" y="338" width="12" height="12" fill="{color}"/>')
        parts.append(f'<text x="{x + 18}" y="348">{server}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(
    shift: int,
    title: str,
    rows: Mapping[int, Mapping[str, Row]],
    figure: Callable[[Row], float],
    *,
    log: bool,
) -> list[str]:
    values = [figure(row) for by_server in rows.values() for row in by_server.values()]
    ticks = _decades(values) if log else _steps(max(values, default=1.0))
    low, high = ticks[0], ticks[-1]

    def height(value: float) -> float:
        share = value / high
        if log:
            share = math.log(max(value, low) / low) / math.log(high / low)
        return _TOP + _PLOT_HEIGHT * (1 - share)

    step = _PLOT_WIDTH / max(1, len(rows) - 1)
    left = shift + _LEFT
    parts = [f'<text x="{left}" y="28" font-size="14" font-weight="bold">{title}</text>']
    for tick in ticks:
        y = height(tick)
        parts.append(
            f'<line x1="{left}" x2="{left + _PLOT_WIDTH}" y1="{y:.1f}" y2="{y:.1f}" stroke="#ddd"/>'
        )
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>')
    for place, calls in enumerate(rows):
        x = left + place * step
        parts.append(f'<text x="{x:.1f}" y="308" text-anchor="middle">{calls}</text>')
    middle = left + _PLOT_WIDTH / 2
    parts.append(f'<text x="{middle:.1f}" y="326" text-anchor="middle">calls</text>')
    for server, color in COLORS.items():
        points = [
            (left + place * step, height(figure(by_server[server])))
            for place, by_server in enumerate(rows.values())
            if server in by_server
        ]
        parts += _curve(points, color)
    return parts


def _curve(points: Sequence[tuple[float, float]], color: str) -> list[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
    return [line] + [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points
    ]


def _steps(most: float) -> list[float]:
    """Four even steps from 0 to at least `most`."""
    size = 10 ** math.floor(math.log10(max(most, 1e-6) / 4))
    step = next(size * f for f in (1, 2, 2.5, 5, 10, 20) if size * f * 4 >= most)
    return [step * i for i in range(5)]


def _decades(values: Sequence[float]) -> list[float]:
    """Powers of ten around all values, at least one decade."""
    positive = [value for value in values if value > 0] or [1.0]
    first = math.floor(math.log10(min(positive)))
    last = max(first + 1, math.ceil(math.log10(max(positive))))
    return [10.0**power for power in range(first, last + 1)]
