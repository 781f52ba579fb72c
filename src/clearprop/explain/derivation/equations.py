"""Equations independent of notation: their sides, and how they are broken into lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from clearprop.symbolic.expression import Expression, Negative, Number, Product, Sum, numbers


@dataclass(frozen=True)
class Side:
    """One "= ..." of an equation; `remark` explains it, `remarks` explain each term of a sum.

    A remark that is a number is the value of the term.
    """

    expression: Expression
    remark: str | Number = ""
    remarks: tuple[str | Number, ...] = ()


@dataclass(frozen=True)
class Equation:
    """left = side = side = ..."""

    left: Expression
    sides: tuple[Side, ...]

    def rows(self, width: Callable[[Expression], float], line: float) -> list[Row]:
        """The lines of the equation: one side each, a result next to its numbers; long sides are broken.

        `width` returns the width of an expression in a notation, `line` is the width of a line.
        """
        room = line - width(self.left) - 3
        rows: list[Row] = []
        for side in self.sides:
            last = rows[-1] if rows else None
            if last is not None and _fits_beside(side, last, width, room):
                rows[-1] = replace(last, result=side.expression)
                continue
            written = _rows(side, width, room)
            rows += written if rows else [replace(written[0], left=self.left), *written[1:]]
        return rows


@dataclass(frozen=True)
class Row:
    """One line of an equation; `sign` is "+" or "·" if it continues a sum or a product, else empty."""

    left: Expression | None
    sign: str
    expression: Expression
    remark: str | Number = ""
    result: Number | None = None  #: the value of the line, written at its end


def _fits_beside(side: Side, last: Row, width: Callable[[Expression], float], room: float) -> bool:
    """Whether a side is a number that fits at the end of the previous line."""
    if not isinstance(side.expression, Number) or side.remark or last.sign or last.remark or last.result is not None:
        return False
    return width(last.expression) + width(side.expression) + 3 <= room


def _rows(side: Side, width: Callable[[Expression], float], room: float) -> list[Row]:
    """The lines of one side: a sum with remarks has a line for each term, and long lines are broken."""
    terms: Sequence[Expression] = (side.expression,)
    if isinstance(side.expression, Sum) and (side.remarks or width(side.expression) > room):
        terms = side.expression.terms if side.remarks else _gather(side.expression.terms, Sum, width, room)
    remarks = side.remarks or (*[""] * (len(terms) - 1), side.remark)
    rows = []
    for i, (term, remark) in enumerate(zip(terms, remarks, strict=True)):
        factors = _factors(term, width, room)
        rows += [Row(None, "·" if k else "+" if i else "", factor) for k, factor in enumerate(factors)]
        rows[-1] = replace(rows[-1], remark=remark)
    return rows


def _factors(expression: Expression, width: Callable[[Expression], float], room: float) -> Sequence[Expression]:
    """The parts of a product that is too wide; any other expression alone."""
    if isinstance(expression, Negative):
        first, *others = _factors(expression.inner, width, room)
        return [Negative(first), *others]
    if not isinstance(expression, Product) or width(expression) <= room:
        return [expression]
    return _gather(expression.factors, Product, width, room)


def _gather(
    parts: Sequence[Expression],
    together: Callable[[tuple[Expression, ...]], Expression],
    width: Callable[[Expression], float],
    room: float,
) -> list[Expression]:
    """Terms or factors distributed over lines of at most this width."""
    lines: list[list[Expression]] = [[]]
    for part in parts:
        if lines[-1] and width(together((*lines[-1], part))) > room - 2:
            lines.append([])
        lines[-1].append(part)
    return [line[0] if len(line) == 1 else together(tuple(line)) for line in lines]


def equation(left: Expression, *sides: Expression | Side, value: float | None = None) -> Equation:
    """An equation whose last symbolic side is followed by its numbers and their result, unless they repeat it.

    >>> from clearprop.symbolic.expression import Number, Product, Symbol
    >>> area, a, b = Symbol("area", (), 6.0), Symbol("a", (), 2.0), Symbol("b", (), 3.0)
    >>> [side.expression.value for side in equation(area, Product((a, b)), value=6.0).sides]
    [6.0, 6.0, 6.0]
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
