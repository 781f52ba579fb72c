"""Charts of how training went, of the layers and of the columns, drawn with the vocabulary of `svg`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from clearprop.draw.svg import (
    Plot,
    Scale,
    element,
    epoch_scale,
    linear_scale,
    log_scale,
    number,
    percent,
    picture,
    shorten,
    spread,
    text_width,
)

if TYPE_CHECKING:
    from clearprop.report.activity import LayerActivity
    from clearprop.report.importance import Importance

#: The style sheet has this many colours from the input to the output.
RAMP = 8
_POINTS = 240
_LINES = 12
_LINE_HEIGHT = 14


@dataclass(frozen=True)
class Curve:
    """A line of a chart over the epochs: its name, its class for the style sheet, a number per epoch."""

    name: str
    class_: str
    values: Sequence[float]


def thin(values: Sequence[float], most: int = _POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (from 1) and values to draw: all, or the smallest and largest of each stretch of a long run.

    >>> epochs, values = thin([float(i) for i in range(1000)], most=10)
    >>> len(epochs), float(values[0]), float(values[-1])
    (10, 0.0, 999.0)
    """
    array = np.asarray(values, float)
    if len(array) <= most:
        return np.arange(1, len(array) + 1), array
    kept: set[int] = {0, len(array) - 1}
    for part in np.array_split(np.arange(len(array)), most // 2):
        there = np.where(np.isfinite(array[part]), array[part], 0.0)
        kept |= {int(part[there.argmin()]), int(part[there.argmax()])}
    order = np.array(sorted(kept))
    return order + 1, array[order]


def over_epochs(
    label: str, curves: Sequence[Curve], best: int | None = None, log: bool | None = None, width: float = 420
) -> Markup:
    """Lines over the epochs, each named at its end; `best` (from 0) is marked. Wide ranges get a log scale."""
    everything = np.concatenate([np.asarray(curve.values, float) for curve in curves])
    finite = everything[np.isfinite(everything)]
    if log is None:
        log = len(finite) > 0 and finite.min() > 0 and finite.max() > 25 * finite.min()
    scale = log_scale(finite) if log else linear_scale(finite)
    epochs = max(len(curve.values) for curve in curves)
    names = [shorten(curve.name, 110) for curve in curves]
    right = 14 + max(text_width(name) for name in names)
    plot = Plot(label, epoch_scale(epochs), scale, "epoch", width, right=right, top=24)
    if best is not None:
        _mark_epoch(plot, best + 1)
    for curve in curves:
        plot.line(*thin(curve.values), curve.class_, tip=_tip(curve))
    _name_at_end(plot, curves, names)
    return plot.svg()


def _tip(curve: Curve) -> str:
    last = next((v for v in reversed(curve.values) if np.isfinite(v)), float("nan"))
    return f"{curve.name}: {number(curve.values[0])} in epoch 1, {number(last)} in epoch {len(curve.values):,}"


def _mark_epoch(plot: Plot, epoch: int) -> None:
    _, top, _, bottom = plot.area
    x = float(plot.x(epoch))
    side = "end" if x > plot.width * 0.55 else ""
    plot.add(
        element("line", x1=x, x2=x, y1=top - 6, y2=bottom, class_="mark"),
        element(
            "text", f"best: epoch {epoch:,}", x=x + (-5 if side else 5), y=top - 8, class_=f"mark-name {side}".strip()
        ),
    )


def _name_at_end(plot: Plot, curves: Sequence[Curve], names: Sequence[str]) -> None:
    """The names of the lines right of their last points, moved apart where they would overlap."""
    _, top, right, bottom = plot.area
    ends = []
    for curve in curves:
        drawn = [v for v in curve.values if np.isfinite(v) and (v > 0 or not plot.y_scale.log)]
        ends.append(float(plot.y(drawn[-1])) if drawn else bottom)
    for curve, name, y, end in zip(curves, names, spread(ends, _LINE_HEIGHT, top, bottom), ends, strict=True):
        if abs(y - end) > 3:
            plot.add(element("line", x1=right + 1, x2=right + 6, y1=end, y2=y, class_=f"leader {curve.class_}"))
        plot.add(element("text", name, x=right + 8, y=y + 4, class_=f"name {curve.class_}"))


def layers_over_epochs(label: str, norms: Mapping[str, Sequence[float]], best: int | None = None) -> Markup:
    """A line per layer on a log scale, coloured from the input to the output; of many layers, some spread evenly."""
    names = [name for name, values in norms.items() if any(np.isfinite(v) and v > 0 for v in values)]
    if len(names) > _LINES:
        names = [names[round(i * (len(names) - 1) / (_LINES - 1))] for i in range(_LINES)]
    colours = ramp(len(names))
    curves = [Curve(name, colours[i], norms[name]) for i, name in enumerate(names)]
    return over_epochs(label, curves, best, log=True)


def ramp(count: int) -> list[str]:
    """Classes of colours from the first of `count` layers to the last.

    >>> ramp(3)
    ['ramp0', 'ramp4', 'ramp7']
    """
    return [f"ramp{round(i * (RAMP - 1) / max(1, count - 1))}" for i in range(count)]


def versus(label: str, rows: Sequence[tuple[str, float, str, str]], whole: float) -> Markup:
    """Horizontal bars that start at 0: (name, value, its text, class), on a scale that ends at `whole`."""
    left, width, height = 8 + max(text_width(name) for name, *_ in rows), 420.0, 30.0
    right = 10 + max(text_width(text, 13) for _, _, text, _ in rows)
    long = width - left - right
    parts = []
    for i, (name, value, text, class_) in enumerate(rows):
        y, bar = i * height + 6, long * max(0.0, min(1.0, value / whole)) if whole > 0 else 0.0
        parts += [
            element("text", name, x=0, y=y + 14, class_="tick"),
            element("rect", x=left, y=y, width=long, height=20, rx=3, class_="track"),
            element(
                "rect", element("title", f"{name}: {text}"), x=left, y=y, width=bar, height=20, rx=3, class_=class_
            ),
            element("text", text, x=left + long + 8, y=y + 14.5, class_="value"),
        ]
    return picture(label, width, height * len(rows) + 4, *parts)


def saturation_bars(label: str, layers: Sequence[LayerActivity]) -> Markup:
    """For each layer the share of saturated activations and of dead units, as two bars on a scale to 100%."""
    names = [shorten(layer.layer.name, 130) for layer in layers]
    left, width, row = 14 + max(text_width(name) for name in names), 960.0, 46.0
    long = width - left - 190
    parts = []
    for i, (layer, name) in enumerate(zip(layers, names, strict=True)):
        y, units = i * row + 6, layer.layer.units
        parts.append(element("text", name, x=left - 10, y=y + 20, class_="tick end"))
        dead = f"{layer.dead:,} of {units:,} units dead"
        for k, (share, text, class_) in enumerate(
            [
                (layer.saturated or 0.0, f"{percent(layer.saturated or 0)} saturated", "first"),
                ((layer.dead or 0) / units, dead, "second"),
            ]
        ):
            top = y + 17 * k
            tip = element("title", f"{layer.layer.name}: {text}")
            parts += [
                element("rect", x=left, y=top, width=long, height=13, rx=2, class_="track"),
                element("rect", tip, x=left, y=top, width=long * share, height=13, rx=2, class_=class_),
                element("text", text, x=left + long + 9, y=top + 11, class_="tick" if not share else f"name {class_}"),
            ]
    return picture(label, width, row * len(layers) + 2, *parts)


def activation_histogram(layer: LayerActivity, class_: str, width: float = 230) -> Markup:
    """The activations of a layer as a small histogram, without those that are exactly 0."""
    label = f"Histogram of the activations of {layer.layer.name}"
    low, high = float(layer.edges[0]), float(layer.edges[-1])
    scale = Scale(low, high, (low, high), _ends(low, high))
    top = Scale(0, max(1, int(layer.counts.max(initial=0))), (), ())
    plot = Plot(label, scale, top, width=width, height=120, left=22, right=22, top=6)
    bars(plot, layer.edges, layer.counts, class_)
    return plot.svg()


def _ends(low: float, high: float) -> tuple[str, str]:
    """Two ends of a range, as precise as the range needs.

    >>> _ends(0.00017, 16.83)
    ('0', '17')
    """
    decimals = 1 - math.floor(math.log10(high - low))
    return number(round(low, decimals), 3), number(round(high, decimals), 3)


def bars(plot: Plot, edges: np.ndarray, counts: np.ndarray, class_: str, tips: Sequence[str] | None = None) -> None:
    """The bars of a histogram, with a hair of space between them."""
    total = max(1, int(counts.sum()))
    for i, count in enumerate(counts):
        if count:
            x0, x1, y = float(plot.x(edges[i])), float(plot.x(edges[i + 1])), float(plot.y(count))
            tip = f"{number(edges[i])} to {number(edges[i + 1])}: {percent(count / total)}" if tips is None else tips[i]
            width, height = max(0.8, x1 - x0 - 1), max(0.6, plot.area[3] - y)
            plot.add(element("rect", element("title", tip), x=x0 + 0.5, y=y, width=width, height=height, class_=class_))


def importance_bars(label: str, found: Importance, unit: str, scale_by: float = 1.0, most: int = 20) -> Markup:
    """How much the error grows without each column: a bar for the mean, a dot for each repeat; the largest first."""
    order = found.order[:most]
    names = [shorten(found.names[i], 190) for i in order]
    growth = found.growth[order] * scale_by
    left, row, width = 14 + max(text_width(name) for name in names), 24.0, 960.0
    low, high = min(0.0, growth.min()), max(0.0, growth.max())
    pad = 0.02 * (high - low)
    scale = linear_scale([low - pad if low else 0, high + pad], ticks=6, tight=True)
    empty = Scale(0, 1, (), ())
    plot = Plot(
        label, scale, empty, unit, width=width, height=row * len(order) + 46, left=left, right=66, top=4, grid="x"
    )
    start = float(plot.x(0))
    for k, (i, name) in enumerate(zip(order, names, strict=True)):
        y, end = 4 + row * k, float(plot.x(growth[k].mean()))
        text = number(float(growth[k].mean()), 2)
        tip = element(
            "title", f"{found.names[i][:200]}: {text} ({number(growth[k].min())} to {number(growth[k].max())})"
        )
        plot.add(
            element("text", name, x=left - 10, y=y + 16, class_="tick end"),
            element(
                "rect", tip, x=min(start, end), y=y + 4, width=abs(end - start), height=15, rx=2, class_="first pale"
            ),
            *(element("circle", cx=float(plot.x(g)), cy=y + 11.5, r=2.2, class_="repeat") for g in growth[k]),
            element("text", text, x=width - 60, y=y + 16, class_="value"),
        )
    plot.add(element("line", x1=start, x2=start, y1=4, y2=plot.area[3], class_="axis"))
    return plot.svg()
