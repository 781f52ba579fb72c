"""The operations on symbolic arrays from which every meaning is made, with NumPy's rules for mixed operands."""

from __future__ import annotations

from typing import Any

import numpy as np

from clearprop.symbolic.graph import (
    ELEMENT,
    FLOATS,
    INTEGERS,
    ROW,
    STEP,
    Graph,
    Symbol,
    TraceError,
    UnknownLength,
)


def is_number(value: Any) -> bool:
    """Whether a value is a plain number: of Python, of NumPy, or an array with a single entry and no axis."""
    return isinstance(value, (bool, int, float, np.number, np.bool_)) or (
        isinstance(value, np.ndarray) and value.ndim == 0
    )


def as_symbol(value: Any, graph: Graph) -> Symbol:
    """A result as a symbol, also where a definition returns a plain number."""
    if isinstance(value, Symbol):
        return value
    if is_number(value):
        return graph.constant(value, graph.kind)
    raise TraceError(f"returns a {type(value).__name__}")


def convert(x: Symbol, kind: str) -> Symbol:
    """A symbol in another LLVM type."""
    graph = x.graph
    if x.kind == kind:
        return x
    if x.op == "constant":
        return graph.constant(x.extra, kind)
    if x.kind == "i1":
        return graph.node("select", (x, graph.constant(1, kind), graph.constant(0, kind)), kind, flat=x.flat)
    if x.kind in FLOATS:
        op = "fpext" if kind == "double" else "fptrunc"
    else:
        op = "sitofp" if kind in FLOATS else "sext" if kind == "i64" else "trunc"
    return graph.node(op, (x,), kind, flat=x.flat)


def as_float(x: Symbol) -> Symbol:
    """A symbol as a floating-point number in the precision of its graph, or double for a step's number."""
    return x if x.kind in FLOATS else convert(x, x.graph.kind if x.level else "double")


def common(*values: Any) -> tuple[tuple[Symbol, ...], bool]:
    """Operands in one LLVM type, and whether their result is a vector (n,).

    Plain numbers, and what depends on the step alone, take the type of the arrays they meet.
    """
    for value in values:
        if isinstance(value, UnknownLength):
            value.use()
        if not isinstance(value, Symbol) and not is_number(value):
            shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
            raise TraceError(
                f"combines its argument with a {type(value).__name__}{shape}; only numbers can be compiled in"
            )
    symbols = [value for value in values if isinstance(value, Symbol)]
    graph, arrays = symbols[0].graph, [x for x in symbols if x.level != STEP]
    kinds = {x.kind for x in (arrays or symbols) if x.kind in FLOATS}
    whole = all(x.kind in INTEGERS.values() for x in symbols) and all(
        isinstance(v, (int, np.integer, Symbol)) and not isinstance(v, bool) for v in values
    )
    kind = symbols[0].kind if whole else kinds.pop() if kinds else graph.kind if arrays else "double"
    if len({x.flat for x in arrays}) > 1:
        raise TraceError("combines an array of shape (n,) with one of shape (n, u); keep the row axis with x[:, None]")
    made = tuple(convert(v, kind) if isinstance(v, Symbol) else graph.constant(v, kind) for v in values)
    return made, any(x.flat for x in arrays)


def intrinsic(name: str, *values: Any) -> Symbol:
    """An LLVM intrinsic on floating-point operands: fabs, sqrt, rint, floor, ceil, trunc, fmuladd."""
    args, flat = common(*values)
    args = tuple(as_float(x) for x in args)
    return args[0].graph.node("intrinsic", args, args[0].kind, name, flat=flat)


def library(name: str, *values: Any) -> Symbol:
    """A function of the C library in double precision, element by element: slow, for what is rarely used."""
    args, flat = common(*values)
    kind = as_float(args[0]).kind
    wide = tuple(convert(as_float(x), "double") for x in args)
    return convert(wide[0].graph.node("library", wide, "double", name, flat=flat), kind)


def rarely(condition: Symbol, name: str, x: Symbol, usual: Symbol) -> Symbol:
    """A function of the C library where the condition holds, which is seldom, and the usual result elsewhere."""
    return x.graph.node("rarely", (condition, x, usual), x.kind, name, flat=x.flat)


