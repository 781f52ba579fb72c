"""Layers: before training nothing is stuck, zero weights, strong penalties, and advice that fits the network."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import clearprop as cp

rng = np.random.default_rng(3)
X = rng.normal(size=(300, 5))
Y = np.sin(2 * X[:, :1]) + 0.5 * X[:, 1:2]


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_network_before_training_is_not_stuck(depth):
    digits, labels = load_digits(return_X_y=True)
    net = cp.Network.sequential(64, *[32] * depth, 10, hidden="sigmoid", output="softmax")
    assert cp.diagnose(net, net.initialize(seed=0), digits / 16, labels, "cross_entropy").ok


def collapsed():
    net = cp.Network.sequential(5, 32, 32, 1, hidden="relu")
    params = net.initialize(seed=0)
    return net, params, cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.Adam(1.0), epochs=30)


def dead():
    net = cp.Network.sequential(5, 32, 32, 1, hidden="relu")
    params = net.initialize(seed=0)
    params["hidden1"].b = np.full(32, -30.0)
    return net, params, None


def started(hidden, depth, **options):
    net = cp.Network.sequential(5, *[40] * depth, 1, hidden=hidden, **options)
    return net, net.initialize(seed=0), None


CASES = {
    "dead relu": (dead, {"dead-units", "vanishing-deltas"}, ("sigmoid", "learning rate", "tanh")),
    "relu after a rate too high": (collapsed, {"learning-rate-too-high", "dead-units"}, ("sigmoid",)),
    "tanh from zeros": (
        *(lambda: started("tanh", 1, initializer="zeros"), {"zero-weights", "duplicate-units"}),
        ("sigmoid", "learning rate"),
    ),
    "selu, small weights": (
        lambda: started("selu", 12, initializer=cp.initializers.Normal(0.01)), {"vanishing-deltas"}, ("sigmoid", "tanh")
    ),
    "tanh, small weights": (
        *(lambda: started("tanh", 12, initializer=cp.initializers.Normal(0.01)), {"vanishing-deltas"}),
        ("sigmoid", "or tanh"),
    ),
    "tanh, large weights": (
        lambda: started("tanh", 1, initializer=cp.initializers.Normal(30.0)), {"saturated-units"}, ("learning rate",)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_advice_fits_the_network_and_the_moment(name):
    make, expected, never = CASES[name]
    net, params, history = make()
    found = cp.diagnose(net, params, X, Y, "squared_error", history=history)
    assert expected <= set(found.codes)
    for finding in found:
        for text in never:
            assert text not in finding.advice.lower(), str(finding)


def test_advice_for_saturated_outputs():
    for output, y, advice in (
        ("sigmoid", (Y > 0) * 1.0, "binary_cross_entropy"),
        ("tanh", np.tanh(Y), "identity output"),
    ):
        net = cp.Network.sequential(5, 4, 1, hidden="tanh", output=output)
        params = net.initialize(seed=0)
        params["output"].b = [8.0]
        found = cp.diagnose(net, params, X, y, "squared_error")["saturated-units"]
        assert found.where == ("output",)
        assert advice in found.advice


def test_zero_weights():
    net = cp.Network.sequential(5, 6, 6, 1, hidden="tanh")
    params = net.initialize(seed=0)
    params["hidden2"].W["hidden1"] = np.zeros((6, 6))
    found = cp.diagnose(net, params, X, Y, "squared_error")
    assert found.codes[0] == "zero-weights"
    assert found["zero-weights"].where == ("hidden2",)
    assert found["zero-weights"].words.startswith("All weights into hidden2 are 0")
    net = cp.Network.sequential(5, 1, initializer="zeros")
    assert cp.diagnose(net, net.initialize(), X, Y, "squared_error").ok, "without a hidden layer 0 is a usual start"


@pytest.mark.parametrize("penalty", [cp.penalties.L1(5.0), cp.penalties.L2(20.0)])
def test_a_penalty_that_is_too_strong(penalty):
    net = cp.Network.sequential(5, 16, 1, hidden="tanh")
    params = net.initialize(seed=0)
    history = cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.Adam(0.003), epochs=60, penalty=penalty)
    found = cp.diagnose(net, params, X, Y, "squared_error", history=history)
    assert found.codes[0] == "penalty-too-strong"
    assert found["penalty-too-strong"].numbers["after"] < 0.2 * found["penalty-too-strong"].numbers["before"]
    assert "Lower the strength of the penalty" in found["penalty-too-strong"].advice


def test_huge_weights_are_not_duplicates():
    """Only the largest of them could be told apart if all were rounded alike."""
    net = cp.Network.sequential(5, 6, 1, hidden="relu")
    params = net.initialize(seed=0)
    params["hidden"].b = np.r_[1e90, np.zeros(5)]
    assert "duplicate-units" not in cp.diagnose(net, params, X, Y, "squared_error").codes
