"""The table of operations: one row for each operation that a definition can use.

A definition of an activation, a loss or an optimizer is called with symbols (`tracer`), which records its operations in
an expression graph. Compiled kernels, Hessian-vector products, derivations and the export to JSON all read the graph by
this table. To add an operation, add a row: tests/symbolic/test_operations.py tries each row in each of these uses.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import scipy.special

from clearprop import mathematics
from clearprop.errors import ArgumentError
from clearprop.fork_safety import cached_property
from clearprop.symbolic import approximations, expression, primitives
from clearprop.symbolic.expression import ONE, ZERO, Apply, Expression, Negative, Number, Power, is_known
from clearprop.symbolic.graph import (
    BOOLEAN,
    ELEMENT,
    INTEGER,
    REAL,
    ROW,
    Graph,
    Symbol,
    TraceError,
    UnknownLength,
    is_number,
)

Slope = Callable[..., Any]


@dataclass(frozen=True)
class Written:
    """How a function of #1, #2, ... is written; an `infix` one needs parentheses inside a sum or product."""

    text: str
    latex: str
    mathml: str
    infix: bool = False


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    `name` is the name in the array API and in JSON; NumPy or SciPy computes the operation under this name or an alias.
    `compute(xp, like, flat, *args)` replaces that for operations on shapes, where `like` is an array (n, u).
    `machine` builds the instructions. `slopes` has the derivative with respect to each argument as a function of the
    arguments and the result, or `tangent(values, tangents, **options)` is the directional derivative; both are None for
    conditions and indices. `written` is the notation; `formula` builds the expression where that is more than applying
    a function, and `choice` returns (condition, x, y) for what is x or y. `kind` is the kind of the result, "" for that
    of the arguments.
    """

    name: str
    machine: Callable[..., Any]
    slopes: tuple[Slope, ...] | None = None
    written: Written | None = None
    aliases: tuple[str, ...] = ()
    formula: Callable[..., Expression] | None = None
    choice: Callable[..., tuple[Expression, Expression, Expression]] | None = None
    compute: Callable[..., Any] | None = None
    tangent: Callable[..., Any] | None = None
    kind: str = REAL

    @property
    def arguments(self) -> int:
        """How many arguments it takes."""
        if self.slopes is not None or self.written is None:
            return len(self.slopes or (1,))
        return max(map(int, re.findall(r"#(\d)", self.written.text)), default=0)

    @cached_property
    def function(self) -> Callable[..., Any]:
        """The function of NumPy or SciPy."""
        return find_function(self, np, scipy.special)


def find_function(operation: Operation, *namespaces: Any) -> Callable[..., Any]:
    """The function of an operation in the first namespace that has it."""
    for namespace in namespaces:
        for name in (operation.name, *operation.aliases):
            if hasattr(namespace, name):
                return getattr(namespace, name)
    searched = ", ".join(space.__name__ for space in namespaces)
    raise ArgumentError(f"{operation.name}: not found in {searched}. Pass a module that has it as special.")


# ------------------------------------------------------------------------------------------------------------- notation
def named(name: str, latex: str = "", mathml: str = "", arguments: int = 1) -> Written:
    """A function name with its arguments in parentheses."""
    given = [f"#{i + 1}" for i in range(arguments)]
    latex, mathml = latex or rf"\operatorname{{{name}}}", mathml or f"<mi>{name}</mi>"
    inside = "<mo>,</mo>".join(given)
    return Written(
        f"{name}({', '.join(given)})",
        rf"{latex}\left({', '.join(given)}\right)",
        f"{mathml}<mrow><mo>(</mo>{inside}<mo>)</mo></mrow>",
    )


def _infix(text: str, latex: str, mathml: str) -> Written:
    return Written(f"#1 {text} #2", f"#1 {latex} #2", f"#1<mo>{mathml}</mo>#2", infix=True)


def _between(left: str, right: str, latex_left: str, latex_right: str) -> Written:
    mathml = f"<mrow><mo>{left}</mo>#1<mo>{right}</mo></mrow>"
    return Written(f"{left}#1{right}", rf"\left{latex_left}#1\right{latex_right}", mathml)


def _over_units(sign: str, latex: str) -> Written:
    return Written(f"{sign}_k #1", rf"{latex}_k #1", f"<munder><mo>{sign}</mo><mi>k</mi></munder>#1", infix=True)


_LOG_BASE = "<msub><mi>log</mi><mn>{}</mn></msub>"
_WHERE = Written(
    "(#2 if #1, else #3)",
    r"\begin{cases}#2 & \text{if } #1 \\ #3 & \text{otherwise}\end{cases}",
    "<mrow><mo>{</mo><mtable><mtr><mtd>#2</mtd><mtd><mtext>if </mtext>#1</mtd></mtr>"
    "<mtr><mtd>#3</mtd><mtd><mtext>otherwise</mtext></mtd></mtr></mtable></mrow>",
)


# ------------------------------------------------------------------------------------------------------------- formulas
def apply(name: str, *arguments: Expression) -> Expression:
    """A function of expressions; of numbers it is a number."""
    number = math.nan
    if all(map(is_known, arguments)) and OPERATIONS[name].compute is None:
        convert = bool if name.startswith("bitwise") else float
        with np.errstate(all="ignore"):
            number = float(OPERATIONS[name].function(*(convert(x.value) for x in arguments)))
        if all(isinstance(x, Number) for x in arguments):
            return Number(number)
    return Apply(name, arguments, number)


def _exp(x: Expression) -> Expression:
    """Exp(x); exp(-|z|), which keeps exp from overflowing, is written as exp(-z) or exp(z)."""
    if isinstance(x, Negative) and isinstance(x.inner, Apply) and x.inner.function == "abs" and is_known(x):
        inside = x.inner.arguments[0]
        x = expression.negate(inside) if inside.value > 0 else inside
    return apply("exp", x)


def _sign(x: Expression) -> Expression:
    return Number(float(np.sign(x.value))) if is_known(x) else apply("sign", x)


def _power(x: Expression, n: Expression) -> Expression:
    if isinstance(x, Number) and isinstance(n, Number):
        return apply("pow", x, n)
    return Power(x, n.number if isinstance(n, Number) else n)


def _xlogy(x: Expression, y: Expression) -> Expression:
    return ZERO if x.value == 0 else expression.multiply(x, apply("log", y))


def _same(x: Expression) -> Expression:
    return x


def _expit(x: Expression) -> Expression:
    return expression.divide(ONE, expression.add(ONE, _exp(expression.negate(x))))


def _log_add_exp(x: Expression, y: Expression) -> Expression:
    return apply("log", expression.add(_exp(x), _exp(y)))


# ---------------------------------------------------------------------------------------------------- rows of the table
def _row(name: str, machine: Any, *slopes: Slope, **more: Any) -> Operation:
    return Operation(name, machine, slopes or None, **more)


def _logic(name: str, code: str, written: Written, *aliases: str) -> Operation:
    return _row(name, partial(primitives.bitwise, code), written=written, aliases=aliases, kind="")


def _one(*_: Any) -> float:
    return 1.0


def _zero(*_: Any) -> float:
    return 0.0


def _xlogy_slope(x: Any, y: Any, _: Any) -> Any:
    return x / np.where(x == 0, 1, y)


def _comparison(name: str, code: str, text: str, latex: str = "", mathml: str = "") -> Operation:
    return _row(name, partial(primitives.compare, code), written=_infix(text, latex or text, mathml or text),
                kind=BOOLEAN)  # fmt: skip


def _library(name: str, slope: Slope, shown: str, latex: str = "", c_name: str = "", **more: Any) -> Operation:
    """A function that no definition of the library uses: it is computed by the C library."""
    return _row(name, partial(primitives.library, c_name or name), slope, written=named(shown, latex), **more)


def _reduction(name: str, sign: str, latex: str, *aliases: str) -> Operation:
    def compute(xp: Any, like: Any, flat: bool, x: Any) -> Any:
        return getattr(xp, name)(x, axis=-1, keepdims=not flat)

    def tangent(values: Any, tangents: Any, axis: Any = -1, keepdims: bool = False) -> Any:
        if name == "sum":
            return np.sum(tangents[0], axis=axis, keepdims=keepdims)
        index = getattr(np, f"arg{name}")(values[0], axis=axis, keepdims=True)
        chosen = np.take_along_axis(tangents[0], index, axis)
        return chosen if keepdims else chosen.squeeze(axis)

    machine, written = partial(primitives.reduce_row, name), _over_units(sign, latex)
    return _row(name, machine, written=written, aliases=aliases, compute=compute, tangent=tangent)


_ROOT_PI = 2 / math.sqrt(math.pi)
_LN2, _LN10 = math.log(2), math.log(10)

ROWS: list[Operation] = [
    # --- arithmetic
    _row("add", partial(primitives.arithmetic, "add"), _one, _one, formula=expression.add, kind=""),
    _row("subtract", partial(primitives.arithmetic, "sub"), _one, lambda x, y, r: -1.0,
         formula=expression.subtract, kind=""),
    _row("multiply", partial(primitives.arithmetic, "mul"), lambda x, y, r: y, lambda x, y, r: x,
         formula=expression.multiply, kind=""),
    _row("divide", partial(primitives.arithmetic, "div"), lambda x, y, r: 1 / y, lambda x, y, r: -r / y,
         formula=expression.divide),
    _row("negative", primitives.negative, lambda x, r: -1.0, formula=expression.negate, kind=""),
    _row("pow", primitives.power, lambda x, y, r: y * np.power(x, np.subtract(y, 1)), lambda x, y, r: np.log(x) * r,
         formula=_power, aliases=("power", "float_power")),
    # --- conditions
    _comparison("less", "lt", "<", "<", "&lt;"),
    _comparison("less_equal", "le", "≤", r"\le"),
    _comparison("greater", "gt", ">", ">", "&gt;"),
    _comparison("greater_equal", "ge", "≥", r"\ge"),
    _comparison("equal", "eq", "="),
    _comparison("not_equal", "ne", "≠", r"\ne"),
    _logic("bitwise_and", "and", _infix("and", r"\land", "∧"), "logical_and"),
    _logic("bitwise_or", "or", _infix("or", r"\lor", "∨"), "logical_or"),
    _logic("bitwise_xor", "xor", _infix("xor", r"\oplus", "⊕"), "logical_xor"),
    _logic("bitwise_left_shift", "shl", _infix("<<", r"\ll", "≪"), "left_shift"),
    _row("bitwise_invert", lambda x: primitives.bitwise("xor", x, True), aliases=("invert", "logical_not"),
         written=Written("not #1", r"\lnot #1", "<mo>¬</mo>#1", infix=True), kind=""),
    # --- choices
    _row("where", primitives.select, tangent=lambda values, tangents: np.where(values[0], *tangents[1:]),
         written=_WHERE, choice=lambda c, x, y: (c, x, y), kind=""),
    _row("maximum", primitives.maximum, lambda x, y, r: x >= y, lambda x, y, r: x < y,
         written=named("max", r"\max", arguments=2), choice=lambda x, y: (apply("greater_equal", x, y), x, y)),
    _row("minimum", primitives.minimum, lambda x, y, r: x < y, lambda x, y, r: x >= y,
         written=named("min", r"\min", arguments=2), choice=lambda x, y: (apply("less_equal", x, y), x, y)),
    _row("sign", primitives.sign, _zero, written=named("sign"), formula=_sign),
    # --- functions of one number
    _row("abs", partial(primitives.intrinsic, "fabs"), lambda x, r: np.where(x >= 0, 1.0, -1.0),
         written=_between("|", "|", "|", "|"), aliases=("absolute", "fabs")),
    _row("floor", partial(primitives.intrinsic, "floor"), _zero, written=_between("⌊", "⌋", r"\lfloor ", r"\rfloor")),
    _row("ceil", partial(primitives.intrinsic, "ceil"), _zero, written=_between("⌈", "⌉", r"\lceil ", r"\rceil")),
    _row("trunc", partial(primitives.intrinsic, "trunc"), _zero, written=named("trunc")),
    _row("round", partial(primitives.intrinsic, "rint"), _zero, written=named("round"), aliases=("rint",)),
    _row("sqrt", partial(primitives.intrinsic, "sqrt"), lambda x, r: 0.5 / r,
         written=Written("sqrt(#1)", r"\sqrt{#1}", "<msqrt><mrow>#1</mrow></msqrt>")),
    _row("exp", approximations.exp, lambda x, r: r, written=named("exp", r"\exp"), formula=_exp),
    _row("expm1", approximations.expm1, lambda x, r: r + 1, formula=lambda x: expression.subtract(_exp(x), ONE)),
    _row("log", approximations.log, lambda x, r: 1 / x, written=named("log", r"\log")),
    _row("log1p", approximations.log1p, lambda x, r: 1 / (1 + x),
         formula=lambda x: apply("log", expression.add(ONE, x))),
    _row("tanh", approximations.tanh, lambda x, r: 1 - r * r, written=named("tanh", r"\tanh")),
    _row("sin", approximations.sin, lambda x, r: np.cos(x), written=named("sin", r"\sin")),
    _row("cos", approximations.cos, lambda x, r: -np.sin(x), written=named("cos", r"\cos")),
    _row("erf", approximations.erf, lambda x, r: _ROOT_PI * np.exp(-x * x), written=named("erf")),
    _row("erfc", approximations.erfc, lambda x, r: -_ROOT_PI * np.exp(-x * x), written=named("erfc")),
    _row("expit", mathematics.logistic, lambda x, r: r * (1 - r), formula=_expit),
    _row("log_expit", lambda x: -mathematics.log_one_plus_exp(-x), lambda x, r: -np.expm1(r),
         formula=lambda x: apply("log", _expit(x))),
    _library("sinh", lambda x, r: np.cosh(x), "sinh", r"\sinh"),
    _library("cosh", lambda x, r: np.sinh(x), "cosh", r"\cosh"),
    _library("tan", lambda x, r: 1 + r * r, "tan", r"\tan"),
    _library("asin", lambda x, r: 1 / np.sqrt(1 - x * x), "arcsin", r"\arcsin", aliases=("arcsin",)),
    _library("acos", lambda x, r: -1 / np.sqrt(1 - x * x), "arccos", r"\arccos", aliases=("arccos",)),
    _library("atan", lambda x, r: 1 / (1 + x * x), "arctan", r"\arctan", aliases=("arctan",)),
    _library("asinh", lambda x, r: 1 / np.sqrt(1 + x * x), "arsinh", aliases=("arcsinh",)),
    _library("acosh", lambda x, r: 1 / np.sqrt(x * x - 1), "arcosh", aliases=("arccosh",)),
    _library("atanh", lambda x, r: 1 / (1 - x * x), "artanh", aliases=("arctanh",)),
    _row("exp2", partial(primitives.library, "exp2"), lambda x, r: _LN2 * r,
         formula=lambda x: Power(Number(2.0), x)),
    _row("log2", partial(primitives.library, "log2"), lambda x, r: 1 / (_LN2 * x),
         written=named("log₂", r"\log_2", _LOG_BASE.format(2))),
    _row("log10", partial(primitives.library, "log10"), lambda x, r: 1 / (_LN10 * x),
         written=named("log₁₀", r"\log_{10}", _LOG_BASE.format(10))),
    _row("cbrt", partial(primitives.library, "cbrt"), lambda x, r: 1 / (3 * r * r),
         written=Written("cbrt(#1)", r"\sqrt[3]{#1}", "<mroot><mrow>#1</mrow><mn>3</mn></mroot>")),
    # --- functions of two numbers
    _row("xlogy", approximations.xlogy, lambda x, y, r: np.log(y), _xlogy_slope, formula=_xlogy),
    _row("logaddexp", lambda x, y: primitives.maximum(x, y) + approximations.log1p(approximations.exp(-abs(x - y))),
         lambda x, y, r: np.exp(x - r), lambda x, y, r: np.exp(y - r), formula=_log_add_exp),
    _row("hypot", partial(primitives.library, "hypot"), lambda x, y, r: x / r, lambda x, y, r: y / r,
         written=Written("sqrt(#1^2 + #2^2)", r"\sqrt{{#1}^2 + {#2}^2}",
                         "<msqrt><mrow><msup><mrow>#1</mrow><mn>2</mn></msup><mo>+</mo>"
                         "<msup><mrow>#2</mrow><mn>2</mn></msup></mrow></msqrt>")),
    _row("atan2", partial(primitives.library, "atan2"), lambda y, x, r: x / (x * x + y * y),
         lambda y, x, r: -y / (x * x + y * y), written=named("atan2", arguments=2), aliases=("arctan2",)),
    # --- rows of an array
    _reduction("sum", "Σ", r"\sum"),
    _reduction("max", "max", r"\max", "amax"),
    _reduction("min", "min", r"\min", "amin"),
    _row("expand", primitives.renamed, compute=lambda xp, like, flat, x: x[..., None], formula=_same, kind=""),
    _row("flatten", primitives.renamed, compute=lambda xp, like, flat, x: x[..., 0], formula=_same, kind=""),
    _row("real", primitives.as_float, compute=lambda xp, like, flat, x: xp.astype(x, like.dtype), formula=_same),
    _row("units", lambda graph: graph.node("units", (), "double"), written=Written("u", "u", "<mi>u</mi>"),
         compute=lambda xp, like, flat: like.shape[-1]),
    _row("column", lambda graph: graph.node("column", (), primitives.INTEGERS[graph.kind], level=ELEMENT),
         written=Written("k", "k", "<mi>k</mi>"), compute=lambda xp, like, flat: xp.arange(like.shape[-1])),
]  # fmt: skip
OPERATIONS: dict[str, Operation] = {row.name: row for row in ROWS}
#: The row of each name in the array API, NumPy or SciPy.
BY_NAME = {name: row for row in ROWS for name in (row.name, *row.aliases)}

#: What the operators of an instruction graph mean.
INSTRUCTIONS = {row.name: row.machine for row in ROWS}


# -------------------------------------------------------------------------------------------------------------- tracing
def record(operation: Operation, *args: Any, level: int | None = None, flat: bool | None = None) -> Symbol:
    """Add an operation to the graph of its arguments, which are symbols and plain numbers."""
    for value in args:
        if isinstance(value, UnknownLength):
            value.use()
        if not isinstance(value, Symbol) and not is_number(value):
            shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
            raise TraceError(
                f"combines its argument with a {type(value).__name__}{shape}; only numbers can be constants"
            )
    symbols = [value for value in args if isinstance(value, Symbol)]
    arrays = {x.flat for x in symbols if x.level}
    if len(arrays) > 1:
        raise TraceError("combines an array of shape (n,) with one of shape (n, u); keep the row axis with x[:, None]")
    graph = symbols[0].graph
    nodes = tuple(value if isinstance(value, Symbol) else constant(graph, value) for value in args)
    flat = True in arrays if flat is None else flat
    return graph.node(operation.name, nodes, _kind(operation, nodes), None, level, flat)


def constant(graph: Graph, value: Any) -> Symbol:
    """A number as a node."""
    if isinstance(value, (bool, np.bool_)):
        return graph.node("constant", (), BOOLEAN, bool(value))
    whole = isinstance(value, (int, np.integer))
    return graph.node("constant", (), INTEGER if whole else REAL, int(value) if whole else float(value))


def _kind(operation: Operation, args: tuple[Symbol, ...]) -> str:
    """The kind of a result."""
    args = args[1:] if operation.name == "where" else args
    exact = {x.kind for x in args if x.op != "constant"}
    if operation.name.startswith("bitwise"):
        if REAL in (x.kind for x in args) or len(exact) > 1:
            raise TraceError("applies &, |, ^, ~ or << to something other than conditions")
        return exact.pop()
    if operation.kind or not exact:
        return operation.kind or REAL
    kinds = {x.kind for x in args}
    return kinds.pop() if len(kinds) == 1 and (BOOLEAN not in kinds or len(args) == 1) else REAL


def _astype(x: Symbol, dtype: Any, copy: bool = True) -> Symbol:
    kind = np.dtype(dtype).kind
    if kind == x.dtype.kind:
        return x
    if kind == "f":
        return record(OPERATIONS["real"], x)
    raise TraceError(f"converts an array to {np.dtype(dtype)}")


def _arange(stop: Any) -> Symbol:
    """The index of each column."""
    if not isinstance(stop, Symbol) or stop.op != "units":
        raise TraceError("calls arange with something other than the number of units")
    return stop.graph.node("column", (), INTEGER, level=ELEMENT)


def _over_row(name: str) -> Callable[..., Symbol]:
    def reduce(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        if not x.graph.rows:
            raise TraceError(f"takes a {name} over the parameters, which are updated in slices of any length")
        if x.level != ELEMENT or axis not in (-1, 1):
            raise TraceError(f"takes a {name} that is not over the units of each row (axis=-1)")
        return total(x, name, keepdims)

    return reduce


def total(x: Symbol, name: str = "sum", keepdims: bool = False) -> Symbol:
    """The sum, max or min of each row, or of a slice of parameters."""
    return record(OPERATIONS[name], x, level=ROW, flat=not keepdims)


def _mean(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
    return _over_row("sum")(x, axis, keepdims) / x.graph.node("units", (), REAL)


def clip(x: Any, min: Any = None, max: Any = None) -> Any:
    """X between two bounds, None for no bound."""
    x = x if min is None else np.maximum(x, min)
    return x if max is None else np.minimum(x, max)


#: Functions that are written with the operations of the table.
SHORTHANDS: dict[str, Callable[..., Any]] = {
    "positive": lambda x: x,
    "square": lambda x: x * x,
    "reciprocal": lambda x: 1 / x,
    "isnan": lambda x: x != x,
    "isfinite": lambda x: abs(x) < math.inf,
    "clip": clip,
    "mean": _mean,
    "arange": _arange,
    "astype": _astype,
    "asarray": lambda x, dtype=None: x,
    "zeros_like": lambda like, dtype=None: np.where(like == like, 0.0, 0.0),
    "ones_like": lambda like, dtype=None: np.where(like == like, 1.0, 1.0),
}
#: Every function that a definition can call, by its names in the array API, NumPy and SciPy.
FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: _over_row(row.name) if row.name in ("sum", "max", "min") else partial(record, row)
    for name, row in BY_NAME.items()
    if row.compute is None or row.tangent is not None
} | SHORTHANDS


def tracer(dtype: Any = np.float64, rows: bool = True) -> Graph:
    """An empty expression graph, in which definitions are traced."""
    return Graph(dtype, FUNCTIONS, rows)


def as_symbol(value: Any, graph: Graph) -> Symbol:
    """The result of a definition as a symbol; it may be a plain number."""
    if isinstance(value, Symbol):
        return value
    if is_number(value):
        return constant(graph, value)
    raise TraceError(f"returns a {type(value).__name__}")
