"""The sentences on residuals: bias beyond chance, shrinkage, skewed targets."""

from __future__ import annotations

import numpy as np
import pytest

from clearprop.model.predictions import Predictions
from clearprop.report.residuals import prediction_bins, read_residuals, residual_sections

NOISE = np.random.default_rng(0).normal(size=1000)
X = np.random.default_rng(1).normal(size=1000)


@pytest.mark.parametrize(
    ("y", "yhat", "sentence"),
    [
        (X + NOISE - NOISE.mean(), X,
         "neither too high nor too low, beyond chance, also not at any size of the prediction."),
        (X + NOISE - NOISE.mean(), X + 0.5, "On average the predictions are 0.5 too high."),
        (X + NOISE - NOISE.mean(), X - 0.5, "On average the predictions are 0.5 too low."),
        (np.zeros(400), NOISE[:400], "The predictions are too far from their mean: the lowest are "),
        (3 * X + NOISE, X, "The predictions are too close to their mean: the lowest are "),
        (0.3 * X + 0.1 * NOISE, X, "The predictions are too far from their mean: the lowest are "),
        ([1.0], [3.0], "The error of the one row is 2."),
        ([1.0, 2.0, 3.0], [2.0, 3.0, 4.0], "On average the predictions are 1 too high."),
        ([1.0, 2.0], [1.0, 2.0], "neither too high nor too low, beyond chance."),
    ],
)  # fmt: skip
def test_bias(y, yhat, sentence):
    assert sentence in read_residuals(np.asarray(y), np.asarray(yhat))


def test_an_average_that_is_right_does_not_hide_a_bias_at_some_sizes():
    bent = X + NOISE / 4 + np.where(np.abs(X) > 1.5, 1.0, 0.0)
    sentence = read_residuals(bent - (bent - X).mean(), X)
    assert "Right on average, but predictions from" in sentence


def test_a_few_rows_that_make_the_squared_error_are_named():
    y = np.exp(3 * NOISE)
    assert "10 rows make " in read_residuals(y, np.full(1000, y.mean()))
    assert "of the squared error (1% of the rows)" in read_residuals(y, np.full(1000, y.mean()))
    assert "squared error" not in read_residuals(NOISE, np.zeros(1000))


def test_bins_hold_every_row_once():
    bins = prediction_bins(X)
    assert sorted(np.concatenate(bins).tolist()) == list(range(1000))
    assert len(bins) == 10
    assert max(X[bins[0]]) <= min(X[bins[1]])
    assert len(prediction_bins(np.zeros(1000))) == 1


def test_intervals_hold_nine_of_ten_rows():
    y = X + NOISE * np.abs(X)
    predictions = Predictions("regression", "y", ("y",), y[:, None], X[:, None])
    (section,) = residual_sections(predictions, "")
    (table,) = [item for item in section.items if getattr(item, "title", "").startswith("Intervals")]
    inside = 0
    for row, rows in zip(table.rows, prediction_bins(X, most=5), strict=True):
        low, high = (float(text.replace("−", "-")) for text in row[3].split(" to "))
        inside += ((y - X)[rows] >= low).sum() - ((y - X)[rows] > high).sum()
    assert inside == pytest.approx(900, abs=12)
