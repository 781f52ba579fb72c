"""Labels and targets that look wrong: named where they are, and right ones left in peace."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp

rng = np.random.default_rng(1)
X = rng.normal(size=(4000, 20))
SIDE = (X[:, :1] + X[:, 1:2] > 0) * 1.0
CLASS = rng.integers(0, 5, 4000)
CLUSTERS = X + 5 * np.eye(5, 20)[CLASS]
TWO = cp.Network.sequential(20, 16, 1, output="sigmoid")
FIVE = cp.Network.sequential(20, 32, 5, output="softmax", dropout=0.2)


def named(net, X, y, loss, epochs=15, optimizer=None):
    params, history = net.initialize(seed=0), None
    if epochs:
        rule = optimizer or cp.Adam(0.002)
        history = cp.train(net, params, X, y, loss=loss, optimizer=rule, epochs=epochs)
    found = cp.diagnose(net, params, X, y, loss, history=history)
    return (
        [int(row) for row in found["labels-that-look-wrong"].where] if "labels-that-look-wrong" in found.codes else []
    )


@pytest.mark.parametrize("share", [0.01, 0.03, 0.05, 0.1])
@pytest.mark.parametrize("kind", ["two classes", "five classes"])
def test_turned_labels(kind, share):
    some = np.random.default_rng(7).choice(4000, int(share * 4000), replace=False)
    if kind == "two classes":
        y = SIDE.copy()
        y[some] = 1 - y[some]
        rows = named(TWO, X, y, "binary_cross_entropy")
    else:
        y = CLASS.copy()
        y[some] = (y[some] + 1) % 5
        rows = named(FIVE, CLUSTERS, y, "cross_entropy")
    assert len(rows) >= min(100, (0.4 if share > 0.01 else 0.2) * len(some))
    assert np.isin(rows, some).mean() > 0.9


def test_right_labels():
    assert named(TWO, X, SIDE, "binary_cross_entropy") == []
    assert named(FIVE, CLUSTERS, CLASS, "cross_entropy") == []


def test_a_decimal_point_that_slipped():
    t = 50 + 10 * X[:, :1] + np.random.default_rng(2).normal(size=(4000, 1))
    some = np.random.default_rng(3).choice(4000, 40, replace=False)
    t[some] *= 10
    rows = named(cp.Network.sequential(20, 32, 1), X, (t - t.mean()) / t.std(), "squared_error")
    assert len(rows) >= 30
    assert np.isin(rows, some).mean() > 0.9


def test_a_number_that_stands_for_missing():
    t = X[:, :1] + 0.1 * X[:, 1:2]
    some = np.random.default_rng(8).choice(4000, 25, replace=False)
    t[some] = -999
    rows = named(cp.Network.sequential(20, 32, 1), X, t / t.std(), "squared_error")
    assert set(rows) == set(some.tolist())


HARD = (X[:, :3].sum(1, keepdims=True) + np.random.default_rng(4).normal(0, 1, (4000, 1)) > 2.4) * 1.0
MIXED = 10.0 ** np.random.default_rng(5).integers(-2, 5, 20)
SMALL = cp.Network.sequential(20, 8, 1, hidden="tanh", output="exponential")
RIGHT = {
    "worse than a constant": (
        *(cp.Network.sequential(20, 8, 8, 8, 1, output="sigmoid"), X * MIXED),
        *(HARD, "binary_cross_entropy", 10, cp.Adam(0.001)),
    ),
    "not trained": (TWO, 1e3 * X, (X[:, :1] * X[:, 1:2] > 0) * 1.0, "binary_cross_entropy", 0),
    "lognormal amounts": (
        *(cp.Network.sequential(20, 32, 1), X, np.exp(X[:, :1] / 2), "squared_error", 40, cp.Adam(0.003)),
    ),
    "noise that grows": (
        *(cp.Network.sequential(20, 32, 1), X),
        *(X[:, :1] + np.abs(X[:, 1:2]) ** 3 * np.random.default_rng(6).normal(size=(4000, 1)) / 6, "squared_error"),
        *(20, cp.Adam(0.003)),
    ),
    "gamma": (
        *(SMALL, X, np.exp(X[:, :1] + 0.1 * np.random.default_rng(7).normal(size=(4000, 1)))),
        *("gamma", 20, cp.Adam(0.003)),
    ),
    "claims, of which 2% are not 0": (
        *(cp.Network.sequential(20, 16, 1), X, np.where(np.arange(4000)[:, None] % 50 == 0, 5 + X[:, :1], 0.0)),
        *("squared_error", 15, cp.Adam(0.003)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RIGHT)
def test_right_rows_are_not_accused(name):
    assert named(*RIGHT[name]) == []


@pytest.mark.parametrize("size", [1e6, 1000.0, 100.0, 50.0])
def test_a_single_mistyped_target(size):
    """It also bends the outputs nearby, so that its residual alone is not apart from theirs."""
    draws = np.random.default_rng(1)
    X = draws.normal(size=(300, 2))
    y = np.sin(X[:, :1]) + X[:, 1:]
    y[123] = size
    net = cp.Network.sequential(2, 8, 1, hidden="tanh")
    params = net.initialize(seed=0)
    cp.train(net, params, X, y, loss="squared_error", optimizer=cp.Adam(0.01), epochs=200)
    found = cp.diagnose(net, params, X, y, "squared_error")["labels-that-look-wrong"]
    assert found.where == ("123",)


@pytest.mark.parametrize("seed", range(4))
def test_large_targets_of_a_skewed_distribution_are_right(seed):
    draws = np.random.default_rng(seed)
    X = draws.normal(size=(400, 3))
    y = np.exp(X[:, :1] - 0.5 * X[:, 1:2] + draws.normal(size=(400, 1)))
    y = (y - y.mean()) / y.std()
    net = cp.Network.sequential(3, 8, 1, hidden="tanh")
    params = net.initialize(seed=0)
    cp.train(net, params, X, y, loss="squared_error", optimizer=cp.Adam(0.01), epochs=30)
    assert "labels-that-look-wrong" not in cp.diagnose(net, params, X, y, "squared_error").codes


def test_rare_targets_beside_zeros_are_right():
    draws = np.random.default_rng(0)
    X = draws.normal(size=(300, 2))
    y = np.where(np.arange(300)[:, None] < 2, 50.0, 0.0)
    net = cp.Network.sequential(2, 8, 1, hidden="tanh")
    params = net.initialize(seed=0)
    cp.train(net, params, X, y, loss="squared_error", optimizer=cp.Adam(0.01), epochs=30)
    assert "labels-that-look-wrong" not in cp.diagnose(net, params, X, y, "squared_error").codes
