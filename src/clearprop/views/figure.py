"""A figure: panels side by side under a title, with a legend below, as one SVG that carries its own style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from markupsafe import Markup

from clearprop.draw.svg import Plot, coordinate, element, shorten, text_width
from clearprop.errors import ArgumentError
from clearprop.serialization.atomic import write_atomically

Legend = tuple[tuple[Markup, str], ...]
_PAD, _GAP, _TITLE, _LINE, _LEGEND = 22.0, 26.0, 30.0, 17.0, 22.0


@dataclass(frozen=True)
class Panel:
    """One drawing of a figure, `width` by `height`, with a line of text above it and its own legend below."""

    title: str
    width: float
    height: float
    parts: tuple[Markup, ...]
    legend: Legend = ()


@dataclass
class Chart(Plot):
    """A plot with axes as a panel of a figure; `y_title` stands upright beside it."""

    y_title: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.y_title and self.left is not None:
            self.left += 18

    def panel(self, title: str, legend: Legend = ()) -> Panel:
        """The axes with what was added to them."""
        return Panel(title, self.width, self.height, (*self._axes(), *self._upright(), *self.parts), legend)

    def _upright(self) -> list[Markup]:
        if not self.y_title:
            return []
        _, top, _, bottom = self.area
        x, y = 12.0, (top + bottom) / 2
        text = shorten(self.y_title, bottom - top + 40)
        turn = f"rotate(-90 {coordinate(x)} {coordinate(y)})"
        return [element("text", text, x=x, y=y, transform=turn, class_="title mid")]


@dataclass(frozen=True)
class Figure:
    """A picture that shows itself in a notebook; `svg` is its text, `save(path)` writes it.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> figure = views.hinton(cp.Network.sequential(2, 1).initialize(seed=0))
    >>> figure.title, figure.svg[:31]
    ('Weights', '<svg xmlns="http://www.w3.org/2')
    """

    title: str
    panels: tuple[Panel, ...]
    note: str = ""
    legend: Legend = ()
    columns: int = field(default=3)

    @property
    def svg(self) -> str:
        """The figure as the text of an SVG file."""
        width, placed, bottom = self._place_panels()
        parts = [element("text", self.title, x=_PAD, y=_TITLE, class_="heading")]
        for i, line in enumerate(_wrapped(self.note, width - 2 * _PAD)):
            parts.append(element("text", line, x=_PAD, y=_TITLE + 18 + _LINE * i, class_="note"))
        parts += placed
        legend, bottom = _place_legend(self.legend, _PAD, bottom, width - _PAD)
        height = bottom + _PAD - 6
        css = element("style", Markup(_style()))
        page = element("rect", width=width, height=height, rx=10, class_="page")
        return str(
            element(
                "svg", element("title", self.title), css, page, *parts, *legend,
                xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
                width=width, height=height, role="img", class_="clearprop-figure",
            )
        )  # fmt: skip

    def _place_panels(self) -> tuple[float, list[Markup], float]:
        """The width of the figure, the panels in rows, and where the last one ends."""
        rows = [self.panels[i : i + self.columns] for i in range(0, len(self.panels), self.columns)]
        inner = max([sum(p.width for p in row) + _GAP * (len(row) - 1) for row in rows] + [text_width(self.title, 17)])
        width = 2 * _PAD + max(inner, 300.0)
        top = _TITLE + 14 + (4 + _LINE * len(_wrapped(self.note, width - 2 * _PAD)) if self.note else 0)
        parts = []
        for row in rows:
            left, titled, lowest = _PAD, 22.0 * any(panel.title for panel in row), 0.0
            for panel in row:
                title = element("text", shorten(panel.title, panel.width, 13), x=0, y=-8, class_="caption")
                move = f"translate({coordinate(left)} {coordinate(top + titled)})"
                legend, high = _place_legend(panel.legend, 0, panel.height, panel.width)
                parts.append(element("g", *([title] if panel.title else []), *panel.parts, *legend, transform=move))
                left += panel.width + _GAP
                lowest = max(lowest, high)
            top += titled + lowest + _GAP
        return width, parts, top - _GAP

    def save(self, path: str | Path) -> None:
        """Write the figure as an SVG file, whole or not at all. Raises ArgumentError for a name of another ending.

        >>> import tempfile, clearprop as cp
        >>> from clearprop import views
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     views.hinton(cp.Network.sequential(2, 1).initialize(seed=0)).save(f"{folder}/weights.svg")
        """
        if Path(path).suffix.lower() != ".svg":
            raise ArgumentError(f"{path}: expected a name that ends in .svg, which is what a figure is written as.")
        write_atomically(str(path), self.svg.encode())

    def __repr__(self) -> str:
        return f'<Figure: {self.title}; save("name.svg") writes it>'

    def _repr_svg_(self) -> str:
        return self.svg


@cache
def _style() -> str:
    """The style sheet that every figure carries."""
    return resources.files("clearprop.views").joinpath("style.css").read_text(encoding="utf-8")


def _place_legend(legend: Legend, left: float, top: float, right: float) -> tuple[list[Markup], float]:
    """The entries in lines between left and right, below `top`, and where the last one ends."""
    parts, x, y = [], left, top + 16
    for swatch, words in legend:
        need = 34 + 8 + text_width(words)
        if x > left and x + need > right:
            x, y = left, y + _LEGEND
        move = f"translate({coordinate(x)} {coordinate(y)})"
        parts.append(element("g", swatch, element("text", words, x=42, y=11, class_="note"), transform=move))
        x += need + 18
    return parts, y + _LEGEND if legend else top


def _wrapped(text: str, width: float) -> list[str]:
    """The text in lines that are no wider than that."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def inset(drawing: Markup, width: float, height: float, y: float = 0) -> Markup:
    """A drawing that is an SVG of its own, inside another one."""
    return element("svg", drawing, width=width, height=height, y=y, overflow="visible")


def swatch(shape: str, class_: str) -> Markup:
    """What a legend shows: a "line", a "square" or a "dot" of a class."""
    if shape == "line":
        return element("path", d="M1 7H33", class_=f"line {class_}")
    if shape == "dot":
        return element("circle", cx=24, cy=7, r=5, class_=class_)
    return element("rect", x=19, y=1, width=12, height=12, rx=2, class_=class_)


def colours(count: int) -> Sequence[str]:
    """A class of the style sheet for each of so many things in order: two opposite colours, or a ramp."""
    if count <= 2:
        return ("second", "first")[2 - count :]
    return ramp(count)


def ramp(count: int) -> list[str]:
    """A class of the style sheet for each of so many things that follow each other."""
    return [f"ramp{round(i * 7 / max(1, count - 1))}" for i in range(count)]
