"""Gradient checking: the gradient of the backward sweep, or the user's own, against derivatives of the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from clearprop.checks import check_choice, check_integer, check_number, check_seed
from clearprop.core.network import Network, check_params
from clearprop.core.objective import prepare
from clearprop.core.parameters import Parameters
from clearprop.explain.gradient_check.compare import AlongDirections, OneByOne
from clearprop.explain.gradient_check.gradient_input import GradientInput, as_gradient
from clearprop.explain.gradient_check.mistakes import Mistake, explain
from clearprop.explain.gradient_check.numeric import Derivative, choose
from clearprop.explain.gradient_check.pieces import check_pieces
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.verdict import GradientCheck
from clearprop.losses import Loss

#: Networks with more parameters than this are checked along random directions by default.
ONE_BY_ONE = 4000
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
    method: str = "auto",
    directions: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
) -> GradientCheck:
    """Compare a gradient with numerical derivatives of the cost in float64, and explain a mistake in it.

    The gradient is that of `cp.backpropagate`, or your own `gradient`: Parameters, a flat vector, a dict {layer:
    {source: dJ/dW, "b": dJ/db}}, or a function of the parameters that returns one of these. Each difference is relative
    to the largest entry of its W or b. Differences due to rounding do not count, nor does an entry at a kink (ReLU at
    0) whose value lies between the derivatives on the two sides.

    `method` is "complex", Im J(w + ih) / h, exact up to rounding; "central", differences of fourth order; or "auto",
    the complex step if all functions support it. With `directions=None` each entry is checked by itself up to 4000
    parameters, and above that each W and b along 4 random directions; a number sets how many, 0 means every entry.
    A wrong gradient is compared with those of common mistakes; `learning_rate` is for the mistake that involves the
    update (by default it is estimated). Raises ShapeError, DataError or ArgumentError for invalid arguments.

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
    problem = Problem.of(prepare(net, params, X, y, loss, sample_weight, reduction).dense(), params, tolerance)
    derivative = choose(problem.objective, params, method)
    checked, missing = (problem.truth, frozenset()) if gradient is None else as_gradient(gradient, params)
    several = DIRECTIONS if directions is None and params.flat.size > ONE_BY_ONE else directions or 0
    compare = AlongDirections(problem, derivative, several, seed) if several else OneByOne(problem, derivative)
    blocks = compare.blocks(checked, missing)
    result = GradientCheck(tuple(blocks), tolerance, derivative.method, (), tuple(compare.kinks))
    mistakes: list[Mistake] = []
    if not result.ok:
        mistakes = [] if gradient is None else explain(problem, checked, learning_rate)
        own = blocks if gradient is None else compare.blocks(problem.truth, frozenset())
        if not all(result.passes(block) for block in own):  # the derivative of an activation or loss is wrong
            mistakes += check_pieces(problem)
    return replace(result, mistakes=tuple(mistakes), notes=tuple(_notes(derivative, several)))


def _notes(derivative: Derivative, directions: int) -> Iterator[str]:
    """How the check was done, if not entry by entry with the complex step."""
    if directions:
        yield f"along {directions} random directions in each W and b, and some entries one by one"
    if derivative.reason:
        yield f"no complex step, because {derivative.reason}"
