"""L-BFGS on the whole training set through SciPy; an iteration counts as an epoch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from clearprop.core.parameters import Parameters
from clearprop.engine import with_engine
from clearprop.engine.api import EpochResult, Training
from clearprop.errors import ArgumentError
from clearprop.optimizers import LBFGS
from clearprop.training.divergence import find_divergence
from clearprop.training.run import Run

if TYPE_CHECKING:
    from scipy.optimize import OptimizeResult


class Search:
    """A search with L-BFGS: `params` are those of the last accepted iteration, `trial` those being tried."""

    def __init__(self, training: Training, params: Parameters, rule: LBFGS, engine: str = "auto") -> None:
        if any(layer.dropout for layer in training.objective.net.layers):
            raise ArgumentError("optimizer: L-BFGS needs a cost without randomness, so no layer may have dropout.")
        self.training, self.params, self.rule = training, params, rule
        self.trial, self.gradients = params.copy(), Parameters(params.net, np.zeros_like(params.flat))
        self.slope, self.evaluation = with_engine(
            engine, lambda kind: (kind.gradient(training.objective, self.trial, training.norms), kind.evaluation)
        )
        self._tried: tuple[float, float] | None = None  # cost and penalty of `trial`

    def run(self, iterations: int, after: Callable[[EpochResult], bool] | None) -> OptimizeResult:
        """Minimize the cost and its penalties; returns SciPy's result.

        `after` is called after each iteration, when `params` are its own, and ends the search by returning True.
        """
        from scipy.optimize import minimize  # takes a moment to load

        rule = self.rule

        def end_of_iteration(intermediate_result: OptimizeResult) -> None:
            result = self._accept(intermediate_result.x)
            if after and after(result):
                raise StopIteration

        options = {
            "maxiter": iterations,
            "maxcor": rule.memory,
            "maxls": rule.line_steps,
            "maxfun": rule.evaluations or 10**9,
            "gtol": rule.gradient_tolerance,
            "ftol": rule.cost_tolerance,
        }
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            result = minimize(
                self._cost_and_gradient,
                self.params.trainable.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                callback=end_of_iteration if after else None,
                options=options,
            )
        if after is None:
            self.params.trainable[...] = result.x
        return result

    def _try(self, w: np.ndarray) -> tuple[float, float]:
        """Cost and penalty at w; the gradient is in `gradients` then."""
        if self._tried is None or not np.array_equal(self.trial.trainable, w.astype(self.trial.dtype, copy=False)):
            self.trial.trainable[...] = w
            cost = self.slope.cost(self.gradients)
            weight = self.training.objective.total_weight
            self._tried = cost, self.training.add_penalty(self.trial, self.gradients, weight)
        return self._tried

    def _cost_and_gradient(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        return sum(self._try(w)), self.gradients.trainable.astype(np.float64)

    def _accept(self, w: np.ndarray) -> EpochResult:
        """The results of the iteration that ended at w; SciPy may have tried other points since."""
        cost, penalty = self._try(w)
        losses = np.array([cost + penalty])
        self.params.flat[...] = self.trial.flat
        if not self.training.norms:
            return EpochResult(losses, cost, penalty)
        norm = float(np.linalg.norm(self.gradients.trainable.astype(np.float64)))
        by_layer = {name: _layer_norm(self.gradients, name) for name in self.trial}
        return EpochResult(losses, cost, penalty, norm, self.slope.delta_norms(), by_layer)


def run_lbfgs(
    run: Run, training: Training, rule: LBFGS, engine: str, observed: bool = True
) -> tuple[OptimizeResult, str | None]:
    """Minimize the cost of the whole set; SciPy's result, and the reason of the run to stop.

    With `observed` the history holds the cost after each iteration; without, the search runs without calling back.
    """
    search = Search(training, run.params, rule, engine)
    run.evaluate_with(search.evaluation)
    start, began, reason = run.params.flat.copy(), time.perf_counter(), None

    def end_of_iteration(result: EpochResult) -> bool:
        nonlocal began, reason
        reason = run.end_epoch(result, 1.0, time.perf_counter() - began)
        began = time.perf_counter()
        if run.before_epoch is not None:
            run.before_epoch()
        return bool(reason)

    if run.before_epoch is not None:
        run.before_epoch()
    try:
        result = search.run(run.epochs, end_of_iteration if observed else None)
    except BaseException as error:
        run.interrupted(error)
        raise
    finite = np.isfinite(run.params.flat).all()
    if not (np.isfinite(result.fun) and finite):
        before = run.params.flat.copy() if finite else start
        found = find_divergence(training, run.params, before, before, None, run.history.epochs, None)
        raise run.divergence_error(found, "Scale the inputs, or start from smaller weights.")
    return result, reason


def _layer_norm(gradients: Parameters, name: str) -> float:
    g = gradients[name]
    arrays = [*g.W.values()] + ([] if g.b is None else [g.b])
    return float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays)))
