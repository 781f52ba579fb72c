"""The formulas of activations and losses, read from their definitions.

An activation defines its derivative once, as array code. The expression graph of that code is written out with the
branch of each `where` that holds for the numbers of one sample. So the formula shown is the one that is computed, also
for a user's own activation. Functions that mix the units of a row (softmax, layer normalisation, cross-entropy) have
their formulas here, and tests compare them with the definitions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from clearprop.activations import Activation, Elementwise, LayerNormalization, Sigmoid, Softmax
from clearprop.losses import CrossEntropy, Loss, PointwiseLoss
from clearprop.symbolic.expression import (
    ONE,
    ZERO,
    Apply,
    Expression,
    Number,
    Symbol,
    add,
    divide,
    is_known,
    multiply,
    negate,
    subtract,
)
from clearprop.symbolic.graph import Symbol as Node
from clearprop.symbolic.graph import TraceError, ordered
from clearprop.symbolic.operations import OPERATIONS, apply
from clearprop.symbolic.tracing import as_symbol, tracer

_OPPOSITE = {
    "greater": "less_equal",
    "less_equal": "greater",
    "less": "greater_equal",
    "greater_equal": "less",
    "equal": "not_equal",
    "not_equal": "equal",
}


@dataclass(frozen=True)
class Formula:
    """A formula, and the condition that makes it this one ("z > 0")."""

    expression: Expression
    reason: str = ""


def written(result: Node, inputs: dict[str, Expression], units: int = 1) -> Formula:
    """The formula of a node of an expression graph.

    Where the inputs have numbers, of each `where`, maximum and minimum only what holds for these is written, and the
    first such condition is the reason. Without numbers both branches are written.
    """
    made: dict[int, Expression] = {}
    chosen: dict[int, tuple[str, Expression]] = {}
    with np.errstate(all="ignore"):
        for node in ordered([result]):
            operation, args = OPERATIONS.get(node.op), [made[id(x)] for x in node.args]
            if operation is None:
                made[id(node)] = inputs[node.extra] if node.op == "input" else Number(float(node.extra))
            elif node.op == "units":
                made[id(node)] = Number(float(units))
            elif operation.choice is not None:
                condition, *branches = operation.choice(*args)
                if branches[0] == branches[1] or is_known(condition):
                    made[id(node)] = branches[0 if condition.value else 1]
                    chosen[id(node)] = _reason(condition), condition
                else:
                    made[id(node)] = apply(node.op, *args)
            else:
                made[id(node)] = operation.formula(*args) if operation.formula else apply(node.op, *args)
    return Formula(made[id(result)], _first_reason(result, chosen))


def _first_reason(result: Node, chosen: dict[int, tuple[str, Expression]]) -> str:
    """The outermost condition that decided, on the branches that were taken."""
    waiting = [result]
    while waiting:
        node = waiting.pop()
        reason, condition = chosen.get(id(node), ("", ONE))
        if reason:
            return reason
        skipped = node.args[2 if condition.value else 1] if node.op == "where" and id(node) in chosen else None
        waiting += [x for x in reversed(node.args) if x is not skipped]
    return ""


def _reason(condition: Expression) -> str:
    """A comparison of a symbol with a number in words, or its opposite where it does not hold."""
    if not isinstance(condition, Apply) or condition.function not in _OPPOSITE:
        return ""
    left, right = condition.arguments
    if not isinstance(left, Symbol) or not isinstance(right, Number):
        return ""
    shown = OPERATIONS[condition.function if condition.value else _OPPOSITE[condition.function]].written
    assert shown is not None
    return shown.text.replace("#1", left.base).replace("#2", f"{right.number:g}")


def slope_formula(f: Activation, z: list[Symbol], a: list[Symbol], q: int, p: int, slope: float) -> Formula:
    """d a_q / d z_p of an activation at one sample, whose number is `slope`; z and a are the symbols of the row."""
    if isinstance(f, Elementwise):
        return _traced(f.derivative, {"z": z[p], "a": a[p]}, slope, "f'") if p == q else Formula(ZERO)
    if isinstance(f, Softmax):
        if p == q:
            return Formula(multiply(a[p], subtract(ONE, a[p])))
        return Formula(negate(multiply(a[q], a[p])))
    if isinstance(f, LayerNormalization):
        return Formula(_normalization_slope(f, [symbol.number for symbol in z], a, q, p))
    return Formula(Number(slope))


def _normalization_slope(f: LayerNormalization, z: list[float], a: list[Symbol], q: int, p: int) -> Expression:
    """([q = p] - 1/u - a_q a_p / u) / s."""
    u, (_, s) = Number(float(len(z))), _moments(f, z)
    same = add(Number(float(p == q)), negate(divide(ONE, u)))
    return divide(subtract(same, divide(multiply(a[q], a[p]), u)), s)


def _moments(f: LayerNormalization, z: list[float]) -> tuple[Symbol, Symbol]:
    """The mean m and the standard deviation s of a row."""
    mean = math.fsum(z) / len(z)
    s = math.sqrt(math.fsum((v - mean) ** 2 for v in z) / len(z) + f.epsilon)
    return Symbol("m", (), mean), Symbol("s", (), s)


def activation_formula(f: Activation, z: list[Symbol], unit: int, a: float) -> Formula:
    """a of one unit of an activation at one sample, whose number is `a`; z are the symbols of the row."""
    if isinstance(f, Sigmoid):  # the code takes another form where exp would overflow, the formula does not
        power = Apply("exp", (negate(z[unit]),), float(np.exp(-min(700.0, max(-700.0, z[unit].number)))))
        return Formula(divide(ONE, add(ONE, power)))
    if isinstance(f, Elementwise):
        return _traced(f.function, {"z": z[unit]}, a, "f")
    if isinstance(f, Softmax):
        powers = [Apply("exp", (symbol,), float(np.exp(np.float64(symbol.number)))) for symbol in z]
        return Formula(divide(powers[unit], add(*powers)))
    if isinstance(f, LayerNormalization):
        m, s = _moments(f, [symbol.number for symbol in z])
        return Formula(divide(subtract(z[unit], m), s))
    return Formula(Apply("f", (z[unit],), a))


def loss_formula(loss: Loss, yhat: Symbol, y: Symbol, units: int, value: float) -> Expression:
    """The part of l that one output adds at one sample, whose number is `value`; y is smoothed already."""
    if isinstance(loss, CrossEntropy):
        log = Apply("log", (yhat,), math.log(yhat.number) if yhat.number > 0 else -math.inf)
        return negate(multiply(y, log))
    assert isinstance(loss, PointwiseLoss)
    return _traced(lambda *pair: loss.value_and_slope(*pair)[0], {"yhat": yhat, "y": y}, value, "l", units).expression


def error_formula(loss: Loss, yhat: Symbol, y: Symbol, units: int, error: float) -> Formula:
    """d l / d yhat of one output of a loss at one sample, whose number is `error`; y is smoothed already."""
    if isinstance(loss, CrossEntropy):
        return Formula(negate(divide(y, yhat)) if y.number else ZERO)
    if isinstance(loss, PointwiseLoss):
        # y / yhat counts as 0 where y is 0, so such a y is replaced by its number
        target = Number(y.number) if loss.partner is not None and y.number in (0, 1) else y
        inputs = {"yhat": yhat, "y": target}
        return _traced(lambda *pair: loss.value_and_slope(*pair)[1], inputs, error, "l'", units)
    return Formula(Number(error))


def _traced(
    definition: Callable[..., Any], inputs: dict[str, Expression], number: float, name: str, units: int = 1
) -> Formula:
    """The formula of a definition; f'(z) or l'(yhat) with its number if the definition cannot be traced.

    The same if the formula has another value than the definition, whose code may test what kind of array it gets.
    """
    opaque = Formula(Apply(name, (next(iter(inputs.values())),), number))
    graph = tracer()
    try:
        result = as_symbol(definition(*map(graph.input, inputs)), graph)
    except (TraceError, TypeError, AttributeError, NotImplementedError):
        return opaque  # a definition may branch on its argument, or call what only takes arrays
    formula = written(result, inputs, units)
    if math.isfinite(number) and not math.isclose(formula.expression.value, number, rel_tol=1e-6, abs_tol=1e-9):
        return opaque
    constant = isinstance(formula.expression, (Number, Symbol))
    return formula if constant else Formula(formula.expression)
