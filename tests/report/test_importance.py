"""Permutation importance against its expectation and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LinearRegression

import clearprop as cp
from clearprop.report.importance import REPEATS, ROWS, importance, plan

COLUMNS = {f"c{i}": slice(i, i + 1) for i in range(3)}


def test_linear_model_loses_what_theory_and_scikit_learn_say():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(1500, 3))
    w = np.array([2.0, 0.5, 0.0])
    y = X @ w
    found = importance(lambda Z: float(np.mean((Z @ w - y) ** 2)), X, COLUMNS, generator, repeats=40)
    np.testing.assert_allclose(found.mean, 2 * w**2 * X.var(axis=0), rtol=0.05, atol=1e-12)
    linear = LinearRegression().fit(X, y)
    theirs = permutation_importance(linear, X, y, scoring="neg_mean_squared_error", n_repeats=40, random_state=0)
    np.testing.assert_allclose(found.mean, theirs.importances_mean, rtol=0.05, atol=1e-12)
    assert found.order.tolist() == [0, 1, 2]
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


def test_plan_takes_all_of_a_small_table():
    net = cp.Network.sequential(3, 4, 1)
    chosen = plan(net, net.initialize(), np.ones((50, 3)), COLUMNS, np.random.default_rng(0))
    assert chosen.rows.tolist() == list(range(50))
    assert chosen.columns == tuple(COLUMNS)
    assert chosen.left_out == 0


def test_plan_draws_rows_of_a_long_table_without_repeats():
    net = cp.Network.sequential(3, 4, 1)
    chosen = plan(net, net.initialize(), np.ones((10_000, 3)), COLUMNS, np.random.default_rng(0))
    assert len(chosen.rows) == len(set(chosen.rows.tolist())) == ROWS


def test_plan_of_a_small_budget_keeps_the_columns_of_most_weight():
    net = cp.Network.sequential(60, 1)
    params = net.initialize(given={"output": {"input": np.arange(60.0)[:, None]}})
    X = np.random.default_rng(0).normal(size=(500, 60))
    X[:, 59] = 1.0  # the largest weight, on a column that never differs
    columns = {f"c{i}": slice(i, i + 1) for i in range(60)}
    chosen = plan(net, params, X, columns, np.random.default_rng(0), budget=1.0)
    assert len(chosen.rows) == 200
    assert len(chosen.columns) == 20
    assert chosen.left_out == 40
    assert "c58" in chosen.columns
    assert "c59" not in chosen.columns
