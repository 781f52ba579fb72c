"""Gradient checking says yes to right gradients, and names the place of a wrong one."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from networks import problems

import clearprop as cp
from clearprop.errors import ArgumentError

rng = np.random.default_rng(0)
X, Y = rng.normal(size=(4, 2)), rng.normal(size=(4, 1))


def smooth(problem):
    """No kinks in it: checked on those in tests/test_backprop.py, where they are stayed away from."""
    from networks import ACTIVATION_OF

    return not any(ACTIVATION_OF[layer.f].kinks for layer in problem.net.layers) and not any(
        case.kinks for case in problem.loss_cases.values()
    )


@settings(max_examples=15)
@given(problems(most_layers=3, most_samples=2))
def test_right_gradients_pass(problem):
    assume(smooth(problem) and 0 < problem.net.parameter_count < 40)
    found = cp.check_gradients(*problem.arguments, tolerance=1e-4)
    assert found.ok, str(found)
    assert len(found.blocks) > 0


def wrong_square(factor):
    return cp.Custom("wrong square", lambda z: z * z, lambda z, a: factor * z)


def test_a_wrong_derivative_is_found_where_it_acts():
    """The hidden derivative is 1% off: the gradients behind it are wrong, those of the output are right."""
    for factor, ok in ((2.0, True), (2.02, False)):
        net = cp.Network.sequential(2, 3, 1, hidden=wrong_square(factor))
        found = cp.check_gradients(net, net.initialize(seed=0), X, Y, loss="squared_error")
        assert isinstance(found, cp.GradientCheck)
        assert found.ok is ok
        assert {block.label: block.error <= found.tolerance for block in found.blocks} == {
            "hidden.W['input']": ok,
            "output.W['hidden']": True,
            "hidden.b": ok,
            "output.b": True,
        }
        assert (found.worst > 1e-3) is not ok
        assert ("BAD" in str(found)) is not ok
        assert str(found).endswith(("all agree to 1e-06", "NOT all agree to 1e-06")[not ok])


def test_a_wrong_slope_of_a_loss_is_found():
    loss = cp.CustomLoss("wrong", lambda yhat, y: ((yhat - y) ** 2, yhat - y))
    net = cp.Network.sequential(2, 1)
    found = cp.check_gradients(net, net.initialize(seed=0), X, Y, loss=loss)
    assert not found.ok
    worst = max(found.blocks, key=lambda block: block.error)
    assert worst.difference == pytest.approx(2 * worst.backpropagated)
    assert f"against {worst.difference:.9g}" in str(found)
    assert str(list(worst.place)) in str(found)


def test_frozen_parameters_and_biases_are_checked_too():
    net = cp.Network(2, [cp.Layer("a", 3, "tanh", cp.Dense("input", trainable=False), train_bias=False), cp.Layer("b", 1)])
    found = cp.check_gradients(net, net.initialize(seed=0), X, Y, loss="squared_error", sample_weight=[1, 2, 0, 1])
    assert [block.label for block in found.blocks] == ["b.W['a']", "b.b", "a.W['input']", "a.b"]
    assert found.ok


def test_single_precision_is_checked_in_double():
    net = cp.Network.sequential(2, 3, 1, hidden="tanh")
    params = net.initialize(seed=0, dtype="float32")
    before = params.flat.copy()
    assert cp.check_gradients(net, params, X, Y, loss="squared_error", tolerance=1e-9).ok
    np.testing.assert_array_equal(params.flat, before)
    assert params.dtype == np.float32


def test_a_kink_shows():
    net = cp.Network.sequential(2, 1, 1, hidden="relu")
    params = net.initialize(given={"hidden": {"input": [[0.0], [0.0]]}, "output": {"hidden": [[1.0]]}})
    assert not cp.check_gradients(net, params, X, Y, loss="squared_error").ok


def test_a_network_without_parameters():
    net = cp.Network(2, [cp.Layer("out", 2, "tanh", cp.Direct("input"), bias=False)])
    found = cp.check_gradients(net, net.initialize(), X, np.zeros((4, 2)), loss="squared_error")
    assert found.ok
    assert found.worst == 0
    assert str(found) == "all agree to 1e-06"


@pytest.mark.parametrize("tolerance", [0, -1, math.nan, "small"])
def test_bad_tolerance(tolerance):
    net = cp.Network.sequential(2, 1)
    with pytest.raises(ArgumentError, match="tolerance: expected a finite number above 0"):
        cp.check_gradients(net, net.initialize(), X, Y, loss="squared_error", tolerance=tolerance)
