"""The best constant output: what a network has to beat that looks at its inputs."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from clearprop.losses import Loss, PointwiseLoss, Quantile


def best_constant(loss: Loss, y: np.ndarray, units: int, weight: np.ndarray) -> np.ndarray:
    """The constant output (units,) with the lowest cost: of each column the mean, or a quantile; NaN if none is finite.

    `weight` (n,) are the weights of the rows, which sum to 1.

    >>> y, weight = np.array([[0.0], [1.0], [5.0]]), np.full(3, 1 / 3)
    >>> from clearprop.losses import AbsoluteError, SquaredError
    >>> best_constant(SquaredError(), y, 1, weight), best_constant(AbsoluteError(), y, 1, weight)
    (array([2.]), array([1.]))
    """
    rows, smoothing = one_hot(y, units), getattr(loss, "label_smoothing", 0.0)
    mean = weight @ rows
    if not isinstance(loss, PointwiseLoss):  # the medians of one-hot rows are no probability distribution
        return (1 - smoothing) * mean + smoothing / units
    best, lowest = np.full(units, np.nan), np.full(units, np.inf)
    for constant in ((1 - smoothing) * mean + smoothing / 2, *_quantiles(rows, weight, loss)):
        with np.errstate(all="ignore"):
            cost = weight @ np.asarray(loss.value_and_slope(np.broadcast_to(constant, rows.shape), rows)[0], float)
        lower = cost < lowest  # not if it is NaN
        best, lowest = np.where(lower, constant, best), np.where(lower, cost, lowest)
    return best


def losses_of_constant(loss: Loss, constant: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss of every row (n,) for a constant output; infinite if it is NaN."""
    outputs = np.broadcast_to(constant, (len(y), len(constant)))
    with np.errstate(all="ignore"):
        losses = np.asarray(loss.value_and_error(outputs, one_hot(y, len(constant)))[0], np.float64)
    return np.where(np.isnan(losses), np.inf, losses)


def one_hot(y: np.ndarray, units: int) -> np.ndarray:
    """Targets as float64 rows (n, units)."""
    return y.astype(np.float64) if y.ndim > 1 else np.eye(units)[y]


def _quantiles(rows: np.ndarray, weight: np.ndarray, loss: PointwiseLoss) -> Iterable[np.ndarray]:
    """Quantiles of each column; none for a loss whose best constant is the mean."""
    if loss.partner is not None:
        return []
    order = np.argsort(rows, axis=0)
    below = np.cumsum(weight[order], axis=0)
    shares = [loss.q] if isinstance(loss, Quantile) else np.linspace(0.05, 0.95, 19)
    found = []
    for share in shares:
        index = np.minimum((below < share - 1e-12).sum(axis=0), len(rows) - 1)
        found.append(np.take_along_axis(rows, np.take_along_axis(order, index[None], axis=0), axis=0)[0])
    return found
