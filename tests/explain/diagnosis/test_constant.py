"""The constant with the lowest cost, by each loss, against a search over constants."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import clearprop as cp
from clearprop.explain.diagnosis.constant import best_constant, losses_of_constant

rng = np.random.default_rng(0)
WEIGHT = rng.uniform(0.1, 2.0, 400)
WEIGHT /= WEIGHT.sum()
AMOUNTS = rng.gamma(2.0, 3.0, size=(400, 1))
FLAGS = (rng.uniform(size=(400, 1)) < 0.2) * 1.0


@pytest.mark.parametrize(
    ("loss", "y", "most"),
    [
        (cp.SquaredError(), AMOUNTS, 1.0),
        (cp.AbsoluteError(), AMOUNTS, 1.005),
        (cp.Huber(), AMOUNTS, 1.005),
        (cp.losses.Quantile(0.97), AMOUNTS, 1.0),
        (cp.losses.Poisson(), AMOUNTS, 1.0),
        (cp.losses.Gamma(), AMOUNTS, 1.0),
        (cp.losses.Tweedie(), AMOUNTS, 1.0),
        (cp.BinaryCrossEntropy(), FLAGS, 1.0),
        (cp.BinaryCrossEntropy(label_smoothing=0.2), FLAGS, 1.0),
    ],
)
def test_no_other_constant_costs_less(loss, y, most):
    def cost(constant):
        return float(WEIGHT @ losses_of_constant(loss, np.array([constant]), y))

    lowest = minimize_scalar(
        cost, bounds=(1e-3, 0.999 if y is FLAGS else 30), method="bounded", options={"xatol": 1e-9}
    )
    found = best_constant(loss, y, 1, WEIGHT)
    assert cost(found[0]) <= most * lowest.fun * (1 + 1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_classes(smoothing):
    y, loss = np.arange(400) % 4, cp.CrossEntropy(smoothing)
    constant = best_constant(loss, y, 4, np.full(400, 1 / 400))
    assert constant == pytest.approx(np.full(4, 0.25))
    assert losses_of_constant(loss, constant, y) == pytest.approx(np.full(400, np.log(4)))
    assert losses_of_constant(cp.CrossEntropy(), np.array([1.0, 0.0]), np.array([0, 1])).tolist() == [0.0, np.inf]


def test_columns_have_constants_of_their_own():
    y = np.array([[0.0, 4.0], [1.0, 5.0], [9.0, 60.0]])
    assert best_constant(cp.AbsoluteError(), y, 2, np.full(3, 1 / 3)).tolist() == [1.0, 5.0]
