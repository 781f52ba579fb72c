"""Parameters: named views of one flat vector, its order, and what may be put into it."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from networks import problems

import clearprop as cp
from clearprop.errors import ArgumentError, DataError, NetworkError, ShapeError

NET = cp.Network(
    3,
    [
        cp.Layer("a", 2, train_bias=False),
        cp.Layer(
            "b",
            2,
            sources=[cp.Dense("a", trainable=False), cp.Direct("a"), cp.Wired("input", [[1, 0], [2, 1], [0, 2]])],
        ),
        cp.Layer("c", 1, sources=["b", "input"], bias=False),
    ],
)


def test_order_of_the_flat_vector():
    """Trainable weights, trainable biases, frozen weights, frozen biases; in each group in the order of the layers."""
    assert [(block.label, block.start, block.stop) for block in NET.layout.blocks] == [
        ("a.W['input']", 0, 6),
        ("b.W['input']", 6, 8),
        ("c.W['b']", 8, 10),
        ("c.W['input']", 10, 13),
        ("b.b", 13, 15),
        ("b.W['a']", 15, 19),
        ("a.b", 19, 21),
    ]
    assert (NET.layout.penalized, NET.layout.trainable, NET.layout.size) == (13, 15, 21)
    params = NET.initialize(seed=0)
    assert (params.penalized.size, params.trainable.size, params.flat.size) == (13, 15, 21)
    assert NET.trainable_count == 15
    assert NET.parameter_count == 21


@settings(max_examples=60)
@given(problems())
def test_blocks_tile_the_vector_and_names_are_views(problem):
    net, params = problem.net, problem.params
    blocks = net.layout.blocks
    assert [block.start for block in blocks] == [0, *(block.stop for block in blocks)][: len(blocks)]
    assert sum(block.stop - block.start for block in blocks) == params.flat.size == net.parameter_count
    params.flat[...] = np.arange(params.flat.size)
    found = [params[b.layer].b if b.source is None else params[b.layer].W[b.source] for b in blocks]
    if found:
        np.testing.assert_array_equal(np.concatenate([array.ravel() for array in found]), params.flat)
    assert all(np.shares_memory(array, params.flat) for array in found)
    assert params.trainable.size == sum(b.stop - b.start for b in blocks if b.trainable)
    assert params.penalized.size == sum(b.stop - b.start for b in blocks if b.trainable and b.source is not None)


def test_assigning_copies_into_the_vector():
    params = NET.initialize(seed=0)
    values = np.array([7.0, 8.0])
    params["b"].b = values
    params["b"].W["input"] = [1, 2]
    values[0] = 100
    np.testing.assert_array_equal(params.flat[13:15], [7, 8])
    np.testing.assert_array_equal(params.flat[6:8], [1, 2])
    params["b"].b[1] = -1
    assert params.flat[14] == -1
    params["b"].b += 1
    np.testing.assert_array_equal(params.flat[13:15], [8, 0])


def test_what_a_layer_holds():
    params = NET.initialize(seed=0)
    assert list(params) == ["a", "b", "c"]
    assert len(params) == 3
    assert set(params["b"].W) == {"a", "input"}
    assert "a" in params["b"].W
    assert "b" not in params["b"].W
    assert params["c"].b is None
    assert params["b"].W.get("b") is None
    assert [W.shape for W in params["c"].W.values()] == [(2, 1), (3, 1)]
    assert "W={'input'" in repr(params["a"])
    assert repr(params) == "Parameters(21 numbers, float64, layers a, b, c)"


def test_copies_share_nothing():
    params = NET.initialize(seed=0)
    copy, single = params.copy(), params.astype("float32")
    copy.flat[...] = 0
    single.flat[...] = 0
    assert np.abs(params.trainable).min() > 0 or params.flat.any()
    assert copy.net is NET
    assert single.dtype == np.float32
    assert single["a"].b.dtype == np.float32
    assert params.flat.any()


BAD_PARAMETERS = {
    "unknown layer": (lambda p: p["d"], NetworkError, 'parameters: there is no layer "d". Available: a, b, c.'),
    "unknown source": (
        lambda p: p["a"].W["inputs"],
        NetworkError,
        'has no weights from "inputs". Did you mean "input"',
    ),
    "identity source": (
        lambda p: cp.Network(2, [cp.Layer("x", 2, sources=cp.Direct("input"))]).initialize()["x"].W["input"],
        NetworkError,
        'layer "x" has no weights from "input". None is available.',
    ),
    "no bias": (lambda p: setattr(p["c"], "b", [1]), NetworkError, 'layer "c" has no bias.'),
    "shape of b": (lambda p: setattr(p["b"], "b", [1]), ShapeError, "b.b: expected shape (2,), got (1,)."),
    "number for b": (lambda p: setattr(p["b"], "b", 1.0), ShapeError, "b.b: expected shape (2,), got ()."),
    "shape of W": (
        lambda p: p["a"].W.update({"input": np.ones((2, 3))}),
        ShapeError,
        "a.W['input']: expected shape (3, 2), got (2, 3).",
    ),
    "NaN": (lambda p: setattr(p["b"], "b", [1, math.nan]), DataError, "b.b: nan at row 1"),
    "infinity": (
        lambda p: p["c"].W.update({"b": [[1], [math.inf]]}),
        DataError,
        "c.W['b']: inf at row 1, column 0",
    ),
    "text": (lambda p: setattr(p["b"], "b", ["x", "y"]), DataError, "b.b: expected numbers, got values of type <U1."),
    "deleted": (lambda p: p["a"].W.pop("input"), NetworkError, "weights cannot be deleted"),
    "vector of another length": (
        lambda p: cp.Parameters(NET, np.zeros(20)),
        ShapeError,
        "parameters: expected a vector of shape (21,), got (20,).",
    ),
}


@pytest.mark.parametrize(("act", "kind", "telling"), BAD_PARAMETERS.values(), ids=BAD_PARAMETERS)
def test_bad_parameters(act, kind, telling):
    params = NET.initialize(seed=0)
    before = params.flat.copy()
    with pytest.raises(kind) as error:
        act(params)
    assert telling in str(error.value)
    np.testing.assert_array_equal(params.flat, before)


def test_a_layer_named_b_is_not_taken_for_a_bias():
    net = cp.Network(2, [cp.Layer("b", 2), cp.Layer("o", 1, sources=["b"])])
    with pytest.raises(ArgumentError, match='given: "b" of layer "o" may be its bias or its weights from the layer'):
        net.initialize(given={"o": {"b": [[1.0], [2.0]]}})
    assert net.initialize(given={"b": {"b": [1.0, 2.0]}})["b"].b.tolist() == [1, 2]  # takes no layer "b"
    without = cp.Network(2, [cp.Layer("b", 2), cp.Layer("o", 1, sources=["b"], bias=False)])
    assert without.initialize(given={"o": {"b": [[1.0], [2.0]]}})["o"].W["b"].tolist() == [[1], [2]]


def test_printed_parameters_show_every_number_and_of_large_ones_the_beginning():
    net = cp.Network(2, [cp.Layer("h", 9), cp.Layer("o", 1, sources=["h", cp.Dense("input", trainable=False)])])
    lines = str(net.initialize(given={"o": {"input": [[0.5], [-0.25]], "b": [3.0]}})).splitlines()
    assert lines[:2] == ["h", "  W from input (2, 9)"]
    assert lines[2].endswith(" ...")
    assert lines[lines.index("  W from input (2, 1), frozen") + 1 :][:2] == ["           0.5", "         -0.25"]
    assert lines[lines.index("  b (1,)") + 1] == "             3"
    assert lines[lines.index("  W from h (9, 1)") + 9] == "  ... 1 more row"


def test_assigning_the_flat_vector_copies_into_it():
    net = cp.Network.sequential(2, 3, 1)
    params = net.initialize(seed=0)
    flat = params.flat
    params.flat = np.arange(net.parameter_count)
    assert params.flat is flat
    assert params["output"].b == [net.parameter_count - 1]
    params.flat += 1
    assert params.flat is flat
    assert params["output"].b == [net.parameter_count]


def test_assigning_the_weights_of_a_layer_copies_into_them():
    params = cp.Network.sequential(2, 1).initialize(seed=0)
    params["output"].W = {"input": [[1], [2]]}
    assert params.flat.tolist() == [1, 2, 0]


@pytest.mark.parametrize(
    ("assign", "error", "text"),
    [
        (lambda p: setattr(p, "flat", [1.0]), ShapeError, "params.flat: expected shape (3,), got (1,)."),
        (lambda p: setattr(p, "flat", [1.0, np.nan, 0]), DataError, "params.flat: nan at row 1"),
        (lambda p: setattr(p["output"], "W", [[1.0], [2.0]]), ArgumentError, "output.W: expected a dict of arrays by"),
        (lambda p: setattr(p["output"], "bias", [1.0]), AttributeError, "'LayerParameters' object has no attribute"),
        (lambda p: setattr(p, "output", [1.0]), AttributeError, "'Parameters' object has no attribute 'output'"),
        (lambda p: p.__setitem__("output", 1), ArgumentError, "params['output']: a layer cannot be replaced"),
        (lambda p: setattr(p, "net", None), AttributeError, "property 'net' of 'Parameters' object has no setter"),
    ],
)
def test_no_assignment_goes_unnoticed(assign, error, text):
    params = cp.Network.sequential(2, 1).initialize(seed=0)
    before = params.flat.copy()
    with pytest.raises(error, match=re.escape(text)):
        assign(params)
    assert params.flat.tolist() == before.tolist()
