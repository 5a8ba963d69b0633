"""Draws the report's charts as inline SVG. Colours are CSS variables, so that charts follow the theme.

Every function returns one `<svg>` element as text. Lengths are SVG user units.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

PAD_LEFT = 52.0
PAD_BOTTOM = 38.0
PAD_TOP = 12.0
SERIES = 8


@dataclass(frozen=True)
class Line:
    """A named series of (x, y) points; `series` is the index of its colour, None the muted one."""

    name: str
    points: Sequence[tuple[float, float]]
    series: int | None


@dataclass(frozen=True)
class Dot:
    """A named point, with the range on the y axis that it summarises."""

    name: str
    x: float
    y: float
    low: float
    high: float
    series: int | None


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """At least two round numbers, 1, 2 or 5 times a power of ten apart, that cover [low, high]."""
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span / count))
    for factor in (1.0, 2.0, 5.0, 10.0):
        if span / (step * factor) <= count:
            step *= factor
            break
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [step * index for index in range(first, last + 1)]


def _colour(series: int | None) -> str:
    return "var(--muted-mark)" if series is None else f"var(--s{series % SERIES})"


def _number(value: float, step: float) -> str:
    return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else 0}f}"


def _svg(width: float, height: float, label: str, body: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
    return head + "".join(body) + "</svg>"


class _Axes:
    """A plot area with round ticks, a light grid and axis names."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], size: tuple[float, float], right: float):
        self.width, self.height = size
        self.right = self.width - right
        self.x_ticks, self.y_ticks = ticks(min(xs), max(xs), 6), ticks(min(ys), max(ys))

    def x(self, value: float) -> float:
        low, high = self.x_ticks[0], self.x_ticks[-1]
        return PAD_LEFT + (value - low) / (high - low) * (self.right - PAD_LEFT)

    def y(self, value: float) -> float:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return self.height - PAD_BOTTOM - (value - low) / (high - low) * (self.height - PAD_BOTTOM - PAD_TOP)

    def draw(self, x_name: str, y_name: str) -> list[str]:
        body = []
        base = self.height - PAD_BOTTOM
        for tick in self.y_ticks:
            y = self.y(tick)
            label = _number(tick, self.y_ticks[1] - self.y_ticks[0])
            body.append(f'<line class="grid" x1="{PAD_LEFT}" x2="{self.right:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>')
            body.append(f'<text class="tick" x="{PAD_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
        for tick in self.x_ticks:
            label = _number(tick, self.x_ticks[1] - self.x_ticks[0])
            body.append(
                f'<text class="tick" x="{self.x(tick):.1f}" y="{base + 17}" text-anchor="middle">{label}</text>'
            )
        body.append(f'<line class="axis" x1="{PAD_LEFT}" x2="{self.right:.1f}" y1="{base}" y2="{base}"/>')
        middle = (PAD_LEFT + self.right) / 2
        body.append(
            f'<text class="name" x="{middle:.1f}" y="{self.height - 3}" text-anchor="middle">{escape(x_name)}</text>'
        )
        body.append(
            f'<text class="name" transform="translate(12 {(base + PAD_TOP) / 2:.1f}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_name)}</text>'
        )
        return body


def _spread(anchors: Sequence[tuple[float, float]], gap: float = 15.0, reach: float = 110.0) -> list[float]:
    """y positions of labels at (x, y), moved down so that no label overlaps the one above it."""
    order = sorted(range(len(anchors)), key=lambda index: anchors[index][1])
    placed = [y for _, y in anchors]
    for position, index in enumerate(order):
        near = [other for other in order[:position] if abs(anchors[other][0] - anchors[index][0]) < reach]
        placed[index] = max([placed[index], *(placed[other] + gap for other in near)])
    return placed


def line_chart(lines: Sequence[Line], *, x_name: str, y_name: str, size: tuple[float, float] = (560, 300)) -> str:
    """A line chart; the names are on the right, in the order of the lines' ends."""
    points = [point for line in lines for point in line.points]
    if not points:
        return '<p class="none">No points were recorded.</p>'
    axes = _Axes([x for x, _ in points], [y for _, y in points], size, right=128)
    body = axes.draw(x_name, y_name)
    drawn = [line for line in lines if line.points]
    names = _spread([(0.0, axes.y(line.points[-1][1])) for line in drawn])
    marks = []
    for line, name_y in zip(drawn, names, strict=True):
        path = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}" for x, y in line.points)
        last_x, last_y = line.points[-1]
        fill = f'style="fill:{_colour(line.series)}"'
        body.append(f'<polyline class="line" style="stroke:{_colour(line.series)}" points="{path}"/>')
        marks.append(f'<circle {fill} cx="{axes.x(last_x):.1f}" cy="{axes.y(last_y):.1f}" r="4"/>')
        body.append(f'<circle {fill} cx="{axes.right + 18:.1f}" cy="{name_y:.1f}" r="4"/>')
        body.append(f'<text class="label" x="{axes.right + 28:.1f}" y="{name_y + 4:.1f}">{escape(line.name)}</text>')
        body.extend(
            f'<circle class="hit" cx="{axes.x(x):.1f}" cy="{axes.y(y):.1f}" r="8">'
            f"<title>{escape(line.name)}: {y:.3f} after {x:g} steps</title></circle>"
            for x, y in line.points
        )
    return _svg(*size, f"{y_name} by {x_name}", [*body, *marks])


