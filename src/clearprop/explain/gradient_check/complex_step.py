"""Complex arrays for derivatives by the complex step, which are exact up to rounding.

For an analytic function J(w + ih) = J(w) + ih J'(w) - h^2 J''(w) / 2 - ..., so J'(w) = Im J(w + ih) / h up to rounding
for any tiny h, because nothing is subtracted (Squire and Trapp, "Using complex variables to estimate derivatives of
real functions", SIAM Review 40, 1998). |z|, max and comparisons are not analytic; here they use the real part, like the
real function (Martins, Sturdza and Alonso, "The complex-step derivative approximation", ACM TOMS 29, 2003). Other
operations raise NotAnalytic instead of giving a wrong derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special


class NotAnalytic(Exception):
    """A function used an operation that the complex step does not support."""


class ComplexArray(np.ndarray):
    """A complex array whose operations are the analytic continuations of the real ones."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        plain = [_plain(x) for x in inputs]
        if "out" in options:
            options["out"] = tuple(_plain(x) for x in options["out"])
        if method == "__call__" and ufunc in _BY_REAL_PART:
            return _BY_REAL_PART[ufunc](*(np.real(x) for x in plain), **options)
        if method == "__call__" and ufunc in _CONTINUED and not options:
            return _wrap(_CONTINUED[ufunc](*plain))
        if (method == "__call__" and ufunc in _ANALYTIC) or (method == "reduce" and ufunc in _REDUCED):
            return _wrap(getattr(ufunc, method)(*plain, **options))
        raise NotAnalytic(f"{ufunc.__name__}" + ("" if method == "__call__" else f".{method}"))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function is np.clip and len(arguments) == 3 and not options:
            return _wrap(_minimum(_maximum(*(_plain(x) for x in arguments[:2])), _plain(arguments[2])))
        if function not in _FUNCTIONS:
            raise NotAnalytic(f"{function.__module__}.{function.__name__}")
        return _wrap(super().__array_function__(function, types, arguments, options))

    @property
    def real(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise NotAnalytic("the real part of a complex number")

    @property
    def imag(self) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        raise NotAnalytic("the imaginary part of a complex number")

    def conjugate(self) -> Any:
        raise NotAnalytic("the conjugate of a complex number")

    conj = conjugate


def perturb(x: np.ndarray, step: Any) -> np.ndarray:
    """x + i step, in an array that follows the analytic continuation of each operation."""
    return (x + 1j * np.asarray(step)).view(ComplexArray)


def imaginary(value: Any, like: np.ndarray) -> np.ndarray:
    """The imaginary part of a result, 0 if it is real, in the shape of `like`."""
    return np.broadcast_to(np.imag(_plain(value)), np.shape(like))


def _plain(x: Any) -> Any:
    return x.view(np.ndarray) if isinstance(x, ComplexArray) else x


def _wrap(x: Any) -> Any:
    """Results as complex arrays of this class, because np.where, for example, returns a plain array."""
    if isinstance(x, ComplexArray) or not np.iscomplexobj(x):
        return x
    return np.asarray(x).view(ComplexArray)


def _absolute(x: Any) -> Any:
    return np.sign(np.real(x)) * x


def _maximum(x: Any, y: Any) -> Any:
    return np.where(np.real(x) > np.real(y), x, y)


def _minimum(x: Any, y: Any) -> Any:
    return np.where(np.real(x) < np.real(y), x, y)


def _xlogy(x: Any, y: Any) -> Any:
    """X log y with 0 log 0 = 0; a probability of 0 gives minus infinity, like the real function."""
    zero = (np.real(x) == 0) & (np.imag(x) == 0)
    return np.where(zero, 0, x * np.log(np.where(zero, 1, y)))


def _logaddexp(x: Any, y: Any) -> Any:
    top = _maximum(x, y)
    return top + np.log1p(np.exp(-_absolute(x - y)))


_ANALYTIC = {
    *(np.add, np.subtract, np.multiply, np.divide, np.matmul, np.negative, np.positive, np.square, np.reciprocal),
    *(np.power, np.float_power, np.sqrt, np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p),
    *(np.sin, np.cos, np.tan, np.sinh, np.cosh, np.tanh, np.arcsin, np.arccos, np.arctan),
    *(np.arcsinh, np.arccosh, np.arctanh, scipy.special.erf, scipy.special.erfc),
}
_CONTINUED: dict[np.ufunc, Callable[..., Any]] = {
    np.absolute: _absolute,
    np.fabs: _absolute,
    np.maximum: _maximum,
    np.fmax: _maximum,
    np.minimum: _minimum,
    np.fmin: _minimum,
    np.logaddexp: _logaddexp,
    scipy.special.xlogy: _xlogy,
    scipy.special.expit: lambda x: 1 / (1 + np.exp(-x)),
}
_BY_REAL_PART: dict[np.ufunc, Callable[..., Any]] = {
    ufunc: ufunc
    for ufunc in (
        *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
        *(np.sign, np.isfinite, np.isnan, np.isinf, np.signbit),
    )
}
#: NumPy compares complex numbers by their real parts first, so the maximum keeps its own imaginary part.
_REDUCED = {np.add, np.multiply, np.maximum, np.minimum}
_FUNCTIONS = {
    *(np.where, np.copyto, np.sum, np.mean, np.prod, np.max, np.min, np.amax, np.amin, np.cumsum, np.dot),
    *(np.concatenate, np.stack, np.hstack, np.vstack, np.reshape, np.ravel, np.transpose, np.squeeze, np.expand_dims),
    *(np.zeros_like, np.ones_like, np.empty_like, np.full_like, np.copy, np.shape, np.ndim, np.size, np.einsum),
    *(np.broadcast_to, np.atleast_2d, np.take, np.take_along_axis, np.repeat, np.tile, np.roll, np.flip, np.diff),
}
