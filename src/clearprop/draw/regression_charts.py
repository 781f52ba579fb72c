"""Charts of predicted numbers: against the true ones, and the residuals (predicted - true)."""

from __future__ import annotations

import numpy as np

from clearprop.draw.axes import Plot, Scale, inner_range, linear_scale
from clearprop.draw.charts import bars
from clearprop.draw.svg import WIDTHS, Drawing, coordinate, element, number

#: More rows than these are drawn as a density.
POINTS = 500
_CELLS = 44
_WIDTH, _HEIGHT = WIDTHS["third"], 265.0
_SHADES = 8


def predicted_against_true(label: str, y: np.ndarray, yhat: np.ndarray) -> tuple[Drawing, int]:
    """A point per row, or the density of many rows, with the line of perfect predictions.

    Also the number of rows that are drawn at the edge, because they would crush the rest.
    """
    low, high, _ = inner_range(np.concatenate([y, yhat]))
    scale = linear_scale([low, high], ticks=3)
    plot = Plot(label, scale, scale, "true", "predicted", width=_WIDTH, height=_HEIGHT, grid="xy")
    _add_points(
        plot, y, yhat, [f"true {number(t)}, predicted {number(p)}" for t, p in zip(*_few(y, yhat), strict=True)]
    )
    left, top, right, bottom = plot.area
    plot.add(element("line", x1=left, y1=bottom, x2=right, y2=top, class_="ideal"))
    return plot.drawing(), _outside(scale, y, scale, yhat)


def residuals_against_predicted(
    label: str, yhat: np.ndarray, residual: np.ndarray, bands: np.ndarray
) -> tuple[Drawing, int]:
    """The residuals over the predictions, and how many rows are at the edge.

    `bands` (bins, 4) hold the mean prediction, and the 5%, 50% and 95% quantiles of the residuals of each bin.
    """
    x, y = (linear_scale(inner_range(values)[:2], ticks=3) for values in (yhat, residual))
    plot = Plot(label, x, y, "predicted", "predicted − true", width=_WIDTH, height=_HEIGHT, grid="xy")
    tips = [f"predicted {number(p)}, error {number(r)}" for p, r in zip(*_few(yhat, residual), strict=True)]
    _add_points(plot, yhat, residual, tips)
    left, _, right, _ = plot.area
    zero = float(plot.y(0.0))
    plot.add(element("line", x1=left, x2=right, y1=zero, y2=zero, class_="ideal"))
    for column, name in ((1, "5%"), (2, "median"), (3, "95%")):
        class_ = "second" if column == 2 else "second thin"
        plot.line(bands[:, 0], bands[:, column], class_, f"{name} of the errors", name)
    return plot.drawing(), _outside(x, yhat, y, residual)


def _few(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All points if they are drawn one by one, else none."""
    return (x, y) if len(x) <= POINTS else (x[:0], y[:0])


def _outside(x_scale: Scale, x: np.ndarray, y_scale: Scale, y: np.ndarray) -> int:
    """The number of points outside the scales."""
    return int(((x < x_scale.low) | (x > x_scale.high) | (y < y_scale.low) | (y > y_scale.high)).sum())


def _add_points(plot: Plot, x: np.ndarray, y: np.ndarray, tips: list[str]) -> None:
    if not tips:
        _add_density(plot, x, y)
    for a, b, tip in zip(x[: len(tips)], y, tips, strict=False):
        at = {"cx": float(plot.x(a)), "cy": float(plot.y(b))}
        plot.add(element("circle", element("title", tip), **at, r=3, class_="first point"))


def _add_density(plot: Plot, x: np.ndarray, y: np.ndarray) -> None:
    """The number of points in each cell of a grid: a path for each shade."""
    scales = plot.x_scale, plot.y_scale
    inside = [np.clip(values, scale.low, scale.high) for values, scale in zip((x, y), scales, strict=True)]
    counts = np.histogram2d(*inside, bins=_CELLS, range=[[s.low, s.high] for s in scales])[0].astype(int)
    left, top, right, bottom = plot.area
    wide, high = (right - left) / _CELLS, (bottom - top) / _CELLS
    strength = np.log1p(counts) / np.log1p(counts.max())
    levels = np.ceil(strength * _SHADES).astype(int)
    cell = f"h{coordinate(wide - 0.4)}v{coordinate(high - 0.4)}h{coordinate(0.4 - wide)}z"
    for level in range(1, _SHADES + 1):
        cells = np.argwhere(levels == level)
        if len(cells):
            path = "".join(f"M{left + i * wide:.1f} {bottom - (j + 1) * high:.1f}{cell}" for i, j in cells.tolist())
            least, most = int(counts[levels == level].min()), int(counts[levels == level].max())
            rows = f"{most:,} row{'s' * (most > 1)}" if least == most else f"{least:,} to {most:,} rows"
            tip = element("title", f"{rows} in a cell")
            plot.add(element("path", tip, d=path, class_="first", fill_opacity=float(0.1 + 0.9 * level / _SHADES)))


def residual_histogram(label: str, residual: np.ndarray) -> tuple[Drawing, int]:
    """The middle 99% of predicted minus true, with 0 marked; and the number of rows outside."""
    low, high = np.quantile(residual, [0.005, 0.995]) if len(residual) >= 200 else inner_range(residual)[:2]
    if not high - low > 1e-12 * max(1.0, abs(low), abs(high)):
        low, high = low - 0.5, high + 0.5
    inside = residual[(residual >= low) & (residual <= high)]
    counts, edges = np.histogram(inside, bins=int(np.clip(np.sqrt(len(inside)), 5, 40)), range=(low, high))
    scales = linear_scale([low, high], ticks=3, tight=True), linear_scale([0, counts.max()], ticks=4)
    plot = Plot(label, *scales, "predicted − true", "rows", width=_WIDTH, height=_HEIGHT)
    tips = [f"{number(edges[i])} to {number(edges[i + 1])}: {count:,} rows" for i, count in enumerate(counts)]
    bars(plot, edges, counts, "first", tips)
    if low <= 0 <= high:
        zero = float(plot.x(0))
        plot.add(element("line", x1=zero, x2=zero, y1=plot.area[1], y2=plot.area[3], class_="ideal"))
    return plot.drawing(), len(residual) - len(inside)
