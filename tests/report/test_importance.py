"""Permutation importance against its expectation and scikit-learn; nothing is said about columns not tried."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression
from sklearn.metrics import log_loss

import clearprop as cp
from clearprop.core.objective import prepare
from clearprop.core.outputs import sweep_rows
from clearprop.explain.diagnosis import Diagnosis
from clearprop.model.model import Model
from clearprop.model.predictions import predictions_of
from clearprop.report.importance import (
    REPEATS,
    ROWS,
    Importance,
    Loss,
    Measured,
    importance,
    measure,
    plan,
    read_importance,
)
from clearprop.report.section import Evaluated

COLUMNS = {f"c{i}": slice(i, i + 1) for i in range(3)}


def evaluated(net: cp.Network, params: cp.Parameters, X, y, loss) -> Evaluated:
    outputs = sweep_rows(prepare(net, params, X, y, loss), params)
    model = Model(net, params, loss)
    return Evaluated(model, outputs.objective, predictions_of(net, None, outputs), Diagnosis(()), np.arange(len(X)))


def linear(w, X, noise=0.0) -> Evaluated:
    """A network that has learnt the weights w."""
    net = cp.Network.sequential(len(w), 1)
    params = net.initialize(given={"output": {"input": np.asarray(w, float)[:, None]}})
    y = X @ w + noise * np.random.default_rng(5).normal(size=len(X))
    return evaluated(net, params, X, y[:, None], cp.SquaredError())


def test_linear_model_loses_what_theory_and_scikit_learn_say():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(1500, 3))
    w = np.array([2.0, 0.5, 0.0])
    y = X @ w
    found = importance(lambda Z: float(np.mean((Z @ w - y) ** 2)), X, COLUMNS, generator, repeats=40)
    np.testing.assert_allclose(found.mean, 2 * w**2 * X.var(axis=0), rtol=0.05, atol=1e-12)
    fitted = LinearRegression().fit(X, y)
    theirs = permutation_importance(fitted, X, y, scoring="neg_mean_squared_error", n_repeats=40, random_state=0)
    np.testing.assert_allclose(found.mean, theirs.importances_mean, rtol=0.05, atol=1e-12)
    assert found.order.tolist() == [0, 1, 2]
    assert found.significant.tolist() == [True, True, False]
    assert found.error == pytest.approx(0, abs=1e-20)


def test_inputs_of_a_column_are_shuffled_together_and_put_back():
    X = np.hstack([np.eye(4)[np.arange(40) % 4], np.arange(40.0)[:, None]])
    seen = []

    def error(Z):
        seen.append(Z.copy())
        return 0.0

    importance(error, X, {"kind": slice(0, 4), "number": slice(4, 5)}, np.random.default_rng(0))
    assert len(seen) == 1 + 2 * REPEATS
    for Z in seen[1 : 1 + REPEATS]:
        assert (Z[:, :4].sum(axis=1) == 1).all()
        np.testing.assert_array_equal(Z[:, 4], X[:, 4])
        assert not np.array_equal(Z, X)
    for Z in seen[1 + REPEATS :]:
        np.testing.assert_array_equal(Z[:, :4], X[:, :4])


def test_squared_error_is_relative_to_the_variance_of_the_target():
    X = np.random.default_rng(0).normal(size=(3000, 3))
    measured = measure(linear([2.0, 1.0, 0.0], 100 * X))
    np.testing.assert_allclose(measured.columns.mean, [8 / 5, 2 / 5, 0], atol=0.1)
    assert measured.scale.name == "squared error"
    assert "squared error grows by 1" in read_importance(measured)
    assert "of the variance of the target" in read_importance(measured)


@pytest.mark.parametrize("loss", [cp.CrossEntropy(), cp.SquaredError()])
def test_classes_are_measured_by_log_loss_whatever_they_were_trained_by(loss):
    X = np.random.default_rng(0).normal(size=(400, 2))
    y = (X[:, 0] > 0).astype(int)
    net = cp.Network.sequential(2, 2, output="softmax")
    params = net.initialize(given={"output": {"input": [[-2.0, 2.0], [0.0, 0.0]]}})
    target = y if isinstance(loss, cp.CrossEntropy) else np.eye(2)[y]
    measured = measure(evaluated(net, params, X, target, loss))
    assert measured.scale.name == "log loss"
    assert measured.columns.error == pytest.approx(log_loss(y, cp.predict(net, params, X)), rel=1e-9)
    assert measured.columns.significant.tolist() == [True, False]


def test_plan_takes_all_of_a_small_table_and_some_rows_of_a_long_one():
    chosen = plan(linear([1.0, 1.0, 1.0], np.ones((50, 3))), np.random.default_rng(0))
    assert chosen.rows.tolist() == list(range(50))
    assert tuple(chosen.columns) == ("column 0", "column 1", "column 2")
    assert chosen.groups == {}
    long = plan(linear([1.0], np.ones((10_000, 1))), np.random.default_rng(0))
    assert len(long.rows) == len(set(long.rows.tolist())) == ROWS


def test_columns_of_a_wide_table_are_in_groups_that_hold_each_once():
    chosen = plan(linear(np.ones(600), np.ones((300, 600))), np.random.default_rng(0), budget=1e6)
    assert len(chosen.rows) == 200
    assert len(chosen.groups) == 20
    assert [name for group in chosen.groups.values() for name in group] == [f"column {i}" for i in range(600)]
    assert next(iter(chosen.groups)) == "column 0 … column 29"


def test_the_column_that_matters_is_found_in_a_wide_table(monkeypatch):
    monkeypatch.setattr("clearprop.report.importance.BUDGET", 1e6)
    monkeypatch.setattr("clearprop.report.importance.plan", lambda e, g: plan(e, g, budget=1e6))
    w = np.zeros(600)
    w[437] = 1.0
    X = np.random.default_rng(0).normal(size=(300, 600))
    measured = measure(linear(w, X, noise=0.1))
    assert measured.groups.names[measured.groups.order[0]] == "column 420 … column 449"
    assert len(measured.columns.names) == 30
    sentence = read_importance(measured)
    assert sentence.startswith("“column 437” matters most")
    assert sentence.endswith("30 of 600 columns were tried one by one, those of the most important groups.")
    assert "no significant difference" not in sentence


def found(growth) -> Importance:
    return Importance(tuple(f"c{i}" for i in range(len(growth))), np.array(growth), 0.1, 100)


LOG_LOSS = Loss(lambda X: 0.0, "log loss", lambda grown: f"{grown:.2f}")


@pytest.mark.parametrize(
    ("columns", "groups", "better", "sentence"),
    [
        (
            [[0.2, 0.3, 0.25], [0.01, -0.02, 0.0]],
            None,
            True,
            "“c0” matters most: when it is shuffled, the log loss grows by 0.25. Shuffling 1 of the 2 columns makes no "
            "significant difference.",
        ),
        (np.zeros((2, 3)), None, True, "No single column makes a significant difference to the log loss."),
        (
            [[0.2, 0.3, 0.25]],
            None,
            False,
            "The predictions are no better than a constant, so this says little about the data. "
            "“c0” matters most: when it is shuffled, the log loss grows by 0.25.",
        ),
        (None, np.zeros((3, 3)), True, "No one of 3 groups of columns makes a significant difference to the log loss."),
        (
            np.zeros((2, 3)),
            [[0.2, 0.3, 0.25], [0, 0, 0]],
            True,
            "No one of the 2 columns tried one by one makes a significant difference to the log loss.",
        ),
    ],
)
def test_sentences(columns, groups, better, sentence):
    measured = Measured(
        None if columns is None else found(columns), None if groups is None else found(groups), LOG_LOSS, 9
    )
    assert read_importance(measured, better) == sentence
