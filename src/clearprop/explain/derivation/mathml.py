"""A derivation as HTML with MathML formulas, which browsers draw without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from markupsafe import Markup

from clearprop.draw.document import Section, sections_html
from clearprop.explain.derivation.equations import Equation, Row
from clearprop.explain.derivation.notation import Notation, WrittenNumber
from clearprop.symbolic.expression import BLANK, NEW, Expression, Number, Rest, Symbol

_BASES = {"delta": "δ", "omega": "ω", "alpha": "α"}


class MathMLNotation(Notation):
    """Expressions as MathML elements."""

    column = "mathml"
    minus = "<mo>−</mo>"
    leading = '<mo form="prefix">−</mo>'
    plus = "<mo>+</mo>"
    times = "<mo>·</mo>"
    quotient_holds = 2

    def between(self, sign: str) -> str:
        return sign

    def number(self, shown: WrittenNumber) -> str:
        digits = f"<mn>{shown.digits}</mn>"
        if shown.power is None:
            return digits
        power = f"<mn>{abs(shown.power)}</mn>"
        raised = f"<mrow>{self.leading}{power}</mrow>" if shown.power < 0 else power
        return f"{digits}<mo>·</mo><msup><mn>10</mn>{raised}</msup>"

    def letter(self, base: str) -> str:
        if base == "yhat":
            return '<mover accent="true"><mi>y</mi><mo stretchy="false">^</mo></mover>'
        if base == BLANK:
            return '<mspace class="blank" width="7em" height="1em" depth=".2em"/>'
        return f"<mi>{_BASES.get(base, base)}</mi>"

    def own_letter(self, letter: str) -> str:
        return f"<mi>{escape(letter)}</mi>"

    def change(self, letter: str) -> str:
        return f"<mrow><mi>Δ</mi>{letter}</mrow>"

    def symbol(self, symbol: Symbol) -> str:
        base = self.base(symbol)
        label = "<mo>←</mo>".join(f"<mtext>{escape(part)}</mtext>" for part in symbol.label)
        label = f"<mrow>{label}</mrow>"
        kind = "mn" if isinstance(symbol.sample, int) else "mtext" if symbol.sample == NEW else "mi"
        raised = f"<mrow><mo>(</mo><{kind}>{symbol.sample}</{kind}><mo>)</mo></mrow>"
        if symbol.sample is None:
            return f"<msub>{base}{label}</msub>" if symbol.label else base
        return f"<msubsup>{base}{label}{raised}</msubsup>" if symbol.label else f"<msup>{base}{raised}</msup>"

    def partial(self, top: str, bottom: str) -> str:
        return f"<mfrac><mrow><mi>∂</mi>{top}</mrow><mrow><mi>∂</mi>{bottom}</mrow></mfrac>"

    def rest(self, rest: Rest) -> str:
        words = f"{rest.count:,} more term{'s' * (rest.count > 1)}"
        together = f"<mtext>, together </mtext>{self.write(Number(rest.number))}" if rest.counted else ""
        return f"<mrow><mtext>({words}</mtext>{together}<mtext>)</mtext></mrow>"

    def product(self, factors: list[str]) -> str:
        return self.times.join(factors)

    def quotient(self, top: Expression, bottom: Expression) -> str:
        return f"<mfrac><mrow>{self.write(top)}</mrow><mrow>{self.write(bottom)}</mrow></mfrac>"

    def power(self, base: str, exponent: str) -> str:
        raised = f"<mrow>{exponent}</mrow>" if "<" in exponent else f"<mn>{exponent}</mn>"
        return f"<msup><mrow>{base}</mrow>{raised}</msup>"

    def over_samples(self, inner: str) -> str:
        return f"<munder><mo>∑</mo><mi>n</mi></munder>{inner}"

    def parentheses(self, inner: str) -> str:
        return f"<mrow><mo>(</mo>{inner}<mo>)</mo></mrow>"


def math(inner: str, display: bool = False) -> str:
    """A formula."""
    return f"<math{' display=' + chr(34) + 'block' + chr(34) if display else ''}><mrow>{inner}</mrow></math>"


def formula_html(item: Equation | Expression | float, notation: MathMLNotation) -> str:
    """An equation as the rows of a table; an expression or a number as a formula in a line."""
    if isinstance(item, Equation):
        lines = "".join(_row(row, notation) for row in item.rows(notation.width, notation.line))
        return f'<div class="scroll"><table class="equation">{lines}</table></div>'
    return math(notation.write(item if isinstance(item, Expression) else Number(item)))


def render_sections(
    sections: Sequence[Section], digits: int = 6, letters: Mapping[str, str] | None = None, folding: bool = False
) -> Markup:
    """The sections as HTML, without a style sheet; with `folding` each opens and closes."""
    notation = MathMLNotation(digits, letters)
    return sections_html(sections, lambda item: formula_html(item, notation), folding)


def _row(row: Row, notation: MathMLNotation) -> str:
    left = "" if row.left is None else math(notation.write(row.left), display=True)
    if row.sign:
        sign, inner = notation.line_inside(row)
        sign, body = "", sign.replace("<mo>", '<mo form="infix">') + inner  # with the space of a sign between terms
    else:
        result = f"<mo>=</mo>{notation.write(row.result)}" if row.result is not None else ""
        sign, body = math("<mo>=</mo>"), notation.write(row.expression) + result
    remark = math(f"<mo>=</mo>{notation.write(row.remark)}") if isinstance(row.remark, Number) else escape(row.remark)
    class_ = ' class="inside"' if row.sign else ""
    return (
        f'<tr><td class="left">{left}</td><td>{sign}</td><td{class_}>{math(body, display=True)}</td>'
        f'<td class="remark">{remark}</td></tr>'
    )
