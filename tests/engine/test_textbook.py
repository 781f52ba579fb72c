"""One epoch of an engine against the same steps written out with `cp.backpropagate`."""

from __future__ import annotations

import numpy as np
import pytest
from cases import ENGINES
from epochs import run_batches

import clearprop as cp
from clearprop.core.backprop import forward
from clearprop.core.objective import prepare
from clearprop.core.randomness import dropout_mask, epoch_order
from clearprop.engine.api import Training
from clearprop.engine.textbook import TextbookEngine
from clearprop.penalties import Limits

every_engine = pytest.mark.parametrize("engine", ENGINES)
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(11, 3)), rng.normal(size=(11, 2))
W = rng.uniform(0.5, 2, size=11)
NET = cp.Network(
    3,
    [
        cp.Layer("a", 4, "tanh"),
        cp.Layer("b", 4, "sigmoid", [cp.Dense("a", trainable=False), cp.Direct("a"), "input"], train_bias=False),
        cp.Layer("out", 2, sources=["b", cp.Wired("input", [[1, 0], [2, 1], [0, 2]])]),
    ],
)


def batches_of(epoch, n, size, shuffle, seed):
    order = epoch_order(seed, epoch, n) if shuffle else np.arange(n)
    return [order[start : start + size] for start in range(0, n, size)]


@every_engine
@pytest.mark.parametrize("weights", [None, W], ids=["no weights", "weights"])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("size", [None, 11, 4, 1, 100])
def test_whole_set_mini_batch_and_online_steps(engine, size, shuffle, reduction, weights):
    params, by_hand = NET.initialize(seed=1), NET.initialize(seed=1)
    history = cp.train(
        NET,
        params,
        X,
        Y,
        loss="squared_error",
        optimizer=cp.GradientDescent(0.01),
        batch_size=size,
        epochs=2,
        shuffle=shuffle,
        seed=7,
        reduction=reduction,
        sample_weight=weights,
        engine=engine,
    )
    w = np.ones(11) if weights is None else weights
    for epoch in range(2):
        costs, shares = [], []
        for rows in batches_of(epoch, 11, size or 11, shuffle, 7):
            trace = cp.backpropagate(NET, by_hand, X[rows], Y[rows], "squared_error", w[rows], reduction)
            by_hand.trainable[...] -= 0.01 * trace.gradients.trainable
            costs.append(trace.cost)
            shares.append(w[rows].sum())
        expected = np.average(costs, weights=shares) if reduction == "mean" else np.sum(costs)
        assert history.cost[epoch] == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(params.flat, by_hand.flat, rtol=1e-12, atol=1e-15)
    for name in trace:
        assert history.delta_norms[name][1] == pytest.approx(np.linalg.norm(trace[name].delta), rel=1e-10)
        g = trace.gradients[name]
        norm = np.sqrt(sum((array**2).sum() for array in [*g.W.values(), g.b]))
        assert history.gradient_norms[name][1] == pytest.approx(norm, rel=1e-10)
    assert history["gradient norm"][1] == pytest.approx(np.linalg.norm(trace.gradients.trainable), rel=1e-10)


@every_engine
@pytest.mark.parametrize("size", [None, 4, 1])
def test_dropout_follows_the_rows_of_each_batch(engine, size):
    """A step by hand with the masks of its rows: the same mask for a row whatever batch it comes in."""
    net = NET.with_layer("a", dropout=0.5).with_layer("b", dropout=0.2)
    params, by_hand = net.initialize(seed=1), net.initialize(seed=1)
    options = {"batch_size": size, "epochs": 2, "seed": 5, "engine": engine}
    cp.train(net, params, X, Y, loss="squared_error", optimizer=cp.GradientDescent(0.05), **options)
    objective = prepare(net, by_hand, X, Y, "squared_error")
    g = cp.Parameters(net, np.zeros_like(by_hand.flat))
    zeros = 0
    for epoch in range(2):
        for rows in batches_of(epoch, 11, size or 11, True, 5):
            masks = {
                name: dropout_mask(5, epoch, net.index[name], rows, 4, share, X.dtype)
                for name, share in (("a", 0.5), ("b", 0.2))
            }
            zeros += (masks["a"] == 0).sum()
            objective.sweep(by_hand, g, rows, masks)
            by_hand.trainable[...] -= 0.05 * g.trainable
    assert 20 < zeros < 70
    np.testing.assert_allclose(params.flat, by_hand.flat, rtol=1e-12, atol=1e-15)


@every_engine
def test_dropout_of_a_linear_layer_leaves_the_mean_output_alone(engine):
    """Averaged over many epochs of rate ~0, the cost with dropout is that of inputs with the noise of the masks."""
    net = cp.Network(1, [cp.Layer("h", 20, dropout=0.5, bias=False), cp.Layer("out", 1, bias=False)])
    params = net.initialize(given={"h": {"input": np.ones((1, 20))}, "out": {"h": np.full((20, 1), 0.05)}})
    n = 500
    options = {"optimizer": cp.GradientDescent(1e-300), "batch_size": None, "epochs": 20, "engine": engine}
    history = cp.train(net, params, np.ones((n, 1)), np.ones((n, 1)), loss="squared_error", **options)
    variance = 20 * 0.05**2  # of a sum of 20 masks 0 or 2, each with variance 1
    assert np.mean(history.cost) == pytest.approx(variance / 2, rel=0.05)


