r"""Losses: each computes its value and its error signal (or delta) together, in one call.

A loss compares the output activations yhat (n samples, o units) with the targets y and returns the loss of each
sample l (n,), summed over the outputs, together with the error signal dl/dyhat (n, o). Where a loss has a *partner*
activation (softmax for cross-entropy, sigmoid for binary cross-entropy, exp for Poisson, gamma and Tweedie), value and
delta = dl/dz are computed straight from the weighted sums z, in a short stable form without the logarithm of a rounded
probability; delta is `yhat - y` in the first three. Every other pair uses the error signal and
the activation's pullback.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from clearprop.activations import Activation, Exponential, Sigmoid, Softmax, UnitStep
from clearprop.checks import (
    call_own,
    check_array,
    check_choice,
    check_finite,
    check_flag,
    check_function,
    check_number,
    check_text,
    like,
    transposed_hint,
)
from clearprop.errors import ArgumentError, DataError, ShapeError, unknown
from clearprop.mathematics import (
    Array,
    absolute,
    exp,
    log,
    log_one_plus_exp,
    maximum,
    minimum,
    one_hot,
    row_max,
    row_sum,
    sign,
    where,
    xlogy,
)

__all__ = [
    "LOSSES",
    "AbsoluteError",
    "BinaryCrossEntropy",
    "CrossEntropy",
    "CustomLoss",
    "Gamma",
    "Huber",
    "Loss",
    "Perceptron",
    "PointwiseLoss",
    "Poisson",
    "Quantile",
    "SquaredError",
    "Tweedie",
]


@dataclass(frozen=True)
class Loss(ABC):
    """Base class of losses, which training minimizes.

    `name` is the string that selects it; `partner` is the activation with which it has a short form. `domain` is the
    open interval of the outputs yhat for which it is defined; an output activation with other values is refused unless
    `any_output` is true.

    >>> import numpy as np, clearprop as cp
    >>> z, y = np.array([[0.0], [2.0]]), np.array([[1.0], [1.0]])
    >>> value, delta = cp.SquaredError().value_and_delta(cp.tanh, z, cp.tanh(z), y)
    >>> value.round(4), delta.round(4)
    (array([0.5   , 0.0006]), array([[-1.    ],
           [-0.0025]]))
    """

    name: ClassVar[str] = ""
    partner: ClassVar[type[Activation] | None] = None
    domain: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    any_output: bool = field(default=False, kw_only=True, repr=False, metadata={"optional": True})

    def __post_init__(self) -> None:
        check_flag(self.any_output, f"{type(self).__name__} any_output")

    @abstractmethod
    def value_and_error(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        """Loss of each sample (n,) and error signal dl/dyhat (n, o)."""

    def short_form(self, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        """Loss of each sample (n,) and delta = dl/dz (n, o) from the weighted sums of the partner activation."""
        raise NotImplementedError(f"{type(self).__name__} has a partner but no short_form.")

    def value_and_delta(self, activation: Activation, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        """Loss of each sample (n,) and delta = dl/dz (n, o), by the short form if there is one."""
        if self.partner is not None and isinstance(activation, self.partner):
            return self.short_form(z, yhat, y)
        value, error = self.value_and_error(yhat, y)
        return value, activation.pullback(z, yhat, error)

    def check_output(self, activation: Activation, units: int, where: str = "loss") -> None:
        """Raise ArgumentError if the loss is not defined for all values of an output layer's activation.

        >>> import clearprop as cp
        >>> cp.Poisson().check_output(cp.relu, 1)
        Traceback (most recent call last):
        clearprop.errors.ArgumentError: loss: poisson takes outputs above 0, but those of relu are at least 0. Use \
