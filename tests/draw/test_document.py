"""Documents: every item is written, escaped, in one order."""

from __future__ import annotations

from xml.etree import ElementTree

from markupsafe import Markup

from clearprop.draw.document import Heading, Prose, Section, Table, page_html, sections_html
from clearprop.draw.figure import Figure
from clearprop.draw.svg import Drawing, element, swatch

XHTML = "{http://www.w3.org/1999/xhtml}"


def section(*items: object) -> ElementTree.Element:
    """The items of a section as XML."""
    return ElementTree.fromstring(sections_html([Section("title", items)], lambda formula: f"<math>{formula}</math>"))


def test_items_are_written_in_order_and_escaped():
    root = section(Heading("a < b"), Prose(("x & ", 3.5, "."), "note"), 7)
    assert [(node.tag, "".join(node.itertext())) for node in root] == [
        ("h2", "title"), ("h3", "a < b"), ("p", "x & 3.5."), ("math", "7"),
    ]  # fmt: skip
    assert root[2].get("class") == "note"
    assert root[2][0].tag == "math"


def test_numbers_of_a_table_are_at_the_right():
    (table,) = section(Table(("name", "value", "mixed"), (("a", 1.0, "frozen"), ("b", 2.0, 3.0)))).iter("table")
    assert [head.get("class") for head in table.iter("th")] == [None, "n", "n"]
    assert [cell.get("class") for cell in table.iter("td")] == [None, "n", "n"] * 2
    assert Table(("a", "b"), (("x", "1"),), left=1).right() == [False, True]


def test_a_folded_table_has_a_summary_and_a_table_of_pairs_has_no_head():
    folded = section(Table(("a",), (("x",),), "Title", note="more", folded=True))
    assert [node.tag for node in folded[1]] == ["summary", "div", "p"]
    pairs = section(Table(("", ""), (("a", "b"),), left=2))
    assert not list(pairs.iter("thead"))
    assert "pairs" in pairs[1].get("class", "")


def test_a_figure_has_its_caption_drawing_and_legend():
    drawing = Drawing("label", 10, 5, (element("circle", cx=1, cy=1, r=1),), ((swatch("dot", "first"), "meaning"),))
    (figure,) = section(Figure("Title", (drawing,), "note", size="wide")).iter("figure")
    assert figure.get("class") == "wide"
    assert "".join(figure.itertext()) == "Titlenotemeaning"
    assert [svg.get("viewBox") for svg in figure.iter("svg")] == ["0 0 10 5", "0 0 34 14"]


def test_a_page_is_well_formed_and_needs_nothing_outside_it():
    body = sections_html([Section("S", (Prose(("text",)),))])
    page = page_html("report", "kicker", "<title>", Markup(""), body, "footer")
    root = ElementTree.fromstring(page)
    assert root.findtext(f"{XHTML}head/{XHTML}title") == "<title> · kicker"
    style = root.findtext(f"{XHTML}head/{XHTML}style") or ""
    assert ".report" in style
    assert "/*" not in style
    assert "url(" not in page
