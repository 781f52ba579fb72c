"""Each sentence agrees with its numbers."""

from __future__ import annotations

import numpy as np
import pytest
from clearprop.report.text import (
    read_activity,
    read_confusion,
    read_gradient,
    read_importance,
    read_learning,
    read_reliability,
    read_residuals,
)

import clearprop as cp
from clearprop.report.activity import LayerActivity
from clearprop.report.importance import Importance
from clearprop.report.statistics import confused_pairs, reliability


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"cost": [0.5]}, "Trained for one epoch, with a cost of 0.5: too few epochs for a learning curve."),
        (
            {"cost": [1.0, 2.0, 3.0]},
            "The cost was lowest after the first epoch; further training did not help. Try a lower learning rate.",
        ),
        (
            {"cost": [3, 2, 1, 0.5], "validation cost": [3, 2, 2.5, 4.0]},
            "The validation cost fell from 3 to 2 in epoch 2 and rose to 4 while the training cost still fell: "
            "the network overfits.",
        ),
        (
            {"cost": [4.0, 3.0, 2.0, 1.0]},
            "The cost fell from 4 to 1 in epoch 4 and was still falling at the end: more epochs may help.",
        ),
        ({"cost": [4.0, 1.0, 1.0, 1.0]}, "The cost fell from 4 to 1 in epoch 2 and levelled off."),
    ],
)
def test_learning(columns, said):
    assert read_learning(cp.History({name: list(map(float, values)) for name, values in columns.items()})) == said


@pytest.mark.parametrize(
    ("norms", "said"),
    [
        (
            {"a": [1e-5], "b": [0.1], "out": [1.0]},
            "The gradient vanishes: delta is 100,000 times smaller in a than at the output.",
        ),
        ({"a": [5e4], "out": [1.0]}, "The gradient explodes: delta is 50,000 times larger in a than at the output."),
        (
            {"a": [0.5, 0.5, 9], "b": [1, 1, 1], "out": [1, 1, 1]},
            "The gradient neither vanishes nor explodes: from the output back to a, the norm of delta shrinks to 50% "
            "(median of the epochs).",
        ),
        ({"a": [1.0, 0.0], "out": [1.0, 1.0]}, "No gradient reached a in the last epoch: delta was exactly 0 there."),
        ({"out": [1.0]}, "There is no hidden layer, so delta cannot vanish or explode."),
    ],
)  # fmt: skip
def test_gradient(norms, said):
    assert read_gradient(norms, ["out"]) == said


@pytest.mark.parametrize(
    ("matrix", "said"),
    [
        ([[5, 0], [0, 5]], "All 10 rows are classified correctly."),
        ([[5, 1], [3, 4]], "4 of 13 rows are wrong; most often “b” is predicted as “a”, 3 of 7 rows."),
        ([[5, 1], [1, 4]], "2 of 11 rows are wrong; no two of the mistakes are of the same kind."),
        ([[5, 0], [1, 4]], "1 of 10 rows is wrong; most often “b” is predicted as “a”, 1 of 5 rows."),
    ],
)
def test_confusion(matrix, said):
    matrix = np.array(matrix)
    assert read_confusion(matrix, ["a", "b"], confused_pairs(matrix)) == said


def test_residuals_report_a_bias_only_beyond_chance():
    y = np.zeros(400)
    noise = np.random.default_rng(0).normal(size=400)
    assert read_residuals(y, noise - noise.mean()).endswith(
        "On average the predictions are neither too high nor too low, beyond chance."
    )
    assert read_residuals(y, noise - noise.mean() + 0.5).endswith("On average the predictions are 0.5 too high.")
    assert read_residuals(y, noise - noise.mean() - 0.5).endswith("On average the predictions are 0.5 too low.")
    assert read_residuals(np.array([1.0]), np.array([3.0])) == "The error of the one row is 2."


def test_reliability_distinguishes_over_and_underconfidence_from_chance():
    right = np.repeat([1, 0], [600, 400])
    assert read_reliability(reliability(right, np.full(1000, 0.9)), None) == (
        "Overconfident: the mean probability is 90%, and 60% of the predictions are right."
    )
    assert read_reliability(reliability(right, np.full(1000, 0.3)), None).startswith("Underconfident: ")
    assert read_reliability(reliability(right, np.full(1000, 0.61)), None).startswith(
        "The probabilities are calibrated"
    )
    assert read_reliability(reliability(right, np.full(1000, 0.9)), "yes") == (
        "The probability of “yes” is too high: the mean probability is 90%, and 60% of the rows are “yes”."
    )
    turned = reliability(right, np.repeat([0.4, 0.9], [600, 400]))
    assert read_reliability(turned, None).startswith("Calibrated on average, but not at each probability")


def activity(name: str, saturated: float, dead: int) -> LayerActivity:
    return LayerActivity(cp.Layer(name, 10, "relu"), saturated, dead, np.zeros(1), np.array([0.0, 1.0]), 0.0, True)


def test_activity():
    assert read_activity([activity("a", 0, 0)]) == "No unit is dead and no activation is saturated."
    assert read_activity([activity("a", 0.5, 0), activity("b", 0.2, 0)]) == (
        "No unit is dead; a is saturated most, in 50% of its activations."
    )
    assert read_activity([activity("a", 0.5, 3)]) == (
        "Dead on every row: 3 of 10 units of a. 50% of the activations of a are saturated."
    )


def test_importance():
    growth = np.array([[0.2, 0.3, 0.25], [0.01, -0.02, 0.0]])
    found = Importance(("age", "id"), growth, 0.1, 100, 0)
    assert read_importance(found, lambda grown: f"the cost grows by {grown:.2f}") == (
        "“age” matters most: when it is shuffled, the cost grows by 0.25. "
        "1 of 2 columns make no significant difference."
    )
    nothing = Importance(("age", "id"), np.zeros((2, 3)), 0.1, 100, 0)
    assert read_importance(nothing, str) == "No single column makes a significant difference."
