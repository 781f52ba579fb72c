"""Hessian-vector products: differences of the gradient for any network, symmetry, closed forms, kinks."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from differences import disagreement, finite_trace, moved, slope
from hypothesis import given, settings
from networks import Problem, problems

import clearprop as cp
from clearprop.errors import ArgumentError, DataError, ShapeError


def test_any_network_agrees_with_differences_of_the_gradient():
    seen: Counter[str] = Counter()

    @settings(max_examples=80)
    @given(problems())
    def check(problem: Problem):
        seen.update(set(problem.features()))
        net, params, *rest = problem.arguments
        v, u = np.random.default_rng(0).normal(size=(2, params.flat.size))
        trace = finite_trace(problem)
        Hv = cp.analysis.hessian_vector(trace, v)

        def gradient(r: float) -> np.ndarray:
            return cp.backpropagate(net, moved(params, v, r), *rest).gradients.flat

        assert disagreement(Hv.flat, slope(gradient)) < 1e-6
        Hu = cp.analysis.hessian_vector(trace, u)
        assert abs(u @ Hv.flat - v @ Hu.flat) <= 1e-10 * max(1e-3, abs(u) @ abs(Hv.flat))

    check()
    wanted = ["join", "skip", "several outputs", "weights", "connection wired", "connection identity"]
    wanted += ["activation softmax", "activation layer_normalization", "reduction sum", "an output is a source"]
    assert {feature for feature in wanted if seen[feature] < 3} == set()


def test_linear_regression_has_the_hessian_of_its_normal_equations():
    rng = np.random.default_rng(1)
    X, w = rng.normal(size=(5000, 3)), rng.uniform(size=5000)  # more rows than are swept at once
    net = cp.Network.sequential(3, 1)
    trace = cp.backpropagate(net, net.initialize(seed=0), X, rng.normal(size=(5000, 1)), "squared_error", w)
    A = np.column_stack([X, np.ones(5000)])
    H = np.column_stack([cp.analysis.hessian_vector(trace, e).flat for e in np.eye(4)])
    assert pytest.approx(A.T @ (w[:, None] * A) / w.sum(), rel=1e-12) == H


def test_at_a_kink_the_slope_of_the_activation_is_used():
    net = cp.Network.sequential(1, 1, 1, hidden="relu")
    params = net.initialize(given={"hidden": {"input": [[1.0]]}, "output": {"hidden": [[1.0]]}})
    trace = cp.backpropagate(net, params, [[0.0]], [[1.0]], loss="squared_error")
    # the hidden unit has z = 0 and f'(0) = 0: only the output's bias moves the cost
    H = np.column_stack([cp.analysis.hessian_vector(trace, e).flat for e in np.eye(4)])
    assert H.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]


def test_takes_parameters_and_float32():
    net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    params = net.initialize(seed=0, dtype="float32")
    X, y = np.ones((2, 2)), np.zeros((2, 1))
    trace = cp.backpropagate(net, params, X, y, loss="squared_error")
    found = cp.analysis.hessian_vector(trace, params)
    assert found.dtype == np.float32
    exact = cp.backpropagate(net, params.astype("float64"), X, y, loss="squared_error")
    assert disagreement(found.flat, cp.analysis.hessian_vector(exact, params.flat).flat) < 1e-5


def test_messages_about_invalid_directions():
    net = cp.Network.sequential(1, 1)
    trace = cp.backpropagate(net, net.initialize(seed=0), [[1.0]], [[1.0]], loss="squared_error")
    with pytest.raises(ShapeError, match=r"v: expected a vector of 2 numbers, one per parameter, got \(3,\)\."):
        cp.analysis.hessian_vector(trace, [1, 2, 3])
    with pytest.raises(DataError, match="v: nan at row 1"):
        cp.analysis.hessian_vector(trace, [1, float("nan")])
    other = cp.Network.sequential(1, 1, output="tanh").initialize(seed=0)
    with pytest.raises(ArgumentError, match=r"v: these parameters belong to another network\."):
        cp.analysis.hessian_vector(trace, other)