@every_engine
def test_frozen_parameters_stay_bit_for_bit(engine):
    params = NET.initialize(seed=1)
    before = params.copy()
    options = {"penalty": [cp.penalties.L1(0.1), cp.penalties.L2(0.1)], "max_norm": 0.1, "epochs": 3, "engine": engine}
    cp.train(NET, params, X, Y, loss="huber", optimizer=cp.AdamW(0.1), **options)
    for now, then in ((params["b"].W["a"], before["b"].W["a"]), (params["b"].b, before["b"].b)):
        np.testing.assert_array_equal(now, then)
    assert (params.trainable != before.trainable).all()


@every_engine
def test_wired_weights_stay_shared(engine):
    """Training a wired layer is training a dense one whose gradient is summed over the places that share a weight."""
    targets = np.tanh(Y)
    pattern = np.array([[1, 0], [2, 1], [0, 2]])
    wired = cp.Network(3, [cp.Layer("out", 2, "tanh", cp.Wired("input", pattern))])
    dense = cp.Network(3, [cp.Layer("out", 2, "tanh")])
    params = wired.initialize(seed=0)
    full = wired["out"].connections[0].matrix(params["out"].W["input"], 2)
    by_hand = dense.initialize(given={"out": {"input": full}})
    options = {"optimizer": cp.GradientDescent(0.1), "batch_size": 4, "epochs": 3, "shuffle": False, "engine": engine}
    cp.train(wired, params, X, targets, loss="squared_error", **options)
    for _ in range(3):
        for start in range(0, 11, 4):
            rows = slice(start, start + 4)
            g = cp.backpropagate(dense, by_hand, X[rows], targets[rows], "squared_error").gradients["out"]
            for k in (1, 2):
                by_hand["out"].W["input"][pattern == k] -= 0.1 * g.W["input"][pattern == k].sum()
            by_hand["out"].b -= 0.1 * g.b
    assert params["out"].W["input"].shape == (2,)
    trained = wired["out"].connections[0].matrix(params["out"].W["input"], 2)
    np.testing.assert_allclose(trained, by_hand["out"].W["input"], rtol=1e-12)
    np.testing.assert_allclose(cp.predict(wired, params, X), cp.predict(dense, by_hand, X), rtol=1e-12)


@every_engine
def test_penalties_are_part_of_the_gradient_and_the_cost(engine):
    """One whole-set step: cost J(w) + 0.3 sum |w| + 0.1 sum w^2 over trainable weights, at the w before the step."""
    params = NET.initialize(seed=1)
    w = params.penalized.copy()
    trace = cp.backpropagate(NET, params, X, Y, "squared_error")
    options = {
        "penalty": [cp.penalties.L1(0.3), cp.penalties.L2(0.2)],
        "batch_size": None,
        "epochs": 1,
        "engine": engine,
    }
    history = cp.train(NET, params, X, Y, loss="squared_error", optimizer=cp.GradientDescent(0.01), **options)
    assert history.cost[0] == pytest.approx(trace.cost + 0.3 * np.abs(w).sum() + 0.1 * (w**2).sum(), rel=1e-12)
    slope = trace.gradients.trainable.copy()
    slope[: len(w)] += 0.3 * np.sign(w) + 0.2 * w
    np.testing.assert_allclose(params.trainable, trace.params.trainable - 0.01 * slope, rtol=1e-12)
    assert history["gradient norm"][0] == pytest.approx(np.linalg.norm(slope))


@every_engine
def test_penalties_do_not_depend_on_the_size_of_the_batch(engine):
    """With a loss that is 0, each step shrinks the weights by rate * strength, for any batch and reduction."""
    nothing = cp.losses.CustomLoss("nothing", lambda yhat, y: (0 * yhat, 0 * yhat))
    for size, steps in ((None, 1), (4, 3), (1, 11)):
        for reduction in ("mean", "sum"):
            params = NET.initialize(seed=1)
            before = params.copy()
            options = {"penalty": cp.penalties.L2(0.5), "batch_size": size, "epochs": 1, "engine": engine}
            history = cp.train(
                NET, params, X, Y, loss=nothing, optimizer=cp.GradientDescent(0.1), reduction=reduction, **options
            )
            np.testing.assert_allclose(params.penalized, before.penalized * 0.95**steps, rtol=1e-12)
            np.testing.assert_array_equal(params["a"].b, before["a"].b)
            costs = [0.25 * (before.penalized**2).sum() * 0.95 ** (2 * step) for step in range(steps)]
            assert history.cost[0] == pytest.approx(np.mean(costs))


