"""Metrics against scikit-learn's, and which kinds of targets they take."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, mean_absolute_error, r2_score, root_mean_squared_error

import clearprop as cp
from clearprop.errors import ArgumentError
from clearprop.training.metrics import accuracy, as_metrics, mae, r2, rmse

rng = np.random.default_rng(0)
Y, YHAT = rng.normal(size=(30, 2)), rng.normal(size=(30, 2))
SCORES = rng.dirichlet(np.ones(3), size=30)
KINDS = rng.integers(0, 3, size=30)


@pytest.mark.parametrize(
    ("ours", "theirs"), [(rmse, None), (mae, mean_absolute_error), (r2, r2_score)], ids=["rmse", "mae", "r2"]
)
def test_regression_equals_sklearn(ours, theirs):
    expected = root_mean_squared_error(Y.ravel(), YHAT.ravel()) if theirs is None else theirs(Y, YHAT)
    assert ours(Y, YHAT) == pytest.approx(expected, rel=1e-13)
    assert ours(Y[:, :1], YHAT[:, :1]) == pytest.approx(
        (theirs or root_mean_squared_error)(Y[:, 0], YHAT[:, 0]), rel=1e-13
    )


def test_r2_of_constant_targets_is_no_number():
    assert np.isnan(r2(np.ones((3, 1)), np.arange(3.0)[:, None]))


def test_accuracy_of_classes_in_each_form():
    expected = accuracy_score(KINDS, SCORES.argmax(axis=1))
    assert 0.1 < expected < 0.9
    assert accuracy(KINDS, SCORES) == expected
    assert accuracy(np.eye(3)[KINDS], SCORES) == expected
    assert accuracy(0.9 * np.eye(3)[KINDS] + 0.1 / 3, SCORES) == expected


def test_accuracy_of_yes_and_no():
    y, p = rng.integers(0, 2, size=(30, 1)), rng.uniform(size=(30, 1))
    assert accuracy(y.astype(float), p) == accuracy_score(y, p > 0.5)


def test_accuracy_of_several_labels_wants_all_of_them_right():
    y = np.array([[1.0, 1, 0], [0, 1, 0], [0, 0, 0]])
    p = np.array([[0.9, 0.8, 0.1], [0.1, 0.9, 0.6], [0.2, 0.1, 0.1]])
    assert accuracy(y, p) == accuracy_score(y, p > 0.5) == 2 / 3


def test_accuracy_of_labels_that_happen_to_add_up_to_1():
    """One label per row looks like a one-hot row, but sigmoid outputs do not add up to 1."""
    y = np.array([[1.0, 0], [0, 1.0]])
    p = np.array([[0.9, 0.8], [0.2, 0.9]])
    assert accuracy(y, p) == 0.5


def test_single_precision_is_summed_in_double():
    y = np.zeros((100_000, 1), "float32")
    assert rmse(y, y + np.float32(0.1)) == pytest.approx(np.float32(0.1), rel=1e-9)
    assert mae(y, y + np.float32(0.1)) == pytest.approx(np.float32(0.1), rel=1e-9)


def test_names_and_functions():
    def bias(y, yhat):
        return np.mean(yhat - y)

    assert list(as_metrics("rmse")) == ["rmse"]
    assert list(as_metrics(bias)) == ["bias"]
    assert as_metrics(["accuracy", bias, mae]) == {"accuracy": accuracy, "bias": bias, "mae": mae}
    assert as_metrics(()) == {}
    assert set(cp.training.METRICS) == {"accuracy", "rmse", "mae", "r2"}
    assert {name: more_is_better for name, (_, more_is_better) in cp.training.METRICS.items()} == {
        "accuracy": True,
        "rmse": False,
        "mae": False,
        "r2": True,
    }
    net = cp.Network.sequential(2, 2)
    params = net.initialize(seed=0)
    history = cp.train(net, params, Y, YHAT, loss="huber", epochs=2, metrics=[bias, "r2"])
    assert history["bias"][-1] == pytest.approx((cp.predict(net, params, Y) - YHAT).mean())


@pytest.mark.parametrize(
    ("given", "telling"),
    [
        ("acuracy", "metrics: unknown metric 'acuracy'; did you mean 'accuracy'? Available: accuracy, rmse, mae, r2."),
        (["rmse", 3], "metrics: unknown metric 3. Available: accuracy"),
        (7, "metrics: unknown metric 7."),
        ([lambda y, p: 0, lambda y, p: 1], 'metrics: the name "<lambda>" is taken in the history'),
        (["rmse", rmse], 'metrics: the name "rmse" is taken in the history; rename the function.'),
    ],
)
def test_what_is_no_metric(given, telling):
    with pytest.raises(ArgumentError) as error:
        as_metrics(given)
    assert telling in str(error.value)
