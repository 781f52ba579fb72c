"""A derivation as text for a terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace

from clearprop.draw.document import Heading, Prose, Section, Table
from clearprop.draw.svg import text_width
from clearprop.explain.derivation.equations import Equation, Row
from clearprop.explain.derivation.notation import Notation, WrittenNumber, written_number
from clearprop.symbolic.expression import BLANK, Expression, Number, Rest, Symbol
from clearprop.terminal import format_table, terminal_width

_BASES = {"delta": "δ", "yhat": "ŷ", "omega": "ω", "alpha": "α"}
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_ASCII = str.maketrans(
    {
        "δ": "delta", "ŷ": "yhat", "ω": "omega", "α": "alpha", "Δ": "Delta ", "∂": "d", "·": "*", "←": "<-", "→": "->",
        "−": "-", "…": "...", "∞": "inf", "≤": "<=", "≥": ">=", "≠": "!=", "Σ": "sum over ", "×": "*",
        **{raised: f"^{plain}" for raised, plain in zip("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789", strict=True)}, "⁻": "^-",
    }
)  # fmt: skip
#: Longer lines are harder to read.
_WIDEST = 110


def _width() -> int:
    return min(_WIDEST, terminal_width())


def to_ascii(text: str) -> str:
    """The text with its mathematical signs in ASCII, for terminals that support nothing else.

    >>> to_ascii("∂J/∂w = δ · a")
    'dJ/dw = delta * a'
    """
    return text.replace("10⁻", "10^-").translate(_ASCII)


class TextNotation(Notation):
    """Expressions in one line of text, such as ∂J/∂z_hidden[0] · x_age."""

    column = "text"

    def __init__(self, digits: int = 6, letters: Mapping[str, str] | None = None) -> None:
        super().__init__(digits, letters)
        self.line = _width() - 2  # every line is indented by two

    def width(self, expression: Expression) -> float:
        return len(self.write(expression))

    def number(self, shown: WrittenNumber) -> str:
        return shown.digits if shown.power is None else f"{shown.digits}·10" + str(shown.power).translate(_RAISED)

    def letter(self, base: str) -> str:
        return "______" if base == BLANK else _BASES.get(base, base)

    def own_letter(self, letter: str) -> str:
        return letter

    def change(self, letter: str) -> str:
        return f"Δ{letter}"

    def symbol(self, symbol: Symbol) -> str:
        base = self.base(symbol)
        label = "←".join(map(_quoted, symbol.label))
        return base + (f"_{label}" if label else "") + (f"^({symbol.sample})" if symbol.sample is not None else "")

    def partial(self, top: str, bottom: str) -> str:
        return f"∂{top}/∂{bottom}"

    def rest(self, rest: Rest) -> str:
        number = "all 0" if rest.number == 0 else f"together {self.write(Number(rest.number))}"
        together = f", {number}" if rest.counted else ""
        return f"({rest.count:,} more term{'s' * (rest.count > 1)}{together})"

    def product(self, factors: list[str]) -> str:
        return " · ".join(factors)

    def quotient(self, top: Expression, bottom: Expression) -> str:
        return f"{self.write(top, 2)} / {self.write(bottom, 3)}"

    def power(self, base: str, exponent: str) -> str:
        return base + (exponent.translate(_RAISED) if exponent.isdigit() else f"^({exponent})")

    def over_samples(self, inner: str) -> str:
        return f"Σ_n {inner}"

    def parentheses(self, inner: str) -> str:
        return f"({inner})"


def short_number(value: float, digits: int) -> str:
    """A number for a drawing; a power of ten keeps three digits, so that it fits into a unit.

    >>> short_number(-0.0381982, 6), short_number(1.384985e-9, 6)
    ('−0.038198', '1.38·10⁻⁹')
    """
    shown = written_number(value, digits)
    if shown.power is not None:
        shown = replace(shown, digits=f"{float(shown.digits):.2f}")
    return ("−" if shown.negative else "") + TextNotation(digits).number(shown)


def fitting_number(value: float, digits: int, width: float) -> str:
    """A number for a unit of a drawing, with fewer decimals where it would be wider than `width` pixels.

    >>> fitting_number(-0.1321049, 6, 52), fitting_number(-1.384985e-9, 6, 52)
    ('−0.13210', '−1·10⁻⁹')
    """
    text, shown = short_number(value, digits), written_number(value, digits)
    sign = "−" if shown.negative else ""
    for places in range(digits - 1, -1, -1):
        if text_width(text) <= width:
            break
        if shown.power is None:
            text = f"{sign}{abs(value):.{places}f}"
        else:
            mantissa = f"{float(shown.digits):.{min(2, places)}f}"
            text = sign + TextNotation(digits).number(replace(shown, digits=mantissa))
    return text


def _quoted(label: str) -> str:
    return f'"{label}"' if any(c.isspace() or c in "+-*/^·←" for c in label) else label


def render_text(title: str, sections: Sequence[Section], digits: int = 6) -> str:
    """The derivation as plain text."""
    notation = TextNotation(digits)
    lines = [title, "=" * len(title)]
    for section in sections:
        lines += ["", section.title, "-" * len(section.title)]
        for i, item in enumerate(section.items):
            lines += [""] * (i > 0) + _item(item, notation)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _item(item: Prose | Heading | Equation | Table, notation: Notation) -> list[str]:
    if isinstance(item, Heading):
        return [item.text, "." * len(item.text)]
    if isinstance(item, Prose):
        text = "".join(part if isinstance(part, str) else notation.write(part) for part in item.parts)
        return textwrap.wrap(text, _width(), break_long_words=False, break_on_hyphens=False)
    return _equation(item, notation) if isinstance(item, Equation) else _table(item, notation)


def _equation(equation: Equation, notation: Notation) -> list[str]:
    """The left side with the right side beside it, or below it if that is too wide."""
    left = "  " + notation.write(equation.left)
    lines = _sides(equation, notation, left, notation.line)
    if max(map(len, lines)) <= _width():
        return lines
    return [left, *_sides(equation, notation, "   ", notation.line + len(left) - 3)]


def _sides(equation: Equation, notation: Notation, left: str, room: float) -> list[str]:
    rows = equation.rows(notation.width, room)
    bodies = [_body(row, notation) for row in rows]
    remarks = [_remark(row.remark, notation) for row in rows]
    column = max([len(body) for body, remark in zip(bodies, remarks, strict=True) if remark] or [0])
    beside = len(left) + column + max(map(len, remarks)) + 4 <= _width()
    lines = []
    for i, (body, remark) in enumerate(zip(bodies, remarks, strict=True)):
        start = (left if i == 0 else " " * len(left)) + " "
        if not remark or beside:
            lines += _folded(start, f"{body:{column}s}   {remark}" if remark else body)
        else:
            lines += [*_folded(start, body), f"{' ' * len(start)}      {remark}"]
    return lines


def _folded(start: str, body: str) -> list[str]:
    """The line, broken before a sign if it is too long."""
    lines, line = [], start
    for piece in re.split(r"(?= [·+−=] )", body):
        if len(line) + len(piece) > _width() and line.strip() and len(line) > len(start):
            lines.append(line)
            deeper = "" if piece.lstrip().startswith("=") else "     "
            line = " " * len(start) + deeper + piece.lstrip()
        else:
            line += piece
    return [*lines, line]


def _remark(remark: str | Number, notation: Notation) -> str:
    if isinstance(remark, Number):
        return f"= {notation.write(remark)}"
    return f"({remark})" if remark else ""


def _body(row: Row, notation: Notation) -> str:
    if row.sign:
        shown, inner = notation.line_inside(row)
        return f"{'     ' if row.sign == '·' else '  '}{shown} {inner}"
    result = f" = {notation.write(row.result)}" if row.result is not None else ""
    return f"= {notation.write(row.expression)}{result}"


def _table(table: Table, notation: Notation) -> list[str]:
    cells = [[_cell(cell, notation) for cell in row] for row in (table.head, *table.rows)]
    if max(sum(map(len, row)) + 3 * len(row) for row in cells) > _width():
        left = [i for i, right in enumerate(table.right()) if not right]
        return format_table(cells[0], cells[1:], left=left, indent="  ").split("\n")
    wide = [max(len(row[i]) for row in cells) for i in range(len(table.head))]
    lines = []
    for row in cells:
        texts = [f"{c:>{w}s}" if r else f"{c:{w}s}" for c, w, r in zip(row, wide, table.right(), strict=True)]
        lines.append("  " + "   ".join(texts))
    lines.insert(1, "  " + "-" * (len(lines[0]) - 2))
    return lines


def _cell(cell: str | float | Expression, notation: Notation) -> str:
    if isinstance(cell, str):
        return cell
    return notation.write(cell if isinstance(cell, Expression) else Number(cell))
