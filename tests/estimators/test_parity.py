"""The numbers of scikit-learn: coefs_, intercepts_ and loss_curve_ after 20 epochs, over the whole grid of settings."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy import sparse
from sklearn import neural_network as theirs

import clearprop as cp

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
N = 60
X = RNG.normal(size=(N, 4))
TARGETS = {
    "two classes": (X[:, 0] + X[:, 1] ** 2 > 0.5).astype(int),
    "three classes": np.array(["a", "b", "c"])[RNG.integers(0, 3, N)],
    "multi-label": (X[:, :3] + RNG.normal(size=(N, 3)) > 0).astype(int),
    "numbers": X[:, 0] * 2 + np.sin(X[:, 1]),
    "counts": RNG.poisson(2, N),
}
SOLVERS: dict[str, dict[str, Any]] = {"adam": {"solver": "adam"}} | {
    f"sgd {rate}{' nesterov' if nesterov else ''}": {
        "solver": "sgd",
        "learning_rate": rate,
        "nesterovs_momentum": nesterov,
    }
    for rate in ("constant", "invscaling", "adaptive")
    for nesterov in (True, False)
}
SHARED = {
    "hidden_layer_sizes": (5, 3),
    "batch_size": 25,  # three batches, the last one smaller
    "alpha": 0.05,
    "learning_rate_init": 0.02,
    "max_iter": 20,
    "tol": 1e-3,
    "n_iter_no_change": 2,
    "random_state": 3,
}
ACTIVATIONS = ("identity", "logistic", "tanh", "relu")
WAYS = ("plain", "sample weights", "early stopping")
GRID = list(itertools.product(SOLVERS, ACTIVATIONS, TARGETS, WAYS))


def pair(task: str, **settings: Any) -> tuple[Any, Any]:
    """The estimator of clearprop, and scikit-learn's."""
    if task in ("numbers", "counts"):
        settings["loss"] = "poisson" if task == "counts" else "squared_error"
        return cp.MLPRegressor(**settings), theirs.MLPRegressor(**settings)
    return cp.MLPClassifier(**settings), theirs.MLPClassifier(**settings)


def assert_same(ours: Any, other: Any, rtol: float = 1e-10) -> None:
    """All weights, biases and losses agree, relative to the largest of each array."""
    assert len(ours.coefs_) == len(other.coefs_)
    for a, b in zip([*ours.coefs_, *ours.intercepts_], [*other.coefs_, *other.intercepts_], strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * np.abs(b).max())
    assert len(ours.loss_curve_) == len(other.loss_curve_)
    np.testing.assert_allclose(ours.loss_curve_, other.loss_curve_, rtol=rtol)
    assert (ours.n_iter_, ours.t_, ours.n_layers_) == (other.n_iter_, other.t_, other.n_layers_)
    assert (ours.n_outputs_, ours.out_activation_) == (other.n_outputs_, other.out_activation_)
    assert ours.loss_ == pytest.approx(other.loss_, rel=rtol)
    assert ours.best_loss_ == (None if other.best_loss_ is None else pytest.approx(other.best_loss_, rel=rtol))
    if other.validation_scores_ is None:
        assert ours.validation_scores_ is None
        assert ours.best_validation_score_ is None
    else:
        np.testing.assert_allclose(ours.validation_scores_, other.validation_scores_, rtol=rtol, atol=1e-12)
        assert ours.best_validation_score_ == pytest.approx(other.best_validation_score_, rel=rtol)


def test_the_grid_is_complete():
    assert len(GRID) == 7 * 4 * 5 * 3 == 420


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("solver", SOLVERS)
def test_same_numbers(solver, way):
    """One test per solver and way; each runs all activations and tasks."""
    for activation, task in itertools.product(ACTIVATIONS, TARGETS):
        settings = {**SHARED, **SOLVERS[solver], "activation": activation, "early_stopping": way == "early stopping"}
        weights = {"sample_weight": RNG.uniform(0.1, 2, N)} if way == "sample weights" else {}
        ours, other = pair(task, **settings)
        assert_same(ours.fit(X, TARGETS[task], **weights), other.fit(X, TARGETS[task], **weights))
        np.testing.assert_array_equal(getattr(ours, "classes_", None), getattr(other, "classes_", None))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"shuffle": False},
        {"momentum": 1.0, "solver": "sgd", "learning_rate_init": 1e-4},
        {"momentum": 0.0, "solver": "sgd"},
        {"hidden_layer_sizes": ()},
        {"hidden_layer_sizes": 7},
        {"batch_size": "auto"},
        {"alpha": 0.0},
        {"beta_1": 0.5, "beta_2": 0.8, "epsilon": 0.1},
        {"early_stopping": True, "validation_fraction": 0.3, "max_iter": 60},
        {"solver": "sgd", "learning_rate": "adaptive", "tol": 0.5, "max_iter": 100},
        {"solver": "sgd", "learning_rate": "invscaling", "power_t": 0.1},
    ],
    ids=str,
)
@pytest.mark.parametrize("task", TARGETS)
def test_same_numbers_for_every_parameter(task, settings):
    ours, other = pair(task, **{**SHARED, **settings})
    assert_same(ours.fit(X, TARGETS[task]), other.fit(X, TARGETS[task]))


