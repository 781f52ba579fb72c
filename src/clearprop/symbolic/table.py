"""What each function of the array API, NumPy and SciPy means in compiled code, by its name."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from clearprop import mathematics
from clearprop.engine.compiled import scalar
from clearprop.symbolic.graph import ELEMENT, INTEGERS, Symbol, TraceError
from clearprop.symbolic.operations import (
    arithmetic,
    as_float,
    bitwise,
    compare,
    intrinsic,
    library,
    negative,
    power,
    reduce_row,
    select,
)


def _with(function: Callable[..., Any], *first: Any) -> Callable[..., Any]:
    """A function with its first arguments given."""
    return lambda *args, **options: function(*first, *args, **options)


def _astype(x: Symbol, dtype: Any, copy: bool = True) -> Symbol:
    kind = np.dtype(dtype).kind
    if kind == "f":
        return as_float(x)
    if kind == x.dtype.kind:
        return x
    raise TraceError(f"turns an array into {np.dtype(dtype)}")


def _arange(stop: Any) -> Symbol:
    """The number of each column."""
    if not isinstance(stop, Symbol) or stop.op != "units":
        raise TraceError("uses arange with something else than the number of units")
    return stop.graph.node("column", (), INTEGERS[stop.graph.kind], level=ELEMENT)


def _filled(value: float) -> Callable[..., Symbol]:
    return lambda like, dtype=None: select(compare("eq", like, like), value, value)


def _reduction(operation: str) -> Callable[..., Symbol]:
    def reduce(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
        if not x.graph.rows:
            raise TraceError(f"takes a {operation} over parameters, which are updated in runs of any length")
        return reduce_row(operation, x, axis, keepdims)

    return reduce


def _mean(x: Symbol, axis: Any = None, keepdims: bool = False) -> Symbol:
    return _reduction("sum")(x, axis, keepdims) / x.graph.units


def _log_add_exp(x: Any, y: Any) -> Symbol:
    return scalar.maximum(x, y) + scalar.log1p(scalar.exp(-abs(x - y)))


#: By the name in the array API, NumPy or SciPy.
MEANINGS: dict[str, Callable[..., Any]] = {
    "add": _with(arithmetic, "add"),
    "subtract": _with(arithmetic, "sub"),
    "multiply": _with(arithmetic, "mul"),
    "divide": _with(arithmetic, "div"),
    "power": power,
    "pow": power,
    "float_power": power,
    "negative": negative,
    "positive": lambda x: x,
    "square": _with(lambda x: x * x),
    "reciprocal": lambda x: 1 / x,
    "less": _with(compare, "lt"),
    "less_equal": _with(compare, "le"),
    "greater": _with(compare, "gt"),
    "greater_equal": _with(compare, "ge"),
    "equal": _with(compare, "eq"),
    "not_equal": _with(compare, "ne"),
    "isnan": lambda x: x != x,
    "isfinite": lambda x: abs(x) < math.inf,
    "where": select,
    "clip": scalar.clip,
    "exp": scalar.exp,
    "expm1": scalar.expm1,
    "log": scalar.log,
    "log1p": scalar.log1p,
    "logaddexp": _log_add_exp,
    "tanh": scalar.tanh,
    "sin": scalar.sin,
    "cos": scalar.cos,
    "erf": scalar.erf,
    "erfc": scalar.erfc,
    "xlogy": scalar.xlogy,
    "expit": mathematics.logistic,
    "log_expit": lambda x: -mathematics.log_one_plus_exp(-x),
    "sign": scalar.sign,
    "maximum": scalar.maximum,
    "minimum": scalar.minimum,
    "arange": _arange,
    "astype": _astype,
    "asarray": lambda x, dtype=None: x,
    "zeros_like": _filled(0.0),
    "ones_like": _filled(1.0),
    "sum": _reduction("sum"),
    "max": _reduction("max"),
    "min": _reduction("min"),
    "amax": _reduction("max"),
    "amin": _reduction("min"),
    "mean": _mean,
}
for _op, _names in {
    "and": ("bitwise_and", "logical_and"),
    "or": ("bitwise_or", "logical_or"),
    "xor": ("bitwise_xor", "logical_xor"),
    "shl": ("bitwise_left_shift", "left_shift"),
}.items():
    MEANINGS |= {name: _with(bitwise, _op) for name in _names}
MEANINGS |= {name: lambda x: bitwise("xor", x, True) for name in ("bitwise_invert", "invert", "logical_not")}
for _op, _names in {
    "fabs": ("abs", "absolute", "fabs"),
    "sqrt": ("sqrt",),
    "floor": ("floor",),
    "ceil": ("ceil",),
    "trunc": ("trunc",),
    "rint": ("round", "rint"),
}.items():
    MEANINGS |= {name: _with(intrinsic, _op) for name in _names}
#: Functions that no definition of the library uses go to the C library, whose names these are.
for _op, _names in {
    "sinh": ("sinh",),
    "cosh": ("cosh",),
    "tan": ("tan",),
    "asin": ("asin", "arcsin"),
    "acos": ("acos", "arccos"),
    "atan": ("atan", "arctan"),
    "atan2": ("atan2", "arctan2"),
    "asinh": ("asinh", "arcsinh"),
    "acosh": ("acosh", "arccosh"),
    "atanh": ("atanh", "arctanh"),
    "exp2": ("exp2",),
    "log2": ("log2",),
    "log10": ("log10",),
    "cbrt": ("cbrt",),
    "hypot": ("hypot",),
}.items():
    MEANINGS |= {name: _with(library, _op) for name in _names}
