"""The formulas of activations and losses, read off their own definitions.

An activation says its derivative once, as code on arrays. Run on a `Traced` symbol in place of an array, the same code
writes down the formula, with the branch of each `where` that holds for the symbol's number. So the formula shown is the
one that is computed, for a user's own activation too. What mixes the units of a row (softmax, layer normalisation,
cross-entropy) has its formula here, and a test that holds it against the definition.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import scipy.special

from clearprop.activations import Activation, Elementwise, LayerNormalization, Sigmoid, Softmax
from clearprop.explain.derivation.expression import (
    ONE,
    ZERO,
    Apply,
    Expression,
    Negative,
    Number,
    Power,
    Symbol,
    add,
    divide,
    multiply,
    negate,
    subtract,
)
from clearprop.losses import CrossEntropy, Loss, PointwiseLoss


class _Untraceable(Exception):
    """The definition does with its argument what no formula can follow."""


@dataclass(eq=False)
class Traced:
    """Stands for one number of an array in a definition, and writes down what is done with it."""

    expression: Expression
    reasons: list[str] = field(default_factory=list)  #: the conditions that chose a branch
    shape: tuple[int, ...] = (1,)

    def __array_namespace__(self) -> Any:
        return _NAMESPACE

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Traced:
        if method != "__call__" or options:
            raise _Untraceable(ufunc.__name__)
        return getattr(_NAMESPACE, ufunc.__name__)(*inputs)

    def astype(self, dtype: Any, copy: bool = True) -> Traced:
        del dtype, copy
        return self

    def __bool__(self) -> bool:
        raise _Untraceable("bool")

    def __float__(self) -> float:
        raise _Untraceable("float")

    def __pow__(self, exponent: Any) -> Traced:
        if not isinstance(exponent, (int, float)):
            raise _Untraceable("power")
        return self._made(Power(self.expression, exponent))

    def _made(self, expression: Expression) -> Traced:
        return Traced(expression, self.reasons, self.shape)

    def __neg__(self) -> Traced:
        return self._made(negate(self.expression))


@dataclass
class _Condition:
    words: str
    holds: bool
    like: Traced

    def __array_namespace__(self) -> Any:
        return _NAMESPACE

    def __bool__(self) -> bool:
        raise _Untraceable("bool")


def _expression(given: Any) -> Expression:
    if isinstance(given, Traced):
        return given.expression
    if isinstance(given, (bool, int, float, np.number)):
        return Number(float(given))
    raise _Untraceable(type(given).__name__)


def _binary(combine: Callable[[Expression, Expression], Expression]) -> tuple[Callable, Callable]:
    def forward(self: Traced, other: Any) -> Traced:
        return self._made(combine(self.expression, _expression(other)))

    def reflected(self: Traced, other: Any) -> Traced:
        return self._made(combine(_expression(other), self.expression))

    return forward, reflected


_OPPOSITE = {">": "<=", "<": ">=", ">=": "<", "<=": ">", "==": "!=", "!=": "=="}
_SIGNS = {"<=": "≤", ">=": "≥", "==": "=", "!=": "≠"}


def _comparison(name: str, sign: str) -> Callable[[Traced, Any], _Condition]:
    compare = getattr(operator, name)

    def method(self: Traced, other: Any) -> _Condition:
        a, b = self.expression, _expression(other)
        holds = bool(compare(a.value, b.value))
        shown = sign if holds else _OPPOSITE[sign]
        simple = isinstance(a, Symbol) and isinstance(b, Number)
        words = f"{a.base} {_SIGNS.get(shown, shown)} {b.number:g}" if simple else ""  # type: ignore[union-attr]
        return _Condition(words, holds, self)

    return method


for _name, _combine in (("add", add), ("sub", subtract), ("mul", multiply), ("truediv", divide)):
    _forward, _reflected = _binary(_combine)
    setattr(Traced, f"__{_name}__", _forward)
    setattr(Traced, f"__r{_name}__", _reflected)
for _name, _sign in (("gt", ">"), ("lt", "<"), ("ge", ">="), ("le", "<="), ("eq", "=="), ("ne", "!=")):
    setattr(Traced, f"__{_name}__", _comparison(_name, _sign))


class _Namespace:
    """The functions a definition may use, on traced symbols: those of an array library that have a formula."""

    def __getattr__(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            raise AttributeError(f"no formula for {name}")
        return lambda x: _apply(name, x)

    @staticmethod
    def where(condition: Any, x: Any, y: Any) -> Traced:
        if not isinstance(condition, _Condition):
            raise _Untraceable("where")
        if condition.words and condition.words not in condition.like.reasons:
            condition.like.reasons.append(condition.words)
        return condition.like._made(_expression(x if condition.holds else y))

    @staticmethod
    def maximum(x: Any, y: Any) -> Traced:
        return _choose(x, y, operator.ge)

    @staticmethod
    def minimum(x: Any, y: Any) -> Traced:
        return _choose(x, y, operator.le)

    add, subtract, multiply = staticmethod(operator.add), staticmethod(operator.sub), staticmethod(operator.mul)
    divide, true_divide = staticmethod(operator.truediv), staticmethod(operator.truediv)
    negative, power = staticmethod(operator.neg), staticmethod(operator.pow)
    greater, greater_equal, less = staticmethod(operator.gt), staticmethod(operator.ge), staticmethod(operator.lt)

    @staticmethod
    def square(x: Any) -> Traced:
        return x * x

    @staticmethod
    def xlogy(x: Any, y: Any) -> Any:
        if _expression(x).value == 0:
            return (x if isinstance(x, Traced) else y)._made(ZERO)
        return x * _apply("log", y)


_NAMESPACE = _Namespace()
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "sqrt": np.sqrt, "tanh": np.tanh,
    "sin": np.sin, "cos": np.cos, "cosh": np.cosh, "sinh": np.sinh, "tan": np.tan, "arctan": np.arctan,
    "sign": np.sign, "abs": np.abs, "absolute": np.abs, "erfc": scipy.special.erfc, "expit": scipy.special.expit,
}  # fmt: skip


def _apply(name: str, x: Any) -> Traced:
    """A function of a traced symbol, written the way it is in mathematics."""
    if not isinstance(x, Traced):
        raise _Untraceable(name)
    inner = x.expression
    value = float(_FUNCTIONS[name](inner.value))
    if isinstance(inner, Number):
        return x._made(Number(value))
    if (
        name == "exp"
        and isinstance(inner, Negative)
        and isinstance(inner.inner, Apply)
        and inner.inner.function == "abs"
    ):
        inside = inner.inner.argument  # exp(-|z|), which keeps exp from overflowing, is exp(-z) or exp(z)
        return x._made(Apply("exp", negate(inside) if inside.value > 0 else inside, value))
    if name == "sign":
        return x._made(Number(value))
    if name == "expm1":
        return x._made(subtract(Apply("exp", inner, value + 1), ONE))
    if name == "log1p":
        return x._made(Apply("log", add(ONE, inner), value))
    return x._made(Apply({"absolute": "abs"}.get(name, name), inner, value))


def _choose(x: Any, y: Any, first: Callable[[float, float], bool]) -> Traced:
    like = x if isinstance(x, Traced) else y
    a, b = _expression(x), _expression(y)
    if isinstance(a, Symbol) and isinstance(b, Number):
        like.reasons.append(f"{a.base} {'≥' if a.value >= b.value else '<'} {b.number:g}")
    return like._made(a if first(a.value, b.value) else b)


@dataclass(frozen=True)
class Formula:
    """A formula, and in words what makes it this one ("z > 0")."""

    expression: Expression
    reason: str = ""


def slope_formula(f: Activation, z: list[Symbol], a: list[Symbol], q: int, p: int, slope: float) -> Formula:
    """d a_q / d z_p of an activation at one sample, whose number is `slope`; z and a are the symbols of the row."""
    if isinstance(f, Elementwise):
        return _traced(lambda traced: f.derivative(*traced), (z[p], a[p]), slope, "f'") if p == q else Formula(ZERO)
    if isinstance(f, Softmax):
        if p == q:
            return Formula(multiply(a[p], subtract(ONE, a[p])))
        return Formula(negate(multiply(a[q], a[p])))
    if isinstance(f, LayerNormalization):
        return Formula(_normalization_slope(f, [symbol.number for symbol in z], a, q, p))
    return Formula(Number(slope))


def _normalization_slope(f: LayerNormalization, z: list[float], a: list[Symbol], q: int, p: int) -> Expression:
    """([q = p] - 1/u - a_q a_p / u) / s."""
    units, mean = len(z), math.fsum(z) / len(z)
    s = math.sqrt(math.fsum((v - mean) ** 2 for v in z) / units + f.epsilon)
    u = Number(float(units))
    same = add(Number(float(p == q)), negate(divide(ONE, u)))
    return divide(subtract(same, divide(multiply(a[q], a[p]), u)), Symbol("s", (), s))


def activation_formula(f: Activation, z: list[Symbol], unit: int, a: float) -> Formula:
    """a of one unit of an activation at one sample, whose number is `a`; z are the symbols of the row."""
    if isinstance(f, Sigmoid):  # the code takes another form where exp would overflow, the board does not
        power = Apply("exp", negate(z[unit]), float(np.exp(-min(700.0, max(-700.0, z[unit].number)))))
        return Formula(divide(ONE, add(ONE, power)))
    if isinstance(f, Elementwise):
        return _traced(lambda traced: f.function(*traced), (z[unit],), a, "f")
    if isinstance(f, Softmax):
        powers = [Apply("exp", symbol, float(np.exp(np.float64(symbol.number)))) for symbol in z]
        return Formula(divide(powers[unit], add(*powers)))
    if isinstance(f, LayerNormalization):
        row = [symbol.number for symbol in z]
        mean = math.fsum(row) / len(row)
        s = math.sqrt(math.fsum((v - mean) ** 2 for v in row) / len(row) + f.epsilon)
        return Formula(divide(subtract(z[unit], Symbol("m", (), mean)), Symbol("s", (), s)))
    return Formula(Apply("f", z[unit], a))


def loss_formula(loss: Loss, yhat: Symbol, y: Symbol, units: int, value: float) -> Expression:
    """The part of l that one output adds at one sample, whose number is `value`; y is smoothed already."""
    if isinstance(loss, CrossEntropy):
        return negate(multiply(y, Apply("log", yhat, math.log(yhat.number) if yhat.number > 0 else -math.inf)))
    assert isinstance(loss, PointwiseLoss)
    return _traced(lambda traced: loss.value_and_slope(*traced)[0], (yhat, y), value, "l", units).expression


def error_formula(loss: Loss, yhat: Symbol, y: Symbol, units: int, error: float) -> Formula:
    """d l / d yhat of one output of a loss at one sample, whose number is `error`; y is smoothed already."""
    if isinstance(loss, CrossEntropy):
        return Formula(negate(divide(y, yhat)) if y.number else ZERO)
    if isinstance(loss, PointwiseLoss):
        # y / yhat counts as 0 where y is 0, so such a y is put in as the number it is
        plain = Number(y.number) if loss.partner is not None and y.number in (0, 1) else y
        return _traced(lambda traced: loss.value_and_slope(*traced)[1], (yhat, plain), error, "l'", units)
    return Formula(Number(error))


def _traced(
    definition: Callable[[tuple[Traced, ...]], Any],
    symbols: tuple[Expression, ...],
    number: float,
    named: str,
    units: int = 1,
) -> Formula:
    """What a definition writes down; f'(z) or l'(yhat) with its number where no formula can follow it."""
    reasons: list[str] = []
    traced = tuple(Traced(symbol, reasons, (1, units)) for symbol in symbols)
    opaque = Apply(named, symbols[0], number)
    try:
        with np.errstate(all="ignore"):
            found = definition(traced)
        expression = _expression(found)
    except (_Untraceable, TypeError, AttributeError, NotImplementedError):
        return Formula(opaque)  # a definition may branch on its argument, or call what only takes arrays
    value = expression.value
    agrees = math.isclose(value, number, rel_tol=1e-6, abs_tol=1e-9) or not math.isfinite(number)
    constant = isinstance(expression, (Number, Symbol))
    return Formula(expression, reasons[0] if reasons and constant else "") if agrees else Formula(opaque)
