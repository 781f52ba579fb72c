"""A small vocabulary for charts: escaped elements, scales with good ticks, and a plot with axes.

Colours are never written here: every element has a class, and the page's style sheet gives the class its colour in
light, dark and print.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup, escape

FONT_SIZE = 12.0
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def clean(text: Any) -> Any:
    """Text without the characters that XML forbids or that turn the direction of writing; markup stays as it is.

    >>> clean("a\\x00b")
    'a\ufffdb'
    """
    return text if isinstance(text, Markup) else _UNPRINTABLE.sub("\ufffd", str(text))


def element(name: str, *children: Any, **attributes: Any) -> Markup:
    """An element of XML with everything in it escaped; `class_` is class, `stroke_width` is stroke-width.

    Numbers must be finite (ValueError), and keep two decimals; an attribute that is None is left out.

    >>> print(element("text", "a < b", x=1.5, class_="tick"))
    <text x="1.5" class="tick">a &lt; b</text>
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(str(escape(clean(child))) for child in children)
    return Markup(f"<{name}{given}>{content}</{name}>" if content else f"<{name}{given}/>")


def _attribute(value: Any) -> str:
    return clean(value) if isinstance(value, str) else coordinate(value)


def coordinate(value: float) -> str:
    """A number of a drawing, with two decimals at most.

    >>> coordinate(3.14159), coordinate(2.0), coordinate(-0.001)
    ('3.14', '2', '0')
    """
    if not math.isfinite(value):
        raise ValueError(f"a drawing has no place for {value}.")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def number(value: float, digits: int = 3) -> str:
    """A number for people: some significant digits, thousands apart, powers of ten where it is tiny or huge.

    >>> number(1234567.8), number(0.012345), number(2.5e-7), number(97.0)
    ('1,234,568', '0.0123', '2.5×10⁻⁷', '97')
    """
    if not math.isfinite(value):
        return "–" if math.isnan(value) else "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    power = math.floor(math.log10(abs(value)))
    if -4 <= power < 9:
        text = f"{value:,.{max(0, digits - 1 - power)}f}"
    else:
        text = f"{value:.{digits - 1}e}".partition("e")[0]
    text = text.rstrip("0").rstrip(".") if "." in text else text
    tail = "" if -4 <= power < 9 else "×10" + str(int(f"{value:e}".partition("e")[2])).translate(_SUPERSCRIPT)
    return text.replace("-", "−") + tail


def percent(share: float) -> str:
    """A share as percent, with one decimal unless that is 0.

    >>> percent(0.9734), percent(1.0), percent(float("nan"))
    ('97.3%', '100%', '–')
    """
    if not math.isfinite(share):
        return "–"
    text = f"{100 * share:.1f}".removesuffix(".0")
    return f"{text}%".replace("-", "−")


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """About how wide a text is in a sans-serif font: wide for East Asian letters, narrow for thin ones."""
    widths = {**dict.fromkeys("iljtf.,:;'| !()[]", 0.31), **dict.fromkeys("mwMW%@", 0.9)}
    return size * sum(widths.get(c, 1.0 if ord(c) > 0x2E7F else 0.68 if c.isupper() else 0.57) for c in text)


