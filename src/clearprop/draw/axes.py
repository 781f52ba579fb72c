"""Scales with round ticks, and a plot with axes to which elements are added."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup

from clearprop.draw.svg import SUPERSCRIPT, Drawing, Legend, coordinate, element, number, percent, text_width

Numbers = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to positions from 0 to 1; has ticks with labels."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def position(self, values: Any) -> Any:
        """Positions between 0 and 1; values outside the scale are moved to its ends."""
        low, high, values = (np.log10(v) if self.log else v for v in (self.low, self.high, np.asarray(values, float)))
        return np.clip((values - low) / (high - low), 0, 1)


def linear_scale(values: Iterable[float], ticks: int = 5, tight: bool = False) -> Scale:
    """A scale between round numbers that holds all finite values; with `tight` it ends at the values.

    >>> linear_scale([0.3, 9.7]).ticks
    (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    """
    finite = _finite(values)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)) or high == low:
        pad = abs(low) / 2 or 0.5
        low, high = low - pad, high + pad
    step = _round_step((high - low) / ticks)
    if tight:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    marks = tuple(float(i * step) for i in range(first, last + 1))
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    labels = tuple(_tick_label(mark, decimals) for mark in marks)
    return Scale(low if tight else min(low, marks[0]), high if tight else max(high, marks[-1]), marks, labels)


def log_scale(values: Iterable[float]) -> Scale:
    """A logarithmic scale that holds all positive values; it starts and ends at 1, 2 or 5 times a power of ten.

    >>> log_scale([0.02, 3.0]).labels, log_scale([0.3, 0.9]).labels
    (('0.1', '1'), ('0.2', '0.5', '1'))
    """
    finite = _finite(values)
    positive = finite[finite > 0]
    low, high = (float(positive.min()), float(positive.max())) if len(positive) else (0.1, 1.0)
    first, last = math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 1
    steps = [(power, m) for power in range(first, last + 1) for m in (1, 2, 5)]
    start = max(i for i, (power, m) in enumerate(steps) if m * 10.0**power <= low * (1 + 1e-9))
    stop = min(i for i, (power, m) in enumerate(steps) if m * 10.0**power >= high * (1 - 1e-9))
    stop = max(stop, start + 1)
    inside = steps[start : stop + 1]
    decades = [power for power, m in inside if m == 1]
    if len(decades) >= 2:
        inside = [(power, 1) for power in decades[:: math.ceil(len(decades) / 7)]]
    (p0, m0), (p1, m1) = steps[start], steps[stop]
    ticks = tuple(m * 10.0**power for power, m in inside)
    return Scale(m0 * 10.0**p0, m1 * 10.0**p1, ticks, tuple(_decade(power, m) for power, m in inside), log=True)


def share_scale() -> Scale:
    """A scale from 0% to 100%.

    >>> share_scale().labels
    ('0%', '20%', '40%', '60%', '80%', '100%')
    """
    ticks = linear_scale([0, 1]).ticks
    return Scale(0.0, 1.0, ticks, tuple(map(percent, ticks)))


def inner_range(values: Iterable[float], share: float = 0.02, crushed: float = 8.0) -> tuple[float, float, int]:
    """The range to draw: of all values, or without outliers that would crush the rest; and how many are outside.

    A `share` of the values at each end, at least one of ten, is left out if the range is `crushed` times as wide with
    them as without.

    >>> inner_range([1.0, 2.0, 3.0])
    (1.0, 3.0, 0)
    >>> inner_range([*range(20), 1e6])
    (1.0, 19.0, 2)
    """
    finite = np.sort(_finite(values))
    if len(finite) == 0:
        return 0.0, 1.0, 0
    low, high = float(finite[0]), float(finite[-1])
    cut = int(np.ceil(share * len(finite))) if len(finite) >= 10 else 0
    inner = finite[cut : len(finite) - cut]
    if high - low <= crushed * (inner[-1] - inner[0]) or cut == 0:
        return low, high, 0
    low, high = float(inner[0]), float(inner[-1])
    return low, high, int(np.count_nonzero((finite < low) | (finite > high)))


def epoch_scale(epochs: int) -> Scale:
    """A scale of epochs, counted from 1.

    >>> epoch_scale(30).ticks
    (1, 10, 20, 30)
    """
    if epochs <= 1:
        return Scale(0.5, 1.5, (1,), ("1",))
    step = max(1, round(_round_step((epochs - 1) / 5)))
    ticks = (1, *(tick for tick in range(step, epochs + 1, step) if tick > 1 + step / 3))
    return Scale(1, epochs, ticks, tuple(f"{tick:,}" for tick in ticks))


def _finite(values: Iterable[float]) -> np.ndarray:
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64).ravel()
    return array[np.isfinite(array)]


def _round_step(rough: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten that is at least `rough`."""
    base = 10.0 ** math.floor(math.log10(rough))
    return base * next(m for m in (1, 2, 5, 10) if m * base >= rough * (1 - 1e-9))


def _tick_label(mark: float, decimals: int) -> str:
    if mark == 0:
        return "0"
    if decimals > 4 or abs(mark) >= 1e6:
        return _compact(mark)
    return f"{mark:,.{decimals}f}".replace("-", "−")


def _compact(value: float) -> str:
    for size, letter in ((1e9, "G"), (1e6, "M")):
        if size <= abs(value) < 1e3 * size:
            return f"{value / size:g}{letter}".replace("-", "−")
    return number(value)


def _decade(power: int, times: int) -> str:
    if -3 <= power <= 4:
        return f"{times * 10.0**power:,.{max(0, -power)}f}"
    return ("" if times == 1 else f"{times}×") + "10" + str(power).translate(SUPERSCRIPT)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Positions near the wanted ones, in the same order, at least `apart` and between low and high if they fit.

    >>> spread([10, 11, 50], apart=10, low=0, high=100)
    [5.5, 15.5, 50.0]
    """
    order = np.argsort(wanted, kind="stable")
    groups: list[list[int]] = []
    tops: list[float] = []

    def settle(group: list[int]) -> float:
        """The position of the first of the group that keeps all of them nearest to the wanted positions."""
        top = float(np.mean([wanted[i] - k * apart for k, i in enumerate(group)]))
        return max(low, min(top, high - (len(group) - 1) * apart))

    for i in order:
        groups.append([int(i)])
        tops.append(settle(groups[-1]))
        while len(groups) > 1 and tops[-1] < tops[-2] + len(groups[-2]) * apart:
            last = groups.pop()
            tops.pop()
            groups[-1] += last
            tops[-1] = settle(groups[-1])
    positions = [0.0] * len(order)
    for group, top in zip(groups, tops, strict=True):
        for k, i in enumerate(group):
            positions[i] = top + k * apart
    return positions


@dataclass
class Plot:
    """A drawing area with axes, to which elements are added; `drawing()` returns the result.

    `x` and `y` convert values to pixels. The title of the y axis is written above it.
    """

    label: str
    x_scale: Scale
    y_scale: Scale
    x_title: str = ""
    y_title: str = ""
    width: float = 420
    height: float = 270
    right: float = 22
    left: float = 0  #: of the y axis; 0 leaves room for its labels
    top: float = 12
    grid: str = "y"
    parts: list[Markup] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.left = self.left or 14 + max(map(text_width, self.y_scale.labels), default=0)
        self.y_title = ", ".join(filter(None, (self.y_title, "log scale" if self.y_scale.log else "")))
        self.x_title = f"{self.x_title}, log scale" if self.x_scale.log else self.x_title
        self.top += 14.0 if self.y_title else 0.0
        self.bottom = 40.0 if self.x_title else 24.0

    @property
    def area(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge of the drawing area."""
        return self.left, self.top, self.width - self.right, self.height - self.bottom

    def x(self, values: Any) -> Any:
        """Pixels from the left."""
        left, _, right, _ = self.area
        return left + (right - left) * self.x_scale.position(values)

    def y(self, values: Any) -> Any:
        """Pixels from the top."""
        _, top, _, bottom = self.area
        return bottom - (bottom - top) * self.y_scale.position(values)

    def add(self, *parts: Markup) -> None:
        """Draw elements on top of the others."""
        self.parts += parts

    def line(self, xs: Numbers, ys: Numbers, class_: str, tip: str, name: str = "") -> None:
        """A line through the points; it breaks where y cannot be drawn (NaN, infinite, or 0 on a log scale).

        With a `name` a page shows its values under the pointer.
        """
        y = np.asarray(ys, float)
        shown = np.isfinite(y) & (y > 0 if self.y_scale.log else True)
        px, py = self.x(np.asarray(xs, float)), self.y(np.where(shown, y, 1.0))
        path, alone = "", []
        for i in np.flatnonzero(shown):
            follows, leads = i > 0 and shown[i - 1], i + 1 < len(shown) and shown[i + 1]
            path += f"{'L' if follows else 'M'}{coordinate(px[i])} {coordinate(py[i])}"
            if not follows and not leads:
                alone.append(element("circle", cx=float(px[i]), cy=float(py[i]), r=2.6, class_=f"{class_} dot"))
        if path:
            self.add(
                element("path", element("title", tip), d=path, class_=f"line {class_}", data_name=name or None), *alone
            )

    def drawing(self, title: str = "", legend: Legend = ()) -> Drawing:
        """The axes and all that was added."""
        parts = (*self._axes(), *self.parts)
        return Drawing(self.label, self.width, self.height, parts, legend, title, self._coordinates())

    def _coordinates(self) -> str:
        """What turns pixels back into values: left, right, the values there, and whether on a log scale; so for y."""
        left, top, right, bottom = self.area
        x, y = self.x_scale, self.y_scale
        numbers = (left, right, x.low, x.high, x.log, bottom, top, y.low, y.high, y.log)
        return " ".join(f"{float(value):.6g}" for value in numbers)

    def _axes(self) -> list[Markup]:
        left, top, right, bottom = self.area
        parts = []
        for tick, label in zip(self.y_scale.ticks, self.y_scale.labels, strict=True):
            at = float(self.y(tick))
            if "y" in self.grid:
                parts.append(element("line", x1=left, x2=right, y1=at, y2=at, class_="grid"))
            parts.append(element("text", label, x=left - 7, y=at + 4, class_="tick end"))
        for tick, label in zip(self.x_scale.ticks, self.x_scale.labels, strict=True):
            at = float(self.x(tick))
            if "x" in self.grid:
                parts.append(element("line", x1=at, x2=at, y1=top, y2=bottom, class_="grid"))
            parts.append(element("line", x1=at, x2=at, y1=bottom, y2=bottom + 4, class_="axis"))
            parts.append(element("text", label, x=at, y=bottom + 17, class_="tick mid"))
        parts.append(element("line", x1=left, x2=right, y1=bottom, y2=bottom, class_="axis"))
        if self.x_title:
            parts.append(element("text", self.x_title, x=(left + right) / 2, y=self.height - 5, class_="title mid"))
        if self.y_title:
            parts.append(element("text", self.y_title, x=self.left, y=12, class_="title"))
        return parts
