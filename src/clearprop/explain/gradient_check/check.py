"""Gradient checking: the gradient of the backward sweep, or the user's own, against derivatives of the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from clearprop.checks import check_array, check_choice, check_finite, check_integer, check_number, check_seed
from clearprop.core.network import Network, check_params
from clearprop.core.objective import prepare
from clearprop.core.parameters import Parameters
from clearprop.errors import ArgumentError, ShapeError, suggest
from clearprop.explain.gradient_check.compare import AlongDirections, Compare, OneByOne
from clearprop.explain.gradient_check.gradient_input import Given, GradientInput, as_gradient
from clearprop.explain.gradient_check.method import choose
from clearprop.explain.gradient_check.mistakes import explain
from clearprop.explain.gradient_check.numeric import Derivative
from clearprop.explain.gradient_check.pieces import check_pieces
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.verdict import GradientCheck
from clearprop.losses import Loss
from clearprop.penalties import Penalty, as_penalties

#: Above about this many products, random directions are checked by default, not every entry.
WORK = 2e10
DIRECTIONS = 4


def check_gradients(
    net: Network,
    params: Parameters,
    X: Any,
    y: Any,
    loss: Loss | str | Mapping[str, Loss | str],
    sample_weight: Any = None,
    reduction: str = "mean",
    tolerance: float = 1e-6,
    *,
    gradient: GradientInput | None = None,
    penalty: Penalty | Sequence[Penalty] | None = None,
    masks: Mapping[str, Any] | None = None,
    method: str = "auto",
    directions: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
) -> GradientCheck:
    """Compare a gradient with numerical derivatives of the cost in float64, and explain a mistake in it.

    The gradient is that of `cp.backpropagate`, or your own `gradient`: Parameters, a flat vector, a dict {layer:
    {source: dJ/dW, "b": dJ/db}}, or a function of the parameters that returns one of these. Each difference is relative
    to the entry itself. What rounding can change does not count, by bounds that follow the precision of the gradient
    (float32 or float64) and the numbers that are summed; at a kink (ReLU at 0) any value between the slopes is right.

    The cost is that of training with this `penalty` and these dropout `masks` {layer: (n, units)}; without masks there
    is no dropout. `method` is "complex", slopes Im f(z + ih) / h, exact up to rounding; "central", differences of
    fourth order; or "auto", the complex step if all functions support it. With `directions=None` every entry is
    checked, or in very large networks each W and b along 4 random directions; a number sets how many, 0 means every
    entry. A wrong gradient is compared with those of common mistakes; `learning_rate` is for the mistake that involves
    the update (by default it is estimated). Raises ShapeError, DataError or ArgumentError for invalid arguments.

    >>> import numpy as np, clearprop as cp
    >>> X, y = np.array([[0.5, -1.0], [1.0, 2.0]]), np.array([[1.0], [0.0]])
    >>> net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    >>> params = net.initialize(seed=0)
    >>> cp.check_gradients(net, params, X, y, loss="squared_error").ok
    True
    >>> homework = -cp.backpropagate(net, params, X, y, loss="squared_error").gradients.flat
    >>> cp.check_gradients(net, params, X, y, loss="squared_error", gradient=homework).mistakes[0].name
    'sign'
    """
    check_number(tolerance, "tolerance", above=0)
    check_choice(method, "method", ("auto", "complex", "central"))
    check_seed(seed)
    if directions is not None:
        check_integer(directions, "directions", least=0, most=100_000)
    if learning_rate is not None:
        check_number(learning_rate, "learning_rate", above=0)
    check_params(net, params)
    params = params.astype("float64")
    objective = prepare(net, params, X, y, loss, sample_weight, reduction).dense()
    masks = _check_masks(masks, net, objective.samples)
    problem = Problem.of(objective, params, tolerance, masks, as_penalties(penalty))
    given = Given(problem.backpropagated()) if gradient is None else as_gradient(gradient, params)
    derivative, reason = choose(problem, method, given.eps)
    work = sum(derivative.work(layer) for layer in net.layers)
    several = (DIRECTIONS if work > WORK else 0) if directions is None else directions

    def compare_at(derivative: Derivative) -> Compare:
        if several:
            return AlongDirections(derivative, given.eps, several, seed)
        return OneByOne(derivative, given.eps)

    compare = compare_at(derivative)
    result = _result(compare, given, derivative)
    notes = list(_notes(problem, several, reason))
    if not result.ok:
        mistakes = [] if gradient is None else explain(problem, given, learning_rate)
        if gradient is None or not _result(compare, Given(problem.backpropagated()), derivative).ok:
            mistakes += check_pieces(problem)  # the derivative of an activation or loss is wrong
        return replace(result, mistakes=tuple(mistakes), notes=tuple(notes))
    return replace(result, notes=tuple(notes))


def _result(compare: Compare, given: Given, derivative: Derivative) -> GradientCheck:
    blocks = compare.blocks(given.flat, given.missing)
    return GradientCheck(tuple(blocks), derivative.problem.tolerance, derivative.method, (), tuple(compare.kinks))


def _check_masks(masks: Mapping[str, Any] | None, net: Network, samples: int) -> dict[str, np.ndarray]:
    """Dropout masks of hidden layers as finite arrays (n, units)."""
    checked = {}
    for name, values in (masks or {}).items():
        if name not in net.index:
            raise ArgumentError(f'masks: there is no layer "{name}". {suggest(str(name), net.index)}')
        if name in (net.outputs or ()):
            raise ArgumentError(f'masks: "{name}" is an output layer, which has no dropout.')
        mask = check_array(values, f'masks["{name}"]', np.dtype("float64"))
        expected = (samples, net[name].units)
        if mask.shape != expected:
            raise ShapeError(f'masks["{name}"]: expected shape {expected} (rows, units), got {mask.shape}.')
        check_finite(mask, f'masks["{name}"]')
        checked[name] = mask
    return checked


def _notes(problem: Problem, directions: int, reason: str) -> Iterator[str]:
    """How the check was done, if not entry by entry with the complex step."""
    if directions:
        yield f"along {directions} random directions in each W and b, and some entries one by one"
    if reason:
        yield f"no complex step, because {reason}"
    dropout = [layer.name for layer in problem.net.layers if layer.dropout and layer.name not in problem.masks]
    if dropout:
        yield (
            f"checked without dropout in {', '.join(dropout)}; for a gradient with dropout, fix the mask and pass it: "
            "masks={layer: array of 0 and 1 / (1 - dropout), (rows, units)}"
        )
