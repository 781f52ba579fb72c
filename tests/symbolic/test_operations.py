"""Every row of the table of operations in every use: compiled, evaluated from JSON, differentiated and written out."""

from __future__ import annotations

import ctypes
import json
import math
from collections.abc import Callable
from functools import partial
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import scipy.special
from differences import slope

import clearprop as cp
from clearprop.engine.compiled.elementwise import activation_kernels
from clearprop.explain.derivation.latex import LatexNotation
from clearprop.explain.derivation.mathml import MathMLNotation
from clearprop.explain.derivation.text import TextNotation
from clearprop.symbolic.export import Expressions, from_json
from clearprop.symbolic.expression import Symbol
from clearprop.symbolic.formulas import written
from clearprop.symbolic.jvp import Dual, tangent_of
from clearprop.symbolic.operations import OPERATIONS, ROWS
from clearprop.symbolic.tracing import FUNCTIONS, as_symbol, tracer

#: Two numbers of each pair are combined: any signs and sizes, and whole numbers.
X = np.array([-2.5, -1.0, -0.75, -0.5, 0.0, 0.25, 0.5, 0.9375, 1.5, 3.0, 7.0])
Y = np.array([1.5, -1.0, 2.0, 0.5, 1.25, -3.0, 0.5, 4.0, -0.5, 3.0, 0.125])


def size(f: Callable) -> Callable:
    """F of a number above 0."""
    return lambda x: f(abs(x) + 0.125)


def large(f: Callable) -> Callable:
    return lambda x: f(abs(x) + 1.125)


def inside(f: Callable) -> Callable:
    """F of a number between -1 and 1."""
    return lambda x: f(x / 8)


def pair(f: Callable) -> Callable:
    return lambda x: f(x, 1.5 - x * x)


def conditions(f: Callable) -> Callable:
    return lambda x: f(x > 0.25, x < 1)


def raised(f: Callable, x: Any) -> Any:
    return f(x, 1.75)


def negated(f: Callable, x: Any) -> Any:
    return f(x > 0)


def each(names: str) -> list[str]:
    return names.split()


SAME = each(
    "negative positive square isnan isfinite exp expm1 tanh sin cos sign abs absolute fabs floor ceil trunc round rint "
    "sinh cosh tan arctan arcsinh atan asinh exp2 cbrt zeros_like ones_like"
)
#: How each name is used; what is not here takes any number.
USES: dict[str, Callable] = {
    **{name: getattr(np, name) for name in SAME},
    "asarray": lambda x: namespace(x).asarray(x),
    "reciprocal": size(np.reciprocal),
    **{name: pair(getattr(np, name)) for name in each("add subtract multiply divide maximum minimum hypot")},
    **{name: pair(getattr(np, name)) for name in each("less less_equal greater greater_equal equal not_equal")},
    **{name: pair(getattr(np, name)) for name in ("logaddexp", "arctan2")},
    "atan2": pair(np.atan2),
    **{name: size(getattr(np, name)) for name in each("log log1p sqrt log2 log10")},
    **{name: size(partial(raised, getattr(np, name))) for name in ("power", "pow", "float_power")},
    **{name: inside(getattr(np, name)) for name in each("arcsin arccos arctanh asin acos atanh")},
    **{name: large(getattr(np, name)) for name in ("arccosh", "acosh")},
    **{name: getattr(scipy.special, name) for name in ("erf", "erfc", "expit", "log_expit")},
    "xlogy": lambda x: scipy.special.xlogy(x * (x > 0), abs(x)),
    **{name: conditions(getattr(np, name)) for name in each("logical_and logical_or logical_xor")},
    **{name: conditions(getattr(np, name)) for name in each("bitwise_and bitwise_or bitwise_xor")},
    **{name: partial(negated, getattr(np, name)) for name in each("logical_not invert bitwise_invert")},
    "where": lambda x: np.where(x > 0.25, x, -3),
    "clip": lambda x: np.clip(x, -1, 0.75),
    "astype": lambda x: (x > 0).astype(x.dtype),
    "sum": lambda x: x + np.sum(x, axis=-1, keepdims=True),
    "max": lambda x: x + np.max(x, axis=-1, keepdims=True),
    "min": lambda x: x + np.min(x, axis=-1, keepdims=True),
    "amax": lambda x: x + np.amax(x, axis=-1, keepdims=True),
    "amin": lambda x: x + np.amin(x, axis=1, keepdims=True),
    "mean": lambda x: x + x.mean(axis=-1, keepdims=True),
    "arange": lambda x: x + namespace(x).arange(x.shape[-1]),
    "bitwise_left_shift": lambda x: x + (namespace(x).arange(x.shape[-1]) << 1),
    "left_shift": lambda x: x + (1 + namespace(x).arange(x.shape[-1]) << 2),
}


