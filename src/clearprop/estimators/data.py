"""Checked rows of an estimator, dense or sparse, and quick checks of arrays that need no others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse

from clearprop.core.randomness import mix


@dataclass(frozen=True)
class Data:
    """Checked rows: X (n, i), dense or sparse, the target as the estimator takes it (n, o), weights (n,) or None."""

    X: Any
    y: np.ndarray
    weight: np.ndarray | None

    def take(self, rows: np.ndarray) -> Data:
        """Some of the rows."""
        return Data(self.X[rows], self.y[rows], None if self.weight is None else self.weight[rows])


def is_plain_target(y: Any, rows: int) -> bool:
    """Whether validate_data would return this target of `rows` rows unchanged."""
    return (
        type(y) is np.ndarray
        and y.ndim in (1, 2)
        and y.dtype.kind in "biufU"
        and y.size > 0
        and len(y) == rows
        and (y.dtype.kind != "f" or is_finite(y))
    )


def is_finite(numbers: np.ndarray) -> bool:
    """Whether the sum is finite, and so all numbers are; False if finite numbers overflow in the sum."""
    with np.errstate(over="ignore", invalid="ignore"):
        return math.isfinite(np.add.reduce(numbers, axis=None))


def by_rows(X: Any) -> Any:
    """A sparse matrix in CSR format, whose rows can be selected; an array unchanged."""
    return X.tocsr() if issparse(X) else X


def row_keys(X: Any) -> np.ndarray:
    """A number for each row that depends on what is in it alone, so that equal rows get the same dropout.

    The bits of a zero are 0, so a sparse row has the number of the same row written out.
    """
    values = X.data if issparse(X) else np.ascontiguousarray(X)
    bits = (values + 0.0).view(np.uint64 if X.dtype.itemsize == 8 else np.uint32).astype(np.uint64)  # no -0
    odd = mix(np.arange(1, X.shape[1] + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)) | np.uint64(1)
    if not issparse(X):
        return mix((bits * odd).sum(axis=1, dtype=np.uint64))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(bits * odd[X.indices], dtype=np.uint64)])
    return mix(sums[X.indptr[1:]] - sums[X.indptr[:-1]])
