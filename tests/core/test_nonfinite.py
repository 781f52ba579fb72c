"""The first number that is not finite is found where it is born, in the order of the forward sweep."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.nonfinite import find_nonfinite, largest_weighted_sum
from clearprop.core.objective import CHUNK, prepare

NET = cp.Network(2, [cp.Layer("first", 3, "exponential"), cp.Layer("second", 2, "relu"), cp.Layer("out", 1)])
ROWS = CHUNK + 10
X = np.random.default_rng(0).normal(size=(ROWS, 2))


def problem(**values):
    params = NET.initialize(seed=0)
    return prepare(NET, params, values.get("X", X), np.zeros((ROWS, 1)), "squared_error"), params


def test_nothing_is_born_where_all_is_finite():
    objective, params = problem()
    assert find_nonfinite(objective, params) is None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_weight_or_a_bias_comes_first(value):
    objective, params = problem()
    for block in NET.layout.blocks:
        broken = params.copy()
        broken.view(block)[tuple(size - 1 for size in block.shape)] = value
        found = find_nonfinite(objective, broken)
        assert found is not None
        assert found.layer == block.layer
        assert found.sample is None
        assert found.unit == NET[block.layer].units - 1
        assert block.label in found.what
        assert str(found).endswith(f" is {value}")


def test_an_activation_that_overflows_in_a_later_chunk():
    far = X.copy()
    far[CHUNK + 4] = 1e4
    objective, params = problem(X=far)
    params["first"].W["input"] = np.array([[-1.0, 1.0, 0.0], [-1.0, 1.0, 0.0]])
    assert str(find_nonfinite(objective, params)) == f"the activation a of first[1], sample {CHUNK + 4} is inf"
    assert (
        largest_weighted_sum(objective, params)
        == f"z of second[0], sample {CHUNK + 4}, at {largest_z(objective, params):.3g}"
    )


def largest_z(objective, params):
    from clearprop.core.backprop import forward

    with np.errstate(all="ignore"):
        return forward(NET, params, objective.X[CHUNK:]).z["second"][4, 0]


def test_a_weighted_sum_of_infinities_of_both_signs():
    net = cp.Network.sequential(2, 1)
    params = net.initialize(given={"output": {"input": [[1e200], [-1e200]]}})
    objective = prepare(net, params, [[1.0, 1.0], [1e200, 1e200]], [[0.0], [0.0]], "squared_error")
    found = find_nonfinite(objective, params)
    assert found is not None
    assert (found.what, found.unit, found.sample) == ("the weighted sum z", 0, 1)
    assert not np.isfinite(found.value)  # -inf or NaN, by the order in which the products are added


def test_a_loss_that_overflows_though_its_delta_does_not():
    net = cp.Network.sequential(1, 1)
    params = net.initialize(given={"output": {"input": [[1e200]]}})
    objective = prepare(net, params, [[0.0], [1.0]], [[0.0], [0.0]], "squared_error")
    assert str(find_nonfinite(objective, params)) == "the loss of output, sample 1 is inf"


def test_the_largest_weighted_sum():
    net = cp.Network.sequential(1, 2)
    params = net.initialize(given={"output": {"input": [[1.0, -3.0]]}})
    objective = prepare(net, params, [[1.0], [-50.0], [2.0]], np.zeros((3, 2)), "squared_error")
    assert largest_weighted_sum(objective, params) == "z of output[1], sample 1, at 150"
