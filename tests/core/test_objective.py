"""The objective: reductions, sample weights, chunks, several outputs, and the checks before anything runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from networks import problems

import clearprop as cp
from clearprop.core.objective import CHUNK, prepare
from clearprop.errors import ArgumentError, DataError, ShapeError

NET = cp.Network.sequential(2, 3, 1, hidden="tanh")
TWO = cp.Network(2, [cp.Layer("mean", 1), cp.Layer("kind", 3, "softmax", "input")], outputs=["mean", "kind"])
rng = np.random.default_rng(0)
X, Y = rng.normal(size=(6, 2)), rng.normal(size=(6, 1))
KINDS = np.array([0, 1, 2, 0, 1, 2])


@settings(max_examples=40)
@given(problems(most_layers=3))
def test_cost_is_the_weighted_mean_or_sum_of_the_losses(problem):
    trace = cp.backpropagate(*problem.arguments)
    w = np.ones(len(problem.X)) if problem.sample_weight is None else problem.sample_weight
    expected = (w * trace.losses).sum() / (w.sum() if problem.reduction == "mean" else 1)
    assert trace.cost == pytest.approx(expected, rel=1e-12, nan_ok=True)
    with np.errstate(all="ignore"):
        total = sum(
            case.loss.value_and_error(trace[name].a, problem.y[name])[0] for name, case in problem.loss_cases.items()
        )
    np.testing.assert_allclose(trace.losses[np.isfinite(total)], total[np.isfinite(total)], rtol=1e-9, atol=1e-12)


def test_sum_is_mean_times_the_sum_of_weights():
    params, w = NET.initialize(seed=0), np.array([1, 2, 3, 4, 5, 6.0])
    for weight, factor in ((None, 6), (w, 21)):
        mean = cp.backpropagate(NET, params, X, Y, "squared_error", weight)
        total = cp.backpropagate(NET, params, X, Y, "squared_error", weight, "sum")
        assert total.cost == pytest.approx(factor * mean.cost)
        np.testing.assert_allclose(total.gradients.flat, factor * mean.gradients.flat, rtol=1e-13)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_weights_are_rows_that_are_there_several_times(reduction):
    params, w = NET.initialize(seed=0), np.array([1, 0, 3, 2, 1, 1])
    weighted = cp.backpropagate(NET, params, X, Y, "huber", w, reduction)
    again = cp.backpropagate(NET, params, X.repeat(w, axis=0), Y.repeat(w, axis=0), "huber", None, reduction)
    assert weighted.cost == pytest.approx(again.cost, rel=1e-13)
    np.testing.assert_allclose(weighted.gradients.flat, again.gradients.flat, rtol=1e-12)


def test_scaling_the_weights_leaves_the_mean_alone():
    params, w = NET.initialize(seed=0), np.array([1, 2, 3, 4, 5, 6.0])
    one, two = (cp.backpropagate(NET, params, X, Y, "squared_error", k * w) for k in (1, 1e6))
    assert one.cost == pytest.approx(two.cost)


def test_one_loss_serves_all_outputs_and_their_costs_add_up():
    net = cp.Network(2, [cp.Layer("a", 1), cp.Layer("b", 1, "tanh", "input")], outputs=["a", "b"])
    params = net.initialize(seed=0)
    both = cp.backpropagate(net, params, X, {"a": Y, "b": -Y}, loss="squared_error")
    alone = [
        cp.backpropagate(part, part.initialize(given={name: {"input": params[name].W["input"]}}), X, y, "squared_error")
        for name, y, part in (
            ("a", Y, cp.Network(2, [cp.Layer("a", 1)])),
            ("b", -Y, cp.Network(2, [cp.Layer("b", 1, "tanh")])),
        )
    ]
    assert both.cost == pytest.approx(sum(trace.cost for trace in alone))
    for name, trace in zip("ab", alone, strict=True):
        np.testing.assert_allclose(both.gradients[name].W["input"], trace.gradients[name].W["input"], rtol=1e-13)


def test_losses_and_targets_by_output():
    trace = cp.backpropagate(
        TWO, TWO.initialize(), X, {"kind": KINDS, "mean": Y}, {"mean": "huber", "kind": cp.CrossEntropy()}
    )
    assert list(trace.objective.losses.values()) == [cp.Huber(), cp.CrossEntropy()]
    assert trace.cost > 0


def test_large_sets_are_evaluated_in_chunks():
    n = 2 * CHUNK + 17
    big, target = rng.normal(size=(n, 2)), rng.normal(size=(n, 1))
    params, w = NET.initialize(seed=0), rng.uniform(size=n)
    for weight in (None, w):
        for reduction in ("mean", "sum"):
            objective = prepare(NET, params, big, target, "squared_error", weight, reduction)
            assert len(list(objective.chunks())) == 3
            trace = cp.backpropagate(NET, params, big, target, "squared_error", weight, reduction)
            assert objective.cost(params) == pytest.approx(trace.cost, rel=1e-12)
    np.testing.assert_array_equal(
        cp.predict(NET, params, big)[CHUNK : CHUNK + 3], cp.predict(NET, params, big[CHUNK : CHUNK + 3])
    )


def test_data_is_copied_only_to_change_its_precision():
    objective = prepare(NET, NET.initialize(), X, Y, "squared_error")
    assert objective.X is X
    assert objective.targets["output"] is Y
    single = prepare(NET, NET.initialize(dtype="float32"), X, Y, "squared_error", np.arange(1, 7))
    assert single.X.dtype == single.targets["output"].dtype == single.sample_weight.dtype == np.float32


@pytest.mark.parametrize("kind", [list, np.asfortranarray, lambda a: np.array(a, dtype=np.float32), lambda a: a[::1]])
def test_any_kind_of_array_will_do(kind):
    params = NET.initialize()
    expected = cp.backpropagate(NET, params, X, Y, "squared_error").cost
    assert cp.backpropagate(NET, params, kind(X), kind(Y), "squared_error").cost == pytest.approx(expected, rel=1e-6)


def nan_at(array, row, column, value=math.nan):
    array = array.copy()
    array[row, column] = value
    return array


#: Arguments in place of good ones, the exception, and a telling part of its message.
BAD_CALLS = {
    "X without rows": (
        {"X": X[:0], "y": Y[:0]},
        DataError,
        "X: expected at least one row, got an empty table of shape",
    ),
    "X as a vector": ({"X": X[:, 0]}, ShapeError, "X: expected shape (n samples, 2 inputs), got (6,)."),
    "X as a vector, hint": ({"X": X[:, 0]}, ShapeError, "One sample is X.reshape(1, -1), one column X.reshape(-1, 1)."),
    "X as a number": ({"X": 3.0}, ShapeError, "X: expected shape (n samples, 2 inputs), got ()."),
    "X of three axes": ({"X": X[None]}, ShapeError, "X: expected shape (n samples, 2 inputs), got (1, 6, 2)."),
    "X with a column more": ({"X": np.ones((6, 3))}, ShapeError, "X: expected 2 columns, one per input of the network"),
    "X with NaN": ({"X": nan_at(X, 4, 1)}, DataError, "X: nan at row 4, column 1 (1 such value in all)."),
    "X with infinity": ({"X": nan_at(X, 2, 0, -math.inf)}, DataError, "X: -inf at row 2, column 0"),
    "X of text": ({"X": X.astype(str)}, DataError, "X: expected numbers, got values of type <U32."),
    "X of objects": ({"X": X.astype(object)}, DataError, "X: expected numbers, got values of type object."),
    "X complex": ({"X": X + 1j}, DataError, "X: expected numbers, got values of type complex128."),
    "X of dates": (
        {"X": X.astype("datetime64[s]")},
        DataError,
        "X: expected numbers, got values of type datetime64[s].",
    ),
    "X ragged": ({"X": [[1, 2], [3]]}, ShapeError, "X: expected a rectangular array of numbers, got rows that differ"),
    "X none": ({"X": None}, DataError, "X: expected numbers, got values of type object."),
    "y as a vector": ({"y": Y[:, 0]}, ShapeError, "y: expected shape (6, 1) (rows of X, output units), got (6,)."),
    "y as a vector, hint": ({"y": Y[:, 0]}, ShapeError, "Give a column: y.reshape(-1, 1)."),
    "y as a row": ({"y": Y.T}, ShapeError, "y: expected shape (6, 1) (rows of X, output units), got (1, 6)."),
    "y with a row less": ({"y": Y[:5]}, ShapeError, "y: expected shape (6, 1) (rows of X, output units), got (5, 1)."),
    "y with NaN": ({"y": nan_at(Y, 5, 0)}, DataError, "y: nan at row 5, column 0"),
    "y of text": ({"y": Y.astype(str)}, DataError, "y: expected numbers, got values of type <U32."),
    "weights too few": ({"sample_weight": [1.0]}, ShapeError, "sample_weight: expected shape (6,), one weight per row"),
    "weights as a column": ({"sample_weight": np.ones((6, 1))}, ShapeError, "sample_weight: expected shape (6,)"),
    "weights negative": (
        {"sample_weight": [1, 1, -2, 1, 1, 1]},
        DataError,
        "sample_weight: expected weights of at least 0, got -2.0 at row 2.",
    ),
    "weights all zero": ({"sample_weight": np.zeros(6)}, DataError, "expected at least one weight above 0, got only"),
    "weights NaN": ({"sample_weight": [1, 1, 1, math.nan, 1, 1]}, DataError, "sample_weight: nan at row 3 (1 such"),
    "weights text": (
        {"sample_weight": ["a"] * 6},
        DataError,
        "sample_weight: expected numbers, got values of type <U1",
    ),
    "reduction": ({"reduction": "average"}, ArgumentError, "reduction: expected one of 'mean', 'sum', got 'average'."),
    "reduction none": ({"reduction": None}, ArgumentError, "reduction: expected one of 'mean', 'sum', got None."),
    "loss unknown": ({"loss": "squared"}, ArgumentError, "loss: unknown loss 'squared'; did you mean 'squared_error'?"),
    "loss class": ({"loss": cp.Huber}, ArgumentError, "write Huber()."),
    "loss none": ({"loss": None}, ArgumentError, "loss: unknown loss None."),
    "loss for another output": (
        {"loss": {"outputs": "huber"}},
        ArgumentError,
        "loss: unknown output layer 'outputs'; did you mean 'output'?",
    ),
    "no loss in the dict": ({"loss": {}}, ArgumentError, 'loss: the output layer "output" is missing.'),
    "classes for one unit": (
        {"loss": "cross_entropy"},
        ShapeError,
        "For two classes use 2 softmax units, or one sigmoid",
    ),
    "params of another network": (
        {"params": cp.Network.sequential(2, 4, 1).initialize()},
        ArgumentError,
        "params: these parameters belong to another network; use net.initialize(seed=0).",
    ),
    "params as an array": ({"params": np.zeros(13)}, ArgumentError, "params: expected cp.Parameters, such as net.init"),
    "network and params in the wrong order": (
        {"net": NET.initialize(), "params": NET},
        ArgumentError,
        "net: expected a cp.Network, got Parameters.",
    ),
}
ENTRIES = {
    "backpropagate": cp.backpropagate,
    "check_gradients": cp.check_gradients,
    "cost": cp.cost,
    "train": lambda net, params, X, y, **more: cp.train(net, params, X, y, epochs=2, **more),
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
@pytest.mark.parametrize(("bad", "kind", "telling"), BAD_CALLS.values(), ids=BAD_CALLS)
def test_bad_calls(entry, bad, kind, telling):
    good = {"net": NET, "params": NET.initialize(seed=0), "X": X, "y": Y, "loss": "squared_error"}
    params, kept = good["params"], (good["params"].flat.copy(), X.copy(), Y.copy())
    with pytest.raises(kind) as error:
        entry(**(good | bad))
    assert telling in str(error.value)
    for now, before in zip((params.flat, X, Y), kept, strict=True):
        np.testing.assert_array_equal(now, before)


PREDICT_CALLS = {name: case for name, case in BAD_CALLS.items() if name.startswith(("X", "params", "network"))}


@pytest.mark.parametrize(("bad", "kind", "telling"), PREDICT_CALLS.values(), ids=PREDICT_CALLS)
def test_bad_calls_of_predict(bad, kind, telling):
    good = {"net": NET, "params": NET.initialize(seed=0), "X": X}
    with pytest.raises(kind) as error:
        cp.predict(**{name: (good | bad)[name] for name in good})
    assert telling in str(error.value)


BAD_OUTPUTS = {
    "one y for two outputs": (
        {"y": Y},
        ArgumentError,
        "y: the network has 2 outputs, so expected a dict with one entry for each of: mean, kind.",
    ),
    "an output left out": ({"y": {"mean": Y}}, ArgumentError, 'y: the output layer "kind" is missing.'),
    "an output too many": (
        {"y": {"mean": Y, "kin": Y}},
        ArgumentError,
        "y: unknown output layer 'kin'; did you",
    ),
    "a bad label": (
        {"y": {"mean": Y, "kind": KINDS + 1}},
        DataError,
        'y["kind"]: expected class indices from 0 to 2, one per output unit, got 3 at row 2.',
    ),
    "a bad loss": (
        {"loss": {"mean": "hubert", "kind": "cross_entropy"}},
        ArgumentError,
        "loss[\"mean\"]: unknown loss 'hubert'; did you mean",
    ),
    "a list of losses": ({"loss": ["huber", "cross_entropy"]}, ArgumentError, "loss: the network has 2 outputs"),
}


@pytest.mark.parametrize(("bad", "kind", "telling"), BAD_OUTPUTS.values(), ids=BAD_OUTPUTS)
def test_bad_calls_with_several_outputs(bad, kind, telling):
    good = {"X": X, "y": {"mean": Y, "kind": KINDS}, "loss": {"mean": "huber", "kind": "cross_entropy"}}
    assert cp.backpropagate(TWO, TWO.initialize(), **good).cost > 0
    with pytest.raises(kind) as error:
        cp.backpropagate(TWO, TWO.initialize(), **(good | bad))
    assert telling in str(error.value)


def test_numbers_too_large_for_the_precision():
    """1e300 is finite, but not in float32."""
    with pytest.raises(DataError) as error:
        cp.predict(NET, NET.initialize(dtype="float32"), [[0.0, 1e300]])
    assert "X: inf at row 0, column 1" in str(error.value)
    assert cp.predict(NET, NET.initialize(dtype="float64"), [[0.0, 1e300]]).shape == (1, 1)
