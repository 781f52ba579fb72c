"""Gradient checking: the gradient of the backward sweep, or the user's own, against derivatives of the cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from clearprop.checks import check_array, check_choice, check_finite, check_integer, check_number, check_seed
from clearprop.core.network import Network, check_params
from clearprop.core.objective import prepare
from clearprop.core.parameters import Parameters
from clearprop.engine.cores import one_blas_thread
from clearprop.errors import ArgumentError, ShapeError, suggest
from clearprop.explain.gradient_check.compare import AlongDirections, Compare, OneByOne
from clearprop.explain.gradient_check.gradient_input import Given, GradientInput, as_gradient
from clearprop.explain.gradient_check.method import choose
from clearprop.explain.gradient_check.mistakes import Mistake, explain, most_kinds
from clearprop.explain.gradient_check.pieces import check_pieces
from clearprop.explain.gradient_check.problem import Problem
from clearprop.explain.gradient_check.verdict import GradientCheck
from clearprop.losses import Loss
from clearprop.penalties import Penalty, as_penalties

#: Above about this many products, random directions are checked by default, not every entry.
WORK = 2e10
DIRECTIONS = 4
#: Up to this many parameters times rows, one thread is faster than several.
SMALL = 1e7


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
    task = _Task(gradient, method, directions, learning_rate, seed)
    result, compare = task.check(problem)
    if not result.ok or not (doubt := _doubt(compare, result)):
        return result
    if isinstance(gradient, (Parameters, Mapping)) or not (gradient is None or callable(gradient)):
        advice = "pass a function of the parameters, or the gradient at others, such as net.initialize(seed=1)"
        return replace(result, notes=(*result.notes, f"{doubt}, so a wrong gradient may look the same: {advice}"))
    moved = params.copy()
    moved.flat += 0.1 * np.random.default_rng(seed).normal(size=moved.flat.shape)
    there, _ = task.check(problem.at(moved))
    note = f"{doubt}, so it was checked as well at parameters with normal numbers of scale 0.1 added"
    return replace(result if there.ok else there, notes=(*there.notes, note))


@dataclass(frozen=True)
class _Task:
    """What to check, and how."""

    gradient: GradientInput | None
    method: str
    directions: int | None
    learning_rate: float | None
    seed: int

    def check(self, problem: Problem) -> tuple[GradientCheck, Compare]:
        """The result at the parameters of a problem."""
        small = problem.objective.samples * problem.params.flat.size < SMALL
        with one_blas_thread() if small else nullcontext():
            return self._check(problem)

    def _check(self, problem: Problem) -> tuple[GradientCheck, Compare]:
        given, random = self._gradient(problem)
        derivative, reason = choose(problem, self.method, given.eps)
        work = sum(derivative.work(layer) for layer in problem.net.layers)
        several = (DIRECTIONS if work > WORK else 0) if self.directions is None else self.directions
        compare = (
            AlongDirections(derivative, given.eps, several, self.seed) if several else OneByOne(derivative, given.eps)
        )
        result = _result(compare, given)
        notes = [*_notes(problem, several, reason), *_about_precision(result, given)]
        mistakes = random or self._mistakes(problem, compare, given) if not result.ok else []
        if self.gradient is not None and not (result.ok or mistakes or most_kinds(problem) > 1):
            notes.append(
                "with so many rows not all mistakes are looked for; with fewer rows of X, several at once are found"
            )
        return replace(result, mistakes=tuple(mistakes), notes=tuple(notes)), compare

    def _gradient(self, problem: Problem) -> tuple[Given, list[Mistake]]:
        """The gradient to check; a function that returns another one in a second call is a mistake of its own."""
        if self.gradient is None:
            return Given(problem.backpropagated()), []
        given = as_gradient(self.gradient, problem.params)
        if not callable(self.gradient):
            return given, []
        again = as_gradient(self.gradient, problem.params)
        scale = problem.tolerance * np.abs(given.flat).max(initial=0.0)
        if not (np.abs(again.flat - given.flat) > scale).any():
            return given, []
        if not (np.abs(again.flat - 2 * given.flat) > scale).any():
            words = "a second call returns twice the gradient of the first; set it to 0 at the start of each call"
            return again, [Mistake("accumulated gradient", words)]
        words = (
            "the function returns another gradient in each call for the same parameters. If it draws a dropout mask or "
            "a batch, draw it once, outside; the check runs without dropout unless the mask is passed as masks="
        )
        return again, [Mistake("random gradient", words)]

    def _mistakes(self, problem: Problem, compare: Compare, given: Given) -> list[Mistake]:
        with np.errstate(all="ignore"):  # a wrong value may overflow; it explains nothing then
            mistakes = [] if self.gradient is None else explain(problem, given, self.learning_rate)
        if self.gradient is None or not _result(compare, Given(problem.backpropagated())).ok:
            mistakes += check_pieces(problem)  # the derivative of an activation or loss is wrong
        return mistakes


def _result(compare: Compare, given: Given) -> GradientCheck:
    blocks = compare.blocks(given.flat, given.missing)
    problem = compare.problem
    return GradientCheck(tuple(blocks), problem.tolerance, compare.derivative.method, (), tuple(compare.kinks))


def _doubt(compare: Compare, result: GradientCheck) -> str:
    """Why a wrong gradient might pass at these parameters, or ""."""
    at_kinks = [block.label for block in result.blocks if block.kinks and block.kinks == block.checked]
    if at_kinks:
        return f"every entry of {', '.join(at_kinks)} is at a kink"
    if isinstance(compare, OneByOne) and compare.problem.params.flat.size and compare.is_zero():
        return "the gradient is 0 at these parameters, up to rounding"
    return ""


def _about_precision(result: GradientCheck, given: Given) -> Iterator[str]:
    """What the precision of the gradient has to do with the result."""
    if given.eps > 1e-10 and not result.ok:
        yield f"the gradient has single precision: differences that rounding to {given.eps:.1g} can cause do not count"
    if not result.ok and result.worst < 1e-2:
        yield (
            f"the largest relative difference is {result.worst:.1e}; if the gradient was rounded or computed in single "
            f"precision, tolerance={10 ** np.ceil(np.log10(2 * result.worst)):.0e} allows for it"
        )


def _check_masks(masks: Mapping[str, Any] | None, net: Network, samples: int) -> dict[str, np.ndarray]:
    """Dropout masks of hidden layers as finite arrays (n, units)."""
    if not (masks is None or isinstance(masks, Mapping)):
        raise ArgumentError(f"masks: expected a dict {{layer: mask of shape (rows, units)}}, got {masks!r}.")
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
