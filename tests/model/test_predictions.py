"""The predictions of an output layer, with and without the encoding of a table."""

from __future__ import annotations

import numpy as np
import pytest

import clearprop as cp
from clearprop.errors import ArgumentError, ShapeError
from clearprop.model.model import Model
from clearprop.model.predictions import Predictions, read_output
from clearprop.report.page import _objective
from clearprop.report.values import input_columns
from clearprop.tables import TableEncoding

TABLE = {
    "age": [25.0, 40.0, 31.0, 60.0],
    "job": ["clerk", "cook", "clerk", "cook"],
    "rich": ["no", "yes", "no", "yes"],
    "pay": [1000.0, 3000.0, 2500.0, 1500.0],
    "a": [True, False, True, False],
    "b": [True, True, False, False],
}


def model(units: int, output: str, loss: str, target=None, drop=()) -> Model:
    encoding = None if target is None else TableEncoding.fit(TABLE, target, drop=drop)
    net = cp.Network.sequential(3 if encoding is None else encoding.inputs, units, output=output)
    return Model(net, net.initialize(), cp.losses.LOSSES[loss](), encoding)


def answered(m: Model, y, yhat) -> Predictions:
    objective = _objective(m, np.zeros((len(yhat), m.net.inputs)), y)
    return read_output(m.net, m.encoding, "output", objective.targets["output"], np.asarray(yhat, float))


@pytest.mark.parametrize("y", [[0, 1, 1], [[0], [1], [1]], [0.0, 1.0, 1.0], [[0.0], [1.0], [1.0]]])
def test_one_sigmoid_unit_predicts_two_classes(y):
    found = answered(model(1, "sigmoid", "binary_cross_entropy"), y, [[0.25], [0.75], [0.125]])
    assert found.task == "binary"
    assert found.labels == ("0", "1")
    assert found.y.tolist() == [0, 1, 1]
    assert found.yhat.tolist() == [[0.75, 0.25], [0.25, 0.75], [0.875, 0.125]]
    assert found.error == pytest.approx(1 / 3)


@pytest.mark.parametrize("y", [[2, 0], np.eye(3)[[2, 0]], [[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]]])
def test_softmax_predicts_several_classes(y):
    found = answered(model(3, "softmax", "cross_entropy"), np.asarray(y), [[0.1, 0.2, 0.7], [0.2, 0.5, 0.3]])
    assert found.labels == ("0", "1", "2")
    assert found.y.tolist() == [2, 0]
    assert found.predicted.tolist() == [2, 1]


def test_several_sigmoid_units_predict_labels():
    found = answered(model(2, "sigmoid", "binary_cross_entropy"), [[0, 1], [1, 1]], [[0.2, 0.9], [0.4, 0.9]])
    assert found.task == "multilabel"
    assert found.labels == ("output 0", "output 1")
    assert found.error == 0.5


def test_sigmoid_with_targets_between_0_and_1_predicts_a_number():
    found = answered(model(1, "sigmoid", "squared_error"), [0.01, 0.99], [[0.5], [0.5]])
    assert found.task == "regression"
    assert found.error == pytest.approx(0.49)


@pytest.mark.parametrize("y", [[1.0, 2.0], [[1.0], [2.0]]])
def test_identity_predicts_a_number(y):
    found = answered(model(1, "identity", "squared_error"), y, [[1.0], [4.0]])
    assert found.error == pytest.approx(np.sqrt(2))


def test_table_gives_labels_columns_and_target():
    m = model(1, "sigmoid", "binary_cross_entropy", "rich", drop=["pay", "a", "b"])
    found = answered(m, [0, 1], [[0.1], [0.2]])
    assert (found.target, found.labels) == ("rich", ("no", "yes"))
    assert list(input_columns(m)) == ["age", "job"]


def test_table_gives_the_unit_of_numbers():
    m = model(1, "identity", "squared_error", "pay")
    y = m.encoding.targets(TABLE)
    found = answered(m, y, y + 1)
    np.testing.assert_allclose(found.y[:, 0], TABLE["pay"], rtol=1e-6)
    assert found.error == pytest.approx(np.std(TABLE["pay"]), rel=1e-6)


def test_table_with_several_flags_names_them():
    m = model(2, "sigmoid", "binary_cross_entropy", ["a", "b"])
    assert answered(m, m.encoding.targets(TABLE), np.full((4, 2), 0.9)).labels == ("a", "b")


def test_error_of_several_numbers_is_in_standard_deviations():
    y = np.array([[0.0, 0.0], [2.0, 200.0]])
    found = answered(model(2, "identity", "squared_error"), y, y + np.array([1.0, 100.0]))
    assert found.error == pytest.approx(1.0)


def test_classes_of_a_table_need_probabilities():
    m = model(1, "tanh", "squared_error", "rich")
    with pytest.raises(ArgumentError) as caught:
        answered(m, [0.0, 1.0], [[0.1], [0.2]])
    assert str(caught.value) == (
        'the output "output" has the activation tanh, but the task of the table is binary. '
        "Expected an output that gives probabilities: sigmoid or softmax."
    )


def test_wrong_rows_are_refused():
    with pytest.raises(ShapeError, match=r"y: expected shape \(3, 2\)"):
        answered(model(2, "identity", "squared_error"), [1.0, 2.0, 3.0], np.zeros((3, 2)))
