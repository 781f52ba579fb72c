"""The learning rate: after a divergence, after a collapse, and with the reduction "sum"."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import TrainingDiverged

rng = np.random.default_rng(6)
X = rng.normal(size=(1000, 8))
Y = np.sin(X[:, :1]) + X[:, 1:2]
LABELS = rng.integers(0, 4, 1000)
CLUSTERS = X + 3 * np.eye(4, 8)[LABELS]
NUMBERS = cp.Network.sequential(8, 32, 32, 1), X, Y, "squared_error"
CLASSES = cp.Network.sequential(8, 32, 32, 4, output="softmax"), CLUSTERS, LABELS, "cross_entropy"


@pytest.mark.parametrize(
    ("problem", "optimizer", "healthy"),
    [
        (NUMBERS, cp.Adam(1.0), False),
        (CLASSES, cp.GradientDescent(3.0), False),
        (CLASSES, cp.Nesterov(1.0), False),
        (NUMBERS, cp.Adam(0.003), True),
        (CLASSES, cp.Momentum(0.01), True),
    ],
)
def test_a_rate_too_high_is_seen_after_the_collapse(problem, optimizer, healthy):
    net, X, y, loss = problem
    params = net.initialize(seed=0)
    history = cp.train(net, params, X, y, loss=loss, optimizer=optimizer, epochs=30)
    found = cp.diagnose(net, params, X, y, loss, history=history)
    assert found.codes[:1] == (() if healthy else ("learning-rate-too-high",))
    if not healthy:
        words = found["learning-rate-too-high"].words
        assert f"In epoch 1 the cost was {history.cost[0]:.4g} (learning rate " in words
        assert "that of such a network before training" in words


@pytest.mark.parametrize("rate", [10.0, 0.35])
def test_a_divergence_carries_the_history(rate):
    """In the first epoch, and after some."""
    draw = np.random.default_rng(0)
    X = draw.normal(size=(600, 10))
    y = 2 * X[:, :1] + X[:, 1:2] ** 2
    net = cp.Network.sequential(10, 32, 1, hidden="relu")
    params = net.initialize(0)
    with pytest.raises(TrainingDiverged) as raised:
        cp.train(net, params, X, y, loss="squared_error", optimizer=cp.GradientDescent(rate), epochs=60)
    history = raised.value.history
    assert history.epochs == raised.value.epoch
    assert history.stopped.startswith(f"diverged in epoch {history.epochs + 1}, step ")
    assert history.unfinished == {"epoch": history.epochs, "diverged": 1.0}
    found = cp.diagnose(net, params, X, y, "squared_error", history=history)
    assert found.codes[0] == "learning-rate-too-high"
    assert f"Training diverged in epoch {history.epochs + 1}, step " in found["learning-rate-too-high"].words
    assert "Lower the learning rate" in found["learning-rate-too-high"].advice
    unscaled = cp.diagnose(net, params, 1e3 * X, y, "squared_error", history=history)
    assert unscaled.codes[:2] == ("unscaled-inputs", "learning-rate-too-high"), "the cause comes first"


def test_the_history_of_a_divergence_can_be_saved(tmp_path):
    net = cp.Network.sequential(8, 1)
    params = net.initialize(seed=0)
    with pytest.raises(TrainingDiverged) as raised:
        cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.GradientDescent(50.0), epochs=60)
    model = cp.Model(net, params, cp.SquaredError(), history=raised.value.history)
    model.save(tmp_path / "m.cprop")
    loaded = cp.Model.load(tmp_path / "m.cprop").history
    assert loaded == raised.value.history
    assert cp.diagnose(net, params, X, Y, "squared_error", history=loaded).codes == ("learning-rate-too-high",)


def test_lbfgs_is_not_told_to_lower_a_rate():
    net = cp.Network.sequential(8, 6, 1, hidden="tanh")
    params = net.initialize(seed=0)
    history = cp.train(net, params, 1e3 * X, Y, loss="squared_error", optimizer="lbfgs", epochs=3)
    found = cp.diagnose(net, params, 1e3 * X, Y, "squared_error", history=history, optimizer="lbfgs")
    assert "unscaled-inputs" in found.codes
    assert not any("learning rate" in finding.advice for finding in found)


@pytest.mark.parametrize(("optimizer", "adam"), [(cp.Adam(1e-6), False), (cp.GradientDescent(1e-5), True)])
def test_adam_is_not_told_to_use_adam(optimizer, adam):
    net, X, y, loss = NUMBERS
    params = net.initialize(seed=0)
    history = cp.train(net, params, X, y, loss=loss, optimizer=optimizer, epochs=20)
    advice = cp.diagnose(net, params, X, y, loss, history=history)["learning-rate-too-low"].advice
    assert ("use adam" in advice) == adam


@pytest.mark.parametrize(
    ("output", "y", "loss", "mean", "total", "expected"),
    [
        ("identity", Y, "squared_error", cp.Adam(0.005), cp.Adam(0.005), ()),
        ("sigmoid", (Y > 0) * 1.0, "binary_cross_entropy", cp.Momentum(0.064), cp.Momentum(0.002), ()),
        ("identity", Y, "huber", cp.Adam(0.005), cp.Adam(0.005), ()),
        (
            "identity",
            Y,
            "squared_error",
            cp.Adam(1e-6),
            cp.Adam(1e-6),
            ("learning-rate-too-low", "nothing-learned", "worse-than-a-constant"),
        ),
        ("identity", rng.normal(size=(1000, 1)), "squared_error", cp.Adam(0.001), cp.Adam(0.001), ("nothing-learned",)),
    ],
)
def test_the_sum_of_the_losses_gets_the_verdict_of_the_mean(output, y, loss, mean, total, expected):
    codes = []
    for reduction, optimizer in (("mean", mean), ("sum", total)):
        net = cp.Network.sequential(8, 24, 1, hidden="tanh", output=output)
        params = net.initialize(seed=1)
        options = {"optimizer": optimizer, "epochs": 20, "reduction": reduction, "validation": 0.2}
        history = cp.train(net, params, X, y, loss=loss, **options)
        assert (history.facts.summed != {}) == (reduction == "sum")
        codes.append(cp.diagnose(net, params, X, y, loss, history=history, reduction=reduction).codes)
    assert codes[0] == codes[1]
    assert codes[0] == expected
