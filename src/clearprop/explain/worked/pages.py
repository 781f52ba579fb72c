"""The pages around a worked solution or a derivation: HTML that stands alone, and a LaTeX document."""

from __future__ import annotations

from html import escape as escape_html
from importlib import resources
from typing import TYPE_CHECKING

from clearprop.draw.svg import clean
from clearprop.explain.derivation import Derivation
from clearprop.explain.derivation.latex import escape as escape_latex
from clearprop.explain.derivation.latex import render_latex
from clearprop.explain.derivation.mathml import MathMLNotation, item_html, render_sections

if TYPE_CHECKING:
    from clearprop.explain.worked.lecture import Chapter
    from clearprop.explain.worked.solution import WorkedSolution


def html_page(solution: WorkedSolution) -> str:
    """The worked solution as a page."""
    return _page(solution.title, "worked solution", _body(solution))


def html_fragment(solution: WorkedSolution) -> str:
    """The worked solution for a notebook: with its style, without a page around it."""
    return f'<style>{_style()}</style><div class="solution">{_body(solution)}</div>'


def derivation_page(derivation: Derivation) -> str:
    """A derivation as a page."""
    body = render_sections(derivation.sections, derivation.digits)
    return _page(derivation.title, "derivation", body)


def _body(solution: WorkedSolution) -> str:
    return "\n".join(_chapter(chapter, solution.digits) for chapter in solution.chapters)


def _chapter(chapter: Chapter, digits: int) -> str:
    notation = MathMLNotation(digits)
    drawn = ""
    if chapter.picture is not None:
        caption = escape_html(chapter.picture.caption)
        svg = chapter.picture.drawing.svg()
        drawn = f'<figure><div class="scroll">{svg}</div><figcaption>{caption}</figcaption></figure>'
    items = "\n".join(item_html(item, notation) for item in chapter.section.items)
    return f"<section>\n<h2>{escape_html(chapter.section.title)}</h2>\n{drawn}\n{items}\n</section>"


def _page(title: str, kind: str, body: str) -> str:
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape_html(clean(title))} · clearprop</title>
<style>
{_style()}
</style>
</head>
<body class="solution">
<header>
<p class="kicker">clearprop {kind}</p>
<h1>{escape_html(clean(title))}</h1>
</header>
<main>
{clean(body)}
</main>
<footer><p>Made by clearprop. Every number on this page is one that the library computed.</p></footer>
</body>
</html>
"""


def _style() -> str:
    return resources.files("clearprop.explain.worked").joinpath("style.css").read_text(encoding="utf-8").strip()


_PREAMBLE = r"""\documentclass[10pt, fleqn]{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{amsmath}
\usepackage{textcomp}
\usepackage{longtable}
\usepackage{tikz}
\usepackage[a4paper, margin=18mm]{geometry}
\definecolor{plus}{HTML}{1F6FB4}
\definecolor{minus}{HTML}{C8590A}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{4pt}
\AtBeginDocument{%
  \setlength{\abovedisplayskip}{6pt plus 3pt}\setlength{\belowdisplayskip}{6pt plus 3pt}%
  \setlength{\abovedisplayshortskip}{6pt plus 3pt}\setlength{\belowdisplayshortskip}{6pt plus 3pt}%
  \setlength{\mathindent}{1em}}
"""


def latex_page(solution: WorkedSolution) -> str:
    """The worked solution as a LaTeX document."""
    parts = []
    for chapter in solution.chapters:
        written = render_latex([chapter.section], solution.digits)
        if chapter.picture is not None:
            heading, _, rest = written.partition("\n\n")
            caption = escape_latex(chapter.picture.caption)
            drawn = f"\\begin{{center}}\n{chapter.picture.drawing.tikz()}\n\n\\small {caption}\n\\end{{center}}"
            written = f"{heading}\n\n{drawn}\n\n{rest}"
        parts.append(written)
    return _document(solution.title, "\n".join(parts))


def derivation_document(derivation: Derivation) -> str:
    """A derivation as a LaTeX document."""
    return _document(derivation.title, derivation.latex())


def _document(title: str, body: str) -> str:
    heading = f"\\section*{{\\Large {escape_latex(title)}}}"
    return f"{_PREAMBLE}\\begin{{document}}\n\\small\n{heading}\n\n{body}\\end{{document}}\n"
