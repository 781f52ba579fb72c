"""Charts of a training run, of layers and of columns. They take plain values and return a `Drawing`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from clearprop.draw.axes import Plot, Scale, epoch_scale, inner_range, linear_scale, log_scale, spread
from clearprop.draw.svg import Drawing, element, number, percent, shorten, text_width

_POINTS = 240
_LINES = 12
_LINE_HEIGHT = 14


@dataclass(frozen=True)
class Curve:
    """A line over the epochs: its name, the class of its colour, one value per epoch."""

    name: str
    class_: str
    values: Sequence[float]


def thin(values: Sequence[float], most: int = _POINTS) -> tuple[np.ndarray, np.ndarray]:
    """Epochs (from 1) and values to draw: all of them, or the minimum and maximum of each part of a long run.

    >>> epochs, values = thin([float(i) for i in range(1000)], most=10)
    >>> len(epochs), float(values[0]), float(values[-1])
    (10, 0.0, 999.0)
    """
    array = np.asarray(values, float)
    if len(array) <= most:
        return np.arange(1, len(array) + 1), array
    chosen: set[int] = {0, len(array) - 1}
    for part in np.array_split(np.arange(len(array)), most // 2):
        finite = np.where(np.isfinite(array[part]), array[part], 0.0)
        chosen |= {int(part[finite.argmin()]), int(part[finite.argmax()])}
    order = np.array(sorted(chosen))
    return order + 1, array[order]


def over_epochs(
    label: str,
    curves: Sequence[Curve],
    best: int | None = None,
    log: bool | None = None,
    width: float = 420,
    title: str = "",
) -> Drawing:
    """Lines over the epochs, each named at its end; `best` (from 0) is marked.

    Wide ranges use a log scale; outliers that would crush the rest are drawn at the edge, and counted in the title of
    the axis.
    """
    values = np.concatenate([np.asarray(curve.values, float) for curve in curves])
    finite = values[np.isfinite(values)]
    if log is None:
        log = len(finite) > 0 and finite.min() > 0 and finite.max() > 25 * finite.min()
    low, high, outside = (0.0, 0.0, 0) if log else inner_range(finite)
    scale = log_scale(finite) if log else linear_scale([low, high])
    y_title = f"{outside:,} value{'s' * (outside > 1)} beyond the axis" if outside else ""
    epochs = max(len(curve.values) for curve in curves)
    names = [shorten(curve.name, 110) for curve in curves]
    right = 20 + max(text_width(name) for name in names)
    plot = Plot(label, epoch_scale(epochs), scale, "epoch", y_title, width=width, right=right, top=24)
    if best is not None:
        _mark_epoch(plot, best + 1)
    for curve in curves:
        plot.line(*thin(curve.values), curve.class_, _tip(curve), curve.name[:80])
    _name_at_end(plot, curves, names)
    return plot.drawing(title)


def _tip(curve: Curve) -> str:
    last = next((v for v in reversed(curve.values) if np.isfinite(v)), float("nan"))
    return f"{curve.name}: {number(curve.values[0])} in epoch 1, {number(last)} in epoch {len(curve.values):,}"


def _mark_epoch(plot: Plot, epoch: int) -> None:
    _, top, _, bottom = plot.area
    x = float(plot.x(epoch))
    name = f"restored: epoch {epoch:,}"
    wide = text_width(name)
    left = x - 5 - wide if x > plot.width * 0.55 else x + 5
    plot.add(
        element("line", x1=x, x2=x, y1=top - 6, y2=bottom, class_="mark"),
        element("text", name, x=max(0.0, min(left, plot.width - wide)), y=top - 8, class_="mark-name"),
    )


def _name_at_end(plot: Plot, curves: Sequence[Curve], names: Sequence[str]) -> None:
    """Write the names of the lines to the right of their last points, moved apart where they would overlap."""
    _, top, right, bottom = plot.area
    ends = []
    for curve in curves:
        drawn = [v for v in curve.values if np.isfinite(v) and (v > 0 or not plot.y_scale.log)]
        ends.append(float(plot.y(drawn[-1])) if drawn else bottom)
    for curve, name, y, end in zip(curves, names, spread(ends, _LINE_HEIGHT, top, bottom), ends, strict=True):
        plot.add(
            element("path", d=f"M{right + 1:.1f} {end:.1f}L{right + 6:.1f} {y:.1f}h5", class_=f"leader {curve.class_}"),
            element("text", name, x=right + 14, y=y + 4, class_="name"),
        )


def layers_over_epochs(
    label: str, curves: Sequence[Curve], best: int | None = None, width: float = 420, title: str = ""
) -> Drawing:
    """A line per layer on a log scale, for the layers of `layers_drawn`."""
    return over_epochs(label, layers_drawn(curves), best, log=True, width=width, title=title)


def layers_drawn(curves: Sequence[Curve]) -> list[Curve]:
    """The curves that a log scale shows; of more than 12, 12 at equal distances."""
    drawn = [curve for curve in curves if any(np.isfinite(v) and v > 0 for v in curve.values)]
    if len(drawn) > _LINES:
        drawn = [drawn[round(i * (len(drawn) - 1) / (_LINES - 1))] for i in range(_LINES)]
    return drawn


@dataclass(frozen=True)
class Bar:
    """A horizontal bar: the share of the full length, the text beside it, the class of its colour."""

    share: float
    text: str
    class_: str


def bar_rows(label: str, rows: Mapping[str, Sequence[Bar]], width: float = 420, thick: float = 20) -> Drawing:
    """Rows of horizontal bars of `thick` pixels that start at 0, each row with its name."""
    names = [shorten(name, 170) for name in rows]
    left = 14 + max(text_width(name) for name in names)
    full = width - left - 10 - max(text_width(bar.text, 13) for bars in rows.values() for bar in bars)
    parts, top = [], 6.0
    for (name, bars), shown in zip(rows.items(), names, strict=True):
        step = thick + 4
        parts.append(element("text", shown, x=0, y=top + step * len(bars) / 2 + 2.5, class_="tick"))
        for bar in bars:
            length, tip = full * max(0.0, min(1.0, bar.share)), element("title", f"{name}: {bar.text}")
            text_class = "value" if bar.share else "tick"
            parts += [
                element("rect", x=left, y=top, width=full, height=thick, rx=3, class_="track"),
                element("rect", tip, x=left, y=top, width=length, height=thick, rx=3, class_=bar.class_),
                element(
                    "text",
                    bar.text,
                    x=left + full + 8,
                    y=top + thick / 2 + 4.5,
                    class_=text_class,
                ),
            ]
            top += step
        top += 6
    return Drawing(label, width, top, tuple(parts))


def small_histogram(label: str, edges: np.ndarray, counts: np.ndarray, class_: str, width: float = 230) -> Drawing:
    """A histogram with the two ends of its range as the only ticks."""
    low, high = float(edges[0]), float(edges[-1])
    x_scale = Scale(low, high, (low, high), _ends(low, high))
    y_scale = Scale(0, max(1, int(counts.max(initial=0))), (), ())
    plot = Plot(label, x_scale, y_scale, width=width, height=120, left=22, right=22, top=6)
    bars(plot, edges, counts, class_)
    return plot.drawing()


def _ends(low: float, high: float) -> tuple[str, str]:
    """The two ends of a range, as precise as the range requires.

    >>> _ends(0.00017, 16.83)
    ('0', '17')
    """
    decimals = 1 - math.floor(math.log10(high - low))
    return number(round(low, decimals), 3), number(round(high, decimals), 3)


def bars(plot: Plot, edges: np.ndarray, counts: np.ndarray, class_: str, tips: Sequence[str] | None = None) -> None:
    """Add the bars of a histogram, with a small gap between them."""
    total = max(1, int(counts.sum()))
    for i, count in enumerate(counts):
        if count:
            x0, x1, y = float(plot.x(edges[i])), float(plot.x(edges[i + 1])), float(plot.y(count))
            tip = f"{number(edges[i])} to {number(edges[i + 1])}: {percent(count / total)}" if tips is None else tips[i]
            width, height = max(0.8, x1 - x0 - 1), max(0.6, plot.area[3] - y)
            plot.add(element("rect", element("title", tip), x=x0 + 0.5, y=y, width=width, height=height, class_=class_))
