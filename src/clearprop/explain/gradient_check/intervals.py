"""Numbers known up to a radius, as arrays: the slopes at a kink, and what rounding can change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np

Array = np.ndarray


@dataclass(frozen=True)
class Interval:
    """middle - radius to middle + radius, entry by entry; no radius means exactly the middle."""

    middle: Array
    radius: Array | None = None

    def __getitem__(self, index: Any) -> Interval:
        return self.map(lambda x: x[index])

    def map(self, change: Callable[[Array], Array]) -> Interval:
        """The same change of shape for both arrays."""
        return Interval(change(self.middle), None if self.radius is None else change(self.radius))

    def widened(self, by: Array | float) -> Interval:
        """The interval with a larger radius."""
        return Interval(self.middle, by + (np.zeros_like(self.middle) if self.radius is None else self.radius))

    def times(self, other: Interval) -> Interval:
        """All products of a number of this interval and one of the other."""
        middle = self.middle * other.middle
        if self.radius is None and other.radius is None:
            return Interval(middle)
        r, q = (0.0 if x.radius is None else x.radius for x in (self, other))
        return Interval(middle, np.abs(self.middle) * q + r * np.abs(other.middle) + r * q)

    def linear(self, apply: Callable[[Array, bool], Array]) -> Interval:
        """The image under a linear map; `apply(x, True)` applies the map of absolute values."""
        return Interval(apply(self.middle, False), None if self.radius is None else apply(self.radius, True))


def total(parts: Sequence[Interval]) -> Interval:
    """The sum."""
    return reduce(_add, parts)


def _add(x: Interval, y: Interval) -> Interval:
    if x.radius is None and y.radius is None:
        return Interval(x.middle + y.middle)
    radius = (x.radius if x.radius is not None else 0.0) + (y.radius if y.radius is not None else 0.0)
    return Interval(x.middle + y.middle, np.asarray(radius))


def joined(parts: Sequence[Interval], axis: int = 0) -> Interval:
    """The parts one after the other."""
    middle = np.concatenate([part.middle for part in parts], axis=axis)
    if all(part.radius is None for part in parts):
        return Interval(middle)
    radii = [np.zeros_like(part.middle) if part.radius is None else part.radius for part in parts]
    return Interval(middle, np.concatenate(radii, axis=axis))
