"""Derivatives of a function of one number, for each entry of an array, from values of the function only.

By the complex step Im f(x + ih) / h, which is exact up to rounding, or by central differences of the fourth order. At a
kink the slope is the interval between the slopes on the two sides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from clearprop.explain.gradient_check.complex_step import imaginary, perturb
from clearprop.explain.gradient_check.intervals import Interval

Array = np.ndarray
Function = Callable[[Array], Array]

TINY = 1e-20  #: the complex step
STEPS = (1e-3, 1e-4, 1e-5)  #: steps of the differences; the smaller ones are for kinks that lie within the larger
_SIDE = 1e-5  #: reach of the one-sided differences


@dataclass(frozen=True)
class Slopes:
    """The derivative for each entry, and where there is a kink."""

    value: Interval
    kinks: Array

    @classmethod
    def of(cls, f: Function, x: Array, reach: float, exact: bool) -> Slopes:
        """The derivatives of f at x; `exact` selects the complex step.

        A kink counts if it is within `reach` of x, relative to the largest entry.
        """
        with np.errstate(all="ignore"):
            if exact:
                return _by_complex_step(f, x, reach * (1e-2 + np.abs(x).max(initial=0.0)))
            return _by_differences(f, x)


def _by_complex_step(f: Function, x: Array, reach: float) -> Slopes:
    def slope(at: Array) -> Array:
        return imaginary(f(perturb(at, TINY)), at) / TINY

    here, left, right = slope(x), slope(x - reach), slope(x + reach)
    scale = np.maximum(np.maximum(np.abs(left), np.abs(right)), np.abs(here).max(initial=0.0))
    kinks = np.abs(right - left) > 1e3 * reach * scale  # a smooth slope changes by about reach * f''
    if kinks.any():  # it also shrinks with the reach, and the slope here is half-way between the two
        jump, nearer = np.abs(right - left), np.abs(slope(x + reach / 10) - slope(x - reach / 10))
        kinks &= (nearer > jump / 2) | (np.abs(left + right - 2 * here) > jump / 2)
    # at a tie of max(z, 0) a smooth function may give another slope than on both sides
    here = np.where(~kinks & (np.abs(left + right - 2 * here) > 1e3 * reach * scale), (left + right) / 2, here)
    return _with_kinks(here, None, left, right, kinks)


def _by_differences(f: Function, x: Array) -> Slopes:
    size = np.maximum(1.0, np.abs(x))

    def central(step: float) -> Array:
        h = step * size
        return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)

    wide, middle, narrow = (central(step) for step in STEPS)
    s = _SIDE * size
    right = (4 * f(x + s) - 3 * f(x) - f(x + 2 * s)) / (2 * s)
    left = (3 * f(x) - 4 * f(x - s) + f(x - 2 * s)) / (2 * s)
    scale = np.maximum(np.abs(narrow), np.abs(narrow).max(initial=0.0))
    first, second, sides = np.abs(wide - middle), np.abs(middle - narrow), np.abs(right - left) / 2 + 1e-9 * scale
    steps = [first <= 1e-7 * scale, second <= 1e-6 * scale]
    here = np.select(steps, [wide, middle], (left + right) / 2)
    error = np.select(steps, [first, second], sides)
    kinks = np.abs(right - left) > 1e-4 * scale
    return _with_kinks(here, error, left, right, kinks)


def _with_kinks(here: Array, error: Array | None, left: Array, right: Array, kinks: Array) -> Slopes:
    if not kinks.any():
        return Slopes(Interval(here, error), kinks)
    radius = np.zeros_like(here) if error is None else error
    middle = np.where(kinks, (left + right) / 2, here)
    return Slopes(Interval(middle, np.where(kinks, np.abs(right - left) / 2 + radius, radius)), kinks)
