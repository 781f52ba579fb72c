"""Randomness that is a function of the seed and the position, so that any part of a run can be computed alone.

The order of epoch e needs only (seed, e), and whether dropout sets a unit to 0 depends only on the seed, the epoch,
the layer, the unit and the row of the sample: not on the batch, and not on the thread.
"""

from __future__ import annotations

import numpy as np

_ORDER = 0x6F72646572  # separates the orders from other uses of the same seed

#: 2^64 divided by the golden ratio; its multiples are spread evenly over the 64-bit integers.
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def epoch_order(seed: int, epoch: int, samples: int) -> np.ndarray:
    """The shuffled rows of an epoch (counted from 0).

    >>> epoch_order(seed=0, epoch=3, samples=5).tolist() == epoch_order(seed=0, epoch=3, samples=5).tolist()
    True
    """
    return np.random.default_rng((_ORDER, seed, epoch)).permutation(samples)


def mix(x: np.ndarray) -> np.ndarray:
    """Hash 64-bit integers (the finalizer of SplitMix64, Steele et al. 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def dropout_key(seed: int, epoch: int, layer: int) -> np.ndarray:
    """The key of the dropout mask of a layer in an epoch, (1,)."""
    with np.errstate(over="ignore"):  # 64-bit arithmetic wraps around on purpose
        key = np.zeros(1, np.uint64)
        for part in (seed, epoch, layer):
            key = mix(key + GOLDEN + np.uint64(part))
        return key


def mask_of(key: np.ndarray, rows: np.ndarray, units: int, dropout: float, dtype: np.dtype) -> np.ndarray:
    """The dropout mask (n, units) for a key: 0 with probability `dropout`, else 1 / (1 - dropout)."""
    with np.errstate(over="ignore"):
        row_keys = mix(key + GOLDEN * (rows.astype(np.uint64) + np.uint64(1)))
        bits = mix(row_keys[:, None] + GOLDEN * (np.arange(units, dtype=np.uint64) + np.uint64(1)))
    uniform = (bits >> np.uint64(11)) * 2.0**-53
    return np.where(uniform < dropout, 0.0, 1.0 / (1.0 - dropout)).astype(dtype)


def dropout_mask(
    seed: int, epoch: int, layer: int, rows: np.ndarray, units: int, dropout: float, dtype: np.dtype
) -> np.ndarray:
    """0 with probability `dropout`, else 1 / (1 - dropout), for the given rows of the data: (n, units).

    >>> dropout_mask(0, 0, 0, np.arange(2), 4, 0.5, np.dtype("float64"))
    array([[0., 2., 0., 0.],
           [2., 0., 0., 0.]])
    """
    return mask_of(dropout_key(seed, epoch, layer), rows, units, dropout, dtype)
