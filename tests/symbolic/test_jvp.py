"""Dual numbers: every rule against differences, every definition of the library, and what has no rule."""

from __future__ import annotations

import numpy as np
import pytest
from cases import ALL_ACTIVATION_CASES, ActivationCase, ids
from differences import disagreement, slope

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.mathematics import log_one_plus_exp, logistic
from clearprop.symbolic.jvp import _YES_OR_NO, SLOPES, Dual

RNG = np.random.default_rng(0)
ONE = [f for f, slopes in SLOPES.items() if len(slopes) == 1]
TWO = [f for f, slopes in SLOPES.items() if len(slopes) == 2]


def name(f: np.ufunc) -> str:
    return f.__name__


def test_table_is_complete():
    assert len(ONE) + len(TWO) == len(SLOPES) == 31
    assert all(f.nin == len(slopes) for f, slopes in SLOPES.items())


@pytest.mark.parametrize("f", ONE, ids=name)
def test_functions_of_one_argument(f: np.ufunc):
    x, v = RNG.uniform(0.2, 1.5, (3, 4)), RNG.normal(size=(3, 4))
    result = f(Dual(x, v))
    assert np.array_equal(result.value, f(x))
    assert disagreement(result.tangent, slope(lambda r: f(x + r * v))) < 1e-9


@pytest.mark.parametrize("f", TWO, ids=name)
def test_functions_of_two_arguments(f: np.ufunc):
    x, y, v, w = RNG.uniform(0.2, 1.5, (4, 3, 4))
    both, left, right = f(Dual(x, v), Dual(y, w)), f(Dual(x, v), y), f(x, Dual(y, w))
    assert disagreement(both.tangent, slope(lambda r: f(x + r * v, y + r * w))) < 1e-9
    assert disagreement(left.tangent, slope(lambda r: f(x + r * v, y))) < 1e-9
    assert disagreement(right.tangent, slope(lambda r: f(x, y + r * w))) < 1e-9


@pytest.mark.parametrize("f", sorted(_YES_OR_NO, key=name), ids=name)
def test_comparisons_are_plain(f: np.ufunc):
    x = np.array([1.0, 2.0])
    inputs = (x, np.array([2.0, 2.0]))[: f.nin]
    assert np.array_equal(f(Dual(x, x), *inputs[1:]), f(*inputs))


@pytest.mark.parametrize("case", ALL_ACTIVATION_CASES, ids=ids(ALL_ACTIVATION_CASES))
def test_every_activation_goes_through_as_it_is_written(case: ActivationCase):
    z, v, error, e = RNG.normal(size=(4, 5, 3))
    f = case.activation
    assert disagreement(f.function(Dual(z, v)).tangent, slope(lambda r: f.function(z + r * v))) < 1e-8

    def delta(r: float) -> np.ndarray:
        return f.pullback(z + r * v, f.function(z + r * v), error + r * e)

    found = f.pullback(Dual(z, v), f.function(Dual(z, v)), Dual(error, e))
    tangent = found.tangent if isinstance(found, Dual) else np.zeros_like(z)
    assert disagreement(tangent, slope(delta)) < 1e-8


def test_pieces_of_a_smooth_function_meet_with_its_slope():
    zero, one = np.zeros(1), np.ones(1)
    assert logistic(Dual(zero, one)).tangent == pytest.approx([0.25])
    assert log_one_plus_exp(Dual(zero, one)).tangent == pytest.approx([0.5])


def test_arrays_are_arranged_as_numpy_does():
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


def test_what_has_no_rule_is_named():
    x = Dual(np.ones(2), np.ones(2))
    with pytest.raises(ArgumentError, match=r"np\.cbrt: has no rule .* arithmetic and these functions: .*tanh"):
        np.cbrt(x)
    with pytest.raises(ArgumentError, match=r"np\.sort: has no rule"):
        np.sort(x)
    with pytest.raises(ArgumentError, match=r"np\.add with reduce: has no rule"):
        np.add.reduce(x)
    odd = cp.activations.Custom("odd", lambda z: np.cbrt(z), lambda z, a: 1 / (3 * np.square(np.cbrt(z))))
    net = cp.Network.sequential(1, 1, output=odd)
    trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0]], [[1.0]], loss="squared_error")
    with pytest.raises(ArgumentError, match=r"np\.cbrt: has no rule"):
        cp.analysis.hessian_vector(trace, [1.0, 0.0])