def arithmetic(op: str, x: Any, y: Any) -> Symbol:
    """One of add, sub, mul (integers or floating-point numbers) and div.

    An array is divided by a number of the step or of each row by multiplying with its reciprocal, which is computed
    once per step or row.
    """
    if op == "div" and all(isinstance(side, Symbol) for side in (x, y)) and x.level == ELEMENT != y.level:
        return arithmetic("mul", x, arithmetic("div", 1, y))
    (x, y), flat = common(x, y)
    if x.kind in FLOATS or op == "div":
        x, y, op = as_float(x), as_float(y), f"f{op}"
    if op == "fmul":
        for one, other in ((x, y), (y, x)):
            if one.op == "constant" and one.extra == 1.0:
                return other
    return x.graph.node(op, (x, y), x.kind, flat=flat)


def negative(x: Symbol) -> Symbol:
    """-x."""
    if x.kind in INTEGERS.values():
        return arithmetic("sub", 0, x)
    x = as_float(x)
    return x.graph.node("fneg", (x,), x.kind, flat=x.flat)


def compare(relation: str, x: Any, y: Any) -> Symbol:
    """A condition: one of lt, le, gt, ge, eq, ne (where one side is NaN, only ne holds)."""
    (x, y), flat = common(x, y)
    if x.kind in FLOATS:
        return x.graph.node("fcmp", (x, y), "i1", "une" if relation == "ne" else f"o{relation}", flat=flat)
    return x.graph.node("icmp", (x, y), "i1", relation if relation in ("eq", "ne") else f"s{relation}", flat=flat)


def bitwise(op: str, x: Any, y: Any) -> Symbol:
    """One of and, or, xor, shl, lshr on integers, or the first three on conditions."""
    x, y = (x, y) if isinstance(x, Symbol) else (y, x)
    if not isinstance(y, Symbol) and isinstance(y, (bool, int, np.integer, np.bool_)):
        y = x.graph.constant(y, x.kind)
    if not isinstance(y, Symbol) or x.kind != y.kind or x.kind in FLOATS:
        raise TraceError("applies &, |, ^ or a shift to something else than conditions")
    return x.graph.node(op, (x, y), x.kind, flat=x.flat or y.flat)


def select(condition: Any, x: Any, y: Any) -> Symbol:
    """X where the condition holds, y elsewhere."""
    if not isinstance(condition, Symbol):
        (x, y), _ = common(x, y)
        return x if condition else y
    if condition.kind != "i1":
        condition = compare("ne", condition, 0)
    graph = condition.graph
    kind = graph.kind if condition.level else "double"
    if not isinstance(x, Symbol) and not isinstance(y, Symbol):
        chosen, flat = (graph.constant(x, kind), graph.constant(y, kind)), condition.flat
    else:
        chosen, flat = common(x, y)
        if all(value.level == STEP for value in chosen):
            chosen, flat = (convert(chosen[0], kind), convert(chosen[1], kind)), condition.flat
    return graph.node("select", (condition, *chosen), chosen[0].kind, flat=flat or condition.flat)


def reduce_row(operation: str, x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
    """The sum, max or min of each row."""
    if x.level != ELEMENT or axis not in (-1, 1):
        raise TraceError(f"takes a {operation} that is not over the units of each row (axis=-1)")
    x = as_float(x)
    return x.graph.node("reduce", (x,), x.kind, operation, ROW, not keepdims)


def power(x: Any, n: Any) -> Symbol:
    """X to the power n: by multiplication for a small whole number, by the C library for any other."""
    if is_number(n) and isinstance(x, Symbol) and x.level != STEP:
        n = float(n)
        if n == 0.5:
            return intrinsic("sqrt", x)
        if n.is_integer() and abs(n) <= 64:
            product = whole_power(as_float(x), int(abs(n)))
            return product if n >= 0 else arithmetic("div", 1, product)
    return library("pow", x, n)


def whole_power(x: Symbol, n: int) -> Symbol:
    """X to the power of a whole number, 0 or more."""
    if n == 0:
        return select(compare("eq", x, x), 1.0, 1.0)
    if n == 1:
        return x
    half = whole_power(x, n // 2)
    square = arithmetic("mul", half, half)
    return arithmetic("mul", square, x) if n % 2 else square
