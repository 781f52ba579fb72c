"""What was learned: nothing, too little for rare classes, or the training rows by heart."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import clearprop as cp

rng = np.random.default_rng(77)
X, NOISE, CLASSES = rng.normal(size=(1000, 10)), rng.normal(size=(1000, 1)), rng.integers(0, 4, 1000)
BITS = np.array(list(itertools.product([-1.0, 1.0], repeat=8)))
ODD = (BITS.prod(1) > 0)[:, None] * 1.0
XOR = np.array([[1.0, 1], [1, 0], [0, 1], [0, 0]]), np.array([[0.0], [1], [1], [0]])
NO_BIAS = cp.Network(2, [cp.Layer("hidden", 2, "sigmoid", bias=False), cp.Layer("output", 1, "sigmoid", bias=False)])
START = {"hidden": {"input": [[0.9, 0.1], [0.3, 0.5]]}, "output": {"hidden": [[0.8], [0.7]]}}


def run(net, X, y, loss, optimizer, epochs, start=None, validation_rows=None, **options):
    params = net.initialize(seed=0, given=start)
    history = cp.train(net, params, X, y, loss=loss, optimizer=optimizer, epochs=epochs, **options)
    weight = options.get("sample_weight")
    return cp.diagnose(
        net, params, X, y, loss, history=history, sample_weight=weight, validation=validation_rows
    ), history


def regression(**options):
    return cp.Network.sequential(10, 8, 1, hidden="tanh", **options)


NOTHING = {
    "targets are noise": (regression(), X, NOISE, "squared_error", cp.Adam(0.001), 15),
    "classes are noise": (
        *(cp.Network.sequential(10, 8, 4, hidden="relu", output="softmax"), X, CLASSES),
        *("cross_entropy", cp.Adam(0.001), 20),
    ),
    "parity of 8 bits by 4 units": (
        *(cp.Network.sequential(8, 4, 1, hidden="tanh", output="sigmoid"), BITS, ODD),
        *("binary_cross_entropy", cp.Adam(0.003), 60),
    ),
    "rows and targets out of step": (regression(), X, np.roll(X[:, :1], 1, 0), "squared_error", cp.Adam(0.001), 20),
}


@pytest.mark.parametrize("name", NOTHING)
def test_nothing_learned(name):
    found, history = run(*NOTHING[name])
    finding = found["nothing-learned"]
    assert finding.severity == "serious"
    assert finding.numbers["cost"] > 0.98 * finding.numbers["of a constant"]
    assert f"After {history.epochs} epochs the cost of these rows is {finding.numbers['cost']:.4g}" in finding.words
    assert "each row of X belongs to its row of y" in finding.advice


def test_nothing_learned_on_four_rows():
    found, _ = run(NO_BIAS, *XOR, "squared_error", cp.GradientDescent(0.5), 2000, START, batch_size=1)
    assert found.codes == ("nothing-learned",)


def test_a_weak_signal_is_not_nothing():
    X = rng.normal(size=(5000, 4))
    y = 0.23 * X[:, :1] + rng.normal(size=(5000, 1))  # R2 is 0.05
    assert run(cp.Network.sequential(4, 1), X, y, "squared_error", cp.GradientDescent(0.01), 30)[0].ok


def test_a_few_large_targets_do_not_hide_what_was_learned():
    """The cost of a constant is that of three targets; the others are in the right order."""
    y = X[:, :1] + 0.5 * rng.normal(size=(1000, 1))
    y[:3] = 300.0
    found, _ = run(regression(), X, y, "absolute_error", cp.Adam(0.005), 30)
    assert "nothing-learned" not in found.codes
    assert "worse-than-a-constant" not in found.codes


@pytest.mark.parametrize("share", [0.3, 0.2])
def test_shuffled_labels_with_validation(share):
    """The training rows are learned by heart, and nothing that holds for others."""
    y = rng.permutation((X[:, :1] * X[:, 1:2] + X[:, 2:3] > 0) * 1.0)
    net = cp.Network.sequential(10, 32, 1, hidden="relu", output="sigmoid")
    found, history = run(net, X[:600], y[:600], "binary_cross_entropy", cp.Adam(0.005), 200, validation=share)
    assert history["validation cost"][-1] > 1.3 * min(history["validation cost"])
    assert "overfitting" in found.codes
    assert found.codes == ("nothing-learned", "overfitting")
    assert "nothing that carries over to other rows was learned" in found["nothing-learned"].words


WIDE = np.random.default_rng(33517).normal(size=(160, 40))
SIDES = (WIDE[:, :1] - WIDE[:, 1:2] + np.random.default_rng(33517).normal(0, 1, (160, 1)) > 0) * 1.0


@pytest.mark.parametrize("how", ["validation apart", "share", "noise"])
def test_overfitting(how):
    net = cp.Network.sequential(40, 128, 64, 1, hidden="relu", output="sigmoid")
    data, options, loss = (WIDE[:60], SIDES[:60]), {"validation": (WIDE[60:], SIDES[60:])}, "binary_cross_entropy"
    if how == "share":
        data, options = (WIDE, SIDES), {"validation": 0.4}
    if how == "noise":
        net, data, loss = cp.Network.sequential(10, 200, 1), (X[:200], NOISE[:200]), "squared_error"
        options = {"validation": 0.3}
    found, history = run(net, *data, loss, cp.Adam(0.003), 120, **options)
    finding = found["overfitting"]
    assert finding.severity == "warning"
    best = int(np.argmin(history["validation cost"]))
    assert f"was lowest in epoch {best + 1} ({min(history['validation cost']):.4g})" in finding.words
    assert "EarlyStopping" in finding.advice
    assert "labels-that-look-wrong" not in found.codes


def test_restored_parameters_do_not_overfit():
    net = cp.Network.sequential(40, 128, 64, 1, hidden="relu", output="sigmoid")
    options = {"validation": (WIDE[60:], SIDES[60:]), "stopping": cp.EarlyStopping(patience=30)}
    found, history = run(net, WIDE[:60], SIDES[:60], "binary_cross_entropy", cp.Adam(0.003), 120, **options)
    assert history.best_epoch is not None
    assert found.ok


def test_validation_rows_given_to_the_diagnosis():
    net = cp.Network.sequential(10, 64, 1, hidden="relu")
    y = X[:, :1] + NOISE
    held_out = X[300:], y[300:]
    found, _ = run(
        net, X[:300], NOISE[:300], "squared_error", cp.Adam(0.01), 200, validation_rows=(X[300:], NOISE[300:])
    )
    assert found.codes == ("nothing-learned", "overfitting")
    assert "that of the validation rows" in found["overfitting"].words
    found, _ = run(net, X[:300], y[:300], "squared_error", cp.Adam(0.001), 10, validation_rows=held_out)
    assert found.ok
    assert "rows-in-both-sets" in found.looked_for


def test_held_out_rows_of_a_network_that_learned_by_heart():
    net = cp.Network.sequential(40, 64, 1, hidden="relu", output="sigmoid")
    params = net.initialize(seed=0)
    y = (rng.uniform(size=(160, 1)) < 0.5) * 1.0
    history = cp.train(
        net, params, WIDE[:60], y[:60], loss="binary_cross_entropy", optimizer=cp.Adam(0.003), epochs=100
    )
    found = cp.diagnose(net, params, WIDE[60:], y[60:], "binary_cross_entropy", history=history)
    assert found.codes == ("overfitting", "worse-than-a-constant")
    assert "What was learned does not hold for other rows" in found["overfitting"].words
    assert "fewer units or epochs" in found["worse-than-a-constant"].advice


@pytest.mark.parametrize("cut", [2.4, 3.0, 3.2])
def test_class_weights_change_what_a_constant_costs(cut):
    draw = np.random.default_rng(2)
    X = draw.normal(size=(3000, 5))
    y = (X[:, :1] + X[:, 1:2] + 0.7 * draw.normal(size=(3000, 1)) > cut) * 1.0
    weight = np.where(y[:, 0] == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    net = cp.Network.sequential(5, 16, 1, hidden="relu", output="sigmoid")
    found, history = run(net, X, y, "binary_cross_entropy", cp.Adam(0.003), 20, sample_weight=weight)
    assert history.cost[-1] < 0.3
    assert found.ok


def test_rows_of_weight_0_do_not_count():
    y = NOISE.copy()
    y[500:] = 1e4
    weight = np.r_[np.ones(500), np.zeros(500)]
    found, _ = run(regression(), X, y, "squared_error", cp.GradientDescent(1e-6), 10, sample_weight=weight)
    assert found.codes == ("learning-rate-too-low", "worse-than-a-constant")
    assert found["worse-than-a-constant"].numbers["of a constant"] == pytest.approx(NOISE[:500].var() / 2)


def test_imbalanced_classes():
    draw = np.random.default_rng(1)
    X = draw.normal(size=(2000, 6))
    y = (X[:, :1] + 2 * draw.normal(size=(2000, 1)) > 4.6) * 1.0
    net = cp.Network.sequential(6, 8, 1, output="sigmoid")
    found, _ = run(net, X, y, "binary_cross_entropy", cp.Adam(0.002), 15)
    assert found.codes == ("imbalanced-classes",)
    finding = found["imbalanced-classes"]
    assert finding.numbers["share"] == pytest.approx(1 - y.mean())
    assert f"{finding.numbers['share']:.1%} of the rows are of class 0" in finding.words
    assert f"of the {int(y.sum())} rows of other classes" in finding.words
    assert "sample_weight" in finding.advice
    weight = np.where(y[:, 0] == 1, 1 / y.mean(), 1.0)
    assert (
        "imbalanced-classes"
        not in run(net, X, y, "binary_cross_entropy", cp.Adam(0.002), 15, sample_weight=weight)[0].codes
    )
    untrained = cp.diagnose(net, net.initialize(seed=0), X, y, "binary_cross_entropy")
    assert untrained.ok
