r"""Activations a = f(z) with their pullback.

An activation turns the weighted sums z (n samples, u units) into activations a (n, u), and its *pullback* turns the
error signal dJ/da into the sensitivity delta = dJ/dz, both (n, u). For an elementwise activation the pullback is
error * f'(z); for one that mixes the units of a row (softmax, layer normalisation) it is the product with the
transposed Jacobian of each row.

The function and derivative of an activation use its fields and the functions of `clearprop.mathematics` only. From
these definitions come compiled kernels, second derivatives and written formulas (`clearprop.symbolic`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from clearprop.checks import call_own, check_function, check_number, check_text, like
from clearprop.errors import ArgumentError, unknown
from clearprop.mathematics import (
    Array,
    absolute,
    cos,
    erfc,
    exp,
    expm1,
    log_one_plus_exp,
    logistic,
    maximum,
    minimum,
    row_max,
    row_mean,
    row_sum,
    sign,
    sin,
    sqrt,
    where,
)
from clearprop.mathematics import tanh as hyperbolic_tangent

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "Activation",
    "Custom",
    "Elementwise",
    "LayerNormalization",
    "LeakyReLU",
    "elu",
    "exponential",
    "gaussian",
    "gelu",
    "hard_sigmoid",
    "identity",
    "layer_normalization",
    "leaky_relu",
    "log_sigmoid",
    "mish",
    "relu",
    "selu",
    "sigmoid",
    "silu",
    "sine",
    "softmax",
    "softplus",
    "softsign",
    "step",
    "tanh",
]


@dataclass(frozen=True)
class Activation(ABC):
    """Base class of activations: functions of the weighted sums, with their pullback.

    `name` is the string that selects it, and `initializer` the name of a suitable initializer. `output_range` is the
    interval in which all values lie (None if unknown), and `includes_ends` says whether they can equal its ends. If
    `pullback_needs_only_output` is true, the pullback uses of z only whether z > 0, which holds exactly where a > 0, so
    that an engine can pass a in place of z.

    >>> import numpy as np
    >>> import clearprop as cp
    >>> class UnitLength(
    ...     cp.activations.Activation
    ... ):  # mixes the units of a row; for one unit by itself see cp.activations.Elementwise
    ...     def function(self, z):
    ...         return z / np.linalg.norm(z, axis=1, keepdims=True)
    ...
    ...     def pullback(self, z, a, error):
    ...         along = (error * a).sum(axis=1, keepdims=True)
    ...         return (error - along * a) / np.linalg.norm(z, axis=1, keepdims=True)
    >>> z = np.array([[3.0, 4.0]])
    >>> UnitLength()(z), UnitLength().pullback(z, UnitLength()(z), np.array([[5.0, 0.0]])).round(3)
    (array([[0.6, 0.8]]), array([[ 0.64, -0.48]]))
    """

    name: ClassVar[str] = ""
    initializer: ClassVar[str] = "glorot_uniform"
    output_range: ClassVar[tuple[float, float] | None] = None
    includes_ends: ClassVar[bool] = False
    pullback_needs_only_output: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if {"function", "derivative", "pullback"} & vars(cls).keys() and "pullback_needs_only_output" not in vars(cls):
            cls.pullback_needs_only_output = False  # a redefinition may need more than its base class
        if "function" in vars(cls) and "output_range" not in vars(cls):
            cls.output_range = None  # and may have other values

    @property
    def described_range(self) -> str:
        """Which values the activation has, in words.

        >>> sigmoid.described_range, relu.described_range, identity.described_range
        ('between 0 and 1', 'at least 0', 'any number')
        """
        low, high = (-math.inf, math.inf) if self.output_range is None else self.output_range
        if math.isinf(low) and math.isinf(high):
            return "any number"
        if math.isinf(high):
            return f"{'at least' if self.includes_ends else 'above'} {low:g}"
        return f"below {high:g}" if math.isinf(low) else f"between {low:g} and {high:g}"

    def __call__(self, z: Array) -> Array:
        """A = f(z), both (n, u)."""
        return self.function(z)

    @abstractmethod
    def function(self, z: Array) -> Array:
        """A = f(z), both (n, u)."""

    @abstractmethod
    def pullback(self, z: Array, a: Array, error: Array) -> Array:
        """Delta = dJ/dz from error = dJ/da, where a = f(z); all (n, u)."""


class Elementwise(Activation):
    """An activation of each unit by itself, a = f(z), so that delta = error * f'(z).

    To add your own, give the function and its derivative (which may use a = f(z)):

    >>> import numpy as np
    >>> import clearprop as cp
    >>> class Square(cp.activations.Elementwise):
    ...     name = "square"
    ...
    ...     def function(self, z):
    ...         return z * z
    ...
    ...     def derivative(self, z, a):
    ...         return 2 * z
    >>> square = Square()
    >>> square(np.array([3.0])), square.pullback(np.array([3.0]), np.array([9.0]), np.array([1.0]))
    (array([9.]), array([6.]))
    """

    @abstractmethod
    def derivative(self, z: Array, a: Array) -> Array:
        """f'(z), with a = f(z) as an argument because it often simplifies the formula."""

    def pullback(self, z: Array, a: Array, error: Array) -> Array:
        """Delta = error * f'(z)."""
        # A derivative made of plain numbers is float64; delta has the precision of the network.
        return error * self.derivative(z, a).astype(error.dtype, copy=False)


