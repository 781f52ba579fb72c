"""A derivation as LaTeX (for amsmath; MathJax reads the formulas too), and as Markdown with LaTeX formulas."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from clearprop.draw.document import Heading, Prose, Section, Table
from clearprop.draw.figure import Figure
from clearprop.explain.derivation.equations import Equation
from clearprop.explain.derivation.notation import Notation, WrittenNumber
from clearprop.symbolic.expression import BLANK, NEW, Expression, Number, Rest, Symbol

_BASES = {
    "delta": r"\delta", "yhat": r"\hat{y}", "omega": r"\omega", "alpha": r"\alpha",
}  # fmt: skip
#: Characters that exist in mathematics mode only.
_MATH = {
    "−": "-", "·": r"\cdot", "→": r"\to", "←": r"\leftarrow", "δ": r"\delta", "ŷ": r"\hat{y}", "∂": r"\partial",
    "α": r"\alpha", "∞": r"\infty", "Σ": r"\Sigma", "ω": r"\omega", "Δ": r"\Delta", "≤": r"\le", "≥": r"\ge",
    "≠": r"\ne",
}  # fmt: skip
#: Special characters of LaTeX, in text and in a formula.
_SPECIAL = {
    "\\": (r"\textbackslash{}", r"\backslash"), "{": (r"\{", r"\{"), "}": (r"\}", r"\}"), "$": (r"\$", r"\$"),
    "&": (r"\&", r"\&"), "%": (r"\%", r"\%"), "#": (r"\#", r"\#"), "_": (r"\_", r"\_"),
    "^": (r"\textasciicircum{}", r"\wedge"), "~": (r"\textasciitilde{}", r"\sim"), "<": (r"\textless{}", "<"),
    ">": (r"\textgreater{}", ">"), "|": (r"\textbar{}", "|"), '"': (r"\textquotedbl{}", r"\text{''}"),
    "…": (r"\ldots{}", r"\ldots"), "–": ("--", "-"), "“": ("``", r"\text{``}"), "”": ("''", r"\text{''}"),
}  # fmt: skip


def escape(text: str) -> str:
    """Text with LaTeX's special characters escaped; letters that common fonts lack are written as code points.

    >>> escape("50% of a_b"), escape("水")
    ('50\\\\% of a\\\\_b', '[U+6C34]')
    """
    return "".join(map(_escaped, text))


def _escaped(c: str) -> str:
    if c in _SPECIAL:
        return _SPECIAL[c][0]
    return rf"\ensuremath{{{_MATH[c]}}}" if c in _MATH else _plain_letter(c)


def words(text: str) -> str:
    """Text inside a formula: commands are placed outside \\text{}, because MathJax ignores them inside it.

    >>> print(words("job_id → J"))
    \\text{job}{\\_}\\text{id }{\\to}\\text{ J}
    """
    parts = re.split(f"([{re.escape(''.join((*_SPECIAL, *_MATH)))}])", text)
    written = []
    for part in filter(None, parts):
        command = _MATH.get(part) or (_SPECIAL[part][1] if part in _SPECIAL else None)
        written.append(f"{{{command}}}" if command else rf"\text{{{''.join(map(_plain_letter, part))}}}")
    return "".join(written)


def _plain_letter(c: str) -> str:
    return c if " " <= c <= "~" or "¡" <= c <= "ž" else _code_point(c)


def _code_point(c: str) -> str:
    return " " if c.isspace() else f"[U+{ord(c):04X}]"


def _greek(letter: str) -> str:
    """The command of a Greek letter; empty for other letters.

    >>> print(_greek("η"), _greek("ϑ"), _greek("net"))
    \\eta \\vartheta
    """
    name = unicodedata.name(letter, "") if len(letter) == 1 else ""
    if name.startswith("GREEK ") and name.endswith(" SYMBOL"):
        return f"\\var{name.split()[1].lower()}"
    kind, _, last = name.rpartition(" LETTER ")
    command = last.lower() if kind == "GREEK SMALL" else last.capitalize() if kind == "GREEK CAPITAL" else ""
    return f"\\{command}" if command.isalpha() else ""


class LatexNotation(Notation):
    """Expressions for LaTeX's mathematics mode."""

    column = "latex"
    minus = leading = "-"
    times = r"\cdot"
    quotient_holds = 2

    def number(self, shown: WrittenNumber) -> str:
        digits = {"∞": r"\infty", "NaN": r"\mathrm{NaN}"}.get(shown.digits, shown.digits)
        return digits if shown.power is None else rf"{digits} \cdot 10^{{{shown.power}}}"

    def letter(self, base: str) -> str:
        return r"\underline{\hspace{6em}}" if base == BLANK else _BASES.get(base, base)

    def own_letter(self, letter: str) -> str:
        return letter if len(letter) == 1 and letter.isascii() else _greek(letter) or rf"\mathrm{{{words(letter)}}}"

    def change(self, letter: str) -> str:
        return rf"\Delta {letter}"

    def symbol(self, symbol: Symbol) -> str:
        base = self.base(symbol)
        label = r" \leftarrow ".join(map(words, symbol.label))
        mark = rf"\text{{{symbol.sample}}}" if symbol.sample == NEW else symbol.sample
        raised = rf"^{{({mark})}}" if mark is not None else ""
        return base + (f"_{{{label}}}" if label else "") + raised

    def partial(self, top: str, bottom: str) -> str:
        return rf"\frac{{\partial {top}}}{{\partial {bottom}}}"

    def rest(self, rest: Rest) -> str:
        together = f", together }}{self.write(Number(rest.number))}\\text{{" if rest.counted else ""
        return rf"\text{{({rest.count:,} more term{'s' * (rest.count > 1)}{together})}}"

    def product(self, factors: list[str]) -> str:
        return f" {self.times} ".join(factors)

    def quotient(self, top: Expression, bottom: Expression) -> str:
        return rf"\frac{{{self.write(top)}}}{{{self.write(bottom)}}}"

    def power(self, base: str, exponent: str) -> str:
        return rf"{{{base}}}^{{{exponent}}}"

    def over_samples(self, inner: str) -> str:
        return rf"\sum_n {inner}"

    def parentheses(self, inner: str) -> str:
        return rf"\left({inner}\right)"


