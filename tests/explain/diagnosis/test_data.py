"""The data: scales, constant targets, the order of the rows, columns that repeat or leak, rows in both sets."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.datasets import load_digits

import clearprop as cp

rng = np.random.default_rng(7)
X = rng.normal(size=(1000, 10))
Y = np.sin(X[:, :1]) + X[:, 1:2]


def diagnosis(X, y, *, loss="squared_error", optimizer=None, epochs=20, units=None, hidden="relu", **options):
    units = units or (1 if y.ndim > 1 else int(y.max()) + 1)
    output = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(loss, "identity")
    net = cp.Network.sequential(X.shape[1], 32, units, hidden=hidden, output=output)
    params = net.initialize(seed=0)
    rule = optimizer or cp.Adam(0.003)
    history = cp.train(net, params, X, y, loss=loss, optimizer=rule, epochs=epochs, **options)
    return cp.diagnose(net, params, X, y, loss, history=history)


@pytest.mark.parametrize(
    ("inputs", "targets", "hidden", "optimizer", "first"),
    [
        (X, 1e-4 * Y, "relu", cp.Adam(0.05), "unscaled-targets"),
        (X, 1e-4 * Y, "tanh", cp.GradientDescent(0.1), "unscaled-targets"),
        (X, 25 + Y, "tanh", cp.Adam(0.001), "unscaled-targets"),
        (1e-4 * X, Y, "relu", cp.Adam(0.001), "unscaled-inputs"),
        (1e-4 * X, Y, "tanh", cp.GradientDescent(0.05), "unscaled-inputs"),
        (1e4 * X, Y, "tanh", cp.Adam(0.001), "unscaled-inputs"),
        (X, Y, "tanh", cp.Adam(0.003), None),
    ],
)
def test_scales(inputs, targets, hidden, optimizer, first):
    found = diagnosis(inputs, targets, hidden=hidden, optimizer=optimizer)
    assert found.codes[:1] == (() if first is None else (first,))


def test_words_about_scales():
    found = diagnosis(X, 25 + Y, hidden="tanh", optimizer=cp.Adam(0.001))["unscaled-targets"]
    assert f"have mean {25 + Y.mean():.3g} and standard deviation {Y.std():.3g}" in found.words
    assert "Train on (y - y.mean(axis=0)) / y.std(axis=0)" in found.advice
    two = np.c_[Y, 1e-3 * X[:, 2:3]]
    found = diagnosis(X, two, units=2, epochs=2, optimizer=cp.Adam(1e-4))["unscaled-targets"]
    assert "the largest outweighs the others" in found.words


def test_a_network_that_learned_from_unscaled_inputs():
    """A hint if it learned, nothing if it fits."""
    wide = 40 * X
    found = diagnosis(wide, Y, optimizer=cp.Adam(0.003), epochs=100)
    assert [f.severity for f in found if f.code == "unscaled-inputs"] == ["hint"]
    assert "unscaled-inputs" not in diagnosis(wide, Y, optimizer=cp.Adam(0.003), epochs=400).codes


def test_zeros_do_not_make_columns_small():
    """Counts of words: 1 in 500 rows each, and 0 in the others."""
    rare = (rng.uniform(size=(1000, 200)) < 0.002) * 1.0
    found = diagnosis(rare, Y, epochs=1)
    assert "unscaled-inputs" not in found.codes


@pytest.mark.parametrize(
    ("y", "loss", "words"),
    [
        (np.full((1000, 1), 3.25), "squared_error", "The targets of output are 3.25 on all 1,000 rows"),
        (np.full((1000, 1), 1.0), "binary_cross_entropy", "The targets of output are 1 on all 1,000 rows"),
        (np.ones(1000, int), "cross_entropy", "The targets of output are class 1 on all 1,000 rows"),
        (np.c_[Y, np.zeros(1000)], "squared_error", "The targets of output 1 are 0 on all 1,000 rows"),
    ],
)
def test_constant_targets(y, loss, words):
    found = diagnosis(X, y, loss=loss, units=y.shape[1] if y.ndim > 1 else 2, epochs=5)
    assert found.codes[0] == "constant-targets"
    assert found["constant-targets"].words.startswith(words)
    assert "at least two values" in found["constant-targets"].advice


@pytest.mark.parametrize("shuffle", [True, False])
def test_rows_in_the_order_of_their_labels(shuffle):
    digits, labels = load_digits(return_X_y=True)
    order = np.argsort(labels, kind="stable")
    found = diagnosis(
        digits[order] / 16, labels[order], loss="cross_entropy", optimizer=cp.Momentum(0.05), shuffle=shuffle
    )
    assert found.codes[:1] == (() if shuffle else ("rows-in-order",))
    if not shuffle:
        assert "shuffle=False" in found["rows-in-order"].words
        assert "Shuffle the rows" in found["rows-in-order"].advice


def test_rows_in_order_that_undo_each_other_while_the_cost_is_low():
    """Plain descent ends each epoch well adapted to the last label, and badly to the others."""
    digits, labels = load_digits(return_X_y=True)
    order = np.argsort(labels, kind="stable")
    rule = cp.GradientDescent(0.1)
    found = diagnosis(digits[order] / 16, labels[order], loss="cross_entropy", optimizer=rule, shuffle=False)
    assert found.codes == ("rows-in-order",)
    assert "Within the last epoch the cost was 0.1" in found["rows-in-order"].words


def test_rows_in_order_that_diverged():
    order = np.argsort(Y[:, 0])
    net = cp.Network.sequential(10, 32, 1)
    params = net.initialize(seed=0)
    with pytest.raises(cp.TrainingDiverged) as raised:
        cp.train(net, params, X[order], Y[order], loss="squared_error", optimizer=cp.SGD(20.0), shuffle=False)
    found = cp.diagnose(net, params, X[order], Y[order], "squared_error", history=raised.value.history)
    assert found.codes == ("rows-in-order", "learning-rate-too-high")


def test_rows_in_order_do_no_harm_in_one_batch_or_if_they_are_learned():
    order = np.argsort(Y[:, 0])
    options = {"shuffle": False, "hidden": "tanh"}
    one = diagnosis(X[order], Y[order], batch_size=None, optimizer=cp.GradientDescent(0.1), epochs=200, **options)
    assert one.ok
    assert diagnosis(X, Y, **options).ok, "the rows are in no order"


@pytest.mark.parametrize(
    ("output", "y"),
    [("relu", Y), ("softplus", Y), ("sigmoid", (Y > 0) * 10.0), ("tanh", 5 * (Y > 0)), ("exponential", Y - 3)],
)
@pytest.mark.filterwarnings("ignore:.*out of reach")
def test_targets_out_of_reach(output, y):
    net = cp.Network.sequential(10, 32, 1, hidden="tanh", output=output)
    params = net.initialize(seed=0)
    history = cp.train(net, params, X, y, loss="squared_error", optimizer=cp.Adam(0.003), epochs=20)
    found = cp.diagnose(net, params, X, y, "squared_error", history=history)
    assert found.codes[0] == "targets-out-of-reach"
    assert "labels-that-look-wrong" not in found.codes
    assert f"out of reach of {output}" in found["targets-out-of-reach"].words
    assert found["targets-out-of-reach"].advice == "Use the identity as output activation, or scale the targets."
    low = {"relu": 0, "softplus": 0, "exponential": 0}.get(output, -0.5)
    weight = ((y >= low) & (y <= 0.5)).ravel() * 1.0
    if weight.any():
        assert "targets-out-of-reach" not in cp.diagnose(net, params, X, y, "squared_error", sample_weight=weight).codes


def test_a_leaking_column():
    for y, loss in (
        (Y, "squared_error"),
        ((Y > 0) * 1.0, "binary_cross_entropy"),
        ((Y[:, 0] > 0) + 0, "cross_entropy"),
    ):
        column = 5 - 2 * y.reshape(-1, 1)
        found = diagnosis(np.c_[X, column], y, loss=loss)
        assert found.codes == ("leaking-column",)
        assert found["leaking-column"].severity == "hint"
        assert found["leaking-column"].where == ("column 10",)
        assert "computed from the target" in found["leaking-column"].advice
        assert diagnosis(np.c_[X, column + rng.normal(size=(1000, 1))], y, loss=loss).ok
    ordered = np.c_[X, np.exp(3 * Y)]
    assert "leaking-column" in diagnosis(ordered / ordered.std(axis=0), Y).codes, "the same order, not a line"


def test_clusters_far_apart_are_no_leak():
    labels = rng.integers(0, 2, 1000)
    assert diagnosis(np.c_[X[:, :4], 5 * labels + X[:, 4]], labels, loss="cross_entropy").ok
    assert diagnosis(np.array([[0.0], [1.0]] * 60), np.array([[0.0], [2.0]] * 60)).ok, "one column, and the target"


def test_duplicate_columns():
    names = [f"x{i}" for i in range(10)] + ["inches"]
    twice = np.c_[X, 1 + X[:, 3] / 2.54]
    net = cp.Network.sequential(11, 8, 1)
    found = cp.diagnose(net, net.initialize(seed=0), twice, Y, "squared_error", columns=names)["duplicate-columns"]
    assert found.where == ("x3", "inches")
    assert found.words == "x3 and inches: the columns are the same, up to their unit."
    flags = np.c_[X, (X[:, :1] > 0), (X[:, :1] > 0), np.full(1000, 2.0), np.full(1000, 2.0)]
    net = cp.Network.sequential(14, 8, 1)
    assert cp.diagnose(net, net.initialize(seed=0), flags, Y, "squared_error").ok, "flags and constants do not count"


def test_rows_in_both_sets():
    net = cp.Network.sequential(10, 8, 1)
    params = net.initialize(seed=0)
    held_out = np.r_[X[:30], rng.normal(size=(170, 10))], np.r_[Y[:30], rng.normal(size=(170, 1))]
    found = cp.diagnose(net, params, X, Y, "squared_error", validation=held_out)
    assert found.codes == ("rows-in-both-sets",)
    assert found["rows-in-both-sets"].words.startswith("30 of the 200 validation rows have the same inputs")
    apart = held_out[0][30:], held_out[1][30:]
    assert cp.diagnose(net, params, X, Y, "squared_error", validation=apart).ok
    coarse = np.sign(X)
    assert cp.diagnose(net, params, coarse, Y, "squared_error", validation=(coarse[:100], Y[:100])).ok, "few values"


@pytest.mark.parametrize("change", [lambda X: 10 * X + 50, lambda X: 30 * X, lambda X: X / 30])
def test_validation_inputs_that_were_prepared_in_another_way(change):
    net = cp.Network.sequential(10, 8, 1)
    params, held, y = net.initialize(seed=0), rng.normal(size=(200, 10)), rng.normal(size=(200, 1))
    found = cp.diagnose(net, params, X, Y, "squared_error", validation=(change(held), y))
    assert "validation-inputs-differ" in found.codes
    assert found["validation-inputs-differ"].words.startswith("10 of 10 columns have other values")
    one = held.copy()
    one[:, 0] += 100  # a column that grows with time, for example
    assert "validation-inputs-differ" not in cp.diagnose(net, params, X, Y, "squared_error", validation=(one, y)).codes