@every_engine
def test_clipping_by_norm_and_by_value(engine):
    for limits in ({"clip_norm": 0.01}, {"clip_value": 0.001}, {"clip_value": 0.01, "clip_norm": 0.02}):
        params = NET.initialize(seed=1)
        before = params.copy()
        g = cp.backpropagate(NET, params, X, Y, "squared_error").gradients.trainable.copy()
        if "clip_value" in limits:
            g = g.clip(-limits["clip_value"], limits["clip_value"])
        if "clip_norm" in limits:
            assert np.linalg.norm(g) > limits["clip_norm"]
            g *= limits["clip_norm"] / np.linalg.norm(g)
        options = {"batch_size": None, "epochs": 1, "engine": engine, **limits}
        cp.train(NET, params, X, Y, loss="squared_error", optimizer=cp.GradientDescent(1.0), **options)
        np.testing.assert_allclose(params.trainable, before.trainable - g, rtol=1e-12)


@every_engine
def test_max_norm_bounds_the_weights_into_each_unit_from_each_source(engine):
    params, free = NET.initialize(seed=1), NET.initialize(seed=1)
    options = {"loss": "squared_error", "optimizer": cp.GradientDescent(0.1), "batch_size": None, "epochs": 1}
    cp.train(NET, free, X, Y, engine=engine, **options)
    cp.train(NET, params, X, Y, max_norm=0.5, engine=engine, **options)
    shortened = 0
    for layer, source in (("a", "input"), ("b", "input"), ("out", "b"), ("out", "input")):
        W, unbounded = params[layer].W[source], free[layer].W[source]
        norms = np.sqrt((unbounded**2).sum(axis=0))
        np.testing.assert_allclose(W, unbounded * np.minimum(1, 0.5 / norms), rtol=1e-12)
        shortened += (norms > 0.5).sum()
    assert shortened > 3
    np.testing.assert_array_equal(params["a"].b, free["a"].b)


@every_engine
@pytest.mark.parametrize("rows", [1, 2])
def test_fewer_rows_than_the_batch(engine, rows):
    params, whole = NET.initialize(seed=1), NET.initialize(seed=1)
    for p, size in ((params, 32), (whole, None)):
        cp.train(NET, p, X[:rows], Y[:rows], loss="huber", batch_size=size, epochs=3, shuffle=False, engine=engine)
    np.testing.assert_array_equal(params.flat, whole.flat)
    assert np.isfinite(params.flat).all()


@every_engine
def test_a_batch_whose_weights_are_all_zero_changes_nothing(engine):
    params, weights = NET.initialize(seed=1), np.zeros(11)
    weights[0] = 1
    first = NET.initialize(seed=1)
    options = {"loss": "squared_error", "optimizer": cp.GradientDescent(0.1), "epochs": 1, "shuffle": False}
    history = cp.train(NET, params, X, Y, batch_size=1, sample_weight=weights, engine=engine, **options)
    expected = cp.train(NET, first, X[:1], Y[:1], engine=engine, **options)
    np.testing.assert_array_equal(params.flat, first.flat)
    assert history.cost == pytest.approx(expected.cost)


def test_an_engine_can_be_taken_up_again():
    """Slots and steps carried over to a new engine give the same bits as going on with the old one."""
    params, other = NET.initialize(seed=1), NET.initialize(seed=1)
    for optimizer in (cp.Adam(0.01), cp.Momentum(0.01), cp.Rprop(0.01)):
        training = Training(
            prepare(NET, params, X, Y, "squared_error"), optimizer, (cp.penalties.L2(0.1),), Limits(), 3
        )
        engine = TextbookEngine(training, params)
        batches = batches_of(0, 11, 4, True, 3)
        result = run_batches(engine, 0, batches)
        assert engine.state.steps == 3
        assert set(engine.state.slots) == set(optimizer.slots)
        other.flat[...] = params.flat
        resumed = TextbookEngine(training, other)
        resumed.state = engine.state
        results = [run_batches(e, 1, batches) for e in (engine, resumed)]
        assert results[0] == results[1]
        assert results[0].cost < result.cost
        np.testing.assert_array_equal(params.flat, other.flat)


@every_engine
def test_a_network_without_anything_to_train(engine):
    net = cp.Network(3, [cp.Layer("out", 3, "tanh", cp.Direct("input"), bias=False)])
    y = X.clip(-1, 1)
    history = cp.train(net, net.initialize(), X, y, loss="squared_error", epochs=2, engine=engine)
    expected = 0.5 * ((np.tanh(X) - y) ** 2).sum(axis=1).mean()
    assert history.cost == pytest.approx([expected, expected])


@every_engine
def test_training_does_not_touch_the_data(engine):
    kept = X.copy(), Y.copy(), W.copy()
    params = NET.initialize(seed=1)
    cp.train(NET, params, X, Y, loss="squared_error", sample_weight=W, epochs=1, engine=engine)
    for now, before in zip((X, Y, W), kept, strict=True):
        np.testing.assert_array_equal(now, before)
    assert np.isfinite(forward(NET, params, X).a["out"]).all()
