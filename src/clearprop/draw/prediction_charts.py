"""Charts that compare predictions with the truth: confusion, errors, calibration."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from clearprop.draw.axes import Plot, linear_scale, share_scale
from clearprop.draw.charts import bars
from clearprop.draw.svg import Drawing, element, number, percent, shorten, text_width

#: More rows than these are drawn as a density.
POINTS = 500
_CELLS = 44


def confusion_chart(label: str, matrix: np.ndarray, labels: Sequence[str]) -> Drawing:
    """A confusion matrix: true classes down, predicted classes across; the colour is the share of the row."""
    k = len(matrix)
    cell = max(20.0, min(100.0, 460 / k))
    names = [shorten(name, 130) for name in labels]
    widest = max(text_width(name) for name in names)
    flat = widest <= cell - 4
    left, top = widest + 34, 40.0 if flat else widest * 0.75 + 42
    parts = [
        element("text", "predicted", x=left + cell * k / 2, y=12, class_="title mid"),
        element("text", "true", transform=f"translate(12 {top + cell * k / 2:.1f}) rotate(-90)", class_="title mid"),
    ]
    for i, name in enumerate(names):
        at = left + (i + 0.5) * cell
        turn = None if flat else f"rotate(-45 {at:.1f} {top - 8:.1f})"
        parts.append(element("text", name, x=left - 8, y=top + (i + 0.5) * cell + 4, class_="tick end"))
        parts.append(element("text", name, x=at, y=top - 8, class_="tick mid" if flat else "tick", transform=turn))
    rows = np.maximum(matrix.sum(axis=1), 1)
    for i in range(k):
        for j in range(k):
            x, y, count = left + j * cell, top + i * cell, int(matrix[i, j])
            parts += _confusion_cell(count, int(rows[i]), i == j, x, y, cell, (labels[i], labels[j]))
    tail = 10.0 if flat else max(10.0, widest * 0.75 - cell / 2 + 10)
    return Drawing(label, left + cell * k + tail, top + cell * k + 6, tuple(parts))


def _confusion_cell(
    count: int, rows: int, right: bool, x: float, y: float, cell: float, classes: tuple[str, str]
) -> list[Markup]:
    share = count / rows
    strength = 0.06 + 0.94 * share if right else 0.16 + 0.84 * share**0.5
    true, predicted = (name[:80] for name in classes)
    tip = element("title", f"{true} predicted as {predicted}: {count:,} of {rows:,} rows ({percent(share)})")
    class_ = "first" if right else "second" if count else "empty"
    square = {"x": x + 1, "y": y + 1, "width": cell - 2, "height": cell - 2, "rx": 3}
    parts = [element("rect", tip, **square, class_=class_, fill_opacity=strength if right or count else None)]
    if count:
        text = f"{count:,}" if text_width(f"{count:,}") < cell - 4 else f"{count / 1000:.0f}k"
        class_ = "cell on" if strength > 0.8 else "cell"
        parts.append(element("text", text, x=x + cell / 2, y=y + cell / 2 + 4, class_=class_))
    return parts


def predicted_against_true(label: str, y: np.ndarray, yhat: np.ndarray) -> Drawing:
    """A point per row, or the density of many rows, with the line of perfect predictions."""
    scale = linear_scale(np.concatenate([y, yhat]), ticks=5)
    plot = Plot(label, scale, scale, "true", "predicted", height=400, grid="xy")
    left, top, right, bottom = plot.area
    if len(y) <= POINTS:
        for true, predicted in zip(y, yhat, strict=True):
            tip = element("title", f"true {number(true)}, predicted {number(predicted)}")
            at = {"cx": float(plot.x(true)), "cy": float(plot.y(predicted))}
            plot.add(element("circle", tip, **at, r=3, class_="first point"))
    else:
        _add_density(plot, y, yhat)
    plot.add(element("line", x1=left, y1=bottom, x2=right, y2=top, class_="ideal"))
    return plot.drawing()


def _add_density(plot: Plot, x: np.ndarray, y: np.ndarray) -> None:
    """The number of points in each cell of a grid, as shades."""
    low, high = plot.x_scale.low, plot.x_scale.high
    counts = np.histogram2d(x, y, bins=_CELLS, range=[[low, high], [low, high]])[0].astype(int)
    left, top, right, bottom = plot.area
    wide, high = (right - left) / _CELLS, (bottom - top) / _CELLS
    for i, j in np.argwhere(counts):
        count = int(counts[i, j])
        shade = float(0.1 + 0.9 * (np.log1p(count) / np.log1p(counts.max())))
        tip = element("title", f"{count:,} row{'s' if count > 1 else ''}")
        cell = {"x": left + i * wide, "y": bottom - (j + 1) * high, "width": wide - 0.4, "height": high - 0.4}
        plot.add(element("rect", tip, **cell, class_="first", fill_opacity=shade))


def residual_histogram(label: str, residual: np.ndarray) -> tuple[Drawing, int]:
    """The middle 99% of predicted minus true, with 0 marked; and the number of rows outside."""
    low, high = np.quantile(residual, [0.005, 0.995]) if len(residual) >= 200 else (residual.min(), residual.max())
    if not high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    inside = residual[(residual >= low) & (residual <= high)]
    counts, edges = np.histogram(inside, bins=int(np.clip(np.sqrt(len(inside)), 5, 40)), range=(low, high))
    scales = linear_scale([low, high], tight=True), linear_scale([0, counts.max()], ticks=4)
    plot = Plot(label, *scales, "predicted − true", "rows", height=400)
    tips = [f"{number(edges[i])} to {number(edges[i + 1])}: {count:,} rows" for i, count in enumerate(counts)]
    bars(plot, edges, counts, "first", tips)
    if low <= 0 <= high:
        zero = float(plot.x(0))
        plot.add(element("line", x1=zero, x2=zero, y1=plot.area[1], y2=plot.area[3], class_="ideal"))
    return plot.drawing(), len(residual) - len(inside)


def reliability_curve(
    label: str,
    predicted: np.ndarray,
    observed: np.ndarray,
    intervals: Sequence[tuple[float, float]],
    rows: np.ndarray,
    titles: tuple[str, str],
) -> Drawing:
    """Observed frequency against predicted probability, per bin, with an interval; calibrated ones are on the line."""
    plot = Plot(label, share_scale(), share_scale(), *titles, height=380, grid="xy")
    left, top, right, bottom = plot.area
    plot.add(element("line", x1=left, y1=bottom, x2=right, y2=top, class_="ideal"))
    for p, share, (low, high), n in zip(predicted, observed, intervals, rows, strict=True):
        x, radius = float(plot.x(p)), 3 + 5 * float(np.sqrt(n / rows.sum()))
        tip = element("title", f"predicted {percent(p)}, observed {percent(share)} ({n:,} rows)")
        plot.add(
            element("line", x1=x, x2=x, y1=float(plot.y(low)), y2=float(plot.y(high)), class_="whisker"),
            element("circle", tip, cx=x, cy=float(plot.y(share)), r=radius, class_="first bead"),
        )
    return plot.drawing()


def reliability_counts(label: str, edges: np.ndarray, rows: np.ndarray, x_title: str) -> Drawing:
    """The number of rows in each bin of probability."""
    y_scale = linear_scale([0, 1.08 * int(rows.max())], ticks=4)
    plot = Plot(label, share_scale(), y_scale, x_title, "rows", height=380)
    for (low, high), n in zip(edges, rows, strict=True):
        bars(plot, np.array([low, high]), np.array([n]), "first", [f"{percent(low)} to {percent(high)}: {n:,} rows"])
        middle = float(plot.x((low + high) / 2))
        plot.add(element("text", f"{n:,}", x=middle, y=float(plot.y(n)) - 5, class_="tick mid"))
    return plot.drawing()


def flag_bars(label: str, labels: Sequence[str], y: np.ndarray, predicted: np.ndarray) -> Drawing:
    """For each yes-or-no label its rows as one bar: true and false positives and negatives."""
    names = [shorten(name, 150) for name in labels]
    left, width, row = 14 + max(text_width(name) for name in names), 960.0, 30.0
    full = width - left - 70
    parts = []
    for i, name in enumerate(names):
        top, x = 6 + i * row, left
        yes, said_yes = y[:, i] == 1, predicted[:, i] == 1
        kinds = [
            (yes & said_yes, "first", "true positives", 1.0), (yes & ~said_yes, "second", "false negatives", 1.0),
            (~yes & said_yes, "second", "false positives", 0.6), (~yes & ~said_yes, "first", "true negatives", 0.35),
        ]  # fmt: skip
        parts.append(element("text", name, x=left - 10, y=top + 15, class_="tick end"))
        for rows, class_, what, shade in kinds:
            share = float(rows.mean())
            tip = element("title", f"{labels[i][:100]}: {int(rows.sum()):,} {what} ({percent(share)} of the rows)")
            if share:
                bar = {"x": x, "y": top, "width": full * share, "height": 20}
                parts.append(element("rect", tip, **bar, class_=class_, fill_opacity=shade))
            x += full * share
        right = percent(float((yes == said_yes).mean()))
        parts.append(element("text", right, x=width - 60, y=top + 15, class_="value"))
    return Drawing(label, width, row * len(names) + 4, tuple(parts))
