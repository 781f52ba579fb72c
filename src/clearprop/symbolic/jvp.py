"""Dual numbers: arrays with a directional derivative, for forward-mode differentiation of definitions as they are.

A dual array is x + x' e with e e = 0; a function gives f(x) + f'(x) x' e (Clifford 1873; forward-mode differentiation,
Wengert 1964). A sweep over dual arrays is an ordinary sweep that also computes directional derivatives, so activations,
losses and connections need no second definition. The derivatives come from `clearprop.symbolic.operations`.

At a kink every rule takes the slope from the right, so that a smooth function composed of pieces, such as the logistic
function written with |z|, has its true slope at the boundary of the pieces.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from clearprop.errors import ArgumentError
from clearprop.symbolic.operations import BY_NAME
from clearprop.symbolic.tracing import SHORTHANDS


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """The method of arrays that is a function of NumPy."""
    return lambda self, *args, **options: function(self, *args, **options)


def _both(name: str) -> Callable[..., Any]:
    """The method of arrays that rearranges value and tangent alike."""

    def method(self: Dual, *args: Any, **options: Any) -> Dual:
        return Dual(*(getattr(part, name)(*args, **options) for part in (self.value, self.tangent)))

    return method


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
        if method != "__call__" or options:
            raise _no_rule(f"np.{ufunc.__name__} with {method if method != '__call__' else ', '.join(options)}")
        if ufunc is np.matmul:
            (x, y), (dx, dy) = map(value_of, inputs), map(tangent_of, inputs)
            return Dual(x @ y, dx @ y + x @ dy)
        return _call(ufunc, inputs, {})

    def __array_function__(self, function: Any, types: Any, inputs: Any, options: Any) -> Any:
        return _ARRAY_FUNCTIONS.get(function, _call)(function, inputs, options)

    def __array_namespace__(self, api_version: str | None = None) -> Any:
        """NumPy, whose functions call the two methods above."""
        return np

    def __setitem__(self, key: Any, new: Any) -> None:
        self.value[key], self.tangent[key] = value_of(new), tangent_of(new)

    def __len__(self) -> int:
        return len(self.value)

    shape, ndim, dtype = (property(attrgetter(f"value.{name}")) for name in ("shape", "ndim", "dtype"))
    T = property(lambda self: Dual(self.value.T, self.tangent.T))
    __getitem__, reshape, ravel, astype, copy = map(_both, ("__getitem__", "reshape", "ravel", "astype", "copy"))
    sum, mean, max, min, clip = map(_method, (np.sum, np.mean, np.max, np.min, np.clip))


def value_of(x: Any) -> Any:
    """The value of a dual array, or the argument itself."""
    return x.value if isinstance(x, Dual) else x


def tangent_of(x: Any) -> Any:
    """The directional derivative of a dual array; that of a constant is 0."""
    return x.tangent if isinstance(x, Dual) else np.zeros_like(x)


def _call(function: Any, inputs: Any, options: Any) -> Any:
    """A function of the table of operations."""
    name = function.__name__
    if name in SHORTHANDS:
        return SHORTHANDS[name](*inputs, **options)
    if name not in BY_NAME:
        raise _no_rule(f"np.{name}")
    operation = BY_NAME[name]
    if operation.compute is not None and len(inputs) > 1:  # np.max(x, axis)
        inputs, options = inputs[:1], {"axis": inputs[1], **options}
    values = [value_of(x) for x in inputs]
    result = function(*values, **options)
    if operation.tangent is not None:
        return Dual(result, operation.tangent(values, [tangent_of(x) for x in inputs], **options))
    if operation.slopes is None:
        return result
    slopes = zip(inputs, operation.slopes, strict=True)
    return Dual(result, sum(slope(*values, result) * x.tangent for x, slope in slopes if isinstance(x, Dual)))


def _linear(function: Any, inputs: Any, options: Any) -> Dual:
    """A function that is linear in everything that is differentiated: it maps values and tangents alike."""

    def apply(part: Callable[[Any], Any]) -> Any:
        return function(*map(part, inputs), **{name: part(x) for name, x in options.items()})

    return Dual(apply(value_of), apply(lambda x: x.tangent if isinstance(x, Dual) else x))


def _concatenate(function: Any, inputs: Any, options: Any) -> Dual:
    parts, *axis = inputs
    return Dual(*(function([part(x) for x in parts], *axis, **options) for part in (value_of, tangent_of)))


def _constant(function: Any, inputs: Any, options: Any) -> Any:
    return function(*map(value_of, inputs), **options)


_ARRAY_FUNCTIONS: dict[Any, Callable[[Any, Any, Any], Any]] = {
    np.sum: _linear,
    np.mean: _linear,
    np.bincount: _linear,
    np.concatenate: _concatenate,
    np.zeros_like: _constant,
    np.ones_like: _constant,
}


def _no_rule(name: str) -> ArgumentError:
    known = ", ".join(sorted(BY_NAME.keys() | SHORTHANDS))
    return ArgumentError(
        f"{name}: the directional derivative that second derivatives need is not known. Write your activation or loss "
        f"with arithmetic and these functions: {known}."
    )