def aligned(equation: Equation, notation: LatexNotation) -> str:
    """The rows of an equation for an aligned environment."""
    lines = []
    for row in equation.rows(notation.width, notation.line):
        left = "" if row.left is None else notation.write(row.left)
        if row.sign:
            sign, inner = notation.line_inside(row)
            body = rf"{left} &\quad {sign} {inner}"
        else:
            result = f" = {notation.write(row.result)}" if row.result is not None else ""
            body = f"{left} &= {notation.write(row.expression)}{result}"
        remark = rf"= {notation.write(row.remark)}" if isinstance(row.remark, Number) else words(row.remark)
        lines.append(body + (rf" && {remark}" if row.remark else ""))
    return " \\\\\n".join(lines)


def render_latex(
    sections: Sequence[Section],
    digits: int = 6,
    figure: Callable[[Figure], str] = lambda figure: escape(figure.note),
    letters: Mapping[str, str] | None = None,
) -> str:
    """The sections as the body of a LaTeX document that uses amsmath; `figure` writes the figures."""
    notation = LatexNotation(digits, letters)
    written = ""
    for section in sections:
        written += f"\\section*{{{escape(section.title)}}}\n\n"
        for i, item in enumerate(section.items):
            beside = i > 0 and (isinstance(item, Equation) or isinstance(section.items[i - 1], Equation))
            body = figure(item) if isinstance(item, Figure) else _latex_item(item, notation)
            written += ("" if beside or i == 0 else "\n") + body + "\n"  # no empty paragraphs
        written += "\n"
    return written


def _latex_item(item: Prose | Heading | Equation | Table, notation: LatexNotation) -> str:
    if isinstance(item, Heading):
        return rf"\subsection*{{{escape(item.text)}}}"
    if isinstance(item, Prose):
        return _inline(item, notation, escape)
    if isinstance(item, Equation):
        return f"\\begin{{align*}}\n{aligned(item, notation)}\n\\end{{align*}}"
    head = " & ".join(_latex_cell(cell, notation) for cell in item.head)
    rows = " \\\\\n".join(" & ".join(_latex_cell(cell, notation) for cell in row) for row in item.rows)
    form = "".join("r" if right else "l" for right in item.right())
    body = f"\\hline\n{head} \\\\\n\\hline\n{rows} \\\\\n\\hline\n"
    return f"\\begin{{center}}\n\\begin{{tabular}}{{{form}}}\n{body}\\end{{tabular}}\n\\end{{center}}"


def _latex_cell(cell: str | float | Expression, notation: LatexNotation) -> str:
    if isinstance(cell, str):
        return escape(cell)
    return f"${notation.write(cell if isinstance(cell, Expression) else Number(cell))}$"


def _inline(prose: Prose, notation: LatexNotation, plain: Callable[[str], str]) -> str:
    return "".join(plain(part) if isinstance(part, str) else f"${notation.write(part)}$" for part in prose.parts)


def render_equations(sections: Sequence[Section], digits: int = 6) -> str:
    """The equations alone, as one displayed formula, for a notebook."""
    notation = LatexNotation(digits)
    found = [aligned(item, notation) for section in sections for item in section.items if isinstance(item, Equation)]
    joined = " \\\\[1ex]\n".join(found)
    return f"$$\n\\begin{{aligned}}\n{joined}\n\\end{{aligned}}\n$$"


_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|])")


def render_markdown(title: str, sections: Sequence[Section], digits: int = 6) -> str:
    """The derivation as Markdown, with formulas between dollar signs."""
    notation = LatexNotation(digits)
    parts = [f"# {_plain(title)}"]
    for section in sections:
        parts.append(f"## {_plain(section.title)}")
        parts += [_markdown_item(item, notation) for item in section.items]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)


def _markdown_item(item: Prose | Heading | Equation | Table, notation: LatexNotation) -> str:
    if isinstance(item, Heading):
        return f"### {_plain(item.text)}"
    if isinstance(item, Prose):
        return _inline(item, notation, _plain)
    if isinstance(item, Equation):
        return f"$$\n\\begin{{aligned}}\n{aligned(item, notation)}\n\\end{{aligned}}\n$$"
    lines = [[_markdown_cell(cell, notation) for cell in row] for row in (item.head, *item.rows)]
    lines.insert(1, ["---:" if right else "---" for right in item.right()])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _markdown_cell(cell: str | float | Expression, notation: LatexNotation) -> str:
    if isinstance(cell, str):
        return _plain(cell)
    return f"${notation.write(cell if isinstance(cell, Expression) else Number(cell))}$"
