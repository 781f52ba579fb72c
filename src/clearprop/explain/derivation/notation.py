"""Writing an expression: the common parts of all notations (precedence, signs, numbers) and their interface."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clearprop.symbolic.expression import (
    Apply,
    Expression,
    Negative,
    Number,
    OverSamples,
    Partial,
    Power,
    Product,
    Quotient,
    Rest,
    Sum,
    Symbol,
)
from clearprop.symbolic.operations import OPERATIONS, named

if TYPE_CHECKING:
    from clearprop.explain.derivation.equations import Row

_SUM, _PRODUCT, _FACTOR, _ATOM = range(4)  # precedence of an expression


@dataclass(frozen=True)
class WrittenNumber:
    """A number as written: minus or not, digits, and a power of ten where it is tiny or huge."""

    negative: bool
    digits: str
    power: int | None = None


def written_number(value: float, digits: int) -> WrittenNumber:
    """A number with `digits` decimals at most; below 10^(3 - digits) and from 10^6 on as a power of ten.

    >>> written_number(-0.13849856, 6)
    WrittenNumber(negative=True, digits='0.138499', power=None)
    >>> written_number(0.00043856771, 6)
    WrittenNumber(negative=False, digits='4.38568', power=-4)
    >>> written_number(0.00043856771, 9)
    WrittenNumber(negative=False, digits='0.000438568', power=None)
    """
    size, negative = abs(value), value < 0
    if not math.isfinite(size):
        return WrittenNumber(negative, "NaN" if math.isnan(size) else "∞")
    if size == 0 or 10.0 ** (3 - digits) <= size < 1e6:
        text = f"{size:.{digits}f}"
        return WrittenNumber(negative, text.rstrip("0").rstrip(".") if "." in text else text)
    mantissa, _, power = f"{size:.{max(0, digits - 1)}e}".partition("e")
    return WrittenNumber(negative, mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa, int(power))


class Notation(ABC):
    """Writes expressions; a subclass defines the form of symbols, numbers, fractions and so on."""

    minus = "−"
    leading = "−"  #: the minus before a number or an expression
    plus = "+"
    times = "·"

    column = ""  #: the field of `Written` that has this notation
    line = 100.0  #: how wide a line of an equation may be, in digits

    def __init__(self, digits: int = 6, letters: Mapping[str, str] | None = None) -> None:
        self.digits, self.letters = digits, dict(letters or {})

    def base(self, symbol: Symbol) -> str:
        """The letter of a symbol: the reader's own, or that of the notation; of a change, Δ before it."""
        if symbol.base.startswith("Delta "):
            return self.change(self.base(Symbol(symbol.base[-1])))
        own = self.letters.get(symbol.base)
        return self.letter(symbol.base) if own is None else self.own_letter(own)

    def width(self, expression: Expression) -> float:
        """About how wide an expression is when it is typeset, in digits: labels are small, fractions high."""
        match expression:
            case Number():
                shown = written_number(expression.number, self.digits)
                return len(shown.digits) + shown.negative + (0 if shown.power is None else 4)
            case Symbol():
                marks = 0 if expression.sample is None else len(str(expression.sample)) + 1
                return 1.2 + max(0.7 * sum(len(name) + 1 for name in expression.label), 0.6 * marks)
            case Partial():
                return 1.2 + max(self.width(expression.top), self.width(expression.bottom))
            case Rest():
                return len(self.rest(expression))
            case Sum():
                return sum(self.width(term) + 3 for term in expression.terms) - 3
            case Product():
                brackets = [isinstance(f, Sum | Negative) or (isinstance(f, Number) and f.number < 0)
                            for f in expression.factors]  # fmt: skip
                return sum(self.width(f) + 1.6 + 1.2 * b for f, b in zip(expression.factors, brackets, strict=True))
            case Quotient():
                return max(self.width(expression.top), self.width(expression.bottom))
            case Negative() | OverSamples():
                return 1.5 + self.width(expression.inner)
            case Power():
                return 1 + self.width(expression.base)
            case Apply():
                return len(expression.function) + sum(1 + self.width(argument) for argument in expression.arguments)
            case _:
                raise TypeError(f"{type(expression).__name__} has no notation.")

    def write(self, expression: Expression, tight: int = _SUM) -> str:
        """The expression, in parentheses if its precedence is lower than `tight`."""
        holds, written = self._written(expression)
        return self.parentheses(written) if holds < tight else written

    def _written(self, expression: Expression) -> tuple[int, str]:
        match expression:
            case Number():
                shown = written_number(expression.number, self.digits)
                minus = shown.negative
                holds = _SUM if minus else _ATOM if shown.power is None else _PRODUCT
                return holds, (self.leading if minus else "") + self.number(shown)
            case Symbol():
                return _ATOM, self.symbol(expression)
            case Partial():
                return _FACTOR, self.partial(self.symbol(expression.top), self.symbol(expression.bottom))
            case Rest():
                return _SUM, self.rest(expression)
            case Sum():
                return _SUM, self._sum(expression)
            case Product():
                return _PRODUCT, self.product([self.write(factor, _FACTOR) for factor in expression.factors])
            case Negative():
                return _SUM, self.leading + self.write(expression.inner, _PRODUCT)
            case _:
                return self._compound(expression)

    def _compound(self, expression: Expression) -> tuple[int, str]:
        match expression:
            case Quotient():
                return self.quotient_holds, self.quotient(expression.top, expression.bottom)
            case Power():
                raised = expression.exponent
                raised = self.write(raised) if isinstance(raised, Expression) else f"{raised:g}"
                return _FACTOR, self.power(self.write(expression.base, _ATOM), raised)
            case Apply():
                return self._apply(expression)
            case OverSamples():
                return _PRODUCT, self.over_samples(self.write(expression.inner, _PRODUCT))
            case _:
                raise TypeError(f"{type(expression).__name__} has no notation.")

    def _apply(self, expression: Apply) -> tuple[int, str]:
        """A function as written in the table of operations; f', l and so on by their name."""
        operation = OPERATIONS.get(expression.function)
        shown = named(expression.function, expression.function) if operation is None else operation.written
        if shown is None:
            raise TypeError(f"{expression.function}: this operation has no notation of its own.")
        arguments = [self.write(x, _PRODUCT if shown.infix else _SUM) for x in expression.arguments]
        pattern = getattr(shown, self.column)
        return _SUM if shown.infix else _ATOM, re.sub(r"#(\d)", lambda found: arguments[int(found[1]) - 1], pattern)

    def _sum(self, expression: Sum) -> str:
        first = expression.terms[0]
        written = self.write(first, _PRODUCT if isinstance(first, Apply) else _SUM)
        for term in expression.terms[1:]:
            sign, inner = self.signed(term)
            written += self.between(sign) + inner
        return written

    def signed(self, term: Expression) -> tuple[str, str]:
        """The sign of a term in a sum, and the term without it; of a sum, the sign of its first term."""
        if isinstance(term, Sum):
            sign, inner = self.signed(term.terms[0])
            more = [self.signed(other) for other in term.terms[1:]]
            return sign, inner + "".join(self.between(s) + written for s, written in more)
        if isinstance(term, Negative):
            return self.minus, self.write(term.inner, _PRODUCT)
        if isinstance(term, Number) and term.number < 0:
            return self.minus, self.write(Number(-term.number))
        return self.plus, self.write(term, _SUM if isinstance(term, Rest) else _PRODUCT)

    def between(self, sign: str) -> str:
        """A sign between two terms."""
        return f" {sign} "

    def line_inside(self, row: Row) -> tuple[str, str]:
        """The sign and the content of a line that continues a sum or a product."""
        if row.sign == "·":
            return self.times, self.write(row.expression, _PRODUCT)
        return self.signed(row.expression)

    quotient_holds = _PRODUCT

    @abstractmethod
    def number(self, shown: WrittenNumber) -> str:
        """A number without its sign."""

    @abstractmethod
    def letter(self, base: str) -> str:
        """The letter of a quantity, such as "delta"."""

    @abstractmethod
    def own_letter(self, letter: str) -> str:
        """A letter that the reader chose."""

    @abstractmethod
    def change(self, letter: str) -> str:
        """Δ before a letter."""

    @abstractmethod
    def symbol(self, symbol: Symbol) -> str:
        """A symbol with its label and sample."""

    @abstractmethod
    def partial(self, top: str, bottom: str) -> str:
        """D top / d bottom."""

    @abstractmethod
    def rest(self, rest: Rest) -> str:
        """The terms that are not written out."""

    @abstractmethod
    def product(self, factors: list[str]) -> str:
        """Factors side by side."""

    @abstractmethod
    def quotient(self, top: Expression, bottom: Expression) -> str:
        """A fraction."""

    @abstractmethod
    def power(self, base: str, exponent: str) -> str:
        """A power."""

    @abstractmethod
    def over_samples(self, inner: str) -> str:
        """The sum over the samples n."""

    @abstractmethod
    def parentheses(self, inner: str) -> str:
        """Something in parentheses."""
