"""Partial dependence against scikit-learn, and its values in the unit of the table."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.inspection import partial_dependence as theirs

import clearprop as cp
from clearprop.report.effects import partial_dependence, read_effects
from clearprop.report.section import Evaluated
from tests.report.test_importance import evaluated


class Fitted(RegressorMixin, BaseEstimator):
    """A network as a fitted estimator of scikit-learn."""

    def __init__(self, net=None, params=None):
        self.net, self.params, self.fitted_ = net, params, True

    def fit(self, X, y):
        return self

    def predict(self, X):
        return cp.predict(self.net, self.params, X)[:, 0]


def test_numbers_are_those_of_scikit_learn():
    X = np.random.default_rng(0).normal(size=(200, 3))
    net = cp.Network.sequential(3, 5, 1, hidden="tanh")
    params = net.initialize(seed=1)
    rows = evaluated(net, params, X, X[:, :1], cp.SquaredError())
    effect = partial_dependence(rows, rows.predictions[0], "column 1")
    expected = theirs(Fitted(net, params), X, [1], custom_values={1: effect.numbers}, kind="average")["average"][0]
    np.testing.assert_allclose(effect.mean[:, 0], expected, rtol=1e-9, atol=1e-12)
    assert (np.diff(effect.numbers) > 0).all()


@pytest.fixture(scope="module")
def people() -> Evaluated:
    generator = np.random.default_rng(0)
    age, job = generator.integers(20, 70, 400), generator.choice(["cook", "clerk", "smith"], 400)
    pay = 1000 + 10 * age + 500 * (job == "smith")
    model = cp.fit({"age": age, "job": job, "pay": pay.astype(float) + 0.5}, "pay", hidden=(), optimizer="lbfgs")
    from clearprop.core.outputs import sweep_rows
    from clearprop.explain.diagnosis import Diagnosis
    from clearprop.model.predictions import predictions_of

    held = model.held_out
    outputs = sweep_rows(held.outputs.objective, model.params)
    predictions = predictions_of(model.net, model.encoding, outputs)
    return Evaluated(model, outputs.objective, predictions, Diagnosis(()), held.row_numbers)


def test_values_and_predictions_are_in_the_unit_of_the_table(people):
    effect = partial_dependence(people, people.predictions[0], "age")
    slope = np.polyfit(effect.numbers, effect.mean[:, 0], 1)[0]
    assert slope == pytest.approx(10, rel=0.05)
    assert 20 <= effect.numbers.min() < 25
    assert effect.names[0] == f"{effect.numbers[0]:.0f}"


def test_categories_have_one_value_each(people):
    effect = partial_dependence(people, people.predictions[0], "job")
    mean = dict(zip(effect.names, effect.mean[:, 0], strict=True))
    assert set(mean) == {"cook", "clerk", "smith"}
    assert mean["smith"] - mean["cook"] == pytest.approx(500, rel=0.05)
    sentence = read_effects([effect], people.predictions[0], [0])
    assert sentence.startswith("Over “job”, the mean prediction goes from ")
    assert sentence.endswith("(at “smith”).")