exponential as output activation. To train it all the same: cp.losses.Poisson(any_output=True).
        """
        if isinstance(activation, Softmax) and units == 1:
            raise ArgumentError(
                f"{where}: softmax of a single unit is always 1. For two classes use one sigmoid unit with "
                "binary_cross_entropy, or two softmax units with cross_entropy."
            )
        if isinstance(activation, UnitStep) and not self.any_output:
            raise ArgumentError(
                f"{where}: the derivative of step is 0, so that nothing can be learnt through it. Use identity as "
                "output activation with cp.losses.Perceptron(), whose answer is cp.activations.step of its outputs; or "
                "sigmoid with binary_cross_entropy. "
                f"To compute it all the same: cp.losses.{type(self).__name__}(any_output=True)."
            )
        if self.any_output or activation.output_range is None or self._is_defined_for(activation):
            return
        partner = "identity" if self.partner is None else self.partner.name
        raise ArgumentError(
            f"{where}: {self.name} takes {self._outputs}, but those of {activation.name} are "
            f"{activation.described_range}. Use {partner} as output activation.{self._advice} "
            f"To train it all the same: cp.losses.{type(self).__name__}(any_output=True)."
        )

    #: What the message says of the outputs that the loss takes, and of the way out.
    _outputs: ClassVar[str] = "outputs above 0"
    _advice: ClassVar[str] = ""

    def _is_defined_for(self, activation: Activation) -> bool:
        """Whether all values of the activation lie in the domain."""
        (low, high), (least, most) = self.domain, activation.output_range or self.domain
        inside = low <= least and most <= high
        at_an_end = activation.includes_ends and (least == low > -math.inf or most == high < math.inf)
        return inside and not at_an_end

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        """The targets as a finite matrix (n, o); a vector (n,) is refused, not broadcast."""
        array = check_array(y, where, dtype)
        if array.shape != (samples, units):
            column = array.ndim == 1 and units == 1
            hint = f" Give a column: {where}.reshape(-1, 1)." if column else ""
            hint = hint or transposed_hint(array.shape, (samples, units), where)
            raise ShapeError(
                f"{where}: expected shape ({samples}, {units}) (rows of X, output units), got {array.shape}.{hint}"
            )
        check_finite(array, where)
        return array


class PointwiseLoss(Loss):
    """A loss that is a sum over the outputs of a function of one output and its target.

    To add your own, give the value and its derivative by yhat together:

    >>> import numpy as np
    >>> import clearprop as cp
    >>> class LogCosh(cp.losses.PointwiseLoss):
    ...     name = "log_cosh"
    ...
    ...     def value_and_slope(self, yhat, y):
    ...         return np.log(np.cosh(yhat - y)), np.tanh(yhat - y)
    >>> LogCosh().value_and_error(np.array([[1.0, 1.0]]), np.array([[1.0, 1.0]]))
    (array([0.]), array([[0., 0.]]))
    """

    @abstractmethod
    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        """l(yhat, y) and dl/dyhat of single outputs, both of the shape of yhat."""

    def value_and_error(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        value, slope = self.value_and_slope(yhat, y)
        return row_sum(value)[:, 0], slope


@dataclass(frozen=True)
class SquaredError(PointwiseLoss):
    """l = factor * sum over outputs of (yhat - y)^2, factor 1/2 by default.

    Published examples differ in the factor, and in taking the mean over the outputs instead of the sum
    (`outputs="mean"`), so both are parameters.

    >>> import numpy as np, clearprop as cp
    >>> cp.SquaredError().value_and_error(np.array([[3.0, 0.0]]), np.array([[1.0, 0.0]]))
    (array([2.]), array([[2., 0.]]))
    """

    name = "squared_error"
    factor: float = 0.5
    outputs: str = "sum"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.factor, "SquaredError factor", above=0)
        check_choice(self.outputs, "SquaredError outputs", ("sum", "mean"))

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        factor = self.factor / yhat.shape[-1] if self.outputs == "mean" else self.factor
        residual = yhat - y
        return factor * residual * residual, 2 * factor * residual


class AbsoluteError(PointwiseLoss):
    """l = sum over outputs of |yhat - y|, which fits the median (Laplace); slope 0 where yhat = y.

    >>> import numpy as np, clearprop as cp
    >>> cp.AbsoluteError().value_and_error(np.array([[3.0]]), np.array([[1.0]]))
    (array([2.]), array([[1.]]))
    """

    name = "absolute_error"

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        residual = yhat - y
        return absolute(residual), sign(residual)


@dataclass(frozen=True)
class Huber(PointwiseLoss):
    """l = r^2 / 2 where |r| <= threshold, else threshold (|r| - threshold / 2), with r = yhat - y (Huber 1964).

    The threshold has the unit of y.

    >>> import numpy as np, clearprop as cp
    >>> cp.Huber(threshold=1.0).value_and_error(np.array([[3.0]]), np.array([[0.0]]))
    (array([2.5]), array([[1.]]))
    """

    name = "huber"
    threshold: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.threshold, "Huber threshold", above=0)

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        r = yhat - y
        cut = minimum(absolute(r), self.threshold)  # avoids the square of a large residual, which could overflow
        return cut * (absolute(r) - 0.5 * cut), cut * sign(r)


@dataclass(frozen=True)
class Quantile(PointwiseLoss):
    """l = q (y - yhat) where y > yhat, else (1 - q) (yhat - y): fits the q-quantile (Koenker and Bassett 1978).

    >>> import numpy as np, clearprop as cp
    >>> cp.Quantile(0.9).value_and_error(np.array([[1.0]]), np.array([[3.0]]))
    (array([1.8]), array([[-0.9]]))
    """

    name = "quantile"
    q: float = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.q, "Quantile q", above=0, below=1)

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        r = yhat - y
        slope = 0.5 * sign(r) + (0.5 - self.q) * absolute(sign(r))  # 1 - q above, -q below, 0 at y
        return slope * r, slope


class Perceptron(PointwiseLoss):
    """l = (o - y) yhat with the answer o = 1 where yhat > 0, else 0; targets y are 0 or 1, and dl/dyhat = o - y.

    It is 0 for a right answer and |yhat| for a wrong one: the perceptron criterion. On a linear output, a step of
    gradient descent on one sample is Rosenblatt's rule, w += learning rate (y - o) x (Rosenblatt 1958).

    >>> import numpy as np, clearprop as cp
    >>> cp.losses.Perceptron().value_and_error(np.array([[-3.0], [3.0]]), np.array([[1.0], [1.0]]))
    (array([3., 0.]), array([[-1.],
           [ 0.]]))
    """

    name = "perceptron"
    _outputs = "scores of both signs"
    _advice = " The answer is cp.activations.step of its outputs."

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        wrong = maximum(sign(yhat), 0) - y
        return wrong * yhat, wrong

    def _is_defined_for(self, activation: Activation) -> bool:
        low, high = activation.output_range or self.domain
        return low < 0 < high

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        array = super().check_targets(y, samples, units, dtype, where)
        other = (array != 0) & (array != 1)
        if other.any():
            row, column = np.argwhere(other)[0]
            hint = f" For labels of -1 and 1: ({where} + 1) / 2." if (np.abs(array) == 1).all() else ""
            raise DataError(
                f"{where}: expected 0 or 1 for perceptron loss, got {array[row, column]:g} at row {row}, "
                f"column {column}.{hint}"
            )
        return array


class Poisson(PointwiseLoss):
    """l = yhat - y + y log(y / yhat), half the Poisson deviance; yhat is the expected count, above 0.

    With the exponential output, delta = yhat - y and l = exp(z) - y + y (log y - z), which cannot overflow early.

    >>> import numpy as np, clearprop as cp
    >>> cp.Poisson().value_and_error(np.array([[2.0]]), np.array([[2.0]]))
    (array([0.]), array([[0.]]))
    """

    name = "poisson"
    partner = Exponential
    domain = (0, math.inf)

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        return yhat - y + xlogy(y, y) - xlogy(y, yhat), 1 - _ratio(y, yhat)

    def short_form(self, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        # from z = 10,000 on exp(z) is infinite in every precision, and y z must not be so with the other sign
        return row_sum(exp(z) - y + xlogy(y, y) - y * minimum(z, 10_000))[:, 0], yhat - y

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        return _check_at_least_zero(super().check_targets(y, samples, units, dtype, where), "Poisson", where)


class Gamma(PointwiseLoss):
    """l = y / yhat - 1 - log(y / yhat), half the gamma deviance; yhat is the expected size, y and yhat above 0.

    It weighs relative errors. With the exponential output, delta = 1 - y exp(-z) and l = y exp(-z) - 1 - log y + z.

    >>> import numpy as np, clearprop as cp
    >>> cp.losses.Gamma().value_and_error(np.array([[2.0]]), np.array([[2.0]]))
    (array([0.]), array([[0.]]))
    """

    name = "gamma"
    partner = Exponential
    domain = (0, math.inf)

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        share = y / yhat
        return share - 1 - log(share), (1 - share) / yhat

    def short_form(self, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        half = exp(-z / 2)  # its square may overflow or vanish where the share does not
        share = y * half * half
        return row_sum(share - 1 - log(y) + z)[:, 0], 1 - share

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        array = super().check_targets(y, samples, units, dtype, where)
        if (array <= 0).any():
            row, column = np.argwhere(array <= 0)[0]
            raise DataError(
                f"{where}: expected values above 0 for gamma loss, got {array[row, column]:g} at row {row}, "
                f"column {column}. For amounts that can be 0 use cp.losses.Tweedie(), for counts cp.Poisson()."
            )
        return array


@dataclass(frozen=True)
class Tweedie(PointwiseLoss):
    """Half the Tweedie deviance, for amounts that are often 0; yhat is the expected amount, above 0, and y >= 0.

    l = y^(2-p) / ((1-p)(2-p)) - y yhat^(1-p) / (1-p) + yhat^(2-p) / (2-p), slope yhat^(-p) (yhat - y), for a power p
    between 1 (Poisson) and 2 (gamma) (Joergensen 1987). With the exponential output,
    delta = exp((2-p) z) - y exp((1-p) z).

    >>> import numpy as np, clearprop as cp
    >>> cp.losses.Tweedie(1.5).value_and_error(np.array([[4.0]]), np.array([[0.0]]))
    (array([4.]), array([[0.5]]))
    """

    name = "tweedie"
    partner = Exponential
    domain = (0, math.inf)
    power: float = 1.5

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.power, "Tweedie power", above=1, below=2)

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        value, delta = self._of_logarithm(log(yhat), y)
        return value, delta / yhat

    def short_form(self, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        value, delta = self._of_logarithm(z, y)
        return row_sum(value)[:, 0], delta

    def _of_logarithm(self, z: Array, y: Array) -> tuple[Array, Array]:
        """Value and slope by z = log yhat."""
        p = self.power
        own = where(y == 0, 0.0, exp((2 - p) * log(where(y == 0, 1.0, y))))  # y^(2-p)
        half = exp((1 - p) / 2 * where(y == 0, 0.0, z))  # its square may overflow or vanish where the product does not
        grown, shrunk = exp((2 - p) * z), y * half * half
        return own / ((1 - p) * (2 - p)) - shrunk / (1 - p) + grown / (2 - p), grown - shrunk

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        return _check_at_least_zero(super().check_targets(y, samples, units, dtype, where), "Tweedie", where)


@dataclass(frozen=True)
class BinaryCrossEntropy(PointwiseLoss):
    """l = -sum over outputs of y log yhat + (1 - y) log(1 - yhat): one or several yes-or-no targets (multi-label).

    With the sigmoid output, l = log(1 + exp(z)) - y z and delta = yhat - y. Targets are probabilities in [0, 1];
    label smoothing s replaces y by (1 - s) y + s / 2.

    >>> import numpy as np, clearprop as cp
    >>> z, y = np.array([[0.0], [-800.0]]), np.array([[1.0], [1.0]])
    >>> cp.BinaryCrossEntropy().value_and_delta(cp.sigmoid, z, cp.sigmoid(z), y)
    (array([6.93147181e-01, 8.00000000e+02]), array([[-0.5], [-1. ]]))
    """

    name = "binary_cross_entropy"
    partner = Sigmoid
    domain = (0, 1)
    _outputs = "probabilities (outputs between 0 and 1)"
    _advice = " The loss is then computed from its weighted sums z (logits), without rounded probabilities."
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.label_smoothing, "BinaryCrossEntropy label_smoothing", least=0, below=1)

    def _smooth(self, y: Array) -> Array:
        return (1 - self.label_smoothing) * y + self.label_smoothing / 2

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        y = self._smooth(y)
        value = -xlogy(y, yhat) - xlogy(1 - y, 1 - yhat)
        return value, _ratio(1 - y, 1 - yhat) - _ratio(y, yhat)

    def short_form(self, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        y = self._smooth(y)
        # log(1 + exp(z)) - y z, arranged so that large z of the right sign leaves no difference of large numbers
        value = y * log_one_plus_exp(-z) + (1 - y) * log_one_plus_exp(z)
        return row_sum(value)[:, 0], yhat - y

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        array = super().check_targets(y, samples, units, dtype, where)
        outside = (array < 0) | (array > 1)
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise DataError(
                f"{where}: expected probabilities or labels from 0 to 1 for binary cross-entropy, "
                f"got {array[row, column]:g} at row {row}, column {column}."
            )
        return array


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """l = -sum over classes of y_k log yhat_k, for class indices (n,), one-hot rows or probabilities (n, k).

    With the softmax output, l = log sum_j exp(z_j) - sum_k y_k z_k and delta = yhat - y. Label smoothing s replaces y
    by (1 - s) y + s / k for k classes (Szegedy et al. 2016).

    >>> import numpy as np, clearprop as cp
    >>> z = np.array([[0.0, 0.0], [800.0, 0.0]])
    >>> cp.CrossEntropy().value_and_delta(cp.softmax, z, cp.softmax(z), np.array([0, 1]))
    (array([6.93147181e-01, 8.00000000e+02]), array([[-0.5,  0.5], [ 1. , -1. ]]))
    """

    name = "cross_entropy"
    partner = Softmax
    domain = (0, 1)
    _outputs = "class probabilities (outputs between 0 and 1 that sum to 1)"
    _advice = " The loss is then computed from its weighted sums z (logits), without rounded probabilities."
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number(self.label_smoothing, "CrossEntropy label_smoothing", least=0, below=1)

    def check_output(self, activation: Activation, units: int, where: str = "loss") -> None:
        if units < 2:
            raise ShapeError(
                "CrossEntropy: expected an output layer with one unit per class, got a single unit. "
                "For two classes use 2 softmax units, or one sigmoid unit with cp.BinaryCrossEntropy()."
            )
        super().check_output(activation, units, where)

    def _is_defined_for(self, activation: Activation) -> bool:
        return isinstance(activation, Softmax)  # the only one whose outputs sum to 1

    def _rows(self, y: Array, like: Array) -> Array:
        """Class indices as one-hot rows; then label smoothing."""
        if y.ndim == 1:
            y = one_hot(y, like)
        if self.label_smoothing:
            y = (1 - self.label_smoothing) * y + self.label_smoothing / like.shape[-1]
        return y

    def value_and_error(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        y = self._rows(y, yhat)
        return -row_sum(xlogy(y, yhat))[:, 0], -_ratio(y, yhat)

    def short_form(self, z: Array, yhat: Array, y: Array) -> tuple[Array, Array]:
        y = self._rows(y, z)
        half = z / 2 - row_max(z) / 2  # in halves, because two weighted sums may differ by twice the largest number
        half_log_yhat = half - log(row_sum(exp(z - row_max(z)))) / 2  # exp(-infinity) is 0 here
        return -row_sum(where(y == 0, 0, 2 * y * half_log_yhat))[:, 0], yhat - y

    def check_targets(self, y: Any, samples: int, units: int, dtype: np.dtype, where: str = "y") -> np.ndarray:
        array = np.asarray(y)
        if array.ndim == 2 and array.shape == (samples, units):
            return _check_distributions(super().check_targets(array, samples, units, dtype, where), where)
        if array.shape == (samples,) and array.dtype.kind in "iub":
            return _check_class_indices(array, units, where)
        if array.shape == (samples,) and array.dtype.kind == "f":
            broken = np.flatnonzero(~(array == np.round(array)) | ~np.isfinite(array))
            if len(broken):
                raise DataError(
                    f"{where}: expected class indices, whole numbers from 0 to {units - 1}, got {array[broken[0]]:g} "
                    f"at row {broken[0]} ({len(broken)} such value{'s' if len(broken) > 1 else ''} in all). "
                    "Correct these labels, or leave their rows out of X and y."
                )
            raise DataError(
                f"{where}: expected class indices of an integer type, got {array.dtype}: {where}.astype(int)."
            )
        if array.dtype.kind not in "fiub":
            raise DataError(
                f"{where}: expected class indices from 0 to {units - 1}, got values of type {array.dtype}. "
                f"Turn labels into indices: classes, {where} = np.unique({where}, return_inverse=True)."
            )
        hint = f" Give a vector: {where}.ravel()." if array.ndim == 2 and array.shape[1] == 1 else ""
        hint = hint or transposed_hint(array.shape, (samples, units), where)
        raise ShapeError(
            f"{where}: expected class indices ({samples},) or one row of class probabilities per sample "
            f"({samples}, {units}), got shape {array.shape}.{hint}"
        )


def _ratio(y: Array, yhat: Array) -> Array:
    """Y / yhat, and 0 where y = 0 whatever yhat is: the derivative of y log yhat."""
    return y / where(y == 0, 1, yhat)


def _check_at_least_zero(array: np.ndarray, loss: str, where: str) -> np.ndarray:
    if (array < 0).any():
        row, column = np.argwhere(array < 0)[0]
        raise DataError(
            f"{where}: expected values of at least 0 for {loss} loss, "
            f"got {array[row, column]:g} at row {row}, column {column}."
        )
    return array


def _check_class_indices(array: np.ndarray, units: int, where: str) -> np.ndarray:
    outside = (array < 0) | (array >= units) if array.dtype.kind != "b" else np.zeros(len(array), bool)
    if outside.any():
        row = int(np.argmax(outside))
        raise DataError(
            f"{where}: expected class indices from 0 to {units - 1}, one per output unit, "
            f"got {array[row]} at row {row}."
        )
    return array.astype(np.intp, copy=False)


def _check_distributions(array: np.ndarray, where: str) -> np.ndarray:
    wrong = (array < 0).any(axis=1) | (np.abs(array.sum(axis=1) - 1) > 1e-3)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"{where}: expected class probabilities that are at least 0 and sum to 1, "
            f"got {array[row].tolist()} at row {row}. Weigh samples with sample_weight instead."
        )
    return array


@dataclass(frozen=True)
class CustomLoss(PointwiseLoss):
    """A loss from one plain Python function that returns value and slope of single outputs together.

    >>> import numpy as np, clearprop as cp
    >>> quartic = cp.losses.CustomLoss("quartic", lambda yhat, y: ((yhat - y) ** 4, 4 * (yhat - y) ** 3))
    >>> quartic.value_and_error(np.array([[2.0]]), np.array([[1.0]]))
    (array([1.]), array([[4.]]))
    """

    label: str
    function: Callable[[Array, Array], tuple[Array, Array]]

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text(self.label, "CustomLoss label")
        check_function(self.function, "CustomLoss function")

    @property
    def name(self) -> str:  # type: ignore[override]
        """The label."""
        return self.label

    def value_and_slope(self, yhat: Array, y: Array) -> tuple[Array, Array]:
        contract = f'cp.losses.CustomLoss "{self.label}": function(yhat, y) gets arrays (n samples, output units) and '
        contract += "returns two of that shape, the loss of each output and its slope by yhat"
        pair = call_own(self.function, contract, yhat, y)
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise ArgumentError(f"{contract}; got {type(pair).__name__}.")
        return like(pair[0], yhat, contract), like(pair[1], yhat, contract)


#: The losses of the library by name.
LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        SquaredError,
        AbsoluteError,
        Huber,
        Quantile,
        Perceptron,
        Poisson,
        Gamma,
        Tweedie,
        BinaryCrossEntropy,
        CrossEntropy,
    )
}


def as_loss(given: str | Loss, where: str = "loss") -> Loss:
    """The loss of a name, with its defaults; a loss is returned unchanged.

    >>> as_loss("squared_error")
    SquaredError(factor=0.5, outputs='sum')
    """
    if isinstance(given, Loss):
        return given
    if isinstance(given, str) and given in LOSSES:
        return LOSSES[given]()
    raise ArgumentError(f"{where}: {unknown('loss', given, LOSSES, Loss)}")


def usual_loss(activation: Activation) -> Loss:
    """The default loss of an output activation: the one with this partner, or squared error.

    >>> from clearprop.activations import softmax
    >>> usual_loss(softmax)
    CrossEntropy(label_smoothing=0.0)
    """
    for loss in LOSSES.values():
        if loss.partner is not None and isinstance(activation, loss.partner):
            return loss()
    return SquaredError()
