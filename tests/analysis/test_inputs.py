"""Sensitivities of the inputs: differences for any network, closed forms, completeness of integrated gradients."""

from __future__ import annotations

import numpy as np
import pytest
from differences import disagreement, finite_trace, slope
from hypothesis import given, settings
from networks import Problem, problems

import clearprop as cp
from clearprop.errors import ArgumentError, DataError, ShapeError


@settings(max_examples=50)
@given(problems())
def test_any_network_agrees_with_differences(problem: Problem):
    net, params, X, *rest = problem.arguments
    found = cp.analysis.input_gradient(finite_trace(problem))
    V = np.random.default_rng(0).normal(size=X.shape)
    along = slope(lambda r: np.array([cp.cost(net, params, X + r * V, *rest)]))
    assert disagreement((found * V).sum(keepdims=True).ravel(), along) < 1e-6
    named = cp.analysis.jacobian(net, params, X)
    for name in net.outputs:

        def predicted(r: float, name: str = name) -> np.ndarray:
            yhat = cp.predict(net, params, X + r * V)
            return yhat[name] if len(net.outputs) > 1 else yhat

        J = named[name] if len(net.outputs) > 1 else named
        assert J.shape == (len(X), net.units(name), net.inputs)
        assert disagreement(np.einsum("noi,ni->no", J, V), slope(predicted)) < 1e-6


def test_of_weighted_sums():
    net = cp.Network.sequential(3, 2, output="softmax")
    params = net.initialize(seed=0)
    J = cp.analysis.jacobian(net, params, np.ones((5000, 3)), of="z")
    assert np.array_equal(J, np.broadcast_to(params["output"].W["input"].T, (5000, 2, 3)))
    with pytest.raises(ArgumentError, match="of: expected one of 'a', 'z', got 'y'"):
        cp.analysis.jacobian(net, params, np.ones((1, 3)), of="y")


def smooth() -> tuple[cp.Network, cp.Parameters]:
    layers = [cp.Layer("hidden", 4, "tanh"), cp.Layer("classes", 3, "softmax", ["hidden", "input"])]
    net = cp.Network(2, [*layers, cp.Layer("size", 1, "softplus", "hidden")], outputs=["classes", "size"])
    return net, net.initialize(seed=1)


def test_integrated_gradients_add_up_to_the_difference():
    net, params = smooth()
    rng = np.random.default_rng(0)
    X, baseline = rng.normal(size=(2, 6, 2))
    share = cp.analysis.integrated_gradients(net, params, X, baseline)
    there, here = cp.predict(net, params, X), cp.predict(net, params, baseline)
    for name in net.outputs:
        assert share[name].sum(axis=2) == pytest.approx(there[name] - here[name], abs=1e-12)
    row = cp.analysis.integrated_gradients(net, params, X, baseline[0])
    assert row["size"][0] == pytest.approx(share["size"][0])
    zero = cp.analysis.integrated_gradients(net, params, X)
    assert zero["size"] == pytest.approx(cp.analysis.integrated_gradients(net, params, X, np.zeros(2))["size"])


def test_integrated_gradients_of_a_linear_network_are_weight_times_distance():
    net = cp.Network.sequential(2, 1)
    params = net.initialize(seed=0)
    X = np.array([[1.0, 2.0], [3.0, -1.0]])
    share = cp.analysis.integrated_gradients(net, params, X, [1.0, 1.0], steps=1)
    assert share[:, 0] == pytest.approx((X - 1) * params["output"].W["input"].ravel(), rel=1e-14)


def test_messages_about_invalid_arguments():
    net, params = smooth()
    with pytest.raises(ShapeError, match=r"baseline: expected one row \(2,\) or one per sample \(3, 2\), got \(3,\)\."):
        cp.analysis.integrated_gradients(net, params, np.ones((3, 2)), np.ones(3))
    with pytest.raises(DataError, match="baseline: nan at row 0"):
        cp.analysis.integrated_gradients(net, params, np.ones((3, 2)), [0, float("nan")])
    with pytest.raises(ArgumentError, match="steps: expected a whole number of at least 1, got 0"):
        cp.analysis.integrated_gradients(net, params, np.ones((3, 2)), steps=0)