@dataclass(frozen=True)
class Custom(Elementwise):
    """An elementwise activation from two plain Python functions f(z) and f'(z, a).

    >>> import numpy as np
    >>> import clearprop as cp
    >>> cube = cp.activations.Custom("cube", lambda z: z**3, lambda z, a: 3 * z**2)
    >>> cube(np.array([2.0]))
    array([8.])
    """

    label: str
    f: Callable[[Array], Array]
    slope: Callable[[Array, Array], Array]

    @property
    def name(self) -> str:  # type: ignore[override]
        """The label."""
        return self.label

    def __post_init__(self) -> None:
        check_text(self.label, "Custom label")
        check_function(self.f, "Custom f")
        check_function(self.slope, "Custom slope")

    def function(self, z: Array) -> Array:
        """f(z) by the user's function."""
        contract = (
            f'cp.activations.Custom "{self.label}": f(z) gets an array (n samples, units) and returns one of that shape'
        )
        return like(call_own(self.f, contract, z), z, contract)

    def derivative(self, z: Array, a: Array) -> Array:
        """f'(z) by the user's function; a single number is the slope for every z."""
        contract = f'cp.activations.Custom "{self.label}": slope(z, a) gets z and a = f(z), arrays (n samples, units), '
        contract += "and returns f'(z), an array of that shape"
        slope = call_own(self.slope, contract, z, a)
        return slope + 0 * z if isinstance(slope, (int, float)) else like(slope, z, contract)


class Identity(Elementwise):
    """a = z, f'(z) = 1: the output of linear regression.

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.identity(np.array([-2.0, 2.0]))
    array([-2.,  2.])
    """

    name = "identity"
    output_range = (-math.inf, math.inf)

    def function(self, z: Array) -> Array:
        return z

    def derivative(self, z: Array, a: Array) -> Array:
        return 0 * z + 1


