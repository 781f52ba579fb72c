"""The pages of a worked solution or a derivation: self-contained HTML pages, and LaTeX documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from clearprop.draw.document import Section, contents, page_html
from clearprop.draw.style import light_colour, style_sheet
from clearprop.explain.derivation import Derivation
from clearprop.explain.derivation.latex import escape, render_latex
from clearprop.explain.derivation.mathml import render_sections
from clearprop.explain.worked.tikz import tikz_figure

_FOOTER = "Made by clearprop. Every number on this page is one that the library computed."


def solution_page(title: str, sections: Sequence[Section], digits: int, letters: Mapping[str, str]) -> str:
    """A worked solution as a page."""
    body = render_sections(sections, digits, letters, folding=True)
    return page_html("solution", "clearprop worked solution", title, contents(sections), body, _FOOTER)


def solution_fragment(sections: Sequence[Section], digits: int, letters: Mapping[str, str]) -> str:
    """A worked solution for a notebook: with its style, without a page around it."""
    body = render_sections(sections, digits, letters, folding=True)
    return f'<style>{style_sheet("page", "solution")}</style><div class="clearprop solution">{body}</div>'


def derivation_page(derivation: Derivation) -> str:
    """A derivation as a page."""
    body = render_sections(derivation.sections, derivation.digits)
    return page_html("solution", "clearprop derivation", derivation.title, Markup(""), body, _FOOTER)


_PREAMBLE = r"""\documentclass[10pt, fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{amsmath}
\usepackage{textcomp}
\usepackage{longtable}
\usepackage{tikz}
\usepackage[a4paper, margin=18mm]{geometry}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\AtBeginDocument{%
  \setlength{\abovedisplayskip}{6pt plus 3pt}\setlength{\belowdisplayskip}{6pt plus 3pt}%
  \setlength{\abovedisplayshortskip}{6pt plus 3pt}\setlength{\belowdisplayshortskip}{6pt plus 3pt}%
  \setlength{\mathindent}{1em}}
"""


def solution_document(title: str, sections: Sequence[Section], digits: int, letters: Mapping[str, str]) -> str:
    """A worked solution as a LaTeX document."""
    return _document(title, render_latex(sections, digits, tikz_figure, letters))


def derivation_document(derivation: Derivation) -> str:
    """A derivation as a LaTeX document."""
    return _document(derivation.title, derivation.latex())


#: Names of colours in the drawings, and in the style sheet.
_COLOURS = {"plus": "first", "minus": "second"} | {
    name: name for name in ("input", "hidden", "output", *(f"ramp{i}" for i in range(8)))
}


def _document(title: str, body: str) -> str:
    colours = "".join(f"\\definecolor{{{name}}}{{HTML}}{{{light_colour(of)}}}\n" for name, of in _COLOURS.items())
    heading = f"\\section*{{\\Large {escape(title)}}}"
    return f"{_PREAMBLE}{colours}\\begin{{document}}\n\\small\n{heading}\n\n{body}\\end{{document}}\n"
