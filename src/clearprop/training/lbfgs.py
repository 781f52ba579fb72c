"""L-BFGS on the whole set through SciPy, with the same history, rules and callbacks as gradient descent."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from clearprop.core.parameters import Parameters
from clearprop.engine import with_engine
from clearprop.engine.api import EpochResult, Training
from clearprop.errors import ArgumentError
from clearprop.optimizers import LBFGS, GradientDescent
from clearprop.penalties import Penalty
from clearprop.training.callbacks import ProgressBar
from clearprop.training.divergence import find_divergence
from clearprop.training.history import History
from clearprop.training.loop import Run


class Search:
    """A search with L-BFGS: `params` are those of the last accepted iteration, `trial` those that are tried."""

    def __init__(self, training: Training, params: Parameters, rule: LBFGS, engine: str = "auto") -> None:
        if any(layer.dropout for layer in training.objective.net.layers):
            raise ArgumentError("optimizer: L-BFGS needs the same cost each time, so no layer may have dropout.")
        self.training, self.params, self.rule = training, params, rule
        self.trial, self.gradients = params.copy(), Parameters(params.net, np.zeros_like(params.flat))
        self.slope, self.evaluation = with_engine(
            engine, lambda kind: (kind.gradient(training.objective, self.trial, training.norms), kind.evaluation)
        )
        self._seen: tuple[float, float] | None = None  # cost and penalty of `trial`, once it has been tried

    def run(self, iterations: int, callback: Callable[[EpochResult], bool] | None) -> OptimizeResult:
        """Minimize; what SciPy says of it."""
        rule = self.rule

        def end_of_iteration(intermediate_result: OptimizeResult) -> None:
            result = self._accept(intermediate_result.x)
            if callback and callback(result):
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
            found = minimize(
                self._cost_and_gradient,
                self.params.trainable.astype(np.float64),
                jac=True,
                method="L-BFGS-B",
                callback=end_of_iteration if callback else None,
                options=options,
            )
        if callback is None:
            self.params.trainable[...] = found.x
        return found

    def _try(self, w: np.ndarray) -> tuple[float, float]:
        """Cost and penalty at w; the gradient is there then, too."""
        if self._seen is None or not np.array_equal(self.trial.trainable, w.astype(self.trial.dtype, copy=False)):
            self.trial.trainable[...] = w
            cost = self.slope.cost(self.gradients)
            weight = self.training.objective.total_weight
            self._seen = cost, self.training.add_penalty(self.trial, self.gradients, weight)
        return self._seen

    def _cost_and_gradient(self, w: np.ndarray) -> tuple[float, np.ndarray]:
        return sum(self._try(w)), self.gradients.trainable.astype(np.float64)

    def _accept(self, w: np.ndarray) -> EpochResult:
        """What the iteration that ended at w has to tell; SciPy may have tried other points since."""
        cost, penalty = self._try(w)
        self.params.flat[...] = self.trial.flat
        if not self.training.norms:
            return EpochResult(np.array([cost + penalty]), cost, penalty)
        norm = float(np.linalg.norm(self.gradients.trainable.astype(np.float64)))
        by_layer = {name: _layer_norm(self.gradients, name) for name in self.trial}
        return EpochResult(np.array([cost + penalty]), cost, penalty, norm, self.slope.delta_norms(), by_layer)


def minimize_lbfgs(
    training: Training,
    params: Parameters,
    rule: LBFGS,
    iterations: int,
    callback: Callable[[EpochResult], bool] | None = None,
    engine: str = "auto",
) -> OptimizeResult:
    """Minimize the cost of the whole set with its penalties; `params` become those of the last accepted iteration.

    `callback` gets what each iteration told, when `params` are already its own, and ends the search by returning True.
    Returns what SciPy says of the search.
    """
    return Search(training, params, rule, engine).run(iterations, callback)


def run_lbfgs(run: Run, rule: LBFGS, penalties: tuple[Penalty, ...], seed: int, engine: str) -> History:
    """Minimize the cost of the whole set; an epoch is an iteration, and the history holds the cost after it."""
    search = Search(Training(run.objective, GradientDescent(), penalties, seed=seed), run.params, rule, engine)
    run.watch(lambda objective: search.evaluation(objective, run.params))
    reason, start = None, time.perf_counter()

    def end_of_iteration(result: EpochResult) -> bool:
        nonlocal reason, start
        now = time.perf_counter()
        reason = run.end_epoch(result, 1.0, now - start)
        start = now
        bar.update(run.history)
        return bool(reason)

    if run.epochs == 0:
        return run.finish(None)
    with run.interrupts, ProgressBar(run.epochs, run.progress) as bar:
        try:
            found = search.run(run.epochs, end_of_iteration)
        except BaseException as error:
            run.interrupted(error)
            raise
    if not np.isfinite(found.fun):
        before = run.params.flat.copy()
        where = find_divergence(search.training, run.params, before, before, None, run.history.epochs, None)
        raise run.diverged(where, "Scale the inputs, or start from smaller weights.")
    said = found.message if run.history.epochs < run.epochs else None
    return run.finish(reason or (f"L-BFGS: {str(said).lower()}" if said else None))


def _layer_norm(gradients: Parameters, name: str) -> float:
    g = gradients[name]
    arrays = [*g.W.values()] + ([] if g.b is None else [g.b])
    return float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays)))