class Sigmoid(Elementwise):
    """a = 1 / (1 + exp(-z)), f'(z) = a (1 - a): the probability of one of two classes.

    >>> import numpy as np, clearprop as cp
    >>> cp.sigmoid(np.array([0.0, -1000.0]))
    array([0.5, 0. ])
    """

    name = "sigmoid"
    output_range = (0, 1)

    def function(self, z: Array) -> Array:
        return logistic(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return a * (1 - a)


class Tanh(Elementwise):
    """a = tanh z, f'(z) = 1 - a^2.

    >>> import numpy as np, clearprop as cp
    >>> cp.tanh(np.array([0.0, 20.0]))
    array([0., 1.])
    """

    name = "tanh"
    output_range = (-1, 1)

    def function(self, z: Array) -> Array:
        return hyperbolic_tangent(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return 1 - a * a


class ReLU(Elementwise):
    """a = max(z, 0), f'(z) = 1 where z > 0, else 0 (Nair and Hinton 2010).

    >>> import numpy as np, clearprop as cp
    >>> cp.relu(np.array([-2.0, 2.0]))
    array([0., 2.])
    """

    name = "relu"
    output_range = (0, math.inf)
    includes_ends = True
    initializer = "he_uniform"
    pullback_needs_only_output = True

    def function(self, z: Array) -> Array:
        return maximum(z, 0)

    def derivative(self, z: Array, a: Array) -> Array:
        return where(z > 0, 1, 0)


@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """a = z where z > 0, else slope * z (Maas, Hannun and Ng 2013).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.LeakyReLU(slope=0.1)(np.array([-2.0, 2.0]))
    array([-0.2,  2. ])
    """

    name = "leaky_relu"
    output_range = (-math.inf, math.inf)
    initializer = "he_uniform"
    slope: float = 0.01

    def __post_init__(self) -> None:
        check_number(self.slope, "LeakyReLU slope")

    def function(self, z: Array) -> Array:
        return where(z > 0, z, self.slope * z)

    def derivative(self, z: Array, a: Array) -> Array:
        return where(z > 0, 1, self.slope)


@dataclass(frozen=True)
class ELU(Elementwise):
    """a = z where z > 0, else alpha (exp(z) - 1) (Clevert, Unterthiner and Hochreiter 2016).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.elu(np.array([-1000.0, 2.0]))
    array([-1.,  2.])
    """

    name = "elu"
    initializer = "he_uniform"
    pullback_needs_only_output = True
    alpha: float = 1.0

    def __post_init__(self) -> None:
        check_number(self.alpha, "ELU alpha", above=0)

    @property
    def output_range(self) -> tuple[float, float]:  # type: ignore[override]
        """From -alpha."""
        return -self.alpha, math.inf

    def function(self, z: Array) -> Array:
        return where(z > 0, z, self.alpha * expm1(minimum(z, 0)))

    def derivative(self, z: Array, a: Array) -> Array:
        return where(z > 0, 1, a + self.alpha)


class SELU(Elementwise):
    """a = 1.0507 z where z > 0, else 1.0507 * 1.6733 (exp(z) - 1) (Klambauer et al. 2017, self-normalizing).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.selu(np.array([-1000.0, 1.0])).round(4)
    array([-1.7581,  1.0507])
    """

    name = "selu"
    output_range = (-1.7580993408473766, math.inf)
    initializer = "lecun_normal"
    pullback_needs_only_output = True

    def function(self, z: Array) -> Array:
        return where(z > 0, 1.0507009873554805 * z, 1.7580993408473766 * expm1(minimum(z, 0)))

    def derivative(self, z: Array, a: Array) -> Array:
        return where(z > 0, 1.0507009873554805, a + 1.7580993408473766)


class GELU(Elementwise):
    """a = z P(Z <= z) for a standard normal Z, f'(z) = P(Z <= z) + z density(z) (Hendrycks and Gimpel 2016).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.gelu(np.array([-1.0, 0.0, 1.0])).round(4)
    array([-0.1587,  0.    ,  0.8413])
    """

    name = "gelu"
    output_range = (-0.17, math.inf)  # rounded down
    initializer = "he_uniform"

    def function(self, z: Array) -> Array:
        return 0.5 * z * erfc(-math.sqrt(0.5) * z)

    def derivative(self, z: Array, a: Array) -> Array:
        density = exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
        return 0.5 * erfc(-math.sqrt(0.5) * z) + z * density


class SiLU(Elementwise):
    """a = z sigmoid(z), also called swish (Elfwing, Uchibe and Doya 2018).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.silu(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.7311])
    """

    name = "silu"
    output_range = (-0.28, math.inf)  # rounded down
    initializer = "he_uniform"

    def function(self, z: Array) -> Array:
        return z * logistic(z)

    def derivative(self, z: Array, a: Array) -> Array:
        s = logistic(z)
        return s * (1 + z * (1 - s))


class Softplus(Elementwise):
    """a = log(1 + exp(z)), f'(z) = sigmoid(z): a smooth, positive output.

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.softplus(np.array([-1000.0, 0.0])).round(4)
    array([0.    , 0.6931])
    """

    name = "softplus"
    output_range = (0, math.inf)
    initializer = "he_uniform"

    def function(self, z: Array) -> Array:
        return log_one_plus_exp(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return logistic(z)


class Softsign(Elementwise):
    """a = z / (1 + |z|), f'(z) = 1 / (1 + |z|)^2 (Bergstra et al. 2009).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.softsign(np.array([-1.0, 3.0]))
    array([-0.5 ,  0.75])
    """

    name = "softsign"
    output_range = (-1, 1)

    def function(self, z: Array) -> Array:
        return z / (1 + absolute(z))

    def derivative(self, z: Array, a: Array) -> Array:
        return (1 - absolute(a)) * (1 - absolute(a))


class Mish(Elementwise):
    """a = z tanh(softplus(z)) (Misra 2019).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.mish(np.array([0.0, 1.0])).round(4)
    array([0.    , 0.8651])
    """

    name = "mish"
    output_range = (-0.31, math.inf)  # rounded down
    initializer = "he_uniform"

    def function(self, z: Array) -> Array:
        return z * hyperbolic_tangent(log_one_plus_exp(z))

    def derivative(self, z: Array, a: Array) -> Array:
        t = hyperbolic_tangent(log_one_plus_exp(z))
        return t + z * (1 - t * t) * logistic(z)


class HardSigmoid(Elementwise):
    """a = z / 6 + 1/2 between 0 and 1, f'(z) = 1/6 where |z| < 3, else 0 (Courbariaux et al. 2015, slope 1/6).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.hard_sigmoid(np.array([-4.0, 0.0, 4.0]))
    array([0. , 0.5, 1. ])
    """

    name = "hard_sigmoid"
    output_range = (0, 1)
    includes_ends = True

    def function(self, z: Array) -> Array:
        return minimum(maximum(z / 6 + 0.5, 0), 1)

    def derivative(self, z: Array, a: Array) -> Array:
        return where(absolute(z) < 3, 1 / 6, 0)


class UnitStep(Elementwise):
    """a = 1 where z > 0, else 0: the answer of the perceptron (Rosenblatt 1958). f'(z) = 0, so no error signal passes.

    Gradient descent cannot train the layers before it. An output unit learns with `cp.losses.Perceptron` on its
    weighted sum, and this function of its output is the answer.

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.step(np.array([-2.0, 0.0, 2.0]))
    array([0., 0., 1.])
    """

    name = "step"
    output_range = (0, 1)
    includes_ends = True

    def function(self, z: Array) -> Array:
        return maximum(sign(z), 0)  # NaN stays NaN

    def derivative(self, z: Array, a: Array) -> Array:
        return 0 * a


class Gaussian(Elementwise):
    """a = exp(-z^2), f'(z) = -2 z a: a radial basis, large only near z = 0.

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.gaussian(np.array([0.0, 1.0])).round(4)
    array([1.    , 0.3679])
    """

    name = "gaussian"
    output_range = (0, 1)

    def function(self, z: Array) -> Array:
        return exp(-z * z)

    def derivative(self, z: Array, a: Array) -> Array:
        return -2 * z * a


class Sine(Elementwise):
    """a = sin z, f'(z) = cos z: periodic (Sitzmann et al. 2020).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.sine(np.array([0.0, np.pi / 2]))
    array([0., 1.])
    """

    name = "sine"
    output_range = (-1, 1)
    includes_ends = True

    def function(self, z: Array) -> Array:
        return sin(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return cos(z)


class LogSigmoid(Elementwise):
    """a = log sigmoid(z) = -log(1 + exp(-z)) without a step where exp overflows, f'(z) = 1 - exp(a).

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.log_sigmoid(np.array([-1000.0, 0.0])).tolist()
    [-1000.0, -0.6931471805599453]
    """

    name = "log_sigmoid"
    output_range = (-math.inf, 0)

    def function(self, z: Array) -> Array:
        return -log_one_plus_exp(-z)

    def derivative(self, z: Array, a: Array) -> Array:
        return -expm1(a)


class Exponential(Elementwise):
    """a = exp z, f'(z) = a: the positive output that belongs to Poisson counts.

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.exponential(np.array([0.0, 1.0])).round(4)
    array([1.    , 2.7183])
    """

    name = "exponential"
    output_range = (0, math.inf)

    def function(self, z: Array) -> Array:
        return exp(z)

    def derivative(self, z: Array, a: Array) -> Array:
        return a


class Softmax(Activation):
    """a_i = exp(z_i) / sum_j exp(z_j) in each row: the probabilities of several classes.

    delta_i = a_i (error_i - sum_j error_j a_j), the product with the transposed Jacobian diag(a) - a a^T.

    >>> import numpy as np, clearprop as cp
    >>> cp.softmax(np.array([[0.0, 0.0], [1000.0, 0.0]]))
    array([[0.5, 0.5],
           [1. , 0. ]])
    """

    name = "softmax"
    output_range = (0, 1)

    def function(self, z: Array) -> Array:
        e = exp(z - row_max(z))  # the shift cancels in the quotient and prevents overflow
        return e / row_sum(e)

    def pullback(self, z: Array, a: Array, error: Array) -> Array:
        return a * (error - row_sum(error * a))


@dataclass(frozen=True)
class LayerNormalization(Activation):
    """a = (z - mean(z)) / s in each row, s = sqrt(var(z) + epsilon), without parameters (Ba, Kiros and Hinton 2016).

    delta = (error - mean(error) - a mean(error a)) / s, with means over the row.

    >>> import numpy as np, clearprop as cp
    >>> cp.activations.layer_normalization(np.array([[1.0, 3.0]])).round(3)
    array([[-1.,  1.]])
    """

    name = "layer_normalization"
    output_range = (-math.inf, math.inf)
    epsilon: float = 1e-5

    def __post_init__(self) -> None:
        check_number(self.epsilon, "LayerNormalization epsilon", above=0)

    def function(self, z: Array) -> Array:
        centred = z - row_mean(z)
        return centred / sqrt(row_mean(centred * centred) + self.epsilon)

    def pullback(self, z: Array, a: Array, error: Array) -> Array:
        centred = z - row_mean(z)
        s = sqrt(row_mean(centred * centred) + self.epsilon)
        return (error - row_mean(error) - a * row_mean(error * a)) / s


identity, sigmoid, tanh, relu = Identity(), Sigmoid(), Tanh(), ReLU()
leaky_relu, elu, selu, gelu, silu = LeakyReLU(), ELU(), SELU(), GELU(), SiLU()
softplus, softsign, mish, hard_sigmoid, step = Softplus(), Softsign(), Mish(), HardSigmoid(), UnitStep()
gaussian, sine, log_sigmoid, exponential = Gaussian(), Sine(), LogSigmoid(), Exponential()
softmax, layer_normalization = Softmax(), LayerNormalization()

#: The activations of the library by name.
ACTIVATIONS: dict[str, Activation] = {
    a.name: a
    for a in (
        identity,
        sigmoid,
        tanh,
        relu,
        leaky_relu,
        elu,
        selu,
        gelu,
        silu,
        softplus,
        softsign,
        mish,
        hard_sigmoid,
        step,
        gaussian,
        sine,
        log_sigmoid,
        exponential,
        softmax,
        layer_normalization,
    )
}


def as_activation(given: str | Activation, where: str = "activation") -> Activation:
    """The activation of a name; an activation is returned unchanged.

    >>> as_activation("tanh") is tanh
    True
    """
    if isinstance(given, Activation):
        return given
    if isinstance(given, str) and given in ACTIVATIONS:
        return ACTIVATIONS[given]
    raise ArgumentError(
        f"{where}: {unknown('activation', given, ACTIVATIONS, Activation)} "
        "For a custom one use cp.activations.Custom(name, f, derivative) or a subclass of cp.activations.Elementwise."
    )
