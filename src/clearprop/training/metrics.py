"""Metrics: what is reported beside the cost, as functions of targets and outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import numpy as np

from clearprop.checks import one_or_several
from clearprop.errors import ArgumentError, unknown

Metric = Callable[[Any, Any], float]


def accuracy(y: np.ndarray, yhat: np.ndarray) -> float:
    """Share of samples whose class is right: the largest of several outputs, or every output on its side of 1/2.

    y holds class indices (n,), one-hot rows or probabilities (n, k), or labels 0 and 1 (n, o); yhat (n, o).

    >>> import numpy as np
    >>> accuracy(np.array([0, 1]), np.array([[0.9, 0.1], [0.8, 0.2]]))
    0.5
    """
    if y.ndim == 1:
        return float((yhat.argmax(axis=1) == y).mean())
    if y.shape[1] > 1 and np.allclose(y.sum(axis=1), 1) and np.allclose(yhat.sum(axis=1), 1, atol=1e-3):
        return float((yhat.argmax(axis=1) == y.argmax(axis=1)).mean())
    return float(((yhat > 0.5) == (y > 0.5)).all(axis=1).mean())


def rmse(y: np.ndarray, yhat: np.ndarray) -> float:
    """Root of the mean squared error over samples and outputs, in the unit of y.

    >>> import numpy as np
    >>> rmse(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]])).__round__(4)
    1.4142
    """
    return float(np.sqrt(np.mean((yhat - y) ** 2, dtype=np.float64)))


def mae(y: np.ndarray, yhat: np.ndarray) -> float:
    """Mean absolute error over samples and outputs, in the unit of y.

    >>> import numpy as np
    >>> mae(np.array([[1.0], [3.0]]), np.array([[1.0], [1.0]]))
    1.0
    """
    return float(np.mean(np.abs(yhat - y), dtype=np.float64))


def r2(y: np.ndarray, yhat: np.ndarray) -> float:
    """Share of the variance explained, 1 - sum (y - yhat)^2 / sum (y - mean y)^2, averaged over the outputs.

    >>> import numpy as np
    >>> r2(np.array([[1.0], [3.0]]), np.array([[1.0], [2.0]]))
    0.5
    """
    residual = np.sum((y - yhat) ** 2, axis=0, dtype=np.float64)
    spread = np.sum((y - y.mean(axis=0)) ** 2, axis=0, dtype=np.float64)
    return float(np.mean(1 - residual / np.where(spread > 0, spread, np.nan)))


#: Every metric that comes with the library, and whether more is better.
METRICS: dict[str, tuple[Metric, bool]] = {
    "accuracy": (accuracy, True),
    "rmse": (rmse, False),
    "mae": (mae, False),
    "r2": (r2, True),
}


def as_metrics(given: str | Metric | Iterable[str | Metric]) -> dict[str, Metric]:
    """Metrics by name from names and functions of (y, yhat).

    >>> list(as_metrics(["accuracy", rmse]))
    ['accuracy', 'rmse']
    """
    found: dict[str, Metric] = {}
    for metric in one_or_several(given):
        if callable(metric):
            name = getattr(metric, "__name__", type(metric).__name__)
            if name in found or name == "cost":
                raise ArgumentError(f'metrics: the name "{name}" is taken in the history; rename the function.')
            found[name] = cast("Metric", metric)
        elif isinstance(metric, str) and metric in METRICS:
            found[metric] = METRICS[metric][0]
        else:
            raise ArgumentError(f"metrics: {unknown('metric', metric, METRICS)}")
    return found