def namespace(x: Any) -> Any:
    return x.__array_namespace__()


def traced(name: str) -> Expressions:
    """The graph of the use of a name."""
    graph = tracer()
    return Expressions({"a": as_symbol(USES[name](graph.input("z")), graph)})


#: Rows that have no name of their own for a definition: they come from x[:, None], x.shape[-1] and so on.
SHAPES = {
    "expand": lambda z: (z * z).sum(axis=-1)[:, None] * z,
    "flatten": lambda z: ((z * z).sum(axis=-1, keepdims=True)[:, 0] * 2)[:, None] * z,
    "real": lambda z: z * (z > 0).astype(z.dtype),
    "units": lambda z: z / z.shape[-1],
    "column": lambda z: z * namespace(z).arange(z.shape[-1]),
}


def test_every_name_has_an_example_and_every_row_is_used() -> None:
    assert set(USES) == FUNCTIONS.keys() | SHAPES
    assert len(ROWS) == len(OPERATIONS) == 63
    used = {node.op for name in FUNCTIONS for node in traced(name).nodes}
    assert set(OPERATIONS) - used == {"expand", "flatten"}


USES |= SHAPES


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", USES)
def test_compiled_values_are_those_of_numpy(name: str, dtype: type) -> None:
    use = USES[name]
    forward, _ = activation_kernels(
        cp.activations.Custom(name, lambda z: use(z) + 0.0, lambda z, a: z), np.dtype(dtype)
    )
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)(forward)
    z, a = np.zeros((2, 16), dtype), np.zeros((2, 16), dtype)
    z[:, : len(X)] = X, Y
    call(z.ctypes.data, a.ctypes.data, 2, len(X), 16)
    expected = use(z[:, : len(X)].astype(np.float64))
    np.testing.assert_allclose(a[:, : len(X)], expected, rtol={np.float32: 1e-6, np.float64: 1e-15}[dtype] * 4)


@pytest.mark.parametrize("name", USES)
def test_values_from_json_are_those_of_numpy(name: str) -> None:
    made = traced(name)
    again = from_json(json.loads(json.dumps(made.to_json())))
    assert again.to_json() == made.to_json()
    z = np.stack([X, Y])
    np.testing.assert_allclose(again.evaluate({"z": z})["a"] + 0 * z, USES[name](z) + 0 * z, rtol=1e-15)


@pytest.mark.parametrize("name", USES)
def test_derivatives_agree_with_differences(name: str) -> None:
    """By the definition as it is written, and by its graph."""
    z, v = np.stack([X, Y])[:, [0, 2, 5, 7, 8]] + 0.01, np.random.default_rng(0).normal(size=(2, 5))
    expected = slope(lambda r: USES[name](z + r * v) + 0.0)
    results = [traced(name).evaluate({"z": Dual(z, v)})["a"]]
    if name != "asarray":  # NumPy's asarray makes an array of objects
        results.append(USES[name](Dual(z, v)))
    for result in results:
        np.testing.assert_allclose(tangent_of(result) + 0 * z, expected + 0 * z, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("name", USES)
def test_every_notation(name: str) -> None:
    (result,) = traced(name).outputs.values()
    for number in (math.nan, 0.3):
        found = written(result, {"z": Symbol("z", (), number)}, 1).expression
        for notation in (TextNotation(), LatexNotation(), MathMLNotation()):
            shown = notation.write(found)
            assert shown
            assert "#" not in shown
            if notation.column == "mathml":
                ElementTree.fromstring(f"<math>{shown}</math>")
            if notation.column == "latex":
                assert shown.count("{") == shown.count("}")
                assert shown.count(r"\left") == shown.count(r"\right")
        if number == 0.3 and not {node.op for node in traced(name).nodes} & {"sum", "max", "min", "column"}:
            assert found.value == pytest.approx(float(USES[name](np.array([[number]]))[0, 0]), rel=1e-14)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 0.5, -1, -2, 64, 1.5, -0.25, np.float64(2), np.array(3)])
def test_powers(n: Any) -> None:
    forward, _ = activation_kernels(
        cp.activations.Custom("power", lambda z: abs(z) ** n + 0 * z, lambda z, a: z), np.dtype(np.float64)
    )
    z, a = abs(np.concatenate([X[X != 0], Y[:6]])), np.zeros(16)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 2, *[ctypes.c_int64] * 3)(forward)
    call(z.ctypes.data, a.ctypes.data, 1, 16, 16)
    np.testing.assert_allclose(a, z ** float(n), rtol=1e-14)
    assert math.isfinite(a.max())
