"""Parts of every drawing: escaped SVG elements, readable numbers and texts, and a drawing with its legend.

Colours are never written here: every element has a class, and style.css gives the class its colour in light, dark and
print.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

FONT_SIZE = 12.0
#: Widths of drawings for the sizes of a figure on a page; so all texts on the page have about the same size.
WIDTHS = {"wide": 880.0, "half": 420.0, "third": 270.0, "small": 195.0}
#: Entries of a legend: a sample, drawn in a box 34 by 14, and what it means.
Legend = tuple[tuple[Markup, str], ...]
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
#: Elements that HTML allows to close themselves when they are empty.
_EMPTY = {"circle", "img", "input", "line", "meta", "path", "rect", "wbr"}
SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def clean(text: Any) -> Any:
    """Text without the characters that XML forbids or that change the writing direction; markup is returned unchanged.

    >>> clean("a\\x00b")
    'a\ufffdb'
    """
    return text if isinstance(text, Markup) else _UNPRINTABLE.sub("\ufffd", str(text))


def element(tag: str, /, *children: Any, **attributes: Any) -> Markup:
    """An XML element with its content escaped; `class_` becomes class, `stroke_width` becomes stroke-width.

    Numbers are rounded to two decimals and must be finite (ValueError); attributes that are None are left out.

    >>> print(element("text", "a < b", x=1.5, class_="tick"))
    <text x="1.5" class="tick">a &lt; b</text>
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_attribute(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(str(escape(clean(child))) for child in children)
    return Markup(f"<{tag}{written}/>" if tag in _EMPTY and not content else f"<{tag}{written}>{content}</{tag}>")


def _attribute(value: Any) -> str:
    return clean(value) if isinstance(value, str) else coordinate(value)


def coordinate(value: float) -> str:
    """A coordinate with two decimals at most.

    >>> coordinate(3.14159), coordinate(2.0), coordinate(-0.001)
    ('3.14', '2', '0')
    """
    if not math.isfinite(value):
        raise ValueError(f"a coordinate must be a finite number, got {value}.")
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def number(value: float, digits: int = 3) -> str:
    """A number for people: significant digits, thousands separators, a power of ten if it is tiny or huge.

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
    tail = "" if -4 <= power < 9 else "×10" + str(int(f"{value:e}".partition("e")[2])).translate(SUPERSCRIPT)
    return text.replace("-", "−") + tail


def percent(share: float) -> str:
    """A share in percent, with one decimal unless that is 0.

    >>> percent(0.9734), percent(1.0), percent(float("nan"))
    ('97.3%', '100%', '–')
    """
    if not math.isfinite(share):
        return "–"
    text = f"{100 * share:.1f}".removesuffix(".0")
    return f"{text}%".replace("-", "−")


def text_width(text: str, size: float = FONT_SIZE) -> float:
    """The approximate width of a text in a sans-serif font, in pixels."""
    widths = {**dict.fromkeys("iljtf.,:;'| !()[]", 0.31), **dict.fromkeys("mwMW%@", 0.9)}
    return size * sum(widths.get(c, 1.0 if ord(c) > 0x2E7F else 0.68 if c.isupper() else 0.57) for c in text)


def shorten(text: str, width: float, size: float = FONT_SIZE) -> str:
    """The text, cut with an ellipsis to about `width` pixels.

    >>> shorten("a name that is much too long", 60)
    'a name t…'
    """
    text = clean(text)[:200]
    if text_width(text, size) <= width:
        return text
    while text and text_width(text + "…", size) > width:
        text = text[:-1]
    return text.rstrip() + "…"


def shorten_all(names: Sequence[str], width: float) -> list[str]:
    """Names cut to about `width` pixels; in the middle, or before they differ, if they would be the same otherwise.

    >>> shorten_all(["the first of many", "the first of many others"], 80)
    ['the fir…of many', 'the fir…others']
    >>> shorten_all(["income in 2021 (in thousands of dollars)", "income in 2022 (in thousands of dollars)"], 70)
    ['…n 2021 (in…', '…n 2022 (in…']
    """
    for cut in (shorten, shorten_middle):
        shown = [cut(name, width) for name in names]
        if len(set(shown)) == len(set(names)):
            return shown
    alike: dict[str, list[str]] = {}
    for text, name in zip(shown, names, strict=True):
        alike.setdefault(text, []).append(name)
    starts = {text: max(0, _differ_at(group) - 5) for text, group in alike.items()}
    return [
        shorten("…" + name[starts[text] :], width) if len(set(alike[text])) > 1 and starts[text] else text
        for text, name in zip(shown, names, strict=True)
    ]


def _differ_at(names: Sequence[str]) -> int:
    """How many letters the names have in common at their start."""
    return next((i for i, letters in enumerate(zip(*names, strict=False)) if len(set(letters)) > 1), 0)


def shorten_middle(text: str, width: float) -> str:
    """The text, cut in the middle with an ellipsis to about `width` pixels.

    >>> shorten_middle("a name that is much too long", 80)
    'a name…o long'
    """
    text = clean(text)
    if text_width(text) <= width:
        return text
    half = max(1, int(len(text) * width / text_width(text)) // 2)
    return f"{text[:half].rstrip()}…{text[len(text) - half :].lstrip()}"


def polyline(xs: Iterable[float], ys: Iterable[float]) -> str:
    """The path through points.

    >>> polyline([0, 1.25], [2, 3])
    'M0.0 2.0L1.2 3.0'
    """
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))


@dataclass(frozen=True)
class Drawing:
    """Elements in an area of `width` by `height` pixels, with a label for readers who cannot see it.

    A figure writes `title` above the drawing and `legend` below it; `coordinates` is that of a plot, for a script that
    shows values under the pointer.
    """

    label: str
    width: float
    height: float
    parts: tuple[Markup, ...]
    legend: Legend = ()
    title: str = ""
    coordinates: str = ""

    def svg(self) -> Markup:
        """An inline picture that scales with the page."""
        return element(
            "svg", *self.parts, viewBox=f"0 0 {coordinate(self.width)} {coordinate(self.height)}", role="img",
            aria_label=self.label, class_="clearprop", style=f"--w: {coordinate(self.width)}px",
            data_coordinates=self.coordinates or None,
        )  # fmt: skip


def swatch(shape: str, class_: str, opacity: float | None = None) -> Markup:
    """The sample of a legend: a "line", a "square" or a "dot" with a class."""
    if shape == "line":
        return element("path", d="M1 7H33", class_=f"line {class_}")
    if shape == "dot":
        return element("circle", cx=24, cy=7, r=5, class_=class_)
    return element("rect", x=19, y=1, width=12, height=12, rx=2, class_=class_, fill_opacity=opacity)
