"""The headline compares with a constant prediction, and never calls chance a gain."""

from __future__ import annotations

import numpy as np
import pytest

from clearprop.model.evaluation import evaluate
from clearprop.model.predictions import Predictions
from clearprop.report.headline import _class_result, _number_result, beats_constant, read_imbalance
from clearprop.report.statistics import accuracy_lift, error_ratio


def classes(y, predicted, labels=("no", "yes")) -> Predictions:
    p = np.full((len(y), len(labels)), 0.1)
    p[np.arange(len(y)), predicted] = 0.9
    task = "binary" if len(labels) == 2 else "multiclass"
    return Predictions(task, "target", tuple(labels), np.asarray(y), p / p.sum(axis=1, keepdims=True))


def numbers(y, yhat) -> Predictions:
    return Predictions("regression", "price", ("price",), np.asarray(y)[:, None], np.asarray(yhat)[:, None])


RARE = np.repeat([0, 1], [980, 20])


@pytest.mark.parametrize(
    ("y", "predicted", "lift", "beaten"),
    [
        (
            np.repeat([0, 1], [60, 40]),
            np.repeat([0, 1, 0], [60, 30, 10]),
            "30 percentage points better than always “no” (95% interval 20.4 to 38.5)",
            True,
        ),
        (RARE, 0 * RARE,
         "No better than always “no” beyond chance: 0 percentage points (95% interval −0.2 to 0.2)", False),
        (np.repeat([0, 1], [60, 40]), np.repeat([1, 0], [60, 40]),
         "60 percentage points worse than always “no” (95% interval 49.1 to 68.6)", False),
        ([0], [0], "No better than always “no” beyond chance: 0 percentage points (95% interval −65.3 to 65.3)", False),
    ],
)  # fmt: skip
def test_lift_of_the_accuracy(y, predicted, lift, beaten):
    predictions = classes(y, predicted)
    result = _class_result(predictions, evaluate(predictions))
    assert (result.lift, result.beaten) == (lift, beaten)
    assert beats_constant(predictions) is beaten


def test_the_interval_of_the_lift_covers_the_true_one():
    generator, inside = np.random.default_rng(0), 0
    for _ in range(400):
        right, constant = generator.random(200) < 0.8, generator.random(200) < 0.6
        _, low, high = accuracy_lift(right, constant)
        inside += low <= 0.2 <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_the_interval_of_the_error_covers_the_true_one():
    generator, inside = np.random.default_rng(0), 0
    for _ in range(400):
        e, c = generator.normal(size=300), 2 * generator.normal(size=300)
        _, low, high = error_ratio(e**2, c**2)
        inside += low <= 0.5 <= high
    assert 0.92 <= inside / 400 <= 0.98


def test_imbalance_and_classes_that_are_never_predicted_are_warned_about():
    assert read_imbalance(classes(RARE, 0 * RARE), 0.5) == (
        "Imbalanced: 98% of the rows are “no”, so a high accuracy says little. The balanced accuracy is 50%; "
        "a constant gives 50%. Never predicted: “yes”."
    )
    assert read_imbalance(classes([0, 1, 0, 1], [0, 1, 1, 1]), 0.75) == ""
    three = classes([0, 1, 2, 0], [0, 1, 1, 0], ("a", "b", "c"))
    assert read_imbalance(three, 0.67) == "Never predicted: “c”."


@pytest.mark.parametrize(
    ("y", "yhat", "lift", "beaten"),
    [
        ([1.0, 2.0, 3.0, 4.0] * 20, [1.1, 2.1, 2.9, 3.9] * 20, "91.1% lower than always predicting the mean", True),
        ([1.0, 2.0] * 20, [1.5] * 40, "No better than always predicting the mean, beyond chance", False),
        ([1.0, 2.0] * 20, [4.0, 4.0] * 20, "409.9% higher than always predicting the mean", False),
        ([3.0] * 9, [3.0] * 9, "All targets are equal, so the mean has no error to improve on", None),
        ([1.0, 2.0], [1.0, 2.0], "100% lower than always predicting the mean", None),
    ],
)
def test_lift_of_the_error(y, yhat, lift, beaten):
    result = _number_result(numbers(y, yhat))
    assert result.lift.startswith(lift)
    assert result.beaten is beaten
