"""The functions with which activations, losses and optimizers are defined.

Each function looks up the array namespace of its argument, so that a definition works with any array library, and with
the symbols of `clearprop.symbolic`, which record its operations.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.special

Array = Any  # an array of any library that follows the array API; NumPy's in everything shipped here


def namespace(x: Array) -> Any:
    """The array library of `x` (NumPy for Python and NumPy scalars)."""
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else np


def exp(x: Array) -> Array:
    return namespace(x).exp(x)


def expm1(x: Array) -> Array:
    """exp(x) - 1, accurate near 0."""
    return namespace(x).expm1(x)


def log(x: Array) -> Array:
    return namespace(x).log(x)


def log1p(x: Array) -> Array:
    """log(1 + x), accurate near 0."""
    return namespace(x).log1p(x)


def sqrt(x: Array) -> Array:
    return namespace(x).sqrt(x)


def tanh(x: Array) -> Array:
    return namespace(x).tanh(x)


def sin(x: Array) -> Array:
    return namespace(x).sin(x)


def cos(x: Array) -> Array:
    return namespace(x).cos(x)


def sign(x: Array) -> Array:
    return namespace(x).sign(x)


def absolute(x: Array) -> Array:
    return namespace(x).abs(x)


def maximum(x: Array, y: Array) -> Array:
    return namespace(x).maximum(x, y)


def minimum(x: Array, y: Array) -> Array:
    return namespace(x).minimum(x, y)


def where(condition: Array, x: Array, y: Array) -> Array:
    """`x` where the condition holds, `y` elsewhere."""
    return namespace(condition).where(condition, x, y)


def erfc(x: Array) -> Array:
    """The complementary error function 2/sqrt(pi) * integral from x to infinity of exp(-t^2)."""
    return scipy.special.erfc(x)


def xlogy(x: Array, y: Array) -> Array:
    """X log y, and 0 where x = 0 whatever y is."""
    return scipy.special.xlogy(x, y)


def row_max(x: Array) -> Array:
    """Largest entry of each row, (n, 1)."""
    return namespace(x).max(x, axis=-1, keepdims=True)


def row_sum(x: Array) -> Array:
    """Sum of each row, (n, 1)."""
    return namespace(x).sum(x, axis=-1, keepdims=True)


def row_mean(x: Array) -> Array:
    """Mean of each row, (n, 1)."""
    return namespace(x).mean(x, axis=-1, keepdims=True)


def one_hot(indices: Array, like: Array) -> Array:
    """Rows of the shape and type of `like` (n, k): 1 in the column that `indices` (n,) selects, 0 elsewhere."""
    return (namespace(like).arange(like.shape[-1]) == indices[:, None]).astype(like.dtype)


def logistic(z: Array) -> Array:
    """1 / (1 + exp(-z)) without overflow: exp gets negative numbers only."""
    e = exp(-absolute(z))
    return where(z >= 0, 1, e) / (1 + e)


def log_one_plus_exp(z: Array) -> Array:
    """log(1 + exp(z)) without overflow: max(z, 0) + log(1 + exp(-|z|))."""
    return maximum(z, 0) + log1p(exp(-absolute(z)))
