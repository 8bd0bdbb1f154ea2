"""Line charts as inline SVG: no plotting library, sharp at any size, readable without scripts."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

COLORS = (
    *("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf"),
    *("#8c564b", "#e377c2", "#7f7f7f", "#bcbd22"),
)
WIDTH, HEIGHT = 520, 300
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 30, 42
STYLE = """svg { font-family: system-ui, sans-serif; }
svg line { stroke: #ddd; } svg polyline { fill: none; stroke-width: 2; }
svg text { font-size: 12px; fill: #444; text-anchor: middle; } svg .title { font-size: 14px; }
svg .end, svg .legend { text-anchor: end; }
"""


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers that cover `low..high`, about `count` of them."""
    if not high > low:
        high = low + (abs(low) or 1.0)
    raw = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((m * power for m in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - raw))
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, last + 1)]


def line_chart(
    series: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    title: str,
    x_label: str = "step",
    y_label: str = "",
    log_x: bool = False,
) -> str:
    """Draws named series of points.

    Args:
        series: Name -> (x values, y values) of equal length; points that are not finite are left
            out.
        title: Printed above.
        x_label: Printed below.
        y_label: Printed at the left.
        log_x: Whether x, which is positive then, is drawn by powers of ten. Defaults to False.

    Returns:
        An `<svg>` element.
    """
    scale = math.log10 if log_x else float
    points = {
        name: [
            (scale(x), y) for x, y in zip(*xy, strict=True) if math.isfinite(x) and math.isfinite(y)
        ]
        for name, xy in series.items()
    }
    everything = [point for line in points.values() for point in line]
    if not everything:
        return f"<p>{html.escape(title)}: no values</p>"
    x_ticks = ticks(min(x for x, _ in everything), max(x for x, _ in everything))
    if log_x:
        x_ticks = [float(n) for n in range(math.floor(x_ticks[0]), math.ceil(x_ticks[-1]) + 1)]
    y_ticks = ticks(min(y for _, y in everything), max(y for _, y in everything))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / (x_ticks[-1] - x_ticks[0])
        up = (y - y_ticks[0]) / (y_ticks[-1] - y_ticks[0])
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (
            HEIGHT - TOP - BOTTOM
        )

    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">',
        f'<text x="{WIDTH / 2}" y="18" class="title">{html.escape(title)}</text>',
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 6}" class="label">{html.escape(x_label)}</text>',
        f'<text x="14" y="{HEIGHT / 2}" class="label" transform="rotate(-90 14 {HEIGHT / 2})">'
        f"{html.escape(y_label)}</text>",
    ]
    for value in y_ticks:
        _, y = place(x_ticks[0], value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" class="tick end">{value:g}</text>')
    for value in x_ticks:
        x, _ = place(value, y_ticks[0])
        label = 10**value if log_x else value
        parts.append(f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 16}" class="tick">{label:g}</text>')
    alone = len(points) > 1 and all(len(line) == 1 for line in points.values())
    for index, (name, line) in enumerate(points.items()):
        placed = [place(x, y) for x, y in line]
        parts += _line(placed, COLORS[index % len(COLORS)], name, None if alone else index)
    return "".join([*parts, "</svg>"])


def _line(placed: list[tuple[float, float]], color: str, name: str, row: int | None) -> list[str]:
    """A line or a point with its name, in a row of the legend or (None) beside it."""
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    parts = [f'<polyline points="{path}" stroke="{color}"/>']
    if len(placed) == 1:
        x, y = placed[0]
        parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{color}"/>')
    if row is not None:
        where = f'x="{WIDTH - RIGHT - 6}" y="{TOP + 14 + 16 * row}" class="legend"'
        anchor = ""
    else:
        left = x > WIDTH * 0.7
        where = f'x="{x - 7 if left else x + 7:.1f}" y="{y + 4:.1f}" class="name"'
        anchor = f";text-anchor:{'end' if left else 'start'}"
    return [*parts, f'<text {where} style="fill:{color}{anchor}">{html.escape(name)}</text>']


def standalone(chart: str) -> str:
    """A chart as a file of its own, with its style and a white ground.

    Args:
        chart: What `line_chart` gave.

    Returns:
        The text of an SVG file.
    """
    opening, closing, rest = chart.partition(">")
    opening = opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    ground = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>'
    return f"{opening}{closing}<style>{STYLE}</style>{ground}{rest}\n"
