"""Calibration is judged by bins, and a mean that happens to agree hides nothing."""

from __future__ import annotations

import numpy as np
import pytest

from clearprop.report.calibration import read_calibration
from clearprop.report.statistics import reliability

RIGHT = np.repeat([1, 0], [600, 400])


@pytest.mark.parametrize(
    ("p", "of_class", "sentence"),
    [
        (
            np.full(1000, 0.9),
            None,
            "Overconfident for 100% of the rows: where the mean probability is 90%, 60% of 1,000 rows are right.",
        ),
        (
            np.full(1000, 0.31),
            None,
            "Underconfident for 100% of the rows: where the mean probability is 31%, 60% of 1,000 rows are right.",
        ),
        (
            np.full(1000, 0.9),
            "yes",
            "The probability of “yes” is too high for 100% of the rows: where the mean probability is 90%, "
            "60% of 1,000 rows are “yes”.",
        ),
        (np.full(1000, 0.61), None, "Calibrated: in no bin do predicted and observed frequency differ beyond chance."),
    ],
)
def test_calibration(p, of_class, sentence):
    assert read_calibration(reliability(RIGHT, p), of_class) == sentence


def test_a_right_mean_does_not_hide_wrong_bins():
    y = np.repeat([1, 0, 1, 0], [300, 200, 200, 300])  # 60% at 0.9, 40% at 0.1: the mean is right
    p = np.repeat([0.9, 0.1], 500)
    assert reliability(y, p).predicted.mean() == pytest.approx(y.mean())
    assert read_calibration(reliability(y, p), "yes").startswith("The probabilities are too far from 50% for 100%")
    p = np.repeat([0.55, 0.45], 500)
    y = np.repeat([1, 0, 1, 0], [450, 50, 50, 450])
    assert read_calibration(reliability(y, p), "yes").startswith("The probabilities are too close to 50% for 100%")


def test_a_drift_that_no_bin_shows_is_reported_for_all_rows():
    p = np.repeat([0.35, 0.45, 0.55, 0.65, 0.75, 0.85], 150)
    y = np.concatenate([np.arange(150) < round(150 * (share + 0.05)) for share in p[::150]]).astype(int)
    sentence = read_calibration(reliability(y, p), None)
    assert sentence.startswith("In no single bin do predicted and observed frequency differ beyond chance, but over")


def test_few_rows_do_not_make_a_network_calibrated():
    assert read_calibration(reliability(np.array([1, 0, 1]), np.array([0.6, 0.4, 0.7])), None) == (
        "With only 3 rows, predicted and observed frequency differ in no bin beyond chance."
    )


def test_small_probabilities_are_told_apart():
    generator = np.random.default_rng(0)
    p = np.repeat([0.004, 0.016, 0.04], 4000)
    y = (generator.random(12_000) < p).astype(int)
    assert len(reliability(y, p).rows) == 3
