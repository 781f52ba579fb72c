"""Dual numbers: derivatives against differences, every definition of the library, and unsupported functions."""

from __future__ import annotations

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, ActivationCase, ids
from differences import disagreement, moved, slope

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.mathematics import log_one_plus_exp, logistic
from clearprop.symbolic.jvp import Dual
from clearprop.symbolic.operations import ROWS, Operation

RNG = np.random.default_rng(0)
TWO = [row for row in ROWS if row.slopes is not None and len(row.slopes) == 2]
CONDITIONS = [row for row in ROWS if row.slopes is None and row.tangent is None and row.compute is None]


def name(row: Operation) -> str:
    return row.name


def test_the_table_has_functions_of_two_arguments_and_conditions():
    assert (len(TWO), len(CONDITIONS)) == (11, 11)


@pytest.mark.parametrize("row", TWO, ids=name)
def test_functions_of_two_arguments(row: Operation):
    f = row.function
    x, y, v, w = RNG.uniform(0.2, 1.5, (4, 3, 4))
    both, left, right = f(Dual(x, v), Dual(y, w)), f(Dual(x, v), y), f(x, Dual(y, w))
    assert np.array_equal(both.value, f(x, y))
    assert disagreement(both.tangent, slope(lambda r: f(x + r * v, y + r * w))) < 1e-9
    assert disagreement(left.tangent, slope(lambda r: f(x + r * v, y))) < 1e-9
    assert disagreement(right.tangent, slope(lambda r: f(x, y + r * w))) < 1e-9


@pytest.mark.parametrize("row", CONDITIONS[:6], ids=name)
def test_comparisons_are_plain(row: Operation):
    x, y = np.array([1.0, 2.0]), np.array([2.0, 2.0])
    assert np.array_equal(row.function(Dual(x, x), y), row.function(x, y))


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_every_activation(case: ActivationCase):
    z, v, error, e = np.random.default_rng(0).normal(size=(4, 5, 3))
    f = case.activation
    assert disagreement(f.function(Dual(z, v)).tangent, slope(lambda r: f.function(z + r * v))) < 1e-8

    def delta(r: float) -> np.ndarray:
        return f.pullback(z + r * v, f.function(z + r * v), error + r * e)

    found = f.pullback(Dual(z, v), f.function(Dual(z, v)), Dual(error, e))
    tangent = found.tangent if isinstance(found, Dual) else np.zeros_like(z)
    assert disagreement(tangent, slope(delta)) < 1e-8


def test_slopes_where_the_pieces_of_a_smooth_function_meet():
    zero, one = np.zeros(1), np.ones(1)
    assert logistic(Dual(zero, one)).tangent == pytest.approx([0.25])
    assert log_one_plus_exp(Dual(zero, one)).tangent == pytest.approx([0.5])


def test_rearranging_arrays():
    x, v = RNG.normal(size=(2, 3, 4))
    dual = Dual(x, v)
    for arrange in (
        lambda a: a.T,
        lambda a: a.ravel(),
        lambda a: a.reshape(4, 3),
        lambda a: a[1:, [0, 2]],
        lambda a: a.sum(axis=0),
        lambda a: a.mean(axis=1, keepdims=True),
        lambda a: np.concatenate([a, a]),
        lambda a: np.sum(a, axis=-1),
        lambda a: a @ x.T,
        lambda a: x.T @ a,
    ):
        assert np.array_equal(arrange(dual).value, arrange(x))
        assert np.array_equal(arrange(dual).tangent, slope(lambda r, f=arrange: f(v) * r, 1.0)) or np.allclose(
            arrange(dual).tangent, arrange(v), rtol=1e-14, atol=0
        )
    assert np.array_equal(np.max(dual, axis=-1).tangent, v[np.arange(3), x.argmax(axis=1)])
    assert np.array_equal(np.clip(dual, -0.1, 0.1).tangent, np.where(np.abs(x) < 0.1, v, 0))
    assert np.array_equal(
        np.bincount([0, 2, 0], weights=Dual(x[0, :3], v[0, :3])).tangent, [v[0, 0] + v[0, 2], 0, v[0, 1]]
    )
    assert (len(dual), dual.ndim, dual.shape, dual.dtype) == (3, 2, (3, 4), np.float64)
    dual[0] = 5.0
    assert (dual.value[0] == 5).all()
    assert (dual.tangent[0] == 0).all()


def test_methods_of_arrays_are_functions_of_numpy():
    x, v = RNG.normal(size=(2, 3, 4))
    dual = Dual(x, v)
    assert np.array_equal(dual.max(axis=0).tangent, np.max(dual, 0).tangent)
    assert np.array_equal(dual.min(axis=-1, keepdims=True).tangent, -np.max(-dual, axis=-1, keepdims=True).tangent)
    assert np.array_equal(dual.clip(-0.1, 0.1).tangent, np.clip(dual, -0.1, 0.1).tangent)
    assert np.array_equal(dual.copy().tangent, v)


def test_a_function_without_a_derivative_is_named():
    x = Dual(np.ones(2), np.ones(2))
    unknown = "the directional derivative that second derivatives need is not known"
    with pytest.raises(ArgumentError, match=rf"np\.spacing: {unknown}\. .* arithmetic and these functions: .*tanh"):
        np.spacing(x)
    with pytest.raises(ArgumentError, match=rf"np\.sort: {unknown}"):
        np.sort(x)
    with pytest.raises(ArgumentError, match=rf"np\.add with reduce: {unknown}"):
        np.add.reduce(x)
    odd = cp.activations.Custom("odd", lambda z: z + np.spacing(z), lambda z, a: 1 + np.spacing(z))
    net = cp.Network.sequential(1, 1, output=odd)
    trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0]], [[1.0]], loss="squared_error")
    with pytest.raises(ArgumentError, match=rf"np\.spacing: {unknown}"):
        cp.analysis.hessian_vector(trace, [1.0, 0.0])


@pytest.mark.parametrize(
    "f",
    [
        cp.activations.Custom("log2", lambda z: np.log2(z * z + 1), lambda z, a: 2 * z / ((z * z + 1) * np.log(2))),
        cp.activations.Custom("arcsin", lambda z: np.arcsin(z / 20), lambda z, a: 1 / np.sqrt(400 - z * z)),
        cp.activations.Custom("cbrt", lambda z: np.cbrt(z * z + 1), lambda z, a: 2 * z / (3 * np.cbrt(z * z + 1) ** 2)),
    ],
    ids=lambda f: f.name,
)
def test_what_trains_compiled_has_hessian_vector_products_and_formulas(f: cp.activations.Custom):
    net = cp.Network.sequential(2, 3, 1, hidden=f)
    params, X, y = net.initialize(seed=0), RNG.normal(size=(5, 2)), RNG.normal(size=(5, 1))
    trace, v = cp.backpropagate(net, params, X, y, loss="squared_error"), RNG.normal(size=params.flat.size)
    Hv = cp.analysis.hessian_vector(trace, v)

    def gradient(r: float) -> np.ndarray:
        return cp.backpropagate(net, moved(params, v, r), X, y, loss="squared_error").gradients.flat

    assert disagreement(Hv.flat, slope(gradient)) < 1e-6
    assert "f'" not in trace.derivation("hidden[0] <- input[0]", sample=0).text()
    assert cp.train(net, params, X, y, loss="squared_error", optimizer=cp.Adam(0.01), epochs=2, engine="compiled")