@pytest.mark.parametrize("task", TARGETS)
def test_same_predictions(task):
    ours, other = (model.fit(X, TARGETS[task]) for model in pair(task, **SHARED))
    np.testing.assert_allclose(ours.score(X, TARGETS[task]), other.score(X, TARGETS[task]), rtol=1e-10)
    if task in ("numbers", "counts"):
        np.testing.assert_allclose(ours.predict(X), other.predict(X), rtol=1e-9)
        return
    np.testing.assert_array_equal(ours.predict(X), other.predict(X))
    np.testing.assert_allclose(ours.predict_proba(X), other.predict_proba(X), rtol=1e-9)
    np.testing.assert_allclose(ours.predict_log_proba(X), other.predict_log_proba(X), rtol=1e-9)


# Not relu: at its kinks the last digit decides where the search continues, and it ends in different minima.
@pytest.mark.parametrize("activation", ACTIVATIONS[:3])
@pytest.mark.parametrize("task", TARGETS)
def test_lbfgs_finds_the_same_optimum(task, activation):
    settings = {**SHARED, "solver": "lbfgs", "activation": activation, "max_iter": 2000, "tol": 1e-8, "alpha": 1.0}
    ours, other = (model.fit(X, TARGETS[task]) for model in pair(task, **settings))
    assert ours.loss_ == pytest.approx(other.loss_, rel=1e-6)
    assert ours.score(X, TARGETS[task]) == pytest.approx(other.score(X, TARGETS[task]), abs=1e-3)


@pytest.mark.parametrize("task", TARGETS)
def test_lbfgs_takes_the_same_steps_at_first(task):
    settings = {**SHARED, "solver": "lbfgs", "max_iter": 5}
    ours, other = (model.fit(X, TARGETS[task]) for model in pair(task, **settings))
    for a, b in zip(ours.coefs_ + ours.intercepts_, other.coefs_ + other.intercepts_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-10 * np.abs(b).max())
    assert ours.n_iter_ == other.n_iter_


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("task", TARGETS)
def test_warm_start_continues_identically(task, solver):
    settings = {**SHARED, **SOLVERS[solver], "warm_start": True, "max_iter": 6, "n_iter_no_change": 20}
    ours, other = pair(task, **settings)
    for _ in range(2):
        assert_same(ours.fit(X, TARGETS[task]), other.fit(X, TARGETS[task]))


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("task", TARGETS)
def test_partial_fit_continues_identically_without_shuffling(task, solver):
    ours, other = pair(task, **{**SHARED, **SOLVERS[solver], "shuffle": False})
    classes = {} if task in ("numbers", "counts") else {"classes": np.unique(TARGETS[task])}
    if task == "multi-label":
        classes = {"classes": [0, 1, 2]}
    for _ in range(5):
        ours.partial_fit(X, TARGETS[task], **classes)
        other.partial_fit(X, TARGETS[task], **classes)
    assert_same(ours, other)


@pytest.mark.parametrize("label", [3, "only", True])
def test_one_class_is_always_right(label):
    settings = {**SHARED, "early_stopping": True, "max_iter": 4}
    ours, other = (model.fit(X, np.full(N, label)) for model in pair("one class", **settings))
    assert_same(ours, other)
    assert ours.validation_scores_ == [1.0, 1.0, 1.0, 1.0]
    assert ours.score(X, np.full(N, label)) == 1.0


@pytest.mark.parametrize("kind", [sparse.csr_matrix, sparse.csc_array])
def test_sparse_labels(kind):
    """Several labels a row may be sparse, and the predictions are then."""
    y = kind(TARGETS["multi-label"])
    ours, other = (model.fit(X, y) for model in pair("multi-label", **SHARED))
    assert_same(ours, other)
    found, expected = ours.predict(X), other.predict(X)
    assert type(found) is type(expected)
    np.testing.assert_array_equal(found.toarray(), expected.toarray())
    assert ours.score(X, y) == pytest.approx(other.score(X, y))
    dense = pair("multi-label", **SHARED)[0].fit(X, TARGETS["multi-label"])
    np.testing.assert_array_equal(dense.predict(X), found.toarray())


LABELS = np.arange(N) % 3
KINDS = {
    "uint8": LABELS.astype("u1"), "big-endian": LABELS.astype(">i4"), "negative": 5 * LABELS - 7,
    "floats": LABELS + 0.0, "wide text": np.array(["a", "b", "c"], "U9")[LABELS], "true and false": LABELS > 0,
    "objects": np.array(["a", "b", "c"], object)[LABELS], "list": LABELS.tolist(),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_predicted_labels_have_the_type_of_y(kind):
    ours, other = (model.fit(X, KINDS[kind]) for model in pair("labels", **{**SHARED, "max_iter": 1}))
    for found, expected in ((ours.classes_, other.classes_), (ours.predict(X), other.predict(X))):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
