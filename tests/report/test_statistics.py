"""The numbers of the report against scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from sklearn.calibration import calibration_curve

from clearprop.model.predictions import Predictions
from clearprop.report.statistics import (
    brier_score,
    class_scores,
    confused_pairs,
    reliability,
    wilson_interval,
)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def classes(y: np.ndarray, predicted: np.ndarray, k: int) -> Predictions:
    return Predictions("multiclass", "y", tuple(map(str, range(k))), y, np.eye(k)[predicted])


def test_scores_of_labels_are_those_of_the_answer_yes(generator):
    y, p = generator.integers(0, 2, (100, 3)), generator.random((100, 3))
    for labels in (3, 1):
        scores = class_scores(Predictions("multilabel", "y", ("a", "b", "c")[:labels], y[:, :labels], p[:, :labels]))
        for i in range(labels):
            assert scores.recall[i] == sklearn.metrics.recall_score(y[:, i], p[:, i] > 0.5)
            assert scores.rows[i] == y[:, i].sum()


def test_class_scores_are_those_of_scikit_learn(generator):
    y, predicted = generator.integers(0, 5, 400), generator.integers(0, 5, 400)
    scores = class_scores(classes(y, predicted, 5))
    precision, recall, f1, rows = sklearn.metrics.precision_recall_fscore_support(y, predicted)
    np.testing.assert_allclose(scores.precision, precision, rtol=1e-12)
    np.testing.assert_allclose(scores.recall, recall, rtol=1e-12)
    np.testing.assert_allclose(scores.f1, f1, rtol=1e-12)
    np.testing.assert_array_equal(scores.rows, rows)


def test_class_without_rows_or_predictions_has_no_score():
    scores = class_scores(classes(np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1]), 3))
    assert np.isnan(scores.precision[2])
    assert np.isnan(scores.recall[2])
    assert np.isnan(scores.f1[2])
    assert scores.recall[0] == 0.75


def test_confused_pairs_count_every_mistake(generator):
    y, predicted = generator.integers(0, 4, 300), generator.integers(0, 4, 300)
    matrix = sklearn.metrics.confusion_matrix(y, predicted)
    pairs = confused_pairs(matrix, most=100)
    assert len(pairs) == 12
    assert sum(count for *_, count in pairs) == int((y != predicted).sum())
    assert [count for *_, count in pairs] == sorted((count for *_, count in pairs), reverse=True)
    for i, j, count in pairs:
        assert count == int(((y == i) & (predicted == j)).sum())


@pytest.mark.parametrize(("right", "rows"), [(0, 1), (1, 1), (3, 10), (350, 360), (0, 1000), (1000, 1000)])
def test_wilson_interval_is_that_of_scipy(right, rows):
    expected = scipy.stats.binomtest(right, rows).proportion_ci(method="wilson")
    assert wilson_interval(right, rows) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_reliability_is_the_calibration_curve_of_scikit_learn(generator):
    p = generator.random(5000)
    outcome = (generator.random(5000) < p**1.5).astype(int)
    found = reliability(outcome, p)
    observed, predicted = calibration_curve(outcome, p, n_bins=10, strategy="uniform")
    np.testing.assert_allclose(found.predicted, predicted, rtol=1e-12)
    np.testing.assert_allclose(found.observed, observed, rtol=1e-12)
    assert found.rows.sum() == 5000
    gap = sum(n * abs(t - s) for n, t, s in zip(found.rows, observed, predicted, strict=True)) / 5000
    assert found.expected_error == pytest.approx(gap, rel=1e-12)
    assert found.off.sum() >= 8  # p ** 1.5 is far from p
    assert not reliability((generator.random(5000) < p).astype(int), p).off.any()


def test_reliability_leaves_out_empty_bins_and_takes_both_ends():
    found = reliability(np.array([0, 1, 1]), np.array([0.0, 1.0, 1.0]))
    assert found.rows.tolist() == [1, 2]
    assert found.edges.tolist() == [[0.0, 0.1], [0.9, 1.0]]
    assert found.expected_error == 0


@pytest.mark.parametrize("classes", [2, 5])
def test_brier_score_is_that_of_scikit_learn(generator, classes):
    p = generator.dirichlet(np.ones(classes), 200)
    y = generator.integers(0, classes, 200)
    expected = sklearn.metrics.brier_score_loss(y, p, labels=range(classes), scale_by_half=True)
    assert brier_score(y, p) == pytest.approx(expected, rel=1e-12)
