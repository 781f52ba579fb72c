"""Figures as PNG and PDF files.

The renderer reads no CSS variables and no media queries, so the style sheet is resolved into each element first, in the
colours of the light palette.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from clearprop.draw.svg import SUPERSCRIPT
from clearprop.errors import ArgumentError

_DIGITS = {chr(raised): chr(plain).replace("-", "−") for plain, raised in SUPERSCRIPT.items()}
_SVG = "http://www.w3.org/2000/svg"
#: Sans-serif fonts with Greek letters and arrows; the first two come with most systems or with the renderer.
_FONTS = "Liberation Sans, DejaVu Sans, Arial, Helvetica, Segoe UI"
_SCALE = 2.0  # pixels of a PNG for one of the figure, so that texts are sharp on paper and on dense screens


def render(svg: str, ending: str) -> bytes:
    """The contents of a ".png" or ".pdf" file of an SVG with our style sheet. Raises ArgumentError without the extra.

    >>> render('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>', ".png")[:4]
    b'\\x89PNG'
    """
    renderer = _library("vl_convert", ending)
    plain = resolve_styles(svg, ending)
    return renderer.svg_to_png(plain, scale=_SCALE) if ending == ".png" else renderer.svg_to_pdf(plain)


def resolve_styles(svg: str, ending: str = ".png") -> str:
    """The SVG without its style sheet: the style of each element, in the light palette, is an attribute of it.

    >>> css = ".a { --c: red } .a .b { fill: var(--c, blue) }"
    >>> resolve_styles(f'<svg class="a"><style>{css}</style><g class="b"/></svg>')
    '<svg class="a"><g class="b" style="fill:red" /></svg>'
    """
    css, select = _library("tinycss2", ending), _library("cssselect2", ending)
    ET.register_namespace("", _SVG)
    root = ET.fromstring(svg)
    matcher = select.Matcher()
    for parent in list(root.iter()):
        for sheet in [child for child in parent if child.tag.rpartition("}")[2] == "style"]:
            for rule in css.parse_stylesheet(sheet.text or "", skip_comments=True, skip_whitespace=True):
                if rule.type == "qualified-rule":  # the others are media queries: dark and print
                    for selector in select.compile_selector_list(rule.prelude):
                        matcher.add_selector(selector, _declarations(css, rule.content))
            parent.remove(sheet)
    _resolve(css, matcher, select.ElementWrapper.from_xml_root(root), {})
    return ET.tostring(root, encoding="unicode")


def _library(module: str, ending: str) -> Any:
    try:
        return import_module(module)
    except ImportError as reason:
        raise ArgumentError(
            f'{ending} files need the package "{module}". Install it with: pip install "clearprop[pictures]". '
            "SVG files need nothing more."
        ) from reason


def _declarations(css: Any, content: Any) -> list[tuple[str, list[Any]]]:
    """Names and values of the declarations of a rule or of a style attribute."""
    parsed = css.parse_declaration_list(content, skip_comments=True, skip_whitespace=True)
    return [(each.name, each.value) for each in parsed if each.type == "declaration"]


def _resolve(css: Any, matcher: Any, element: Any, inherited: Mapping[str, str]) -> None:
    """Write the style of an element and of all below it; custom properties are inherited."""
    node = element.etree_element
    declared = [pair for *_, pairs in matcher.match(element) for pair in pairs]  # the most specific last
    declared += _declarations(css, node.get("style", ""))
    last = dict(declared)
    known = dict(inherited)
    for name in [name for name in last if name.startswith("--")]:
        known[name] = css.serialize(last[name]).strip()
    style = {name: _text(css, value, known) for name, value in last.items() if not name.startswith("--")}
    if style.get("font-family", "inherit") != "inherit":
        style["font-family"] = _FONTS
    if "font-weight" in style:
        style["font-weight"] = str(round(int(style["font-weight"]), -2))  # the renderer knows hundreds only
    if element.local_name == "text":
        _raise_exponents(node)
    if style:
        node.set("style", ";".join(f"{name}:{value}" for name, value in style.items()))
    for child in element.iter_children():
        _resolve(css, matcher, child, known)


def _raise_exponents(node: ET.Element) -> None:
    """Write superscripts, which some of the fonts lack, as small raised digits."""
    text, *rest = re.split(f"([{''.join(_DIGITS)}]+)", node.text or "")
    node.text = text
    for exponent, tail in zip(rest[::2], rest[1::2], strict=True):
        raised = ET.SubElement(node, f"{{{_SVG}}}tspan", style="font-size:75%;baseline-shift:super")
        raised.text, raised.tail = "".join(_DIGITS[digit] for digit in exponent), tail


def _text(css: Any, value: list[Any], known: Mapping[str, str]) -> str:
    """A value with each var(--name, fallback) replaced."""
    parts = []
    for token in value:
        if token.type == "function" and token.lower_name == "var":
            name = next(t.value for t in token.arguments if t.type == "ident")
            comma = next((i for i, t in enumerate(token.arguments) if t == ","), None)
            if name in known:
                parts.append(_text(css, css.parse_component_value_list(known[name]), known))
            elif comma is not None:
                parts.append(_text(css, token.arguments[comma + 1 :], known))
        else:
            parts.append(token.serialize())
    return "".join(parts).strip()
