"""Metrics against scikit-learn, and how they are printed."""

import numpy as np
import pytest
import sklearn.metrics

from clearprop.model.evaluation import evaluate
from clearprop.model.predictions import Predictions

RANDOM = np.random.default_rng(0)


def evaluate_classes(y, p, labels, **more):
    task = "binary" if len(labels) == 2 else "multiclass"
    return evaluate(Predictions(task, "y", tuple(map(str, labels)), y, p, **more))


def evaluate_numbers(y, yhat, names, **more):
    return evaluate(Predictions("regression", names[0], tuple(names), y, yhat, **more))


def evaluate_flags(y, p, names, **more):
    return evaluate(Predictions("multilabel", names[0], tuple(names), y, p, **more))


@pytest.mark.parametrize("k", [2, 3, 15])
def test_class_metrics_equal_scikit_learn(k):
    y = np.append(np.arange(k), RANDOM.integers(0, k, 200))
    p = RANDOM.dirichlet(np.ones(k), len(y))
    found = evaluate_classes(y, p, list(range(k)))
    guess = p.argmax(axis=1)
    assert found.metrics["accuracy"] == pytest.approx(sklearn.metrics.accuracy_score(y, guess))
    assert found.metrics["balanced accuracy"] == pytest.approx(sklearn.metrics.balanced_accuracy_score(y, guess))
    assert found.metrics["log loss"] == pytest.approx(sklearn.metrics.log_loss(y, p))
    assert found.baseline["accuracy"] == pytest.approx(np.bincount(y).max() / len(y))
    assert np.array_equal(found.confusion, sklearn.metrics.confusion_matrix(y, guess))
    assert found.task == ("binary" if k == 2 else "multiclass")
    if k == 2:
        assert found.metrics["ROC AUC"] == pytest.approx(sklearn.metrics.roc_auc_score(y, p[:, 1]))
    text = str(found)
    assert ("most frequent mistakes" in text) == (k > 12)
    assert ("confusion matrix" in text) == (k <= 12)


def test_number_metrics_equal_scikit_learn():
    y = RANDOM.normal(size=(100, 2))
    guess = y + RANDOM.normal(size=(100, 2))
    found = evaluate_numbers(y, guess, ["height", "width"])
    for i, name in enumerate(("height", "width")):
        rmse = np.sqrt(sklearn.metrics.mean_squared_error(y[:, i], guess[:, i]))
        assert found.metrics[f"{name} RMSE"] == pytest.approx(rmse)
        assert found.metrics[f"{name} MAE"] == pytest.approx(sklearn.metrics.mean_absolute_error(y[:, i], guess[:, i]))
        assert found.metrics[f"{name} R2"] == pytest.approx(sklearn.metrics.r2_score(y[:, i], guess[:, i]))
    assert "residuals (predicted - true)" in str(found)


def test_flag_metrics():
    found = evaluate_flags(np.array([[1, 0], [1, 1]]), np.array([[0.9, 0.1], [0.8, 0.3]]), ["a", "b"])
    assert found.metrics == {"all right": 0.5, "a accuracy": 1.0, "b accuracy": 0.5}
    assert "always the most frequent answer" in str(found)


def test_one_class_and_a_constant_target_have_no_undefined_metric():
    one = evaluate_classes(np.zeros(5, int), np.tile([0.9, 0.1], (5, 1)), ["no", "yes"])
    assert "ROC AUC" not in one.metrics
    assert "      -" in str(one)
    constant = evaluate_numbers(np.ones((3, 1)), np.ones((3, 1)), ["y"])
    assert "R2" not in constant.metrics


def test_a_certain_and_wrong_answer_has_infinite_log_loss():
    assert evaluate_classes(np.array([0]), np.array([[0.0, 1.0]]), ["no", "yes"]).metrics["log loss"] == np.inf


def test_labels_truncated_to_the_same_text_have_separate_recalls():
    labels = ["a very long label one", "a very long label two"]
    text = str(evaluate_classes(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8]]), labels))
    assert "100.0%" in text
    assert " 50.0%" in text


def test_large_numbers_are_rounded_and_aligned_with_their_headings():
    y = np.linspace(1e4, 5e5, 50)[:, None]
    lines = str(
        evaluate_numbers(y, y + 45333.86 * np.array([1, -1] * 25)[:, None], ["a price of some kind"])
    ).splitlines()
    assert lines[1].startswith("  RMSE  45,334    (144,")
    assert lines[-1].endswith("-45,334 -45,334        0 45,334    45,334")
    assert len(lines[-1]) == len(lines[-2])


def test_integer_sample_weights_equal_repeated_rows():
    y, p = RANDOM.integers(0, 2, 50), RANDOM.dirichlet(np.ones(2), 50)
    weight = RANDOM.integers(1, 4, 50)
    for make, truth, answers in (
        (evaluate_classes, y, p),
        (evaluate_flags, np.stack([y, 1 - y], axis=1), p),
        (evaluate_numbers, RANDOM.normal(size=(50, 2)), p),
    ):
        names = ["a", "b"]
        weighted = make(truth, answers, names, sample_weight=weight.astype(float))
        repeated = make(np.repeat(truth, weight, axis=0), np.repeat(answers, weight, axis=0), names)
        assert weighted.metrics == pytest.approx(repeated.metrics, rel=1e-12)
        assert weighted.baseline == pytest.approx(repeated.baseline, rel=1e-12)


def test_metrics_of_predictions_that_are_not_finite_are_nan():
    numbers = evaluate_numbers(np.array([[1.0], [2.0]]), np.array([[np.nan], [2.0]]), ["y"])
    assert all(np.isnan(value) for value in numbers.metrics.values())
    classes = evaluate_classes(np.array([0, 1]), np.full((2, 2), np.nan), ["no", "yes"])
    assert np.isnan(classes.metrics["ROC AUC"])
    assert np.isnan(classes.metrics["log loss"])


def test_labels_that_begin_alike_stay_different():
    codes = [f"15822181956259389{i}" for i in (41, 42, 43)]
    p = np.eye(3)
    text = str(evaluate(Predictions("multiclass", "code", tuple(codes), np.arange(3), p)))
    assert text.splitlines()[-3:] == [
        "158221…38941            1            0            0  100.0%",
        "158221…38942            0            1            0  100.0%",
        "158221…38943            0            0            1  100.0%",
    ]
