"""Initializers: distributions of the initial weights of a connection.

An initializer takes fan_in (units of the source), fan_out (units of the layer) and a random generator, and returns W
(fan_in, fan_out) in float64. For a layer with several sources fan_in is the sum over all of them, which keeps the
variance of z the same.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from clearprop.checks import check_choice, check_number
from clearprop.errors import ArgumentError, unknown

__all__ = [
    "INITIALIZERS",
    "Initializer",
    "Normal",
    "Orthogonal",
    "Uniform",
    "VarianceScaling",
    "Zeros",
]


@dataclass(frozen=True)
class Initializer(ABC):
    """Draws initial weights of a shape from a generator, with the fan_in and fan_out of the layer.

    >>> import clearprop as cp
    >>> class Ones(cp.initializers.Initializer):
    ...     def draw(self, shape, fan_in, fan_out, generator):
    ...         return np.ones(shape)
    >>> cp.Network.sequential(2, 1, initializer=Ones()).initialize()["output"].W["input"]
    array([[1.],
           [1.]])
    """

    name: ClassVar[str] = ""

    @abstractmethod
    def draw(self, shape: tuple[int, ...], fan_in: float, fan_out: float, generator: np.random.Generator) -> np.ndarray:
        """Initial weights of `shape` in float64."""


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Weights with mean 0 and variance scale / fan, where fan is fan_in or the mean of fan_in and fan_out.

    >>> import numpy as np, clearprop as cp
    >>> W = cp.initializers.VarianceScaling(scale=1.0, fan="in").draw((100, 50), 100, 50, np.random.default_rng(0))
    >>> bool(abs(W.var() - 1 / 100) < 1e-3)
    True
    """

    name = "variance_scaling"
    scale: float = 1.0
    fan: str = "in"
    distribution: str = "uniform"

    def __post_init__(self) -> None:
        check_number(self.scale, "VarianceScaling scale", above=0)
        check_choice(self.fan, "VarianceScaling fan", ("in", "average"))
        check_choice(self.distribution, "VarianceScaling distribution", ("uniform", "normal"))

    def draw(self, shape: tuple[int, ...], fan_in: float, fan_out: float, generator: np.random.Generator) -> np.ndarray:
        """Uniform in +-sqrt(3 variance), or normal; the variance is scale / fan."""
        fan = fan_in if self.fan == "in" else (fan_in + fan_out) / 2
        deviation = math.sqrt(self.scale / fan)
        if self.distribution == "normal":
            return generator.normal(0.0, deviation, shape)
        return generator.uniform(-math.sqrt(3) * deviation, math.sqrt(3) * deviation, shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Weights from the uniform distribution on [low, high).

    >>> import numpy as np, clearprop as cp
    >>> W = cp.initializers.Uniform(-0.3, 0.3).draw((2, 3), 2, 3, np.random.default_rng(0))
    >>> bool(np.abs(W).max() <= 0.3)
    True
    """

    name = "uniform"
    low: float = -0.5
    high: float = 0.5

    def __post_init__(self) -> None:
        if check_number(self.low, "Uniform low") >= check_number(self.high, "Uniform high"):
            raise ArgumentError(f"Uniform: expected low below high, got low={self.low}, high={self.high}.")

    def draw(self, shape: tuple[int, ...], fan_in: float, fan_out: float, generator: np.random.Generator) -> np.ndarray:
        """Uniform in [low, high)."""
        return generator.uniform(self.low, self.high, shape)


@dataclass(frozen=True)
class Normal(Initializer):
    """Weights from the normal distribution with this mean and standard deviation.

    >>> import numpy as np, clearprop as cp
    >>> cp.initializers.Normal(deviation=0.1).draw((2, 3), 2, 3, np.random.default_rng(0)).shape
    (2, 3)
    """

    name = "normal"
    deviation: float = 0.1
    mean: float = 0.0

    def __post_init__(self) -> None:
        check_number(self.deviation, "Normal deviation", least=0)
        check_number(self.mean, "Normal mean")

    def draw(self, shape: tuple[int, ...], fan_in: float, fan_out: float, generator: np.random.Generator) -> np.ndarray:
        """Normal (mean, deviation^2)."""
        return generator.normal(self.mean, self.deviation, shape)


class Zeros(Initializer):
    """All weights 0. With a hidden layer, units that start equal stay equal; use it without hidden layers only.

    >>> import numpy as np, clearprop as cp
    >>> cp.initializers.Zeros().draw((1, 2), 1, 2, np.random.default_rng(0))
    array([[0., 0.]])
    """

    name = "zeros"

    def draw(self, shape: tuple[int, ...], fan_in: float, fan_out: float, generator: np.random.Generator) -> np.ndarray:
        """Weights of 0."""
        return np.zeros(shape)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """Weights with orthonormal rows or columns, multiplied by gain (Saxe, McClelland and Ganguli 2014).

    >>> import numpy as np, clearprop as cp
    >>> W = cp.initializers.Orthogonal().draw((3, 2), 3, 2, np.random.default_rng(0))
    >>> np.allclose(W.T @ W, np.eye(2))
    True
    """

    name = "orthogonal"
    gain: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.gain, "Orthogonal gain", above=0)

    def draw(self, shape: tuple[int, ...], fan_in: float, fan_out: float, generator: np.random.Generator) -> np.ndarray:
        """Q of the QR decomposition of a normal matrix, with signs that make the distribution of Q uniform."""
        rows, columns = shape if len(shape) == 2 else (shape[0], 1)
        q, r = np.linalg.qr(generator.normal(size=(max(rows, columns), min(rows, columns))))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)


#: The initializers by name: Glorot and Bengio 2010, He et al. 2015, LeCun et al. 1998.
INITIALIZERS: dict[str, Initializer] = {
    "glorot_uniform": VarianceScaling(1.0, "average", "uniform"),
    "glorot_normal": VarianceScaling(1.0, "average", "normal"),
    "he_uniform": VarianceScaling(2.0, "in", "uniform"),
    "he_normal": VarianceScaling(2.0, "in", "normal"),
    "lecun_uniform": VarianceScaling(1.0, "in", "uniform"),
    "lecun_normal": VarianceScaling(1.0, "in", "normal"),
    "orthogonal": Orthogonal(),
    "uniform": Uniform(),
    "normal": Normal(),
    "zeros": Zeros(),
}


def as_initializer(value: str | Initializer, where: str = "initializer") -> Initializer:
    """The initializer of that name; an initializer is returned unchanged.

    >>> as_initializer("zeros")
    Zeros()
    """
    if isinstance(value, Initializer):
        return value
    if isinstance(value, str) and value in INITIALIZERS:
        return INITIALIZERS[value]
    raise ArgumentError(f"{where}: {unknown('initializer', value, INITIALIZERS, Initializer)}")
