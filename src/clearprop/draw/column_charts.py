"""Charts of the columns of a table: their importance, and how the predictions change with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clearprop.draw.axes import Plot, Scale, linear_scale
from clearprop.draw.charts import Curve
from clearprop.draw.svg import WIDTHS, Drawing, element, number, shorten_all, swatch, text_width


def repeated_bars(label: str, names: Sequence[str], values: np.ndarray, unit: str) -> Drawing:
    """A bar for the mean of each row of `values` (names, repeats), with a dot for each repeat."""
    shown = shorten_all(names, 130)
    left, row, width = 14 + max(text_width(name) for name in shown), 24.0, WIDTHS["half"]
    low, high = min(0.0, values.min()), max(0.0, values.max())
    pad = 0.02 * (high - low)
    scale = linear_scale([low - pad if low else 0, high + pad], ticks=4, tight=True)
    height = row * len(names) + 46
    plot = Plot(
        label, scale, Scale(0, 1, (), ()), unit, width=width, height=height, left=left, right=66, top=4, grid="x"
    )
    start = float(plot.x(0))
    for k, repeats in enumerate(values):
        y, end, text = 4 + row * k, float(plot.x(repeats.mean())), number(float(repeats.mean()), 2)
        tip = element("title", f"{names[k][:200]}: {text} ({number(repeats.min())} to {number(repeats.max())})")
        bar = {"x": min(start, end), "y": y + 4, "width": abs(end - start), "height": 15, "rx": 2}
        plot.add(
            element("text", shown[k], x=left - 10, y=y + 16, class_="tick end"),
            element("rect", tip, **bar, class_="first pale"),
            *(element("circle", cx=float(plot.x(v)), cy=y + 11.5, r=2.2, class_="first") for v in repeats),
            element("text", text, x=width - 62, y=y + 16, class_="value"),
        )
    plot.add(element("line", x1=start, x2=start, y1=4, y2=plot.area[3], class_="axis"))
    return plot.drawing()


def effect_curves(
    label: str, x: np.ndarray, curves: Sequence[Curve], titles: tuple[str, str], y_scale: Scale
) -> Drawing:
    """Mean predictions over the values x of a column of numbers; the ticks below are the values themselves."""
    plot = Plot(label, linear_scale(x, ticks=4, tight=True), y_scale, *titles, width=WIDTHS["third"], height=220)
    bottom = plot.area[3]
    for curve in curves:
        plot.line(x, curve.values, curve.class_, curve.name, curve.name)
    marks = "".join(f"M{float(plot.x(value)):.1f} {bottom:.1f}v-5" for value in x)
    plot.add(element("path", d=marks, class_="axis"))
    return plot.drawing(legend=_legend(curves))


def effect_dots(label: str, names: Sequence[str], curves: Sequence[Curve], title: str, x_scale: Scale) -> Drawing:
    """Mean predictions for each category of a column, one row of dots per category."""
    shown = shorten_all(names, 110)
    left, row = 14 + max(text_width(name) for name in shown), 22.0
    height = row * len(names) + 44
    plot = Plot(
        label, x_scale, Scale(0, 1, (), ()), title, width=WIDTHS["third"], height=height, left=left, top=4, grid="x"
    )
    for k, name in enumerate(shown):
        y = 4 + row * (k + 0.5)
        plot.add(element("text", name, x=left - 8, y=y + 4, class_="tick end"))
        for curve in curves:
            tip = element("title", f"{names[k][:200]}: {curve.name} {number(curve.values[k])}")
            plot.add(element("circle", tip, cx=float(plot.x(curve.values[k])), cy=y, r=4.5, class_=curve.class_))
    return plot.drawing(legend=_legend(curves))


def _legend(curves: Sequence[Curve]) -> tuple:
    return tuple((swatch("dot", curve.class_), curve.name) for curve in curves) if len(curves) > 1 else ()
