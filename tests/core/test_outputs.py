"""One sweep over all rows: outputs, losses, and whether every number is finite."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.core.nonfinite import find_nonfinite
from clearprop.core.objective import CHUNK, prepare
from clearprop.core.outputs import sweep_rows


def test_outputs_and_losses_of_several_chunks_are_those_of_predict_and_backpropagate():
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(2 * CHUNK + 3, 2)), generator.integers(0, 3, 2 * CHUNK + 3)
    net = cp.Network.sequential(2, 4, 3, hidden="tanh", output="softmax")
    params = net.initialize(seed=0)
    chunks = []
    outputs = sweep_rows(prepare(net, params, X, y, "cross_entropy"), params, lambda rows, seen: chunks.append(rows))
    np.testing.assert_array_equal(outputs.a["output"], cp.predict(net, params, X))
    np.testing.assert_allclose(outputs.losses, cp.backpropagate(net, params, X, y, "cross_entropy").losses, rtol=1e-12)
    assert outputs.losses.mean() == pytest.approx(cp.cost(net, params, X, y, "cross_entropy"), rel=1e-12)
    assert [rows.start for rows in chunks] == [0, CHUNK, 2 * CHUNK]
    assert outputs.is_finite


@pytest.mark.parametrize(
    ("weight", "hidden", "output", "y"),
    [
        (np.nan, "tanh", "identity", 1.0),
        (1e308, "tanh", "identity", 1.0),  # an infinite weighted sum that tanh hides
        (800.0, "exponential", "sigmoid", 1.0),  # an infinite activation that sigmoid hides
        (10.0, "tanh", "identity", 1e200),  # an infinite loss
    ],
)
def test_is_finite_is_false_where_a_number_of_any_layer_is_not(weight, hidden, output, y):
    net = cp.Network.sequential(1, 1, 1, hidden=hidden, output=output)
    params = net.initialize(seed=0)
    params.flat[...] = 1.0
    params.flat[0] = weight
    objective = prepare(net, params, [[20.0]], [[y]], "squared_error")
    assert not sweep_rows(objective, params).is_finite
    assert find_nonfinite(objective, params) is not None
