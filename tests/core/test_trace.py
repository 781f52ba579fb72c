"""The trace of a pass: what it holds, what printing it shows, and prediction."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import NetworkError

NET = cp.Network(2, [cp.Layer("hidden", 3, "tanh"), cp.Layer("output", 1, "sigmoid", sources=["hidden", "input"])])
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(5, 2)), rng.integers(0, 2, size=(5, 1)).astype(float)


def test_a_trace_holds_what_both_sweeps_saw():
    params = NET.initialize(seed=0)
    trace = cp.backpropagate(NET, params, X, Y, loss="binary_cross_entropy")
    assert isinstance(trace, cp.Trace)
    assert isinstance(trace["hidden"], cp.core.trace.LayerTrace)
    assert list(trace) == ["hidden", "output"]
    for name, units in (("hidden", 3), ("output", 1)):
        layer = trace[name]
        assert layer.name == name
        assert layer.z.shape == layer.a.shape == layer.error.shape == layer.delta.shape == (5, units)
    np.testing.assert_allclose(trace["hidden"].a, np.tanh(trace["hidden"].z), rtol=1e-15)
    np.testing.assert_array_equal(trace["output"].a, cp.predict(NET, params, X))
    np.testing.assert_allclose(trace["output"].delta, (trace["output"].a - Y) / 5, rtol=1e-13)
    assert trace.losses.shape == (5,)
    assert trace.cost == pytest.approx(trace.losses.mean())
    assert trace.X is X
    assert trace.gradients["output"].W["input"].shape == (2, 1)


def test_a_trace_keeps_the_parameters_it_was_made_with():
    params = NET.initialize(seed=0)
    trace = cp.backpropagate(NET, params, X, Y, loss="squared_error")
    before = params.flat.copy()
    params.flat[...] = 0
    np.testing.assert_array_equal(trace.params.flat, before)


def test_delta_is_the_pullback_of_the_error_signal_also_where_the_loss_took_the_short_form():
    net = cp.Network(2, [cp.Layer("h", 3, "layer_normalization"), cp.Layer("o", 3, "softmax")])
    trace = cp.backpropagate(net, net.initialize(seed=1), X, [0, 1, 2, 0, 1], loss="cross_entropy")
    for layer in net.layers:
        seen = trace[layer.name]
        np.testing.assert_allclose(layer.f.pullback(seen.z, seen.a, seen.error), seen.delta, rtol=1e-9, atol=1e-12)


def test_dropout_is_off():
    dropped = NET.with_layer("hidden", dropout=0.9)
    params = NET.initialize(seed=0)
    same = cp.Parameters(dropped, params.flat)
    a, b = (cp.backpropagate(net, p, X, Y, loss="squared_error") for net, p in ((NET, params), (dropped, same)))
    assert a.cost == b.cost
    np.testing.assert_array_equal(a.gradients.flat, b.gradients.flat)
    np.testing.assert_array_equal(cp.predict(NET, params, X), cp.predict(dropped, same, X))


def test_printing_shows_every_number_of_a_small_network():
    net = cp.Network.sequential(1, 2, 1, hidden="relu")
    params = net.initialize(given={"hidden": {"input": [[1, -1]], "b": [0, 0.5]}, "output": {"hidden": [[2], [3]]}})
    trace = cp.backpropagate(net, params, [[1.0], [2.0]], [[1.0], [1.0]], loss="squared_error", reduction="sum")
    assert str(trace).splitlines() == [
        "cost J = 5    (squared_error, sum over 2 samples)",
        "",
        "hidden   2 units, relu, from input",
        "  sample unit            z            a    error dJ/da    delta dJ/dz",
        "       0    0            1            1              2              2",
        "       0    1         -0.5            0              3              0",
        "       1    0            2            2              6              6",
        "       1    1         -1.5            0              9              0",
        "  dJ/dW from input (1, 2)",
        "            14            0",
        "  dJ/db (2,)",
        "             8            0",
        "",
        "output   1 unit, identity, from hidden",
        "  sample unit            z            a    error dJ/da    delta dJ/dz",
        "       0    0            2            2              1              1",
        "       1    0            4            4              3              3",
        "  dJ/dW from hidden (2, 1)",
        "             7",
        "             0",
        "  dJ/db (1,)",
        "             4",
    ]


def test_printing_a_large_network_says_what_it_leaves_out():
    net = cp.Network(12, [cp.Layer("h", 10, "tanh", cp.Dense("input", trainable=False)), cp.Layer("o", 1)])
    trace = cp.backpropagate(net, net.initialize(), rng.normal(size=(7, 12)), rng.normal(size=(7, 1)), loss="huber")
    text = str(trace)
    assert "  ... 3 more samples and 2 more units" in text
    assert "  ... 4 more rows" in text
    assert " ...\n" in text
    assert "  dJ/dW from input (12, 10), frozen" in text
    assert max(map(len, text.splitlines())) < 120


def test_an_unknown_layer():
    trace = cp.backpropagate(NET, NET.initialize(), X, Y, loss="squared_error")
    with pytest.raises(NetworkError) as error:
        trace["Hidden"]
    assert str(error.value) == 'trace: there is no layer "Hidden". Did you mean "hidden"? Available: hidden, output.'


def test_prediction_of_one_and_of_several_outputs():
    net = cp.Network(2, [cp.Layer("a", 1), cp.Layer("b", 2, "softmax", "input")], outputs=["b", "a"])
    found = cp.predict(net, net.initialize(seed=0), X)
    assert list(found) == ["b", "a"]
    assert found["a"].shape == (5, 1)
    np.testing.assert_allclose(found["b"].sum(axis=1), 1)
    alone = cp.predict(NET, NET.initialize(seed=0), X[:1])
    assert alone.shape == (1, 1)
    assert cp.predict(NET, NET.initialize(dtype="float32"), X).dtype == np.float32


def test_the_cost_alone():
    params = NET.initialize(seed=0)
    arguments = (X, Y, "binary_cross_entropy", [1, 2, 0, 1, 3], "sum")
    assert cp.cost(NET, params, *arguments) == pytest.approx(cp.backpropagate(NET, params, *arguments).cost, rel=1e-13)
    assert type(cp.cost(NET, params, *arguments)) is float


def test_predictions_do_not_share_memory_with_the_input():
    net = cp.Network(2, [cp.Layer("same", 2, sources=cp.Direct("input"), bias=False)])
    found = cp.predict(net, net.initialize(), X)
    np.testing.assert_array_equal(found, X)
    assert not np.shares_memory(found, X)


def test_a_trace_says_what_it_is_in_one_line():
    net = cp.Network.sequential(1, 1)
    params = net.initialize(given={"output": {"input": [[2.0]]}})
    trace = cp.backpropagate(net, params, [[1.0], [2.0]], [[1.0], [1.0]], loss="squared_error")
    assert repr(trace) == "<Trace: cost J = 2.5, 2 samples, layers output; print it to see the numbers>"
