"""Penalties, which add a cost of large weights, and limits on gradients and weights.

A penalty is a separate term of the cost, with its own value and gradient. It acts on the trainable weights (not on the
biases), and does not depend on the batch size.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from clearprop.checks import check_number, one_or_several
from clearprop.errors import ArgumentError
from clearprop.mathematics import Array, absolute, sign

__all__ = [
    "L1",
    "L2",
    "PENALTIES",
    "Limits",
    "Penalty",
]


@dataclass(frozen=True)
class Penalty(ABC):
    """A cost of large weights, with a strength of 0 or more.

    >>> import numpy as np, clearprop as cp
    >>> class Quartic(cp.penalties.Penalty):
    ...     def value_and_slope(self, w):
    ...         return self.strength * w**4, 4 * self.strength * w**3
    >>> Quartic(0.5).value_and_slope(np.array([2.0]))
    (array([8.]), array([16.]))
    """

    name: ClassVar[str] = ""
    strength: float = 1e-4

    def __post_init__(self) -> None:
        check_number(self.strength, f"{type(self).__name__} strength", least=0)

    @abstractmethod
    def value_and_slope(self, w: Array) -> tuple[Array, Array]:
        """The penalty of each weight and its derivative, both of the shape of w."""


class L2(Penalty):
    """strength / 2 * w^2 for each weight, with the derivative strength * w (ridge regression).

    >>> import clearprop as cp
    >>> cp.penalties.L2(0.1).value_and_slope(2.0)
    (0.2, 0.2)
    """

    name = "l2"

    def value_and_slope(self, w: Array) -> tuple[Array, Array]:
        return 0.5 * self.strength * w * w, self.strength * w


class L1(Penalty):
    """strength * |w| for each weight, with the derivative strength * sign(w), 0 at w = 0 (lasso).

    >>> import numpy as np, clearprop as cp
    >>> cp.penalties.L1(0.5).value_and_slope(np.array([-2.0, 0.0]))
    (array([1., 0.]), array([-0.5,  0. ]))
    """

    name = "l1"

    def value_and_slope(self, w: Array) -> tuple[Array, Array]:
        return self.strength * absolute(w), self.strength * sign(w)


#: The penalties of the library by name.
PENALTIES: dict[str, type[Penalty]] = {penalty.name: penalty for penalty in (L1, L2)}


@dataclass(frozen=True)
class Limits:
    """Limits on gradients and weights; None for no limit.

    `clip_value`: each entry of the gradient is clipped to +-clip_value. `clip_norm`: then the whole gradient is scaled
    down to this Euclidean norm (Pascanu et al. 2013). `max_norm`: after each step, the weights into each unit from one
    source are scaled down to this norm (Srebro 2005).

    >>> import numpy as np, clearprop as cp
    >>> gradient = np.array([3.0, 4.0])
    >>> cp.penalties.Limits(clip_norm=1.0).clip(gradient)
    >>> gradient
    array([0.6, 0.8])
    """

    clip_norm: float | None = None
    clip_value: float | None = None
    max_norm: float | None = None

    def __post_init__(self) -> None:
        for field, value in vars(self).items():
            if value is not None:
                check_number(value, field, above=0)

    def clip(self, gradient: np.ndarray) -> None:
        """Clip a gradient in place."""
        if self.clip_value is not None:
            np.clip(gradient, -self.clip_value, self.clip_value, out=gradient)
        if self.clip_norm is not None:
            norm = float(np.linalg.norm(gradient))
            if norm > self.clip_norm:
                gradient *= self.clip_norm / norm

    def bound(self, W: np.ndarray) -> None:
        """Scale the columns of a weight matrix, or a vector of shared weights, down to max_norm in place."""
        if self.max_norm is not None:
            norms = np.sqrt((W * W).sum(axis=0))
            W *= np.where(norms > self.max_norm, self.max_norm / np.maximum(norms, self.max_norm), 1.0)


def as_penalties(value: Penalty | Sequence[Penalty] | None) -> tuple[Penalty, ...]:
    """One or several penalties as a tuple.

    >>> as_penalties(L2(0.1))
    (L2(strength=0.1),)
    """
    penalties = one_or_several(value)
    for penalty in penalties:
        if not isinstance(penalty, Penalty):
            raise ArgumentError(f"penalty: expected penalties such as cp.penalties.L2(1e-4), got {penalty!r}.")
    return penalties
