"""Connections: each kind against the full matrix it stands for, and the patterns of wired ones."""

from __future__ import annotations

import math

import numpy as np
import pytest
from cases import CONNECTION_CASES, WINDOW, ids

import clearprop as cp
from clearprop.core.connections import CONNECTIONS
from clearprop.errors import NetworkError

every_connection = pytest.mark.parametrize("case", CONNECTION_CASES, ids=ids(CONNECTION_CASES))


def draw(case, dtype="float64"):
    """A layer that takes the input by the connection, the layer's weights W, activations a and sensitivities delta."""
    rng = np.random.default_rng(0)
    net = cp.Network(case.source, [cp.Layer("output", case.units, sources=case.make("input"))])
    (connection,) = net["output"].connections
    W = net.initialize(seed=0)["output"].W.get("input")
    W = None if W is None else W.astype(dtype)
    a, delta = rng.normal(size=(7, case.source)).astype(dtype), rng.normal(size=(7, case.units)).astype(dtype)
    return net, connection, W, a, delta


@every_connection
def test_weights_and_fan_in(case):
    net, connection, _, _, _ = draw(case)
    assert isinstance(connection, cp.core.connections.Connection)
    assert net.parameter_count == case.weights + case.units
    assert net.trainable_count == case.units + (case.weights if connection.trainable else 0)
    assert net.fan_in(net["output"]) == case.fan_in
    assert CONNECTIONS[connection.kind] is type(connection)


@every_connection
def test_matrix(case):
    _, connection, W, _, _ = draw(case)
    flat = np.zeros(0) if W is None else W.ravel()
    np.testing.assert_array_equal(connection.matrix(W, case.units), case.matrix(flat))


@every_connection
def test_forward_and_backward_are_products_with_the_matrix(case):
    _, connection, W, a, delta = draw(case)
    M = connection.matrix(W, case.units)
    np.testing.assert_allclose(connection.forward(a, W), a @ M, atol=1e-15)
    np.testing.assert_allclose(connection.backward(delta, W), delta @ M.T, atol=1e-15)


@every_connection
def test_gradient_is_the_chain_rule_through_the_matrix(case):
    """dJ/dw_k = sum over entries of dJ/dM dM/dw_k, where M is linear in w."""
    _, connection, W, a, delta = draw(case)
    if W is None:
        assert case.weights == 0
        return
    full = a.T @ delta
    expected = [(full * case.matrix(unit)).sum() for unit in np.eye(W.size)]
    np.testing.assert_allclose(connection.gradient(a, delta).ravel(), expected, rtol=1e-13)
    assert connection.gradient(a, delta).shape == W.shape


@every_connection
def test_precision_is_kept(case):
    _, connection, W, a, delta = draw(case, "float32")
    assert connection.forward(a, W).dtype == np.float32
    assert connection.backward(delta, W).dtype == np.float32
    if W is not None:
        assert connection.gradient(a, delta).dtype == np.float32


@every_connection
def test_connections_are_equal_and_hash_by_content(case):
    assert case.make("input") == case.make("input")
    assert hash(case.make("input")) == hash(case.make("input"))
    assert case.make("input") != case.make("other")


def test_wired_by_a_full_pattern_of_its_own_numbers_is_dense():
    pattern = np.arange(1, 7).reshape(2, 3)
    wired = cp.Network(2, [cp.Layer("output", 3, "tanh", cp.Wired("input", pattern))])
    dense = cp.Network.sequential(2, 3, output="tanh")
    X, y = np.random.default_rng(0).normal(size=(2, 9, 2)), np.random.default_rng(1).normal(size=(9, 3))
    start = np.arange(6.0) / 10
    one = wired.initialize(given={"output": {"input": start}})
    two = dense.initialize(given={"output": {"input": start.reshape(2, 3)}})
    for rows in X:
        a, b = (cp.backpropagate(net, p, rows, y, loss="squared_error") for net, p in ((wired, one), (dense, two)))
        np.testing.assert_allclose(a.gradients.flat, b.gradients.flat, rtol=1e-13)
        assert a.cost == pytest.approx(b.cost)


def test_wired_window_is_a_convolution():
    net = cp.Network(3, [cp.Layer("output", 2, sources=cp.Wired("input", WINDOW), bias=False)])
    params = net.initialize(given={"output": {"input": [2.0, -1.0]}})
    X = np.random.default_rng(0).normal(size=(5, 3))
    expected = [np.correlate(x, [2.0, -1.0], "valid") for x in X]
    np.testing.assert_allclose(cp.predict(net, params, X), expected, rtol=1e-14)


def test_patterns_may_be_lists_arrays_or_truth_values():
    assert cp.Wired("input", [[True, False]]) == cp.Wired("input", np.array([[1, 0]], np.uint8))
    assert cp.Wired("input", [[1, 0]]).pattern == ((1, 0),)


BAD_PATTERNS = [
    ([[0, 0], [0, 0]], 'connection from "input": the pattern is all 0, so nothing is connected.'),
    ([[1, -1], [0, 2]], "a pattern holds 0 (no connection) and 1, 2, ..., got -1."),
    ([[1, 3], [0, 4]], "numbered 1 to 4 without gaps, but 2 does not occur."),
    ([[1, 3], [0, 4]], "Renumber with np.unique(pattern, return_inverse=True)."),
    (
        [1, 2],
        "expected a pattern of whole numbers with one row per source unit and one column per unit, got shape (2,)",
    ),
    ([[1.0, 2.0]], "got shape (1, 2) of float64."),
    ([[1.5, math.nan]], "got shape (1, 2) of float64."),
    ([["a", "b"]], "expected a pattern of whole numbers"),
    ([[1], [1, 2]], "expected a pattern of whole numbers"),
    ([], "got shape (0,)"),
    ([[]], "got shape (1, 0)"),
    (None, "got shape () of object."),
]


@pytest.mark.parametrize(("pattern", "telling"), BAD_PATTERNS)
def test_bad_patterns(pattern, telling):
    with pytest.raises(NetworkError) as error:
        cp.Wired("input", pattern)
    assert telling in str(error.value)


def test_a_pattern_of_another_shape():
    with pytest.raises(NetworkError) as error:
        cp.Network(2, [cp.Layer("output", 3, sources=cp.Wired("input", WINDOW))])
    assert str(error.value) == (
        'layer "output": the pattern of the connection from "input" has shape (3, 2), expected (2, 3): '
        "a row per unit of the source, a column per unit of the layer."
    )


def test_an_identity_connection_between_different_sizes():
    with pytest.raises(NetworkError) as error:
        cp.Network(2, [cp.Layer("output", 3, sources=cp.Direct("input"))])
    assert str(error.value) == (
        'layer "output": an identity connection needs as many units as its source "input" has (2), the layer has 3. '
        "Use a dense connection, or give both the same size."
    )