def shorten(text: str, width: float, size: float = FONT_SIZE) -> str:
    """The text, cut with an ellipsis to about the given width.

    >>> shorten("a name that is much too long", 60)
    'a name t…'
    """
    text = clean(text)[:200]
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` placed on 0 to 1, with ticks and their labels."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    log: bool = False

    def place(self, values: Any) -> Any:
        """Where values lie between 0 and 1; what lies outside is put on the edge."""
        low, high, values = (np.log10(v) if self.log else v for v in (self.low, self.high, np.asarray(values, float)))
        return np.clip((values - low) / (high - low), 0, 1)


def linear_scale(values: Iterable[float], ticks: int = 5, zero: bool = False, tight: bool = False) -> Scale:
    """A scale from a round number to a round number around the finite values; `tight` ends it at the values.

    >>> linear_scale([0.3, 9.7]).ticks
    (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)
    """
    finite = _finite(values)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
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
    """A logarithmic scale around the positive values, from and to 1, 2 or 5 times a power of ten.

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


def share_scale(high: float = 1.0) -> Scale:
    """A scale of percent from 0 to at least `high`.

    >>> share_scale().labels
    ('0%', '20%', '40%', '60%', '80%', '100%')
    """
    scale = linear_scale([0, high])
    return Scale(0.0, scale.high, scale.ticks, tuple(percent(tick) for tick in scale.ticks))


def epoch_scale(epochs: int) -> Scale:
    """A scale of epochs counted from 1.

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
    return ("" if times == 1 else f"{times}×") + "10" + str(power).translate(_SUPERSCRIPT)


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in the same order, at least `apart` and within low and high if they fit.

    >>> spread([10, 11, 50], apart=10, low=0, high=100)
    [5.5, 15.5, 50.0]
    """
    order = np.argsort(wanted, kind="stable")
    groups: list[list[int]] = []
    tops: list[float] = []

    def settle(group: list[int]) -> float:
        """Where the first of the group comes to lie: nearest to all that are wanted."""
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
    places = [0.0] * len(order)
    for group, top in zip(groups, tops, strict=True):
        for k, i in enumerate(group):
            places[i] = top + k * apart
    return places


@dataclass
class Plot:
    """A drawing area with axes, to which elements are added; `svg()` gives the whole.

    `x` and `y` map values to places in pixels of a drawing `width` by `height`.
    """

    label: str
    x_scale: Scale
    y_scale: Scale
    x_title: str = ""
    width: float = 420
    height: float = 270
    right: float = 22
    left: float | None = None
    top: float = 12
    grid: str = "y"
    parts: list[Markup] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.left is None:
            self.left = 14 + max((text_width(label) for label in self.y_scale.labels), default=0)
        self.bottom = 40.0 if self.x_title else 24.0

    @property
    def area(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom edge of the drawing area."""
        assert self.left is not None
        return self.left, self.top, self.width - self.right, self.height - self.bottom

    def x(self, values: Any) -> Any:
        """Pixels from the left."""
        left, _, right, _ = self.area
        return left + (right - left) * self.x_scale.place(values)

    def y(self, values: Any) -> Any:
        """Pixels from the top."""
        _, top, _, bottom = self.area
        return bottom - (bottom - top) * self.y_scale.place(values)

    def add(self, *parts: Markup) -> None:
        """Put elements on top of what is there."""
        self.parts += parts

    def line(
        self, xs: Sequence[float] | np.ndarray, ys: Sequence[float] | np.ndarray, class_: str, tip: str | None = None
    ) -> None:
        """A line through the points; it breaks where y has no place (NaN, infinite, or 0 on a log scale)."""
        y = np.asarray(ys, float)
        there = np.isfinite(y) & (y > 0 if self.y_scale.log else True)
        places = [
            (coordinate(float(px)), coordinate(float(py)))
            for px, py in zip(self.x(np.asarray(xs, float)), self.y(np.where(there, y, 1.0)), strict=True)
        ]
        path, pen_down = [], False
        for (px, py), shown in zip(places, there, strict=True):
            if shown:
                path.append(f"{'L' if pen_down else 'M'}{px} {py}")
            pen_down = bool(shown)
        alone = [
            element("circle", cx=float(px), cy=float(py), r=2.6, class_=f"{class_} dot")
            for i, (px, py) in enumerate(places)
            if there[i] and not (i > 0 and there[i - 1]) and not (i + 1 < len(there) and there[i + 1])
        ]
        title = [element("title", tip)] if tip else []
        if path:
            self.add(element("path", *title, d="".join(path), class_=f"line {class_}"), *alone)

    def svg(self) -> Markup:
        """The plot as an inline picture."""
        return picture(self.label, self.width, self.height, *self._axes(), *self.parts)

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
        return parts


def picture(label: str, width: float, height: float, *parts: Markup, class_: str | None = None) -> Markup:
    """An inline SVG that grows and shrinks with the page, with a label for those who cannot see it."""
    box = f"0 0 {coordinate(width)} {coordinate(height)}"
    style = f"--w: {coordinate(width)}px"
    return element("svg", *parts, viewBox=box, role="img", aria_label=label, class_=class_, style=style)
