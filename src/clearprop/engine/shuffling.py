"""Repeated shuffles of the rows by one legacy generator of NumPy (`RandomState`), in the order of scikit-learn."""

from __future__ import annotations

import numpy as np


def shuffled(rows: np.ndarray, generator: np.random.RandomState, times: int) -> np.ndarray:
    """The row numbers after each of `times` shuffles, (times, n); `rows` ends as the last of them.

    >>> rows = np.arange(3)
    >>> shuffled(rows, np.random.RandomState(0), times=2).tolist(), rows.tolist()
    ([[2, 1, 0], [0, 2, 1]], [0, 2, 1])
    """
    orders = np.empty((times, len(rows)), rows.dtype)
    for order in orders:
        generator.shuffle(rows)
        order[:] = rows
    return orders
