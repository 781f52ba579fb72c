"""What a derivation consists of, before it is written in any notation: sections of prose, equations and tables."""

from __future__ import annotations

from dataclasses import dataclass, replace

from clearprop.derivation.expression import (
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
    numbers,
)

#: How much of a sum stands in one line, in symbols or numbers.
LINE = 8.0


@dataclass(frozen=True)
class Heading:
    """A small heading inside a section."""

    text: str


@dataclass(frozen=True)
class Prose:
    """A paragraph: text with symbols in it."""

    parts: tuple[str | Expression, ...]


@dataclass(frozen=True)
class Side:
    """One "= ..." of an equation; `remark` says what it is, `remarks` say it of each term of a sum.

    A remark that is a number is what the term comes to.
    """

    expression: Expression
    remark: str | Number = ""
    remarks: tuple[str | Number, ...] = ()


@dataclass(frozen=True)
class Equation:
    """left = side = side = ..."""

    left: Expression
    sides: tuple[Side, ...]

    def rows(self) -> list[Row]:
        """The equation line by line: one side each, a result beside its numbers, long sums with one term each."""
        rows: list[Row] = []
        for side in self.sides:
            left = self.left if not rows else None
            broken = isinstance(side.expression, Sum) and (side.remarks or _size(side.expression) > LINE)
            if not broken:
                last = rows[-1] if rows else None
                joins = isinstance(side.expression, Number) and not side.remark
                if joins and last is not None and not last.inside and not last.remark and last.result is None:
                    rows[-1] = replace(last, result=side.expression)
                else:
                    rows.append(Row(left, "=", side.expression, side.remark))
                continue
            assert isinstance(side.expression, Sum)
            terms = side.expression.terms if side.remarks else _lines(side.expression)
            remarks: tuple[str | Number, ...] = side.remarks or (*[""] * (len(terms) - 1), side.remark)
            for i, (term, remark) in enumerate(zip(terms, remarks, strict=True)):
                rows.append(Row(left if i == 0 else None, "+" if i else "=", term, remark, i > 0))
        return rows


@dataclass(frozen=True)
class Row:
    """One line of an equation; `inside` where it goes on with a sum."""

    left: Expression | None
    sign: str
    expression: Expression
    remark: str | Number
    inside: bool = False
    result: Number | None = None  #: what the line comes to, written at its end


@dataclass(frozen=True)
class Table:
    """Rows of text, numbers and symbols under a head; numbers stand to the right."""

    head: tuple[str | Expression, ...]
    rows: tuple[tuple[str | float | Expression, ...], ...]


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it."""

    title: str
    items: tuple[Prose | Heading | Equation | Table, ...]


def _size(expression: Expression) -> float:
    """About how wide an expression is, in symbols or numbers."""
    match expression:
        case Sum():
            return sum(map(_size, expression.terms))
        case Product():
            return sum(map(_size, expression.factors))
        case Quotient():
            return max(_size(expression.top), _size(expression.bottom))
        case Negative() | OverSamples():
            return _size(expression.inner)
        case Apply():
            return 0.5 + _size(expression.argument)
        case Power():
            return _size(expression.base)
        case Partial():
            return 1.1
        case Number():
            return 1.0 if expression.number not in (0, 1) else 0.5
        case _:
            return 2.0 if isinstance(expression, Rest) else 1.0


def _lines(expression: Sum) -> tuple[Expression, ...]:
    """The terms of a sum gathered into lines that are not too long."""
    lines: list[list[Expression]] = [[]]
    for term in expression.terms:
        if lines[-1] and sum(map(_size, lines[-1])) + _size(term) > LINE:
            lines.append([])
        lines[-1].append(term)
    return tuple(line[0] if len(line) == 1 else Sum(tuple(line)) for line in lines)


def equation(left: Expression, *sides: Expression | Side, value: float | None = None) -> Equation:
    """An equation whose last symbolic side is followed by its numbers and their result, each where it adds something.

    >>> from clearprop.derivation.expression import Number, Product, Symbol
    >>> a, b, c = Symbol("c", (), 6.0), Symbol("a", (), 2.0), Symbol("b", (), 3.0)
    >>> [side.expression.value for side in equation(a, Product((b, c)), value=12.0).sides]
    [12.0, 12.0, 12.0]
    """
    written = [side if isinstance(side, Side) else Side(side) for side in sides]
    if value is not None:
        last = written[-1].expression
        put_in, result = numbers(last), Number(value)
        if put_in != last and put_in != result:
            written.append(Side(put_in))
        if result not in (last, written[-1].expression):
            written.append(Side(result))
    return Equation(left, tuple(written))
