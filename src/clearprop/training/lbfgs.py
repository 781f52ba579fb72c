"""L-BFGS on the whole set through SciPy, with the same history, rules and callbacks as gradient descent."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from clearprop.backprop import Backward
from clearprop.engine import EpochResult, Training
from clearprop.errors import ArgumentError
from clearprop.optimizers import LBFGS, GradientDescent
from clearprop.parameters import Parameters
from clearprop.penalties import Penalty
from clearprop.training.callbacks import ProgressBar
from clearprop.training.divergence import find_divergence
from clearprop.training.history import History
from clearprop.training.loop import Run


def minimize_lbfgs(
    training: Training,
    params: Parameters,
    rule: LBFGS,
    iterations: int,
    callback: Callable[[EpochResult], bool] | None = None,
) -> OptimizeResult:
    """Minimize the cost of the whole set with its penalties; `params` become those of the last accepted iteration.

    `callback` gets what each iteration told, when `params` are already its own, and ends the search by returning True.
    Returns what SciPy says of the search.
    """
    if any(layer.dropout for layer in training.objective.net.layers):
        raise ArgumentError("optimizer: L-BFGS needs the same cost each time, so no layer may have dropout.")
    trial, gradients = params.copy(), Parameters(params.net, np.zeros_like(params.flat))

    def evaluate(w: np.ndarray) -> tuple[float, float, Backward, np.ndarray]:
        trial.trainable[...] = w
        cost, _, back = training.objective.sweep(trial, gradients, slice(None))
        penalty = training.add_penalty(trial, gradients, training.objective.total_weight)
        return cost, penalty, back, gradients.trainable.astype(np.float64)

    def cost_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        cost, penalty, _, g = evaluate(w)
        return cost + penalty, g

    def end_of_iteration(intermediate_result: OptimizeResult) -> None:
        # SciPy may have tried other points since; the record is of the accepted one
        cost, penalty, back, g = evaluate(intermediate_result.x)
        params.flat[...] = trial.flat
        norms = {name: float(np.linalg.norm(delta)) for name, delta in back.delta.items()}
        by_layer = {name: _layer_norm(gradients, name) for name in trial}
        if callback and callback(EpochResult(cost, penalty, float(np.linalg.norm(g)), norms, by_layer, cost + penalty)):
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
            cost_and_gradient,
            params.trainable.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=end_of_iteration if callback else None,
            options=options,
        )
    if callback is None:
        params.trainable[...] = found.x
    return found


def run_lbfgs(run: Run, rule: LBFGS, penalties: tuple[Penalty, ...], seed: int) -> History:
    """Minimize the cost of the whole set; an epoch is an iteration, and the history holds the cost after it."""
    training = Training(run.objective, GradientDescent(), penalties, seed=seed)
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
    with ProgressBar(run.epochs, run.progress) as bar:
        found = minimize_lbfgs(training, run.params, rule, run.epochs, end_of_iteration)
    if not np.isfinite(found.fun):
        before = run.params.flat.copy()
        where = find_divergence(training, run.params, before, before, None, run.history.epochs, ())
        raise run.diverged(where, "Scale the inputs, or start from smaller weights.")
    said = found.message if run.history.epochs < run.epochs else None
    return run.finish(reason or (f"L-BFGS: {str(said).lower()}" if said else None))


def _layer_norm(gradients: Parameters, name: str) -> float:
    g = gradients[name]
    arrays = [*g.W.values()] + ([] if g.b is None else [g.b])
    return float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays)))
