"""Instructions of kernels: each function adds nodes to an instruction graph, with NumPy's rules for mixed operands.

Operands are symbols of an instruction graph, whose kinds are LLVM types, and plain numbers. A plain number, and a value
that depends on the step alone, takes the type of the arrays it is combined with.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from clearprop.symbolic.graph import ELEMENT, ROW, Graph, Symbol, is_number

FLOATS = ("float", "double")
INTEGERS = {"float": "i32", "double": "i64"}


def constant(graph: Graph, value: Any, kind: str) -> Symbol:
    """A number of the given LLVM type."""
    value = float(value) if kind in FLOATS else int(value)
    if kind == "float":
        with np.errstate(over="ignore"):
            value = float(np.float32(value))
    return graph.node("constant", (), kind, value)


def convert(x: Symbol, kind: str) -> Symbol:
    """A symbol in another LLVM type."""
    graph = x.graph
    if x.kind == kind:
        return x
    if x.op == "constant":
        return constant(graph, x.extra, kind)
    if x.kind == "i1":
        return graph.node("select", (x, constant(graph, 1, kind), constant(graph, 0, kind)), kind)
    if x.kind in FLOATS:
        op = "fpext" if kind == "double" else "fptrunc"
    else:
        op = "sitofp" if kind in FLOATS else "sext" if kind == "i64" else "trunc"
    return graph.node(op, (x,), kind)


def as_float(x: Symbol) -> Symbol:
    """A symbol as a floating-point number in the precision of its graph, or double for a number of the step."""
    return x if x.kind in FLOATS else convert(x, x.graph.kind if x.level else "double")


def common(*values: Any) -> tuple[Symbol, ...]:
    """The operands in one LLVM type."""
    symbols = [value for value in values if isinstance(value, Symbol)]
    graph, arrays = symbols[0].graph, [x for x in symbols if x.level]
    kinds = {x.kind for x in (arrays or symbols) if x.kind in FLOATS}
    whole = all(x.kind in INTEGERS.values() for x in symbols) and all(
        isinstance(v, (int, Symbol)) and not isinstance(v, bool) for v in values
    )
    kind = symbols[0].kind if whole else kinds.pop() if kinds else graph.kind if arrays else "double"
    return tuple(convert(v, kind) if isinstance(v, Symbol) else constant(graph, v, kind) for v in values)


def intrinsic(name: str, *values: Any) -> Symbol:
    """An LLVM intrinsic on floating-point operands: fabs, sqrt, rint, floor, ceil, trunc, fmuladd."""
    args = tuple(as_float(x) for x in common(*values))
    return args[0].graph.node("intrinsic", args, args[0].kind, name)


def library(name: str, *values: Any) -> Symbol:
    """A function of the C library in double precision, element by element: slow, for what is rarely used."""
    args = tuple(as_float(x) for x in common(*values))
    wide = tuple(convert(x, "double") for x in args)
    return convert(wide[0].graph.node("library", wide, "double", name), args[0].kind)


def rarely(condition: Symbol, name: str, x: Symbol, usual: Symbol) -> Symbol:
    """A function of the C library in the rare case that the condition holds, and the usual result elsewhere."""
    return x.graph.node("rarely", (condition, x, usual), x.kind, name)


def arithmetic(op: str, x: Any, y: Any) -> Symbol:
    """One of add, sub, mul (integers or floating-point numbers) and div.

    An array is divided by a number of the step or of each row by multiplying with its reciprocal, which is computed
    once per step or row.
    """
    if op == "div" and all(isinstance(side, Symbol) for side in (x, y)) and x.level == ELEMENT != y.level:
        return arithmetic("mul", x, arithmetic("div", 1, y))
    x, y = common(x, y)
    if x.kind in FLOATS or op == "div":
        x, y, op = as_float(x), as_float(y), f"f{op}"
    if op == "fmul":
        for one, other in ((x, y), (y, x)):
            if one.op == "constant" and one.extra == 1.0:
                return other
    return x.graph.node(op, (x, y), x.kind)


def negative(x: Symbol) -> Symbol:
    """-x."""
    if x.kind in INTEGERS.values():
        return arithmetic("sub", 0, x)
    x = as_float(x)
    return x.graph.node("fneg", (x,), x.kind)


def compare(relation: str, x: Any, y: Any) -> Symbol:
    """A condition: one of lt, le, gt, ge, eq, ne (where one side is NaN, only ne holds)."""
    x, y = common(x, y)
    if x.kind in FLOATS:
        return x.graph.node("fcmp", (x, y), "i1", "une" if relation == "ne" else f"o{relation}")
    return x.graph.node("icmp", (x, y), "i1", relation if relation in ("eq", "ne") else f"s{relation}")


def bitwise(op: str, x: Any, y: Any) -> Symbol:
    """One of and, or, xor, shl, lshr on integers, or the first three on conditions."""
    x, y = (x, y) if isinstance(x, Symbol) else (y, x)
    y = y if isinstance(y, Symbol) else constant(x.graph, y, x.kind)
    return x.graph.node(op, (x, y), x.kind)


def select(condition: Any, x: Any, y: Any) -> Symbol:
    """X where the condition holds, y elsewhere."""
    if not isinstance(condition, Symbol):
        return common(x, y)[0 if condition else 1]
    if condition.kind != "i1":
        condition = compare("ne", condition, 0)
    graph = condition.graph
    kind = graph.kind if condition.level else "double"
    if is_number(x) and is_number(y):
        chosen = (constant(graph, x, kind), constant(graph, y, kind))
    else:
        chosen = common(x, y)
        if not any(value.level for value in chosen):
            chosen = (convert(chosen[0], kind), convert(chosen[1], kind))
    return graph.node("select", (condition, *chosen), chosen[0].kind)


def reduce_row(operation: str, x: Symbol, flat: bool) -> Symbol:
    """The sum, max or min of each row."""
    x = as_float(x)
    return x.graph.node("reduce", (x,), x.kind, operation, ROW, flat)


def power(x: Any, n: Any) -> Symbol:
    """X to the power n: by multiplication for a small whole number, by the C library for any other."""
    if is_number(n) and isinstance(x, Symbol) and x.level:
        n = float(n)
        if n == 0.5:
            return intrinsic("sqrt", x)
        if n.is_integer() and abs(n) <= 64:
            product = _whole_power(as_float(x), int(abs(n)))
            return product if n >= 0 else arithmetic("div", 1, product)
    return library("pow", x, n)


def _whole_power(x: Symbol, n: int) -> Symbol:
    """X to the power of a whole number, 0 or more."""
    if n == 0:
        return select(compare("eq", x, x), 1.0, 1.0)
    if n == 1:
        return x
    half = _whole_power(x, n // 2)
    square = arithmetic("mul", half, half)
    return arithmetic("mul", square, x) if n % 2 else square


def maximum(x: Any, y: Any) -> Symbol:
    """The larger; NaN where either is."""
    x, y = (y, x) if is_number(x) else (x, y)
    return select(~compare("lt", x, y), x, y) if is_number(y) else select((x >= y) | (x != x), x, y)


def minimum(x: Any, y: Any) -> Symbol:
    """The smaller; NaN where either is."""
    x, y = (y, x) if is_number(x) else (x, y)
    return select(~compare("gt", x, y), x, y) if is_number(y) else select((x <= y) | (x != x), x, y)


def sign(x: Symbol) -> Symbol:
    """-1, 0 or 1; NaN stays."""
    x = as_float(x)
    return select(x > 0, 1.0, select(x < 0, -1.0, select(x == 0, 0.0, x)))


def renamed(x: Symbol) -> Symbol:
    """The same values under another shape: (n,) for (n, 1), or the reverse."""
    return x.graph.node("same", (x,), x.kind, None, ROW, not x.flat)
