"""Charts of how good the answers are: confusion, predicted against true, residuals, reliability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from clearprop.draw.charts import bars
from clearprop.draw.svg import (
    Plot,
    element,
    linear_scale,
    number,
    percent,
    picture,
    share_scale,
    shorten,
    text_width,
)
from clearprop.report.statistics import Reliability, density, wilson_interval

POINTS = 500
_CELLS = 44


def confusion_chart(label: str, matrix: np.ndarray, labels: Sequence[str]) -> Markup:
    """True classes down, answered classes across; right ones in one colour and mistakes in another, by share of row."""
    k = len(matrix)
    cell = max(20.0, min(100.0, 460 / k))
    names = [shorten(name, 130) for name in labels]
    widest = max(text_width(name) for name in names)
    flat = widest <= cell - 4
    left, top = widest + 34, 40.0 if flat else widest * 0.75 + 42
    rows = np.maximum(matrix.sum(axis=1), 1)
    parts = [
        element("text", "answered", x=left + cell * k / 2, y=12, class_="title mid"),
        element("text", "true", transform=f"translate(12 {top + cell * k / 2:.1f}) rotate(-90)", class_="title mid"),
    ]
    for i, name in enumerate(names):
        at = left + (i + 0.5) * cell
        turn = None if flat else f"rotate(-45 {at:.1f} {top - 8:.1f})"
        place = "tick mid" if flat else "tick"
        parts.append(element("text", name, x=left - 8, y=top + (i + 0.5) * cell + 4, class_="tick end"))
        parts.append(element("text", name, x=at, y=top - 8, class_=place, transform=turn))
    for i in range(k):
        for j in range(k):
            parts += _confusion_cell(
                matrix[i, j], rows[i], i == j, left + j * cell, top + i * cell, cell, labels[i], labels[j]
            )
    tail = 10.0 if flat else max(10.0, widest * 0.75 - cell / 2 + 10)
    return picture(label, left + cell * k + tail, top + cell * k + 6, *parts)


def _confusion_cell(
    count: int, rows: int, right: bool, x: float, y: float, cell: float, true: str, said: str
) -> list[Markup]:
    share = count / rows
    strength = 0.06 + 0.94 * share if right else (0.16 + 0.84 * share**0.5 if count else 0.0)
    tip = element("title", f"{true[:80]} taken for {said[:80]}: {count:,} of {rows:,} rows ({percent(share)})")
    class_ = "right" if right else "wrong" if count else "nothing"
    shade = None if class_ == "nothing" else strength
    size = cell - 2
    parts = [element("rect", tip, x=x + 1, y=y + 1, width=size, height=size, rx=3, class_=class_, fill_opacity=shade)]
    if count:
        text = f"{count:,}" if text_width(f"{count:,}") < cell - 4 else f"{count / 1000:.0f}k"
        ink = "cell on" if strength > 0.8 else "cell"
        parts.append(element("text", text, x=x + cell / 2, y=y + cell / 2 + 4, class_=ink))
    return parts


def predicted_against_true(label: str, y: np.ndarray, yhat: np.ndarray) -> Markup:
    """A point per row, or the density of many rows, with the line where they would be right."""
    scale = linear_scale(np.concatenate([y, yhat]), ticks=5)
    plot = Plot(label, scale, scale, "true", height=400, width=420, grid="xy", top=24)
    left, top, right, bottom = plot.area
    if len(y) <= POINTS:
        for true, said in zip(y, yhat, strict=True):
            tip = element("title", f"true {number(true)}, predicted {number(said)}")
            plot.add(element("circle", tip, cx=float(plot.x(true)), cy=float(plot.y(said)), r=3, class_="point"))
    else:
        _add_density(plot, density(y, yhat, scale.low, scale.high, _CELLS))
    plot.add(element("line", x1=left, y1=bottom, x2=right, y2=top, class_="ideal"))
    plot.add(element("text", "predicted", x=left, y=13, class_="title"))
    return plot.svg()


def _add_density(plot: Plot, cells: Sequence[tuple[int, int, int]]) -> None:
    left, top, right, bottom = plot.area
    wide, high = (right - left) / _CELLS, (bottom - top) / _CELLS
    most = max(count for *_, count in cells)
    for i, j, count in cells:
        shade = 0.1 + 0.9 * (np.log1p(count) / np.log1p(most))
        tip = element("title", f"{count:,} row{'s' if count > 1 else ''}")
        x, y = left + i * wide, bottom - (j + 1) * high
        plot.add(
            element(
                "rect", tip, x=x, y=y, width=wide - 0.4, height=high - 0.4, class_="first", fill_opacity=float(shade)
            )
        )


def residual_histogram(label: str, residual: np.ndarray) -> tuple[Markup, int]:
    """The middle 99% of predicted - true, with 0 marked; and how many rows lie further out."""
    low, high = np.quantile(residual, [0.005, 0.995]) if len(residual) >= 200 else (residual.min(), residual.max())
    if not high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    inside = residual[(residual >= low) & (residual <= high)]
    bins = int(np.clip(np.sqrt(len(inside)), 5, 40))
    counts, edges = np.histogram(inside, bins=bins, range=(low, high))
    plot = Plot(
        label, linear_scale([low, high], tight=True), linear_scale([0, counts.max()], ticks=4), "predicted − true",
        height=400, top=24,
    )  # fmt: skip
    tips = [f"{number(edges[i])} to {number(edges[i + 1])}: {count:,} rows" for i, count in enumerate(counts)]
    bars(plot, edges, counts, "first", tips)
    if low <= 0 <= high:
        zero = float(plot.x(0))
        plot.add(element("line", x1=zero, x2=zero, y1=plot.area[1], y2=plot.area[3], class_="ideal"))
    plot.add(element("text", "rows", x=plot.area[0], y=13, class_="title"))
    return plot.svg(), len(residual) - len(inside)


def reliability_curve(label: str, found: Reliability, x_title: str, y_title: str) -> Markup:
    """What came true against what was said, with 95% intervals; on the dashed line words are kept."""
    scale = share_scale()
    plot = Plot(label, scale, scale, x_title, width=420, height=380, grid="xy", top=24)
    left, top, right, bottom = plot.area
    plot.add(element("line", x1=left, y1=bottom, x2=right, y2=top, class_="ideal"))
    plot.add(element("text", y_title, x=left, y=13, class_="title"))
    for rows, said, true in zip(found.rows, found.said, found.came_true, strict=True):
        low, high = wilson_interval(true * rows, rows)
        x, y = float(plot.x(said)), float(plot.y(true))
        tip = element("title", f"said {percent(said)}, came true {percent(true)} ({rows:,} rows)")
        radius = 3 + 5 * float(np.sqrt(rows / found.rows.sum()))
        plot.add(
            element("line", x1=x, x2=x, y1=float(plot.y(low)), y2=float(plot.y(high)), class_="whisker"),
            element("circle", tip, cx=x, cy=y, r=radius, class_="bead"),
        )
    return plot.svg()


def reliability_counts(label: str, found: Reliability, x_title: str) -> Markup:
    """How many rows get a probability in each bin."""
    y_scale = linear_scale([0, 1.08 * int(found.rows.max())], ticks=4)
    plot = Plot(label, share_scale(), y_scale, x_title, width=420, height=380, top=24)
    for (low, high), rows in zip(found.edges, found.rows, strict=True):
        tip = f"{percent(low)} to {percent(high)}: {rows:,} rows"
        bars(plot, np.array([low, high]), np.array([rows]), "first", [tip])
        middle = float(plot.x((low + high) / 2))
        plot.add(element("text", f"{rows:,}", x=middle, y=float(plot.y(rows)) - 5, class_="tick mid"))
    plot.add(element("text", "rows", x=plot.area[0], y=13, class_="title"))
    return plot.svg()


def flag_bars(label: str, labels: Sequence[str], y: np.ndarray, predicted: np.ndarray) -> Markup:
    """For each yes-or-no label its rows as a bar: right and wrong ones, yes and no apart."""
    names = [shorten(name, 150) for name in labels]
    left, width, row = 14 + max(text_width(name) for name in names), 960.0, 30.0
    long = width - left - 70
    parts = []
    for i, name in enumerate(names):
        top, x = 6 + i * row, left
        yes, said = y[:, i] == 1, predicted[:, i] == 1
        kinds = [
            (yes & said, "right", "yes, found", 1.0), (yes & ~said, "wrong", "yes, missed", 1.0),
            (~yes & said, "wrong", "no, taken for yes", 0.6), (~yes & ~said, "right", "no, found", 0.35),
        ]  # fmt: skip
        parts.append(element("text", name, x=left - 10, y=top + 15, class_="tick end"))
        for rows, class_, what, shade in kinds:
            wide = long * float(rows.mean())
            tip = element(
                "title", f"{labels[i][:100]}: {what}, {int(rows.sum()):,} rows ({percent(float(rows.mean()))})"
            )
            if rows.any():
                parts.append(element("rect", tip, x=x, y=top, width=wide, height=20, class_=class_, fill_opacity=shade))
            x += wide
        parts.append(element("text", percent(float((yes == said).mean())), x=width - 60, y=top + 15, class_="value"))
    return picture(label, width, row * len(names) + 4, *parts)
