"""Dual numbers: arrays that carry a directional derivative through the definitions as they are written.

A dual array is x + x' e with e e = 0; a function gives f(x) + f'(x) x' e (Clifford 1873; forward-mode differentiation,
Wengert 1964). A sweep over dual arrays is an ordinary sweep that brings a directional derivative along, so activations,
losses and connections need no second definition for it.

At a kink every rule takes the slope from the right, so that a smooth function put together from pieces, as the
logistic one is from |z|, has its true slope where the pieces meet.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
from numpy.lib.mixins import NDArrayOperatorsMixin

from clearprop.errors import ArgumentError

Slope = Callable[..., Any]


def _one(*_: Any) -> Any:
    return 1.0


def _xlogy_slope(x: Any, y: Any, _: Any) -> Any:
    return x / np.where(x == 0, 1, y)


#: For each function of arrays the slope in each argument, from the arguments and the result r.
SLOPES: dict[Any, tuple[Slope, ...]] = {
    np.add: (_one, _one),
    np.subtract: (_one, lambda x, y, r: -1.0),
    np.multiply: (lambda x, y, r: y, lambda x, y, r: x),
    np.divide: (lambda x, y, r: 1 / y, lambda x, y, r: -r / y),
    np.power: (lambda x, y, r: y * np.power(x, np.subtract(y, 1)), lambda x, y, r: np.log(x) * r),
    np.maximum: (lambda x, y, r: x >= y, lambda x, y, r: x < y),
    np.minimum: (lambda x, y, r: x < y, lambda x, y, r: x >= y),
    np.logaddexp: (lambda x, y, r: np.exp(x - r), lambda x, y, r: np.exp(y - r)),
    np.positive: (_one,),
    np.negative: (lambda x, r: -1.0,),
    np.absolute: (lambda x, r: np.where(x >= 0, 1.0, -1.0),),
    np.sign: (lambda x, r: 0.0,),
    np.square: (lambda x, r: 2 * x,),
    np.reciprocal: (lambda x, r: -r * r,),
    np.sqrt: (lambda x, r: 0.5 / r,),
    np.exp: (lambda x, r: r,),
    np.expm1: (lambda x, r: r + 1,),
    np.log: (lambda x, r: 1 / x,),
    np.log1p: (lambda x, r: 1 / (1 + x),),
    np.sin: (lambda x, r: np.cos(x),),
    np.cos: (lambda x, r: -np.sin(x),),
    np.tan: (lambda x, r: 1 + r * r,),
    np.arctan: (lambda x, r: 1 / (1 + x * x),),
    np.sinh: (lambda x, r: np.cosh(x),),
    np.cosh: (lambda x, r: np.sinh(x),),
    np.tanh: (lambda x, r: 1 - r * r,),
    np.arcsinh: (lambda x, r: 1 / np.sqrt(1 + x * x),),
    scipy.special.expit: (lambda x, r: r * (1 - r),),
    scipy.special.erf: (lambda x, r: 2 / math.sqrt(math.pi) * np.exp(-x * x),),
    scipy.special.erfc: (lambda x, r: -2 / math.sqrt(math.pi) * np.exp(-x * x),),
    scipy.special.xlogy: (lambda x, y, r: np.log(y), _xlogy_slope),
}
_YES_OR_NO = {np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal, np.isfinite, np.isnan}


class Dual(NDArrayOperatorsMixin):
    """An array `value` with its directional derivative `tangent`, both of one shape.

    >>> import numpy as np
    >>> x = Dual(np.array([2.0]), np.array([1.0]))
    >>> (x * x).tangent, np.exp(-x).tangent.round(4)
    (array([4.]), array([-0.1353]))
    """

    def __init__(self, value: Any, tangent: Any) -> None:
        self.value, self.tangent = value, tangent

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        values = [value_of(x) for x in inputs]
        if method != "__call__" or options:
            raise _no_rule(f"np.{ufunc.__name__} with {method if method != '__call__' else ', '.join(options)}")
        if ufunc in _YES_OR_NO:
            return ufunc(*values)
        if ufunc is np.matmul:
            x, y = inputs
            return Dual(values[0] @ values[1], tangent_of(x) @ values[1] + values[0] @ tangent_of(y))
        if ufunc not in SLOPES:
            raise _no_rule(f"np.{ufunc.__name__}")
        result = ufunc(*values)
        slopes = zip(inputs, SLOPES[ufunc], strict=True)
        return Dual(result, sum(slope(*values, result) * x.tangent for x, slope in slopes if isinstance(x, Dual)))

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        if function not in _FUNCTIONS:
            raise _no_rule(f"np.{function.__name__}")
        return _FUNCTIONS[function](*inputs, **options)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        """NumPy, whose functions come back to the two methods above."""
        return np

    def __getitem__(self, key: Any) -> Dual:
        return Dual(self.value[key], self.tangent[key])

    def __setitem__(self, key: Any, new: Any) -> None:
        self.value[key], self.tangent[key] = value_of(new), tangent_of(new)

    def __len__(self) -> int:
        return len(self.value)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the value."""
        return self.value.shape

    @property
    def ndim(self) -> int:
        """Number of axes of the value."""
        return self.value.ndim

    @property
    def dtype(self) -> np.dtype:
        """Precision of the value."""
        return self.value.dtype

    @property
    def T(self) -> Dual:
        """The transpose."""
        return Dual(self.value.T, self.tangent.T)

    def reshape(self, *shape: Any) -> Dual:
        """Another shape, as a view where NumPy gives one."""
        return Dual(self.value.reshape(*shape), self.tangent.reshape(*shape))

    def ravel(self) -> Dual:
        """All entries in a row."""
        return self.reshape(-1)

    def astype(self, dtype: Any, copy: bool = True) -> Dual:
        """Another precision."""
        return Dual(self.value.astype(dtype, copy=copy), self.tangent.astype(dtype, copy=copy))

    def sum(self, **options: Any) -> Dual:
        """The sum along an axis."""
        return Dual(self.value.sum(**options), self.tangent.sum(**options))

    def mean(self, **options: Any) -> Dual:
        """The mean along an axis."""
        return Dual(self.value.mean(**options), self.tangent.mean(**options))


