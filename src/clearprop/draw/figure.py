"""A figure: drawings side by side under a title, with a note and a legend, as one SVG with its own style sheet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from clearprop.draw.picture_files import render
from clearprop.draw.style import style_sheet
from clearprop.draw.svg import Drawing, Legend, coordinate, element, shorten, text_width
from clearprop.errors import ArgumentError
from clearprop.serialization.atomic import write_atomically

_PAD, _GAP, _TITLE, _LINE, _LEGEND = 22.0, 26.0, 30.0, 17.0, 22.0


@dataclass(frozen=True)
class Figure:
    """A picture that a notebook displays; `svg` is its text, `save(path)` writes it to a file.

    >>> import clearprop as cp
    >>> from clearprop import views
    >>> figure = views.hinton(cp.Network.sequential(2, 1).initialize(seed=0))
    >>> figure.title, figure.svg[:31]
    ('Weights', '<svg xmlns="http://www.w3.org/2')
    """

    title: str
    panels: tuple[Drawing, ...]
    note: str = ""
    legend: Legend = ()
    columns: int = 3  #: the most panels in a row
    size: str = "half"  #: on a page: "half" or "third" of its width, "wide" for all of it, "small" for one of many

    @property
    def svg(self) -> str:
        """The figure as the text of an SVG file."""
        width, panels, bottom = self._place_panels()
        parts = [element("text", self.title, x=_PAD, y=_TITLE, class_="heading")]
        for i, line in enumerate(_wrapped(self.note, width - 2 * _PAD)):
            parts.append(element("text", line, x=_PAD, y=_TITLE + 18 + _LINE * i, class_="note"))
        legend, bottom = _place_legend(self.legend, _PAD, bottom, width - _PAD)
        height = bottom + _PAD - 6
        css = element("style", Markup(style_sheet()))
        page = element("rect", width=width, height=height, rx=10, class_="page")
        return str(
            element(
                "svg", element("title", self.title), css, page, *parts, *panels, *legend,
                xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {coordinate(width)} {coordinate(height)}",
                width=width, height=height, role="img", class_="clearprop figure",
            )
        )  # fmt: skip

    def _place_panels(self) -> tuple[float, list[Markup], float]:
        """The width of the figure, its panels in rows, and where the last row ends."""
        rows = [self.panels[i : i + self.columns] for i in range(0, len(self.panels), self.columns)]
        inner = max([sum(p.width for p in row) + _GAP * (len(row) - 1) for row in rows] + [text_width(self.title, 17)])
        width = 2 * _PAD + max(inner, 300.0)
        top = _TITLE + 14 + (4 + _LINE * len(_wrapped(self.note, width - 2 * _PAD)) if self.note else 0)
        parts = []
        for row in rows:
            left, title_height, lowest = _PAD, 22.0 * any(panel.title for panel in row), 0.0
            for panel in row:
                title = element("text", shorten(panel.title, panel.width, 13), x=0, y=-8, class_="caption")
                move = f"translate({coordinate(left)} {coordinate(top + title_height)})"
                legend, bottom = _place_legend(panel.legend, 0, panel.height, panel.width)
                parts.append(element("g", *([title] if panel.title else []), *panel.parts, *legend, transform=move))
                left += panel.width + _GAP
                lowest = max(lowest, bottom)
            top += title_height + lowest + _GAP
        return width, parts, top - _GAP

    def save(self, path: str | Path) -> None:
        """Write the figure to a file in one atomic step: SVG, PNG or PDF, by the end of the name.

        PNG (two pixels for one of the figure) and PDF are in the light colours, and need the extra
        `clearprop[pictures]`. Raises ArgumentError for another name, or if the extra is not installed.

        >>> import tempfile, clearprop as cp
        >>> from clearprop import views
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     views.hinton(cp.Network.sequential(2, 1).initialize(seed=0)).save(f"{folder}/weights.svg")
        """
        ending = Path(path).suffix.lower()
        if ending not in (".svg", ".png", ".pdf"):
            raise ArgumentError(f"{path}: expected a name that ends in .svg, .png or .pdf.")
        write_atomically(str(path), self.svg.encode() if ending == ".svg" else render(self.svg, ending))

    def __repr__(self) -> str:
        return f'<Figure: {self.title}; save("name.svg") writes it>'

    def _repr_svg_(self) -> str:
        return self.svg


def _place_legend(legend: Legend, left: float, top: float, right: float) -> tuple[list[Markup], float]:
    """The entries in lines between left and right, below `top`, and where the last line ends."""
    parts, x, y = [], left, top + 16
    for sample, meaning in legend:
        need = 34 + 8 + text_width(meaning)
        if x > left and x + need > right:
            x, y = left, y + _LEGEND
        move = f"translate({coordinate(x)} {coordinate(y)})"
        parts.append(element("g", sample, element("text", meaning, x=42, y=11, class_="note"), transform=move))
        x += need + 18
    return parts, y + _LEGEND if legend else top


def _wrapped(text: str, width: float) -> list[str]:
    """The text in lines of at most `width` pixels."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
