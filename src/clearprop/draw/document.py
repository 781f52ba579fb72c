"""Documents: sections of headings, paragraphs, tables, figures and formulas, and their HTML.

A formula is any other object; the writer of a document passes the function that writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from clearprop.draw.figure import Figure
from clearprop.draw.style import script, style_sheet
from clearprop.draw.svg import Legend, clean, element

Formula = Callable[[Any], str]


@dataclass(frozen=True)
class Heading:
    """A small heading inside a section."""

    text: str


@dataclass(frozen=True)
class Prose:
    """A paragraph: text with formulas in it; `role` is its class, such as "reading" or "note"."""

    parts: tuple[Any, ...]
    role: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts, numbers and formulas under a head; in a table of pairs the head has empty texts.

    Columns from `left` on are aligned at the right, or those in `at_right`; without both, those that hold a number. A
    `folded` table is
    opened by a click; `size` is "half" or "broad", or "broad stacked" for long texts: blocks on narrow screens.
    """

    head: tuple[Any, ...]
    rows: tuple[tuple[Any, ...], ...]
    title: str = ""
    left: int | None = None
    note: str = ""
    folded: bool = False
    size: str = "half"
    at_right: tuple[bool, ...] = ()

    def right(self) -> list[bool]:
        """Which columns are aligned at the right."""
        columns = range(len(self.head))
        if self.at_right:
            return list(self.at_right)
        if self.left is not None:
            return [i >= self.left for i in columns]
        return [any(isinstance(row[i], int | float) for row in self.rows) for i in columns]


@dataclass(frozen=True)
class Section:
    """A title with what is below it: headings, prose, tables, figures and formulas."""

    title: str
    items: tuple[Any, ...]


def page_html(kind: str, kicker: str, title: str, head: Markup, body: Markup, footer: str) -> str:
    """A page that needs nothing outside it: style sheets, a header with a title and `head`, and `body`.

    `kind` is the class of the body and the name of its style sheet: "solution", or "report" or "player", which have a
    script.
    """
    metas = [
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
    ]
    style = element("style", Markup(f"\n{style_sheet('page', 'equations', kind)}\n@page {{ margin: 12mm; }}\n"))
    scripts = [element("script", Markup(f"\n{script(kind)}\n"))] if kind in ("report", "player") else []
    header = element("header", element("p", kicker, class_="kicker"), element("h1", title), head)
    main = element("main", body)
    page = element(
        "html",
        element("head", *metas, element("title", f"{title} · {kicker}"), style),
        element(
            "body", header, main, element("footer", element("p", footer)), *scripts, class_=f"clearprop {kind}"
        ),
        lang="en", xmlns="http://www.w3.org/1999/xhtml",
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{page}\n"


def sections_html(sections: Sequence[Section], formula: Formula = str, folding: bool = False) -> Markup:
    """The sections as HTML, without a page around them; `formula` writes formulas as HTML.

    With `folding` each section, and each part of it below a heading, opens and closes by a click on its title.
    """
    return Markup("\n").join(
        element("section", *_folding(section, formula) if folding else _open(section, formula), id=f"section-{i}")
        for i, section in enumerate(sections, 1)
    )


def contents(sections: Sequence[Section]) -> Markup:
    """Links to the sections."""
    links = [element("a", section.title, href=f"#section-{i}") for i, section in enumerate(sections, 1)]
    return element("nav", element("span", "Contents"), *links, aria_label="Contents")


def _open(section: Section, formula: Formula) -> list[Markup]:
    return [element("h2", section.title), *(_item(item, formula) for item in section.items)]


def _folding(section: Section, formula: Formula) -> list[Markup]:
    starts = [i for i, item in enumerate(section.items) if isinstance(item, Heading)]
    ends = [*starts[1:], len(section.items)]
    inner = [_item(item, formula) for item in section.items[: starts[0] if starts else None]]
    for start, end in zip(starts, ends if starts else [], strict=True):
        heading, *items = (_item(item, formula) for item in section.items[start:end])
        inner.append(element("details", element("summary", heading), *items, open="open"))
    return [element("details", element("summary", element("h2", section.title)), *inner, open="open")]


def items_html(items: Sequence[Any], formula: Formula = str) -> list[Markup]:
    """Each item as HTML; a Markup is HTML already."""
    return [_item(item, formula) for item in items]


def _item(item: Any, formula: Formula) -> Markup:
    match item:
        case Heading():
            return element("h3", item.text)
        case Prose():
            return element("p", *_parts(item.parts, formula), class_=item.role or None)
        case Figure():
            return _figure(item)
        case Table():
            return _table(item, formula)
        case Markup():
            return item
        case _:
            return Markup(clean(formula(item)))


def _parts(parts: Sequence[Any], formula: Formula) -> list[Any]:
    return [part if isinstance(part, str) else Markup(clean(formula(part))) for part in parts]


def _figure(figure: Figure) -> Markup:
    panels = [element("div", panel.svg(), class_="scroll") for panel in figure.panels]
    title = [element("strong", figure.title)] if figure.title else []
    caption = element("figcaption", *title, *([element("span", figure.note)] if figure.note else []))
    legend = figure.legend or tuple(entry for panel in figure.panels for entry in panel.legend)
    return element("figure", caption, *panels, *([_legend(legend)] if legend else []), class_=figure.size)


def _legend(legend: Legend) -> Markup:
    entries = [
        element("li", element("svg", sample, viewBox="0 0 34 14", aria_hidden="true", class_="clearprop"), meaning)
        for sample, meaning in legend
    ]
    return element("ul", *entries, class_="legend")


def _table(table: Table, formula: Formula) -> Markup:
    classes = ["n" if right else None for right in table.right()]

    stacked = "stacked" in table.size  # on narrow screens each row is a block, with the head before each cell

    def cells(name: str, row: Sequence[Any]) -> list[Markup]:
        return [
            element(name, *_parts([cell], formula), class_=class_, data_head=head if stacked and name == "td" else None)
            for cell, class_, head in zip(row, classes, table.head, strict=True)
        ]

    pairs = not any(table.head)
    head = [] if pairs else [element("thead", element("tr", *cells("th", table.head)))]
    body = element("tbody", *(element("tr", *cells("td", row)) for row in table.rows))
    parts = [element("div", element("table", *head, body), class_="scroll")]
    if table.title:
        parts.insert(0, element("summary" if table.folded else "h3", table.title))
    if table.note:
        parts.append(element("p", table.note, class_="note"))
    class_ = f"table {table.size}{' pairs' if pairs else ''}"
    return element("details" if table.folded else "div", *parts, class_=class_)
