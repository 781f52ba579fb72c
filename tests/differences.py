"""Finite differences for the tests of derivatives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import clearprop as cp


def slope(f: Callable[[float], np.ndarray], h: float = 2e-4) -> np.ndarray:
    """df/dr at r = 0 by the central difference of the fourth order."""
    near, far = (f(h) - f(-h)) / (2 * h), (f(2 * h) - f(-2 * h)) / (4 * h)
    return (4 * near - far) / 3


def moved(params: cp.Parameters, direction: np.ndarray, r: float) -> cp.Parameters:
    """The parameters w + r v."""
    return cp.Parameters(params.net, params.flat + r * direction)


def disagreement(found: np.ndarray, expected: np.ndarray, least: float = 1e-3) -> float:
    """The largest difference, relative to the largest entry (or `least`)."""
    assert found.shape == expected.shape
    return float(np.abs(found - expected).max(initial=0.0) / max(least, np.abs(expected).max(initial=0.0)))
