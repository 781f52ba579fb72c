"""Formulas as trees whose symbols have numbers, so that one tree shows symbols, numbers and the result.

A symbol holds the value that it has in the trace, or NaN if it has none. `value` evaluates a tree, `numbers(tree)`
replaces each symbol by its number, and a notation (text, LaTeX, MathML) writes either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from clearprop.fork_safety import cached_property

#: The mark of a parameter after the step, instead of a sample.
NEW = "new"
#: The base of a symbol for a number that the reader is to compute.
BLANK = "blank"


@dataclass(frozen=True)
class Expression:
    """A node of a formula."""

    @property
    def value(self) -> float:
        """The number it stands for; computed from the parts of a compound expression."""
        return self.number  # pyright: ignore[reportAttributeAccessIssue]


@dataclass(frozen=True)
class Number(Expression):
    """A plain number."""

    number: float


@dataclass(frozen=True)
class Symbol(Expression):
    """A quantity of the network with its number: `base` such as "a" or "delta", `label` the unit it belongs to.

    A label is one name, or two for a weight (the unit it leads to, the unit it comes from); `sample` is the row of a
    batch ("n" for any of them, `NEW` for a parameter after the step), None if there is only one sample.
    """

    base: str
    label: tuple[str, ...] = ()
    number: float = math.nan
    sample: int | str | None = None


@dataclass(frozen=True)
class Partial(Expression):
    """A partial derivative d top / d bottom, with its number."""

    top: Symbol
    bottom: Symbol
    number: float = math.nan


@dataclass(frozen=True)
class Rest(Expression):
    """The terms of a sum that are not shown: their count and their sum."""

    count: int
    number: float
    counted: bool = False  #: whether their sum is shown too


@dataclass(frozen=True)
class OverSamples(Expression):
    """The sum over all samples n of an expression in n, with its number."""

    inner: Expression
    number: float


@dataclass(frozen=True)
class Sum(Expression):
    """Terms added; evaluated with one rounding (math.fsum)."""

    terms: tuple[Expression, ...]

    @cached_property
    def value(self) -> float:  # type: ignore[override]
        return exact_sum(term.value for term in self.terms)


@dataclass(frozen=True)
class Product(Expression):
    """Factors multiplied, from the left."""

    factors: tuple[Expression, ...]

    @cached_property
    def value(self) -> float:  # type: ignore[override]
        return math.prod(factor.value for factor in self.factors)


@dataclass(frozen=True)
class Quotient(Expression):
    """Top / bottom."""

    top: Expression
    bottom: Expression

    @cached_property
    def value(self) -> float:  # type: ignore[override]
        bottom = self.bottom.value
        return self.top.value / bottom if bottom else math.copysign(math.inf, self.top.value)


@dataclass(frozen=True)
class Negative(Expression):
    """The negative of an expression."""

    inner: Expression

    @property
    def value(self) -> float:
        return -self.inner.value


@dataclass(frozen=True)
class Power(Expression):
    """Base to the power of a number or an expression."""

    base: Expression
    exponent: float | Expression

    @property
    def value(self) -> float:
        exponent = self.exponent.value if isinstance(self.exponent, Expression) else self.exponent
        with np.errstate(all="ignore"):
            return float(np.float64(self.base.value) ** exponent)


@dataclass(frozen=True)
class Apply(Expression):
    """A function such as exp, or a derivative f' that has no formula, with its number.

    `function` is the name of a row of `clearprop.symbolic.operations`, or "f", "f'", "l" or "l'".
    """

    function: str
    arguments: tuple[Expression, ...]
    number: float


ONE, ZERO = Number(1.0), Number(0.0)


def is_known(expression: Expression) -> bool:
    """Whether an expression has a number."""
    return not math.isnan(expression.value)


def exact_sum(values: Iterable[float]) -> float:
    """The sum with one rounding at the end; infinite and undefined numbers as IEEE adds them.

    >>> exact_sum([1e16, 1.0, -1e16])
    1.0
    """
    values = list(values)
    return math.fsum(values) if all(map(math.isfinite, values)) else sum(values)


def add(*terms: Expression) -> Expression:
    """A sum without zeros and nested sums.

    >>> add(ZERO, Number(2.0)), add(ONE, ONE)
    (Number(number=2.0), Number(number=2.0))
    """
    flat = [part for term in terms for part in (term.terms if isinstance(term, Sum) else (term,))]
    kept = [term for term in flat if not (isinstance(term, Number) and term.number == 0)]
    if kept and all(isinstance(term, Number) for term in kept):
        return Number(sum(term.value for term in kept))
    return Sum(tuple(kept)) if len(kept) > 1 else kept[0] if kept else ZERO


def subtract(a: Expression, b: Expression) -> Expression:
    """The difference a - b."""
    return add(a, negate(b))


def negate(a: Expression) -> Expression:
    """The negative, with double signs undone."""
    if isinstance(a, Number):
        return Number(-a.number) if a.number else ZERO
    return a.inner if isinstance(a, Negative) else Negative(a)


def multiply(*factors: Expression) -> Expression:
    """A product without ones and nested products; x x is written as a square, and 0 stays 0.

    >>> a = Symbol("a", ("hidden[0]",), 0.5)
    >>> multiply(ONE, a) == a, multiply(a, a)
    (True, Power(base=Symbol(base='a', label=('hidden[0]',), number=0.5, sample=None), exponent=2))
    """
    sign = sum(isinstance(factor, Negative) for factor in factors) % 2
    bare = [factor.inner if isinstance(factor, Negative) else factor for factor in factors]
    flat = [part for factor in bare for part in (factor.factors if isinstance(factor, Product) else (factor,))]
    if any(isinstance(factor, Number) and factor.number == 0 for factor in flat):
        return ZERO
    number = math.prod(factor.number for factor in flat if isinstance(factor, Number))
    rest = _powers([factor for factor in flat if not isinstance(factor, Number)])
    if number < 0:
        sign, number = 1 - sign, -number
    kept = rest if number == 1 and rest else [Number(number), *rest]
    made = kept[0] if len(kept) == 1 else Product(tuple(kept))
    return negate(made) if sign else made


def _powers(factors: list[Expression]) -> list[Expression]:
    """Equal neighbours as powers."""
    kept: list[Expression] = []
    for factor in factors:
        last = kept[-1] if kept else None
        if last == factor:
            kept[-1] = Power(factor, 2)
        elif isinstance(last, Power) and last.base == factor and not isinstance(last.exponent, Expression):
            kept[-1] = Power(factor, last.exponent + 1)
        else:
            kept.append(factor)
    return kept


def divide(a: Expression, b: Expression) -> Expression:
    """The quotient a / b."""
    if isinstance(b, Number) and b.number == 1:
        return a
    if isinstance(a, Number) and isinstance(b, Number) and b.number:
        return Number(a.number / b.number)
    if isinstance(a, Negative):
        return negate(divide(a.inner, b))
    return ZERO if a == ZERO else Quotient(a, b)


def numbers(expression: Expression) -> Expression:
    """The same formula with its symbols replaced by their numbers.

    >>> numbers(Product((Symbol("a", ("x",), 3.0), Number(2.0))))
    Product(factors=(Number(number=3.0), Number(number=2.0)))
    """
    match expression:
        case Symbol() | Partial() | OverSamples():
            return Number(expression.value)
        case Rest():
            return replace(expression, counted=True)
        case Apply(function="f" | "f'" | "l" | "l'"):  # no formula, only a number
            return Number(expression.number)
        case _:
            parts = {field.name: getattr(expression, field.name) for field in fields(expression)}
            return replace(expression, **{name: _numbers_in(part) for name, part in parts.items()})


def _numbers_in(part: Any) -> Any:
    if isinstance(part, tuple):
        return tuple(map(_numbers_in, part))
    return numbers(part) if isinstance(part, Expression) else part
