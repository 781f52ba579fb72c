"""Charts of predicted probabilities: calibration, and what each threshold gives."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clearprop.draw.axes import Plot, Scale, linear_scale, share_scale
from clearprop.draw.charts import bars
from clearprop.draw.svg import WIDTHS, Drawing, element, percent


def reliability_curve(
    label: str,
    predicted: np.ndarray,
    observed: np.ndarray,
    intervals: Sequence[tuple[float, float]],
    rows: np.ndarray,
    titles: tuple[str, str],
    most: float = 1.0,
) -> Drawing:
    """Observed frequency against predicted probability, per bin, with an interval; calibrated ones are on the line.

    The scale ends at `most`, or where all points are seen.
    """
    scale = _share_scale_to(max(most, float(observed.max())))
    plot = Plot(label, scale, scale, *titles, height=320, grid="xy")
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
    plot = Plot(label, _share_scale_to(float(edges.max())), y_scale, x_title, "rows", height=320)
    for (low, high), n in zip(edges, rows, strict=True):
        bars(plot, np.array([low, high]), np.array([n]), "first", [f"{percent(low)} to {percent(high)}: {n:,} rows"])
        middle = float(plot.x((low + high) / 2))
        plot.add(element("text", f"{n:,}", x=middle, y=float(plot.y(n)) - 5, class_="tick mid"))
    return plot.drawing()


def threshold_curve(
    label: str, x: np.ndarray, y: np.ndarray, titles: tuple[str, str], constant: tuple[float, float], at: int
) -> Drawing:
    """y against x, both shares, one point per threshold; the point `at` is marked, and a script can move the mark.

    `constant` are the values of y at x = 0 and x = 1 of a score that ignores the inputs.
    """
    plot = Plot(label, share_scale(), share_scale(), *titles, width=WIDTHS["third"], height=265, grid="xy")
    left, _, right, _ = plot.area
    low, high = (float(plot.y(value)) for value in constant)
    plot.add(element("line", x1=left, x2=right, y1=low, y2=high, class_="ideal"))
    plot.line(x, y, "first", label)
    here = element("title", f"{titles[0]} {percent(float(x[at]))}, {titles[1]} {percent(float(y[at]))}")
    if np.isfinite(y[at]):
        plot.add(element("circle", here, cx=float(plot.x(x[at])), cy=float(plot.y(y[at])), r=6, class_="spot moving"))
    return plot.drawing()


def _share_scale_to(most: float) -> Scale:
    """A scale of shares from 0% to soon after `most`."""
    scale = linear_scale([0, most], ticks=5)
    return Scale(0.0, min(1.0, scale.high), scale.ticks, tuple(map(percent, scale.ticks)))