def dot_chart(dots: Sequence[Dot], *, x_name: str, y_name: str, size: tuple[float, float] = (560, 300)) -> str:
    """A scatter plot of named points with vertical spans, and the line x = y."""
    values = [value for dot in dots for value in (dot.x, dot.y, dot.low, dot.high)] + [0.0]
    if min(values) > -max(values) / 50:
        values = [max(0.0, value) for value in values]  # a value slightly below zero must not add a negative tick
    axes = _Axes(values, values, size, right=128)
    body = axes.draw(x_name, y_name)
    low, high = max(axes.x_ticks[0], axes.y_ticks[0]), min(axes.x_ticks[-1], axes.y_ticks[-1])
    body.append(
        f'<line class="identity" x1="{axes.x(low):.1f}" y1="{axes.y(low):.1f}" '
        f'x2="{axes.x(high):.1f}" y2="{axes.y(high):.1f}"/>'
    )
    labels = _spread([(axes.x(dot.x), axes.y(dot.y)) for dot in dots])
    marks = []
    for dot, label_y in zip(dots, labels, strict=True):
        x, y, colour = axes.x(dot.x), axes.y(dot.y), _colour(dot.series)
        body.append(
            f'<line class="span" style="stroke:{colour}" x1="{x:.1f}" x2="{x:.1f}" '
            f'y1="{axes.y(dot.low):.1f}" y2="{axes.y(dot.high):.1f}"/>'
            f'<text class="label" x="{x + 12:.1f}" y="{label_y + 4:.1f}">{escape(dot.name)}</text>'
        )
        marks.append(
            f'<circle class="dot" style="fill:{colour}" cx="{x:.1f}" cy="{y:.1f}" r="6">'
            f"<title>{escape(dot.name)}: {dot.x:.1f} true, {dot.y:.1f} by the median</title></circle>"
        )
    return _svg(*size, f"{y_name} against {x_name}", [*body, *marks])


def heat_map(
    rows: Sequence[str],
    columns: Sequence[str],
    values: Sequence[Sequence[float]],
    *,
    text: Sequence[Sequence[str]],
    outlined: Sequence[Sequence[bool]] | None = None,
    left: float = 150.0,
) -> str:
    """A labelled grid, values of shape (rows, columns); larger is darker, `outlined` cells have a frame."""
    width, cell_h, head = 560.0, 34.0, 46.0
    cell_w = (width - left) / max(1, len(columns))
    flat = [value for row in values for value in row] or [0.0]
    low, span = min(0.0, *flat), (max(flat) - min(0.0, *flat)) or 1.0
    body = []
    for index, name in enumerate(columns):
        x = left + cell_w * (index + 0.5)
        parts = _wrap(name, int(cell_w / 6.2))
        for line, part in enumerate(parts):
            y = head - 8 - 13 * (len(parts) - 1 - line)
            body.append(f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{escape(part)}</text>')
    for r, name in enumerate(rows):
        y = head + cell_h * r
        body.append(
            f'<text class="label" x="{left - 10}" y="{y + cell_h / 2 + 4}" text-anchor="end">{escape(name)}</text>'
        )
        for c, value in enumerate(values[r]):
            x, share = left + cell_w * c, (value - low) / span
            frame = " own" if outlined is not None and outlined[r][c] else ""
            strong = " strong" if share > 0.55 else ""
            body.append(
                f'<rect class="cell{frame}" x="{x + 1.5:.1f}" y="{y + 1.5:.1f}" width="{cell_w - 3:.1f}" '
                f'height="{cell_h - 3:.1f}" rx="4" style="fill-opacity:{0.06 + 0.94 * share:.3f}">'
                f"<title>{escape(name)} / {escape(columns[c])}: {escape(text[r][c])}</title></rect>"
                f'<text class="value{strong}" x="{x + cell_w / 2:.1f}" y="{y + cell_h / 2 + 4}" '
                f'text-anchor="middle">{escape(text[r][c])}</text>'
            )
    return _svg(width, head + cell_h * len(rows) + 4, "grid of values", body)


def bar_chart(bars: Sequence[tuple[str, float, str, int | None]], *, left: float = 150.0) -> str:
    """Horizontal bars of (name, value, printed value, series)."""
    width, row_h = 560.0, 30.0
    top = max((value for _, value, _, _ in bars), default=0.0) or 1.0
    room = width - left - 100
    body = []
    for index, (name, value, text, series) in enumerate(bars):
        y = 4 + row_h * index
        length = value / top * room
        body.append(f'<text class="label" x="{left - 10}" y="{y + 19}" text-anchor="end">{escape(name)}</text>')
        if length > 0:
            body.append(
                f'<path style="fill:{_colour(series)}" d="M{left} {y + 5}h{max(length - 4, 0):.1f}a4 4 0 0 1 4 4v10'
                f'a4 4 0 0 1 -4 4h-{max(length - 4, 0):.1f}z"><title>{escape(name)}: {escape(text)}</title></path>'
            )
        body.append(f'<text class="label" x="{left + max(length, 0) + 8:.1f}" y="{y + 19}">{escape(text)}</text>')
    body.append(f'<line class="axis" x1="{left}" x2="{left}" y1="2" y2="{row_h * len(bars) + 4}"/>')
    return _svg(width, row_h * len(bars) + 8, "bars", body)


def _wrap(text: str, width: int) -> list[str]:
    """Wrap text to at most three lines of whole words; longer text ends with an ellipsis."""
    lines: list[str] = []
    for word in text.split():
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    short = [line if len(line) <= width + 1 else line[:width] + "…" for line in lines]
    return short if len(short) <= 3 else [*short[:2], short[2] + "…"]