def value_of(x: Any) -> Any:
    """The value of a dual array; what is no dual array is its own value."""
    return x.value if isinstance(x, Dual) else x


def tangent_of(x: Any) -> Any:
    """The directional derivative of a dual array; that of what is constant is 0."""
    return x.tangent if isinstance(x, Dual) else np.zeros_like(x)


def _linear(function: Callable[..., Any]) -> Callable[..., Dual]:
    """The rule of a function that is linear in all that is differentiated: it goes for value and tangent alike."""

    def rule(*inputs: Any, **options: Any) -> Dual:
        def apply(part: Callable[[Any], Any]) -> Any:
            return function(*map(part, inputs), **{name: part(x) for name, x in options.items()})

        return Dual(apply(value_of), apply(lambda x: x.tangent if isinstance(x, Dual) else x))

    return rule


def _where(condition: Any, x: Any, y: Any) -> Dual:
    tangents = (np.broadcast_to(tangent_of(part), np.shape(value_of(part))) for part in (x, y))
    return Dual(np.where(condition, value_of(x), value_of(y)), np.where(condition, *tangents))


def _max(x: Dual, axis: int, keepdims: bool = False) -> Dual:
    places = np.argmax(x.value, axis=axis, keepdims=True)
    kept = Dual(np.take_along_axis(x.value, places, axis), np.take_along_axis(x.tangent, places, axis))
    return kept if keepdims else Dual(kept.value.squeeze(axis), kept.tangent.squeeze(axis))


def _concatenate(parts: Any, axis: int = 0) -> Dual:
    return Dual(*(np.concatenate([part(x) for x in parts], axis) for part in (value_of, tangent_of)))


def _clip(x: Any, low: Any, high: Any) -> Any:
    return np.minimum(np.maximum(x, low), high)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    np.where: _where,
    np.max: _max,
    np.concatenate: _concatenate,
    np.clip: _clip,
    np.sum: _linear(np.sum),
    np.mean: _linear(np.mean),
    np.bincount: _linear(np.bincount),
    np.zeros_like: lambda x: np.zeros_like(x.value),
    np.ones_like: lambda x: np.ones_like(x.value),
}


def _no_rule(name: str) -> ArgumentError:
    known = ", ".join(sorted({f.__name__ for f in (*SLOPES, *_FUNCTIONS)}))
    return ArgumentError(
        f"{name}: has no rule for the directional derivative that second derivatives need. Write your activation or "
        f"loss with arithmetic and these functions: {known}."
    )
