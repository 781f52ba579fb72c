"""The table of operations: one row for each operation that a definition can use.

A row states what an operation computes, its derivative, its instructions in compiled code, its notation in text, LaTeX
and MathML, and its name in JSON. Compiled kernels, Hessian-vector products, derivations and the export read this table.
To add an operation, add a row here and an example of its use in tests/symbolic/test_operations.py.
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
from clearprop.symbolic.graph import BOOLEAN, ELEMENT, REAL


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

    name: in the array API and in JSON; NumPy or SciPy computes the operation under this name or one of the `aliases`.
    machine: builds the instructions from symbols of an instruction graph.
    slopes: the derivative by each argument, a function of the arguments and the result r; None for conditions.
    written: how a function is written.
    formula: builds the expression, where it is not the function applied to its arguments.
    choice: (condition, x, y) of an operation that is x where the condition holds and y elsewhere.
    compute: replaces the function of NumPy for operations on shapes, with arguments (xp, like, flat, *args) where xp is
        the array library and `like` an array (n, u).
    tangent: replaces the slopes by the directional derivative (values, tangents, **options).
    kind: of the result; "" for the kind of the arguments.
    """

    name: str
    machine: Callable[..., Any]
    slopes: tuple[Callable[..., Any], ...] | None = None
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
def _row(name: str, machine: Any, *slopes: Callable[..., Any], **more: Any) -> Operation:
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


def _library(name: str, slope: Any, shown: str, latex: str = "", **more: Any) -> Operation:
    """A function that no definition of the library uses: it is computed by the C library."""
    return _row(name, partial(primitives.library, name), slope, written=named(shown, latex), **more)


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
#: Operations over the units of a row.
REDUCTIONS = ("sum", "max", "min")
#: The functions and operators of an instruction graph.
INSTRUCTIONS = {row.name: row.machine for row in ROWS}
