"""Data for the checks of a diagnosis: a trace of some rows, the outputs for all rows, the cost of a constant output."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from clearprop.core.objective import Objective
from clearprop.core.outputs import Outputs
from clearprop.core.parameters import Parameters
from clearprop.core.trace import Trace, backpropagate
from clearprop.losses import Loss, PointwiseLoss

#: Maximum number of rows in the trace, which are evenly spaced. The losses are those of all rows.
ROWS = 4096


@dataclass(frozen=True)
class Evidence:
    """The outputs for every row, a trace of the rows `rows`, and the cost of the best constant output."""

    outputs: Outputs
    params: Parameters
    trace: Trace
    rows: np.ndarray
    prior: dict[str, float]

    @property
    def objective(self) -> Objective:
        """The data, losses and weights."""
        return self.outputs.objective

    @property
    def losses(self) -> np.ndarray:
        """The loss of every row, (n,)."""
        return self.outputs.losses

    @property
    def yhat(self) -> Mapping[str, np.ndarray]:
        """The activations of each output layer for every row, (n, units)."""
        return self.outputs.a

    @property
    def cost(self) -> float:
        """The mean loss of a row."""
        weights = self.objective.plain_weights(slice(None)).astype(np.float64)
        return float((weights * self.losses).sum() / weights.sum())

    @property
    def relative_cost(self) -> float:
        """The cost relative to that of the best constant output: 1 if nothing is learned, 0 for a perfect fit."""
        constant = sum(self.prior.values())
        return self.cost / constant if constant > 0 else 0.0

    @classmethod
    def gather(cls, outputs: Outputs, params: Parameters) -> Evidence:
        """Trace the rows, in addition to the outputs."""
        objective = outputs.objective
        n = objective.samples
        rows = np.unique(np.linspace(0, n - 1, min(n, ROWS)).astype(int))
        part = _take(objective, rows)
        weight = part.sample_weight if part.sample_weight is None or part.sample_weight.any() else None
        trace = backpropagate(objective.net, params, part.X, dict(part.targets), dict(part.losses), weight)
        prior = {
            name: _constant_cost(loss, objective.targets[name], outputs.a[name]) for name, loss in part.losses.items()
        }
        return cls(outputs, params, trace, rows, prior)


def _take(objective: Objective, rows: np.ndarray) -> Objective:
    weight = None if objective.sample_weight is None else objective.sample_weight[rows]
    targets = {name: y[rows] for name, y in objective.targets.items()}
    return replace(objective, X=objective.X[rows], targets=targets, sample_weight=weight)


def _constant_cost(loss: Loss, y: np.ndarray, like: np.ndarray) -> float:
    """The lowest mean loss of some constant outputs: mean, median and other quantiles of the targets."""
    rows = one_hot(y, like)
    tried = [rows.mean(axis=0)]
    if isinstance(loss, PointwiseLoss):  # the medians of one-hot rows are no probability distribution
        tried += [np.quantile(rows, q, axis=0) for q in (0.1, 0.25, 0.5, 0.75, 0.9)]
    costs = []
    with np.errstate(all="ignore"):
        for constant in tried:
            value = loss.value_and_error(np.broadcast_to(constant, rows.shape).astype(rows.dtype), y)[0]
            costs.append(float(np.mean(value)))
    return min((cost for cost in costs if np.isfinite(cost)), default=np.inf)


def one_hot(y: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Targets as float64 rows of the shape of the outputs."""
    if y.ndim > 1:
        return y.astype(np.float64)
    rows = np.zeros(like.shape)
    rows[np.arange(len(y)), y] = 1
    return rows
