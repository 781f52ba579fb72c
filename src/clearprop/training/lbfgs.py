"""L-BFGS on the whole set through SciPy, with the same history, rules and callbacks as gradient descent."""

from __future__ import annotations

import time

import numpy as np
from scipy.optimize import minimize

from clearprop.engine import EpochResult, Training
from clearprop.errors import ArgumentError
from clearprop.optimizers import LBFGS, GradientDescent
from clearprop.parameters import Parameters
from clearprop.penalties import Penalty
from clearprop.training.callbacks import ProgressBar
from clearprop.training.history import History
from clearprop.training.loop import Run


def run_lbfgs(run: Run, rule: LBFGS, penalties: tuple[Penalty, ...], seed: int) -> History:
    """Minimize the cost of the whole set; an epoch is an iteration, and the history holds the cost after it."""
    if any(layer.dropout for layer in run.objective.net.layers):
        raise ArgumentError("optimizer: L-BFGS needs the same cost each time, so no layer may have dropout.")
    training = Training(run.objective, GradientDescent(), penalties, seed=seed)
    params = run.params  # those of the last finished iteration, whatever the line search tries
    trial, gradients = params.copy(), Parameters(params.net, np.zeros_like(params.flat))
    state = {"result": EpochResult(np.nan, 0.0, np.nan, {}, {}), "reason": None, "start": time.perf_counter()}

    def cost_and_gradient(w: np.ndarray) -> tuple[float, np.ndarray]:
        trial.trainable[...] = w
        cost, _, back = training.objective.sweep(trial, gradients, slice(None))
        penalty = training.add_penalty(trial, gradients)
        norms = {name: float(np.linalg.norm(delta)) for name, delta in back.delta.items()}
        by_layer = {name: _layer_norm(gradients, name) for name in trial}
        g = gradients.trainable.astype(np.float64)
        state["result"] = EpochResult(cost, penalty, float(np.linalg.norm(g)), norms, by_layer)
        return cost + penalty, g

    def end_of_iteration(intermediate_result: object) -> None:
        # SciPy may have tried other points since; the record is of the accepted one
        cost_and_gradient(intermediate_result.x)  # type: ignore[attr-defined]
        params.flat[...] = trial.flat
        now = time.perf_counter()
        state["reason"] = run.end_epoch(state["result"], 1.0, now - state["start"])  # type: ignore[arg-type]
        state["start"] = now
        bar.update(run.history)
        if state["reason"]:
            raise StopIteration

    options = {
        "maxiter": run.epochs,
        "maxcor": rule.memory,
        "maxls": rule.line_steps,
        "maxfun": 10**9,
        "gtol": 1e-12,
        "ftol": 1e-15,
    }
    if run.epochs == 0:
        return run.finish(None)
    with ProgressBar(run.epochs, run.progress) as bar, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        found = minimize(
            cost_and_gradient,
            params.trainable.astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            callback=end_of_iteration,
            options=options,
        )
    if not np.isfinite(found.fun):
        raise run.diverged(params.flat.copy(), "Scale the inputs, or start from smaller weights.")
    said = found.message if run.history.epochs < run.epochs else None
    return run.finish(state["reason"] or (f"L-BFGS: {str(said).lower()}" if said else None))  # type: ignore[arg-type]


def _layer_norm(gradients: Parameters, name: str) -> float:
    g = gradients[name]
    arrays = [*g.W.values()] + ([] if g.b is None else [g.b])
    return float(np.sqrt(sum(float((array.astype(np.float64) ** 2).sum()) for array in arrays)))
