"""The prepared predictor agrees with cp.predict."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import clearprop as cp
from tests.engine.compiled.test_compiled import networks


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.sampled_from([1, 2, 95, 96, 97, 200]))
def test_it_agrees_with_the_forward_sweep(drawn, rows: int) -> None:
    net, _ = drawn
    params = net.initialize(seed=rows)
    X = np.random.default_rng(rows).normal(size=(rows, net.inputs))
    ours, theirs = cp.Predictor(net, params)(X), cp.predict(net, params, X)
    if not isinstance(theirs, dict):
        ours, theirs = {"": ours}, {"": theirs}
    assert ours.keys() == theirs.keys()
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-10, atol=1e-12)


def test_many_rows_in_several_threads() -> None:
    net = cp.Network.sequential(50, 60, 3, output="softmax")
    params = net.initialize(0)
    X = np.random.default_rng(0).normal(size=(30_000, 50))
    np.testing.assert_allclose(cp.Predictor(net, params)(X), cp.predict(net, params, X), rtol=1e-10)


def test_it_checks_its_input() -> None:
    net = cp.Network.sequential(2, 1)
    predictor = cp.Predictor(net, net.initialize(0))
    with pytest.raises(cp.errors.DataError, match="nan at row 1, column 0"):
        predictor(np.array([[0.0, 1.0], [np.nan, 1.0]]))
    with pytest.raises(cp.errors.ShapeError, match="expected 2 columns"):
        predictor(np.zeros((1, 3)))


def test_outputs_in_another_order_than_the_layers() -> None:
    layers = [
        cp.Layer("a", 2, "tanh"),
        cp.Layer("b", 4, "relu", sources="input"),
        cp.Layer("c", 2, sources=["a", "b"]),
    ]
    net = cp.Network(3, layers, outputs=["c", "b", "a"])
    params, X = net.initialize(seed=0), np.random.default_rng(0).normal(size=(5, 3))
    ours, theirs = cp.Predictor(net, params)(X), cp.predict(net, params, X)
    assert list(ours) == list(theirs) == ["c", "b", "a"]
    for name, expected in theirs.items():
        np.testing.assert_allclose(ours[name], expected, rtol=1e-12)
